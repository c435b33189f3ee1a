"""Set-up makes what is missing, shows and mends what differs, and does nothing twice; check says how it is."""

import json
from typing import Any

import pytest

from callwright.integrations.infobip.carrier import InfobipCarrier
from callwright.integrations.infobip.conftest import Stage, settings_for
from callwright.ports.operations import CheckResult, Health, SetupAction, SetupStep
from callwright.registry import IntegrationContext
from callwright.simulation.faults import Fault, FaultKind

HMAC = {"INFOBIP_WEBHOOK_AUTH": "hmac", "INFOBIP_WEBHOOK_SECRET": "hmac-secret-0123456789"}
HEADER = {"INFOBIP_WEBHOOK_AUTH": "header", "INFOBIP_WEBHOOK_TOKEN": "token-0123456789"}


def actions(steps: list[SetupStep]) -> list[SetupAction]:
    return [step.action for step in steps]


def writes(stage: Stage) -> list[str]:
    made = (exchange.name for exchange in stage.simulator.traffic.exchanges if exchange.kind == "http")
    return [name for name in made if not name.startswith("GET")]


async def configured(stage: Stage, **changed: str) -> InfobipCarrier:
    """The adapter with other settings, in place of the first."""
    await stage.carrier.close()
    stage.carrier = InfobipCarrier(settings_for(stage.simulator, **changed), stage.context)
    return stage.carrier


async def test_everything_is_made_once(stage: Stage) -> None:
    steps = await stage.carrier.setup(stage.plan())
    assert actions(steps) == [SetupAction.CREATE] * 5
    assert all(step.applied for step in steps)
    account = stage.simulator.account
    assert account.configurations == {"callwright": {"id": "callwright", "name": "Callwright"}}
    (media,) = account.media_configs.values()
    assert (media["name"], media["sampleRate"], media["type"]) == (
        "callwright-one",
        "16000",
        "WEBSOCKET_ENDPOINT",
    )
    assert media["url"].startswith(f"{stage.media_url}/media/infobip/")
    profile = account.profiles["callwright-webhook"]
    assert profile["webhook"]["notifyUrl"] == f"{stage.public_url}/webhooks/infobip/events"
    assert profile["maxBucketSize"] == 1
    assert profile["security"] == {"authId": "callwright-auth"}
    subscription = account.subscriptions["callwright-events"]
    assert subscription["criteria"] == [{"callsConfigurationId": "callwright"}]
    assert {"CALL_STARTED", "CALL_FAILED", "DIALOG_FAILED"} <= set(subscription["events"])
    before = writes(stage)
    again = await stage.carrier.setup(stage.plan())
    assert actions(again) == [SetupAction.UNCHANGED] * 5
    assert writes(stage) == before
    assert stage.simulator.traffic.violations == []


async def test_a_plan_that_is_not_applied_changes_nothing(stage: Stage) -> None:
    steps = await stage.carrier.setup(stage.plan(apply=False))
    assert actions(steps) == [SetupAction.CREATE] * 5
    assert not any(step.applied for step in steps)
    assert writes(stage) == []
    assert stage.secrets.values == {}


async def test_each_slot_has_its_own_address(ready: Stage) -> None:
    steps = await ready.carrier.setup(ready.plan(slot="two"))
    assert [step.action for step in steps if "callwright-two" in step.name] == [SetupAction.CREATE]
    urls = [config["url"] for config in ready.simulator.account.media_configs.values()]
    assert len(set(urls)) == 2
    for url in urls:
        ready.carrier.media_protocol(url.rpartition("/")[2])


def drift_media_url(account: Any) -> None:
    next(iter(account.media_configs.values()))["url"] = "wss://old.example/media"


def drift_media_rate(account: Any) -> None:
    next(iter(account.media_configs.values()))["sampleRate"] = "8000"


def drift_notify_url(account: Any) -> None:
    account.profiles["callwright-webhook"]["webhook"]["notifyUrl"] = "https://old.example/"


def drift_bucket(account: Any) -> None:
    account.profiles["callwright-webhook"]["maxBucketSize"] = 100


def drift_password(account: Any) -> None:
    account.security["callwright-auth"]["credentials"]["password"] = "old"


def drift_security_type(account: Any) -> None:
    credentials = {"secretKey": "x", "algorithm": "HMAC_MD5"}
    account.security["callwright-auth"].update(type="HMAC", credentials=credentials)


def drift_events(account: Any) -> None:
    account.subscriptions["callwright-events"]["events"].remove("CALL_FAILED")
    account.subscriptions["callwright-events"]["events"].append("DELIVERY")


def drift_criteria(account: Any) -> None:
    account.subscriptions["callwright-events"]["criteria"] = []


@pytest.mark.parametrize(
    "spoil,told",
    [
        (
            drift_media_url,
            "url is wss://old.example/*** at Infobip, and should be {media}/media/infobip/***",
        ),
        (drift_media_rate, "sampleRate is 8000 at Infobip, and should be 16000"),
        (
            drift_notify_url,
            "webhook.notifyUrl is https://old.example/ at Infobip, and should be {public}/webhooks/infobip/events",
        ),
        (drift_bucket, "maxBucketSize is 100 at Infobip, and should be 1"),
        (drift_password, "credentials.password is not the one in our settings"),
        (drift_security_type, "type is HMAC at Infobip, and should be BASIC"),
        (drift_events, "events lacks CALL_FAILED; events has DELIVERY in addition"),
        (
            drift_criteria,
            'criteria is [] at Infobip, and should be [{{"callsConfigurationId": "callwright"}}]',
        ),
    ],
)
async def test_drift_is_shown_then_mended(ready: Stage, spoil: Any, told: str) -> None:
    account = ready.simulator.account
    whole = json.dumps([account.media_configs, account.profiles, account.security, account.subscriptions])
    spoil(account)
    shown = [step for step in await ready.carrier.setup(ready.plan(apply=False)) if step.detail]
    assert [(step.action, step.applied) for step in shown] == [(SetupAction.CHANGE, False)]
    assert shown[0].detail == told.format(media=ready.media_url, public=ready.public_url)
    mended = [step for step in await ready.carrier.setup(ready.plan()) if step.detail]
    assert [(step.action, step.applied) for step in mended] == [(SetupAction.CHANGE, True)]
    after = json.dumps([account.media_configs, account.profiles, account.security, account.subscriptions])
    assert json.loads(after) == json.loads(whole)
    assert actions(await ready.carrier.setup(ready.plan())) == [SetupAction.UNCHANGED] * 5
    assert ready.simulator.traffic.violations == []


async def test_what_was_deleted_is_made_again_under_the_same_path(ready: Stage) -> None:
    account = ready.simulator.account
    (old,) = account.media_configs.values()
    for things in (account.configurations, account.media_configs, account.subscriptions, account.security):
        things.clear()
    account.profiles.clear()
    assert actions(await ready.carrier.setup(ready.plan())) == [SetupAction.CREATE] * 5
    (new,) = account.media_configs.values()
    assert new["url"] == old["url"]
    assert new["id"] != old["id"]


async def test_a_lost_database_adopts_what_the_vendor_has(ready: Stage) -> None:
    ready.secrets.values.clear()
    before = dict(ready.simulator.account.media_configs)
    assert actions(await ready.carrier.setup(ready.plan())) == [SetupAction.UNCHANGED] * 5
    assert ready.simulator.account.media_configs == before
    assert ("infobip", "media:one") in ready.secrets.values


async def test_a_new_public_address_is_mended(ready: Stage) -> None:
    ready.public_url = "https://new.example"
    ready.media_url = "wss://media.new.example"
    steps = await ready.carrier.setup(ready.plan())
    changed = [step.name.split()[0] for step in steps if step.action is SetupAction.CHANGE]
    assert changed == ["media-stream", "notification"]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("auth", [{}, HMAC, HEADER], ids=["basic", "hmac", "header"])
async def test_each_kind_of_proof_is_set_up_and_kept(
    stage: Stage, auth: dict[str, str], masked: bool
) -> None:
    stage.simulator.account.mask_secrets = masked
    carrier = await configured(stage, **auth)
    made = len(await carrier.setup(stage.plan()))
    assert actions(await carrier.setup(stage.plan())) == [SetupAction.UNCHANGED] * made
    rotated = {
        "INFOBIP_WEBHOOK_PASSWORD": "rotated-0123456789",
        "INFOBIP_WEBHOOK_SECRET": "rotated-0123456789",
        "INFOBIP_WEBHOOK_TOKEN": "rotated-0123456789",
    }
    carrier = await configured(stage, **{**auth, **rotated})
    steps = [step for step in await carrier.setup(stage.plan()) if step.action is SetupAction.CHANGE]
    assert len(steps) == 1
    assert actions(await carrier.setup(stage.plan())) == [SetupAction.UNCHANGED] * made
    assert stage.simulator.traffic.violations == []


@pytest.mark.parametrize(
    "first,second", [({}, HMAC), (HMAC, {}), ({}, HEADER), (HEADER, {}), (HMAC, HEADER)], ids=str
)
async def test_the_kind_of_proof_may_change(
    stage: Stage, first: dict[str, str], second: dict[str, str]
) -> None:
    carrier = await configured(stage, **first)
    await carrier.setup(stage.plan())
    carrier = await configured(stage, **second)
    await carrier.setup(stage.plan())
    assert set(actions(await carrier.setup(stage.plan()))) == {SetupAction.UNCHANGED}


async def test_secrets_are_not_told_by_steps(stage: Stage) -> None:
    steps = [*await stage.carrier.setup(stage.plan(apply=False)), *await stage.carrier.setup(stage.plan())]
    (config,) = stage.simulator.account.media_configs.values()
    told = repr(steps)
    assert config["url"].rpartition("/")[2] not in told
    assert all(secret not in told for secret in stage.carrier._settings.secret_values())


# --- check ------------------------------------------------------------------------------------------------------


def found(results: list[CheckResult]) -> dict[str, Health]:
    return {result.name.split()[0]: result.health for result in results}


def with_address(stage: Stage, public_url: str) -> InfobipCarrier:
    context = IntegrationContext(
        stage.context.clock, stage.context.tokens, stage.secrets, stage.counters, public_url
    )
    return InfobipCarrier(settings_for(stage.simulator), context)


async def test_check_of_a_set_up_account(ready: Stage) -> None:
    carrier = with_address(ready, ready.public_url)
    results = await carrier.check()
    await carrier.close()
    assert set(found(results)) == {"credentials", "calls", "events", "media", "numbers"}
    assert set(found(results).values()) == {Health.OK}


async def test_check_before_set_up_says_what_to_do(stage: Stage) -> None:
    results = await stage.carrier.check()
    bad = [result for result in results if result.health is Health.FAILED]
    assert [result.name.split()[0] for result in bad] == ["calls", "events", "media"]
    assert all("callwright setup infobip" in result.remedy for result in bad)


async def test_check_finds_events_that_go_elsewhere(ready: Stage) -> None:
    carrier = with_address(ready, "https://elsewhere.example")
    results = await carrier.check()
    await carrier.close()
    assert found(results)["events"] is Health.FAILED
    assert found(await ready.carrier.check())["events"] is Health.WARNING, "no public address to compare with"


async def test_check_finds_missing_events_and_wrong_rates(ready: Stage) -> None:
    drift_events(ready.simulator.account)
    drift_media_rate(ready.simulator.account)
    health = found(await ready.carrier.check())
    assert (health["events"], health["media"]) == (Health.FAILED, Health.FAILED)


async def test_check_with_a_wrong_key(ready: Stage) -> None:
    carrier = await configured(ready, INFOBIP_API_KEY="wrong-key-0123456789")
    (result,) = await carrier.check()
    assert (result.name, result.health) == ("credentials", Health.FAILED)
    assert "INFOBIP_API_KEY" in result.remedy
    assert "wrong-key" not in repr(result)


async def test_check_with_a_key_that_may_too_little(ready: Stage) -> None:
    ready.simulator.faults.add(Fault("GET /subscriptions/**", FaultKind.STATUS, status=403))
    results = await ready.carrier.check()
    assert found(results)["events"] is Health.FAILED
    assert "subscriptions:manage" in next(result.remedy for result in results if result.name == "events")


async def test_check_without_a_network(ready: Stage) -> None:
    carrier = await configured(ready, INFOBIP_BASE_URL="http://127.0.0.1:9")
    (result,) = await carrier.check()
    assert result.health is Health.FAILED
