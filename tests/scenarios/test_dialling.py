"""Nobody is dialled twice, whatever the carrier answers and however webhooks come."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from callwright.domain.outcome import EndReason
from callwright.domain.states import CallState
from callwright.simulation.faults import Fault, FaultKind
from tests.scenarios.stage import ANSWERS, Stage, StageOptions

ADA = "+447700900101"
DIAL = "POST /calls/1/calls"
BUSY: dict[str, Any] = {"manner": "busy"}


async def test_a_lost_answer_to_the_dial_is_reconciled(tmp_path: Path) -> None:
    """The carrier took the call but we never heard so: it is found by our id, and goes on."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        stage.carrier.faults.add(Fault(DIAL, FaultKind.DROP_AFTER))
        stage.lose_webhooks("CALL_STARTED", "CALL_RINGING")
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id, within_s=45)
        assert attempt.end_reason is EndReason.COMPLETED, await stage.story(call_id)
        assert stage.carrier.dials_by_phone[ADA] == 1
        assert "dial.ambiguous" in await stage.kinds(call_id)


async def test_a_dial_of_which_the_carrier_knows_nothing_is_given_up_not_repeated(tmp_path: Path) -> None:
    """Repeated empty answers well past the longest ring end it as dial_unknown; the number is locked till then."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        stage.carrier.faults.add(Fault(DIAL, FaultKind.DROP_BEFORE))
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.UNKNOWN)
        second = await stage.call(ADA)
        attempt = await stage.until(call_id, CallState.ENDED, CallState.DONE, within_s=100)
        assert attempt.end_reason is EndReason.DIAL_UNKNOWN, await stage.story(call_id)
        assert stage.carrier.dials_by_phone[ADA] == 0
        held = [event for event in await stage.app.calls.history(second) if event.kind == "gate"]
        assert call_id in str(held[0].data)


async def test_a_definite_refusal_ends_the_call(tmp_path: Path) -> None:
    """It is told to the CRM, and not repeated."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        stage.carrier.faults.add(Fault(DIAL, FaultKind.STATUS, status=400, body={"requestError": {}}))
        attempt = await stage.until(await stage.call(ADA))
        assert (attempt.end_reason, attempt.crm_state) == (EndReason.CARRIER_ERROR, "written")
        assert stage.carrier.dials_by_phone[ADA] == 0


@pytest.mark.parametrize(
    "where, status",
    [
        (DIAL, 401),
        (DIAL, 403),
        ("GET /crm/v8/Leads/*", 401),
        ("GET /crm/v8/Leads/*", 403),
        ("GET /v1/convai/conversation/get-signed-url", 401),
    ],
)
async def test_refused_credentials_burn_no_lead(tmp_path: Path, where: str, status: int) -> None:
    """The call waits until somebody has mended them, and is dialled once."""
    async with Stage(tmp_path, {ADA: BUSY}) as stage:
        for simulator in stage.simulators.values():
            simulator.faults.add(Fault(where, FaultKind.STATUS, status=status, body={}, times=2))
        call_id = await stage.call(ADA)
        await stage.until_event(call_id, "deferred")
        attempt = await stage.until(call_id, within_s=60)
        assert attempt.end_reason is EndReason.BUSY, await stage.story(call_id)
        assert stage.carrier.dials_by_phone[ADA] == 1


async def test_a_busy_carrier_is_tried_again_when_it_says(tmp_path: Path) -> None:
    """429 with Retry-After: nothing was placed, so the call is dialled later, once."""
    async with Stage(tmp_path, {ADA: BUSY}) as stage:
        stage.carrier.faults.add(
            Fault(DIAL, FaultKind.STATUS, status=429, headers={"Retry-After": "2"}, body={"requestError": {}})
        )
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id)
        assert attempt.end_reason is EndReason.BUSY, await stage.story(call_id)
        assert stage.carrier.dials_by_phone[ADA] == 1


async def test_without_any_webhook_the_carrier_is_asked(tmp_path: Path) -> None:
    """Every event is lost: the call is still answered, held and ended."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        stage.lose_webhooks("CALL_")
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id, within_s=60)
        assert attempt.end_reason is EndReason.COMPLETED, await stage.story(call_id)


@pytest.mark.parametrize("kind", [FaultKind.REPEAT, FaultKind.REORDER, FaultKind.DELAY])
async def test_webhooks_that_repeat_or_come_in_any_order(tmp_path: Path, kind: FaultKind) -> None:
    """The table decides; one conversation, one end."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        for name in ("CALL_STARTED", "CALL_RINGING", "CALL_ESTABLISHED", "CALL_FINISHED"):
            stage.carrier.faults.add(Fault(f"webhook {name}", kind, seconds=0.6, times=2))
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id, within_s=45)
        assert attempt.end_reason is EndReason.COMPLETED, await stage.story(call_id)
        assert len(stage.engine.conversations) == 1
        assert (await stage.kinds(call_id)).count("carrier.answered") == 1


async def test_one_call_at_a_time_to_a_number(tmp_path: Path) -> None:
    """The second waits until the first is over."""
    async with Stage(tmp_path, {ADA: {"manner": "rejects", "answer_after_ms": 1500}}) as stage:
        first = await stage.call(ADA)
        await stage.until(first, CallState.DIALING, CallState.PLACED, CallState.RINGING)
        second = await stage.call(ADA)
        await stage.until(first)
        kinds = await stage.kinds(second)
        waiting = await stage.app.calls.get(second)
        assert waiting.state is CallState.QUEUED, kinds
        assert stage.carrier.dials_by_phone[ADA] == 1


async def test_a_hook_of_the_crm_starts_one_call_however_often_it_fires(tmp_path: Path) -> None:
    """A workflow rule that fires twice dials once."""
    async with Stage(tmp_path, {ADA: BUSY}) as stage:
        url = f"{stage.app.settings.our_base_url}/hooks/crm/zoho"
        record_id = stage.record_of[ADA]
        stage.crm.fire_hook(url, record_id, agent="test-agent", event_id="rule-1", times=2)
        await stage.until_row_of_record(record_id)
        calls, _ = await stage.app.calls.search()
        assert len(calls) == 1
        await stage.until(calls[0].id)
        assert stage.carrier.dials_by_phone[ADA] == 1


async def test_outside_of_lawful_hours_nobody_is_dialled(tmp_path: Path) -> None:
    """The call waits for the window; the decision and its reasons are stored."""
    options = StageOptions(environment={"CALLING_HOURS": "00:00-00:01 sun"})
    async with Stage(tmp_path, {ADA: BUSY}, options) as stage:
        call_id = await stage.call(ADA)
        attempt = await stage.until_row(call_id, lambda row: row.not_before > row.created_at)
        assert attempt.state is CallState.QUEUED
        gate = next(event for event in await stage.app.calls.history(call_id) if event.kind == "gate")
        assert gate.data["verdict"] == "defer"
        assert "closed in Europe/London" in str(gate.data["reasons"])
        assert stage.carrier.dials_by_phone[ADA] == 0


async def test_a_record_that_is_marked_in_the_crm_is_not_called(tmp_path: Path) -> None:
    """The do-not-call field of the mapping is read too, not only written."""
    async with Stage(tmp_path, {ADA: BUSY}) as stage:
        stage.crm.edit(stage.record_of[ADA], {"Do_Not_Call": True})
        attempt = await stage.until(await stage.call(ADA))
        assert attempt.end_reason is EndReason.NOT_ALLOWED
        assert stage.carrier.dials_by_phone[ADA] == 0


async def test_many_calls_share_the_carriers_rate(tmp_path: Path) -> None:
    """Calls whose slot is far off keep it: all are dialled, none faster than the carrier allows."""
    people = {f"+4477009001{number:02d}": BUSY for number in range(1, 13)}
    options = StageOptions(environment={"INFOBIP_DIALS_PER_SECOND": "2"})
    async with Stage(tmp_path, people, options) as stage:
        calls = [await stage.call(phone) for phone in people]
        for call_id in calls:
            attempt = await stage.until(call_id, within_s=40)
            assert attempt.end_reason is EndReason.BUSY
        assert set(stage.carrier.dials_by_phone.values()) == {1}


async def test_a_record_that_cannot_be_called_says_why(tmp_path: Path) -> None:
    """No number, or none that can be one: the CRM is told."""
    async with Stage(tmp_path, {ADA: BUSY}) as stage:
        stage.crm.edit(stage.record_of[ADA], {"Mobile": "12", "Phone": None})
        attempt = await stage.until(await stage.call(ADA))
        assert attempt.end_reason is EndReason.INVALID_NUMBER
        assert attempt.crm_state == "written"


async def test_bad_webhooks_and_sockets_are_refused(tmp_path: Path) -> None:
    """A wrong signature, a malformed body, an unknown call: counted, never a crash."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        base = stage.app.settings.our_base_url
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.TALKING)
        async with httpx2.AsyncClient(base_url=base, trust_env=False) as client:
            forged = await client.post("/webhooks/infobip/events", json={"type": "CALL_FINISHED"})
            odd = await client.post(
                "/webhooks/elevenlabs/", content=b"\xff{", headers={"elevenlabs-signature": "t=1"}
            )
            unknown = await client.post("/webhooks/nobody/", json={})
            socket = await client.get(
                "/media/infobip/guess", headers={"upgrade": "websocket", "connection": "upgrade"}
            )
        assert (forged.status_code, unknown.status_code) == (401, 404)
        assert odd.status_code in {400, 401}
        assert socket.status_code in {403, 404}
        attempt = await stage.until(call_id)
        assert attempt.end_reason is EndReason.COMPLETED, await stage.story(call_id)
