"""The adapter on the simulated platform, over HTTP."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from callwright.domain.agent import AgentDefinition, parse_agent
from callwright.domain.errors import (
    VendorAmbiguous,
    VendorAuthFailed,
    VendorBusy,
    VendorError,
    VendorNotFound,
    VendorQuotaExceeded,
    VendorRefused,
    VendorUnreachable,
    WebhookRejected,
)
from callwright.integrations.elevenlabs.conftest import UNUSED, Build, Vault, definition
from callwright.integrations.elevenlabs.settings import ElevenLabsSettings
from callwright.integrations.elevenlabs.simulator import ElevenLabsSimulator
from callwright.integrations.elevenlabs.test_webhooks import BODY, sign
from callwright.integrations.elevenlabs.voice_agents import ElevenLabsVoiceAgents
from callwright.ports.clock import SystemClock
from callwright.ports.voice_agent import ConversationStart, ResultState
from callwright.ports.webhook import WebhookRequest
from callwright.registry import IntegrationContext
from callwright.simulation.faults import Fault, FaultKind

Start = Callable[..., ConversationStart]

SIGNED_URL = "GET /v1/convai/conversation/get-signed-url"
SUBSCRIPTION = "GET /v1/user/subscription"
CONVERSATION = "GET /v1/convai/conversations/*"


def answer(
    where: str, status: int, code: str = "", times: int = 1, headers: dict[str, str] | None = None
) -> Fault:
    body = {"detail": {"status": code, "message": f"about {code}"}}
    return Fault(where, FaultKind.STATUS, times, status=status, body=body, headers=headers or {})


async def test_a_ticket_names_the_conversation_and_ends_in_a_quarter_of_an_hour(
    agents: ElevenLabsVoiceAgents, simulator: ElevenLabsSimulator, start: Start
) -> None:
    before = datetime.now(UTC)
    ticket = await agents.prepare(start())
    assert ticket.conversation_id is not None
    assert ticket.conversation_id.startswith("conv_")
    assert timedelta(minutes=14) < ticket.expires_at - before <= timedelta(minutes=15, seconds=5)
    assert json.loads(json.dumps(ticket.data)) == ticket.data
    (request,) = simulator.traffic.named(SIGNED_URL)
    assert request.query == {"agent_id": "agent_demo", "include_conversation_id": "true"}
    assert simulator.conversations == {}, "the agent must not start before the person has answered"


async def test_nobody_is_called_on_too_few_credits(
    build: Build, simulator: ElevenLabsSimulator, start: Start
) -> None:
    simulator.account.credits_used = simulator.account.credits_limit - 499
    with pytest.raises(VendorQuotaExceeded, match="499 credits are left"):
        await build().prepare(start())
    assert simulator.traffic.named(SIGNED_URL) == []
    assert (await build(ELEVENLABS_MINIMUM_CREDITS="499").prepare(start())).conversation_id


@pytest.mark.parametrize("extension", ["unlimited", 10_000])
async def test_credits_beyond_the_limit_count(
    agents: ElevenLabsVoiceAgents, simulator: ElevenLabsSimulator, start: Start, extension: int | str
) -> None:
    simulator.account.credits_used = simulator.account.credits_limit
    simulator.account.extension = extension
    assert (await agents.prepare(start())).conversation_id


async def test_credits_are_read_once_in_ten_seconds(
    agents: ElevenLabsVoiceAgents, simulator: ElevenLabsSimulator, start: Start
) -> None:
    for _ in range(3):
        await agents.prepare(start())
    assert len(simulator.traffic.named(SUBSCRIPTION)) == 1
    assert len(simulator.traffic.named(SIGNED_URL)) == 3


async def test_a_key_that_may_not_read_credits_is_a_warning(
    agents: ElevenLabsVoiceAgents, simulator: ElevenLabsSimulator, start: Start
) -> None:
    simulator.account.permissions.discard("user_read")
    with structlog.testing.capture_logs() as logs:
        assert (await agents.prepare(start())).conversation_id
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
        "credits cannot be read: the API key lacks user_read"
    ]


@pytest.mark.parametrize("status", [429, 503])
async def test_credits_that_cannot_be_read_now_do_not_hinder_a_call(
    agents: ElevenLabsVoiceAgents, simulator: ElevenLabsSimulator, start: Start, status: int
) -> None:
    simulator.faults.add(answer(SUBSCRIPTION, status, "system_busy", times=3))
    assert (await agents.prepare(start())).conversation_id
    assert len(simulator.traffic.named(SUBSCRIPTION)) == 3


@pytest.mark.parametrize(
    "status, code, kind",
    [
        (401, "invalid_api_key", VendorAuthFailed),
        (401, "quota_exceeded", VendorQuotaExceeded),
        (402, "payment_required", VendorQuotaExceeded),
        (403, "only_for_creator+", VendorRefused),
        (404, "document_not_found", VendorNotFound),
        (422, "", VendorRefused),
        (429, "too_many_concurrent_requests", VendorBusy),
        (500, "", VendorAmbiguous),
    ],
)
async def test_refusals_of_a_ticket(
    agents: ElevenLabsVoiceAgents,
    simulator: ElevenLabsSimulator,
    start: Start,
    status: int,
    code: str,
    kind: type[VendorError],
) -> None:
    simulator.faults.add(answer(SIGNED_URL, status, code, times=3))
    with pytest.raises(kind) as error:
        await agents.prepare(start())
    assert type(error.value) is kind
    assert error.value.vendor == "elevenlabs"
    assert error.value.status == status


async def test_a_short_pause_is_waited_for(
    agents: ElevenLabsVoiceAgents, simulator: ElevenLabsSimulator, start: Start
) -> None:
    simulator.faults.add(answer(SIGNED_URL, 429, "system_busy", headers={"retry-after-ms": "50"}))
    assert (await agents.prepare(start())).conversation_id


async def test_broken_connections_and_nonsense(
    agents: ElevenLabsVoiceAgents, simulator: ElevenLabsSimulator, start: Start
) -> None:
    for fault in (
        Fault(SIGNED_URL, FaultKind.DROP_BEFORE, times=3),
        Fault(SIGNED_URL, FaultKind.STATUS, status=200, body="<html>"),
        Fault(SIGNED_URL, FaultKind.STATUS, status=200, body=[1]),
        Fault(SIGNED_URL, FaultKind.STATUS, status=200, body={"signed_url": "https://example.com"}),
    ):
        simulator.faults.add(fault)
        with pytest.raises(VendorAmbiguous):
            await agents.prepare(start())


@pytest.mark.parametrize("where", [SUBSCRIPTION, SIGNED_URL])
async def test_answers_that_never_come(
    build: Build, simulator: ElevenLabsSimulator, start: Start, where: str
) -> None:
    agents = build(ELEVENLABS_REQUEST_TIMEOUT_S="0.2")
    simulator.faults.add(Fault(where, FaultKind.HANG, times=3))
    if where == SUBSCRIPTION:
        assert (await agents.prepare(start())).conversation_id, "credits are not worth waiting for"
    else:
        with pytest.raises(VendorAmbiguous):
            await agents.prepare(start())
    assert (await agents.prepare(start())).conversation_id


async def test_an_address_where_nobody_is(build: Build, start: Start) -> None:
    with pytest.raises(VendorUnreachable):
        await build(ELEVENLABS_BASE_URL="http://127.0.0.1:9").prepare(start())


async def test_an_unknown_agent_is_explained(agents: ElevenLabsVoiceAgents, start: Start) -> None:
    with pytest.raises(VendorNotFound, match="ELEVENLABS_BASE_URL is the region"):
        await agents.prepare(start(agent_id="agent_elsewhere"))


async def test_secrets_stay_out_of_errors_and_logs(
    agents: ElevenLabsVoiceAgents, simulator: ElevenLabsSimulator, start: Start
) -> None:
    key = simulator.account.api_key
    with structlog.testing.capture_logs() as logs:
        ticket = await agents.prepare(start())
        leak = {"detail": {"status": "odd", "message": f"key {key}"}, "signed_url": ticket.data["signed_url"]}
        simulator.faults.add(Fault(SIGNED_URL, FaultKind.STATUS, status=400, body=leak))
        with pytest.raises(VendorRefused) as error:
            await agents.prepare(start())
        simulator.faults.add(Fault(CONVERSATION, FaultKind.DROP_BEFORE, times=3))
        with pytest.raises(VendorAmbiguous) as broken:
            await agents.result("conv_1")
    told = [repr(logs), str(error.value), error.value.body, repr(agents), repr(broken.value)]
    assert not [text for text in told if key in text or "cvtkn_" in text]
    assert "***" in error.value.body


async def test_an_unknown_conversation_is_gone_and_deleting_it_is_no_error(
    agents: ElevenLabsVoiceAgents,
) -> None:
    assert (await agents.result("conv_none")).state is ResultState.GONE
    await agents.delete("conv_none")
    await agents.delete("conv/../agents")


DELETION = "DELETE /v1/convai/conversations/*"


@pytest.mark.parametrize(
    "fault, pause_s",
    [
        (answer(DELETION, 429, "system_busy", times=3), 30.0),
        (answer(DELETION, 429, "system_busy", headers={"Retry-After": "70"}), 70.0),
        (answer(DELETION, 429, "system_busy", headers={"retry-after-ms": "70000"}), 70.0),
        (answer(DELETION, 429, "", headers={"retry-after-ms": "9" * 30}), 86_400.0),
        (answer(DELETION, 429, "", headers={"x-ratelimit-reset": "9" * 11}), 86_400.0),
        (answer(DELETION, 429, "", headers={"x-ratelimit-reset": "soon"}, times=3), 30.0),
        (answer(DELETION, 500, "", times=3), 30.0),
        (answer(DELETION, 503, "system_busy", headers={"Retry-After": "12"}, times=3), 12.0),
        (answer(DELETION, 409, "", headers={"Retry-After": "12"}), 12.0),
        (answer(DELETION, 408, "", times=3), 30.0),
        (Fault(DELETION, FaultKind.DROP_BEFORE, times=3), 30.0),
        (Fault(DELETION, FaultKind.DROP_AFTER, times=3), 30.0),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else str(value),
)
async def test_a_deletion_that_may_succeed_later(
    agents: ElevenLabsVoiceAgents, simulator: ElevenLabsSimulator, fault: Fault, pause_s: float
) -> None:
    simulator.faults.add(replace(fault))
    with pytest.raises(VendorBusy) as busy:
        await agents.delete("conv_1")
    assert busy.value.retry_after_s == pause_s
    await agents.delete("conv_1")


async def test_the_pause_until_a_limit_is_reset(
    agents: ElevenLabsVoiceAgents, simulator: ElevenLabsSimulator
) -> None:
    reset = str(int(datetime.now(UTC).timestamp()) + 60)
    simulator.faults.add(answer(DELETION, 429, "", headers={"x-ratelimit-reset": reset}))
    with pytest.raises(VendorBusy) as busy:
        await agents.delete("conv_1")
    assert busy.value.retry_after_s == pytest.approx(60, abs=3)


@pytest.mark.parametrize("status", [400, 401, 403, 422])
async def test_a_deletion_that_is_refused(
    agents: ElevenLabsVoiceAgents, simulator: ElevenLabsSimulator, status: int
) -> None:
    simulator.faults.add(answer(DELETION, status, "odd"))
    with pytest.raises(VendorRefused):
        await agents.delete("conv_1")


class SlowClock(SystemClock):
    """A clock whose steady counter a test moves."""

    elapsed = 1000.0

    def monotonic(self) -> float:
        return self.elapsed


def post(body: bytes, secret: str) -> WebhookRequest:
    now = int(datetime.now(UTC).timestamp())
    return WebhookRequest("POST", "post-call", {}, {"elevenlabs-signature": sign(body, secret, now)}, body)


async def test_a_secret_that_another_process_stores_is_found(
    simulator: ElevenLabsSimulator, vault: Vault
) -> None:
    clock = SlowClock()
    settings = ElevenLabsSettings.model_validate(simulator.environment())
    context = IntegrationContext(clock, UNUSED, vault, UNUSED)
    agents = ElevenLabsVoiceAgents(settings, context)
    await agents.load_secrets()
    with pytest.raises(WebhookRejected, match="no_secret"):
        agents.webhook(post(BODY, "wsec_stored"))
    await vault.write("elevenlabs", "webhook_secret", "wsec_stored")
    await agents.load_secrets()
    with pytest.raises(WebhookRejected, match="no_secret"):
        agents.webhook(post(BODY, "wsec_stored"))
    clock.elapsed += 31
    await agents.load_secrets()
    assert agents.webhook(post(BODY, "wsec_stored"))
    await agents.close()


async def test_the_operators_own_secret_and_the_stored_one_both_count(build: Build, vault: Vault) -> None:
    await vault.write("elevenlabs", "webhook_secret", "wsec_stored")
    agents = build(ELEVENLABS_WEBHOOK_SECRET="wsec_of_the_operator")
    await agents.load_secrets()
    assert agents.webhook(post(BODY, "wsec_stored"))
    assert agents.webhook(post(BODY, "wsec_of_the_operator"))
    with pytest.raises(WebhookRejected, match="bad_signature"):
        agents.webhook(post(BODY, "wsec_of_nobody"))


def changed(**parts: Any) -> AgentDefinition:
    return parse_agent({**definition().model_dump(mode="json"), **parts})


@pytest.mark.parametrize(
    "agent, words",
    [
        (definition(), []),
        (definition(agent_id=" "), ["engine.agent_id is empty"]),
        (definition(language="en-GB"), ["engine.language 'en-GB' is not a language"]),
        (definition(language="pt-br"), []),
        (changed(variables=[{"name": "system__time_utc"}]), ["names that begin with system__ are reserved"]),
        (changed(variables=[{"name": "secret__pin"}]), ["names that begin with secret__ are reserved"]),
        (changed(tools=[{"name": "end_call", "url": "https://x.example"}]), ["tool end_call has the name"]),
        (definition(first_message="Hi {{ first_name }}, {{system__time_utc}}"), []),
        (definition(first_message="Hi {{nick}}", prompt="{{nick}} {{visits}}"), ["{{nick}}", "{{nick}}"]),
    ],
)
def test_problems_of_a_definition(
    agents: ElevenLabsVoiceAgents, agent: AgentDefinition, words: list[str]
) -> None:
    found = agents.problems(agent)
    assert len(found) == len(words)
    assert all(word in text for word, text in zip(words, found, strict=True))
