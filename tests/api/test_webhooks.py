"""Webhooks: proven, stored and acknowledged; everything else refused and counted."""

import base64
import json
import uuid
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import func, select

from callwright.api import webhooks
from callwright.storage.schema import inbox
from tests.api.conftest import PERSON, TALKER
from tests.api.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")

EVENTS = "/webhooks/infobip/events"


def proof(site: Site) -> dict[str, str]:
    """The header by which the carrier's webhooks are known."""
    settings: Any = site.stage.app.configuration.integrations["infobip"][1]
    pair = f"{settings.webhook_username}:{settings.webhook_password.get_secret_value()}"
    return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def event(call_id: str) -> dict[str, Any]:
    return {
        "type": "CALL_RINGING",
        "callId": call_id,
        "timestamp": "2026-11-20T10:00:00.000+0000",
        "properties": {
            "call": {
                "id": call_id,
                "endpoint": {"type": "PHONE", "phoneNumber": "447700900201"},
                "direction": "OUTBOUND",
                "state": "RINGING",
            }
        },
    }


def refused(integration: str, reason: str) -> float:
    labels = {"integration": integration, "reason": reason}
    return REGISTRY.get_sample_value("callwright_webhooks_refused_total", labels) or 0.0


async def stored(site: Site) -> int:
    async with site.stage.app.database.read() as conn:
        return (await conn.execute(select(func.count()).select_from(inbox))).scalar_one()


async def post(site: Site, path: str, **options: Any) -> Any:
    response = await site.http.post(path, **options)
    site.conforms(response)
    return response


async def test_a_proven_webhook_is_stored_before_it_is_acknowledged(site: Site) -> None:
    before = await stored(site)
    response = await post(site, EVENTS, json=event(uuid.uuid4().hex), headers=proof(site))
    assert (response.status_code, response.json()) == (200, {"received": 1})
    assert await stored(site) == before + 1


async def test_a_repeated_webhook_is_acknowledged_and_stored_once(site: Site) -> None:
    before = await stored(site)
    body = event(uuid.uuid4().hex)
    for _ in range(3):
        assert (await post(site, EVENTS, json=body, headers=proof(site))).status_code == 200
    assert await stored(site) == before + 1


@pytest.mark.parametrize(
    "path,content,proven,status,reason",
    [
        (EVENTS, b"{}", False, 401, "no_signature"),
        (EVENTS, b"{", True, 400, "malformed"),
        (EVENTS, b"", True, 400, "malformed"),
        (EVENTS, b"[1, 2]", True, 400, "malformed"),
        (EVENTS, b"\xff\xff", True, 400, "malformed"),
        ("/webhooks/infobip/other", b"{}", True, 404, "unknown_path"),
        ("/webhooks/elevenlabs/post-call", b"{}", True, 401, "unsigned"),
        ("/hooks/crm/zoho", b"{}", False, 401, "bad_secret"),
    ],
)
async def test_what_is_not_proven_or_not_readable_is_refused_and_counted(
    site: Site, path: str, content: bytes, proven: bool, status: int, reason: str
) -> None:
    integration = path.rsplit("/", maxsplit=1)[-1] if path.startswith("/hooks") else path.split("/")[2]
    before, rows = refused(integration, reason), await stored(site)
    headers = proof(site) if proven else {}
    response = await post(site, path, content=content, headers=headers)
    assert response.status_code == status
    assert refused(integration, reason) == before + 1
    assert await stored(site) == rows


async def test_a_forger_learns_nothing_about_the_settings(site: Site) -> None:
    headers = {"authorization": "Basic " + base64.b64encode(b"callwright:guess").decode()}
    response = await post(site, EVENTS, json=event("1"), headers=headers)
    assert response.status_code == 401
    assert "header" not in response.json()["detail"].lower()


async def test_an_unknown_integration_is_not_found(site: Site) -> None:
    before = refused("unknown", "unknown_integration")
    for path in ("/webhooks/zoho/x", "/webhooks/nobody/x", "/hooks/crm/nobody", "/hooks/crm/infobip"):
        assert (await post(site, path, content=b"{}")).status_code == 404
    assert refused("unknown", "unknown_integration") == before + 4
    assert (await post(site, "/webhooks/No%20Body/x", content=b"{}")).status_code == 422


async def test_a_webhook_with_a_recording_in_it_is_refused_politely(site: Site) -> None:
    before = refused("elevenlabs", "too_large")
    body = json.dumps(
        {"type": "post_call_audio", "data": {"full_audio": "A" * webhooks.LARGEST_BODY}}
    ).encode()
    response = await post(site, "/webhooks/elevenlabs/post-call", content=body)
    assert response.status_code == 413
    assert refused("elevenlabs", "too_large") == before + 1


async def test_all_webhooks_together_have_a_limit(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_MOST_IN_MEMORY", 1000)
    response = await post(site, EVENTS, content=b"x" * 2000, headers=proof(site))
    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"
    assert site.api.state.bodies._held == 0


async def test_webhooks_may_come_in_the_address(site: Site) -> None:
    response = await site.http.get(EVENTS, headers=proof(site))
    site.conforms(response)
    assert response.status_code == 400


def hook(site: Site, **fields: Any) -> dict[str, Any]:
    secret = site.stage.app.configuration.integrations["zoho"][1]
    assert secret is not None
    headers = {"x-callwright-secret": site.stage.crm.hook_secret}
    return {"json": {"agent": "test-agent", "event_id": uuid.uuid4().hex, **fields}, "headers": headers}


async def test_a_crm_hook_creates_each_call_once(site: Site) -> None:
    record = site.stage.record_of[PERSON]
    request = hook(site, id=record)
    first = await post(site, "/hooks/crm/zoho", **request)
    assert first.status_code == 202
    (call_id,) = first.json()["calls"]
    again = await post(site, "/hooks/crm/zoho", **request)
    assert again.json() == first.json()
    found = await site.expect(200, "GET", f"/api/v1/calls/{call_id}")
    assert (found["source"], found["crm"]["record_id"]) == ("hook", record)
    await site.ask("POST", f"/api/v1/calls/{call_id}/hang-up")


async def test_one_hook_may_name_several_records(site: Site) -> None:
    records = [site.stage.record_of[PERSON], site.stage.record_of[TALKER]]
    answer = (await post(site, "/hooks/crm/zoho", **hook(site, ids=records))).json()
    assert len(set(answer["calls"])) == 2
    for call_id in answer["calls"]:
        await site.ask("POST", f"/api/v1/calls/{call_id}/hang-up")


@pytest.mark.parametrize("agent", ["", "nobody"])
async def test_a_hook_without_an_agent_that_exists_says_so(site: Site, agent: str) -> None:
    response = await post(site, "/hooks/crm/zoho", **hook(site, id="5725767000000100001", agent=agent))
    assert response.status_code == 422
    (item,) = response.json()["errors"]
    assert item["where"] == "agent"
    assert item["remedy"]
