"""The access token: shared, refreshed once, replaced once when refused, never asked for too often."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from callwright.domain.errors import VendorAuthFailed, VendorBusy, VendorUnreachable
from callwright.integrations.zoho.conftest import LEAD, Bench, NoCounters
from callwright.integrations.zoho.crm import ZohoCrm
from callwright.integrations.zoho.settings import DataCenter, ZohoSettings
from callwright.integrations.zoho.simulator import ZohoSimulator
from callwright.registry import IntegrationContext
from callwright.simulation.faults import Fault, FaultKind
from callwright.storage.database import Database
from callwright.storage.vault import Secrets, Tokens

_TOKEN = "POST /oauth/v2/token"
_DENIED = {"error": "Access Denied", "error_description": "too many requests", "status": "failure"}


async def test_two_adapters_share_one_token(bench: Bench) -> None:
    first, second = bench.crm(), bench.crm()
    await asyncio.gather(*(crm.get("Leads", LEAD) for crm in (first, second) * 5))
    assert bench.simulator.accounts.issued == 1
    (exchange,) = bench.simulator.traffic.named(_TOKEN)
    assert exchange.body["grant_type"] == "refresh_token"
    assert exchange.query == {}


async def test_the_database_shares_the_token_between_processes(bench: Bench, tmp_path: Path) -> None:
    crms = []
    databases = [await Database.open(None, data_dir=tmp_path, clock=bench.clock) for _ in range(2)]
    stores = [Tokens(database) for database in databases]
    await databases[0].migrate()
    for database, store in zip(databases, stores, strict=True):
        context = IntegrationContext(bench.clock, store, Secrets(database), NoCounters())
        crms.append(bench.crm(context))
    try:
        await asyncio.gather(*(crm.get("Leads", LEAD) for crm in crms * 4))
        assert bench.simulator.accounts.issued == 1
        bench.simulator.accounts.revoke_access()
        await asyncio.gather(*(crm.get("Leads", LEAD) for crm in crms * 4))
        assert bench.simulator.accounts.issued == 2
    finally:
        for store, database in zip(stores, databases, strict=True):
            await store.close()
            await database.close()


async def test_a_token_is_renewed_five_minutes_early(bench: Bench) -> None:
    crm = bench.crm()
    await crm.get("Leads", LEAD)
    bench.clock.forward(3295)
    await crm.get("Leads", LEAD)
    assert bench.simulator.accounts.issued == 1
    bench.clock.forward(10)
    await crm.get("Leads", LEAD)
    assert bench.simulator.accounts.issued == 2


async def test_a_revoked_token_is_replaced_once_for_all(bench: Bench) -> None:
    crms = [bench.crm(), bench.crm()]
    await asyncio.gather(*(crm.get("Leads", LEAD) for crm in crms))
    bench.simulator.accounts.revoke_access()
    records = await asyncio.gather(*(crm.get("Leads", LEAD) for crm in crms * 3))
    assert all(record is not None for record in records)
    assert bench.simulator.accounts.issued == 2


async def test_a_write_with_a_revoked_token_has_one_effect(bench: Bench) -> None:
    crm = bench.crm()
    await crm.get("Leads", LEAD)
    bench.simulator.accounts.revoke_access()
    assert (await crm.update("Leads", LEAD, {"Budget": 5})).written == ("Budget",)
    assert len(bench.simulator.writes(LEAD)) == 1


async def test_a_token_refused_for_ever_is_replaced_once(bench: Bench) -> None:
    crm = bench.crm()
    bench.simulator.faults.add(
        Fault("GET /crm/v8/Leads/*", FaultKind.STATUS, times=99, status=401, body={"code": "INVALID_TOKEN"})
    )
    with pytest.raises(VendorAuthFailed):
        await crm.get("Leads", LEAD)
    assert bench.simulator.accounts.issued == 2
    with pytest.raises(VendorBusy):
        await crm.get("Leads", LEAD)
    assert bench.simulator.accounts.issued == 2


async def test_a_missing_scope_never_refreshes(bench: Bench) -> None:
    bench.simulator.accounts.scope = "ZohoCRM.settings.fields.READ"
    crm = bench.crm()
    for _ in range(3):
        with pytest.raises(VendorAuthFailed, match="grant code"):
            await crm.get("Leads", LEAD)
    assert bench.simulator.accounts.issued == 1


@pytest.mark.parametrize("status", [200, 400])
async def test_access_denied_holds_everybody_back_for_ten_minutes(bench: Bench, status: int) -> None:
    bench.simulator.accounts.denied_status = status
    bench.simulator.accounts.limits.per_window = 0
    with pytest.raises(VendorBusy) as caught:
        await bench.crm().get("Leads", LEAD)
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s >= 600
    bench.simulator.accounts.limits.per_window = 10
    bench.clock.forward(590)
    with pytest.raises(VendorBusy) as caught:
        await bench.crm().get("Leads", LEAD)
    assert caught.value.retry_after_s is not None
    assert 0 < caught.value.retry_after_s <= 10
    assert len(bench.simulator.traffic.named(_TOKEN)) == 1
    bench.clock.forward(11)
    assert await bench.crm().get("Leads", LEAD) is not None


async def test_access_denied_by_the_api_itself(bench: Bench) -> None:
    bench.simulator.faults.add(Fault("GET /crm/**", FaultKind.STATUS, times=9, status=401, body=_DENIED))
    with pytest.raises(VendorBusy) as caught:
        await bench.crm().get("Leads", LEAD)
    assert caught.value.retry_after_s == 600
    assert bench.simulator.accounts.issued == 1


async def test_a_revoked_grant_is_told_with_what_to_do(bench: Bench) -> None:
    crm = bench.crm()
    bench.simulator.accounts.revoke_grant()
    with pytest.raises(VendorAuthFailed, match="make a new grant code") as caught:
        await crm.get("Leads", LEAD)
    assert caught.value.code == "invalid_code"
    assert caught.value.status == 200


@pytest.mark.parametrize("name", ["ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET"])
async def test_a_wrong_client_is_told_with_what_to_do(bench: Bench, name: str) -> None:
    with pytest.raises(VendorAuthFailed, match="data center") as caught:
        await bench.crm(None, **{name: "wrong"}).get("Leads", LEAD)
    assert caught.value.code == "invalid_client"


@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER])
async def test_no_token_means_that_nothing_was_asked(bench: Bench, kind: FaultKind) -> None:
    bench.simulator.faults.add(Fault(_TOKEN, kind, times=9))
    with pytest.raises(VendorUnreachable):
        await bench.crm().update("Leads", LEAD, {"Budget": 5})
    assert bench.simulator.writes(LEAD) == []


async def test_an_answer_without_api_domain_is_refused(bench: Bench) -> None:
    body = {"access_token": "1000.a.b", "expires_in": 3600}
    bench.simulator.faults.add(Fault(_TOKEN, FaultKind.STATUS, status=200, body=body))
    with pytest.raises(VendorAuthFailed, match="api_domain"):
        await bench.crm().get("Leads", LEAD)


@pytest.mark.parametrize("life", [None, "soon", True, -1, 10**400, [1]])
async def test_an_odd_life_of_a_token_is_taken_for_an_hour(bench: Bench, life: object) -> None:
    await bench.crm().get("Leads", LEAD)
    stale = await bench.crm()._client.token()
    body = {"access_token": stale.value, "api_domain": bench.simulator.base_url, "expires_in": life}
    bench.simulator.faults.add(Fault(_TOKEN, FaultKind.STATUS, status=200, body=body))
    bench.clock.forward(7200)
    bench.simulator.accounts.refresh_token = "1000.other.grant"
    token = await bench.crm()._client.token()
    assert 3000 <= (token.expires_at - bench.clock.now()).total_seconds() <= 3600


async def test_new_credentials_do_not_use_the_old_token(bench: Bench) -> None:
    await bench.crm().get("Leads", LEAD)
    bench.simulator.accounts.refresh_token = "1000.new.grant"
    await bench.crm().get("Leads", LEAD)
    assert bench.simulator.accounts.issued == 2


async def test_the_sixteenth_token_ends_the_first(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    simulator.accounts.limits.per_window = 99
    assert await crm.get("Leads", LEAD) is not None
    form = {
        "grant_type": "refresh_token",
        "client_id": simulator.accounts.client_id,
        "client_secret": simulator.accounts.client_secret,
        "refresh_token": simulator.accounts.refresh_token,
    }
    for _ in range(15):
        simulator.accounts.exchange(form, simulator.base_url)
    assert await crm.get("Leads", LEAD) is not None
    assert simulator.accounts.issued == 17


ACCOUNTS = {
    DataCenter.US: "https://accounts.zoho.com",
    DataCenter.EU: "https://accounts.zoho.eu",
    DataCenter.IN: "https://accounts.zoho.in",
    DataCenter.AU: "https://accounts.zoho.com.au",
    DataCenter.CN: "https://accounts.zoho.com.cn",
    DataCenter.JP: "https://accounts.zoho.jp",
    DataCenter.CA: "https://accounts.zohocloud.ca",
    DataCenter.SA: "https://accounts.zoho.sa",
    DataCenter.UK: "https://accounts.zoho.uk",
}


@pytest.mark.parametrize("center", DataCenter)
def test_each_data_center_has_its_accounts_host(center: DataCenter) -> None:
    values = {
        "ZOHO_CLIENT_ID": "1000.A",
        "ZOHO_CLIENT_SECRET": "secret",
        "ZOHO_REFRESH_TOKEN": "1000.b.c",
        "ZOHO_DATA_CENTER": center.value,
    }
    assert ZohoSettings.model_validate(values).accounts_host == ACCOUNTS[center]
    own = {**values, "ZOHO_ACCOUNTS_URL": "https://accounts.example.com/"}
    assert ZohoSettings.model_validate(own).accounts_host == "https://accounts.example.com"


async def test_a_context_without_a_public_url_is_enough(bench: Bench) -> None:
    context = replace(bench.context, public_url="")
    assert await bench.crm(context).get("Leads", LEAD) is not None
