"""Persons on the way to a human: neither alone nor with two, whatever is lost, and whoever dies meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from callwright.calls.ledger import Entry, Ledger
from callwright.calls.tracking import HANDED_OVER, HUMAN_ANSWERED, mark
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import CallState
from callwright.simulation.faults import Fault, FaultKind
from tests.scenarios.stage import ANSWERS, Stage, StageOptions

ADA = "+447700900101"
HUMAN = "+447700900190"
ASKS_ONCE = {
    **ANSWERS,
    "replies": [
        {"when": "interested", "say": "I want to speak to a human.", "times": 1},
        *ANSWERS["replies"],
    ],
    "patience_s": 60,
}


def a_stage(folder: Path, human: dict[str, Any], **limits: int) -> Stage:
    """Somebody who asks for the human once."""
    options = StageOptions(agent={"handover_number": HUMAN}, limits=limits)
    return Stage(folder, {ADA: ASKS_ONCE, HUMAN: human}, options)


async def completed_with_the_agent(stage: Stage, call_id: str) -> None:
    """The agent came back once and had the conversation to its end; nobody was apologised to."""
    attempt = await stage.until(call_id, within_s=90)
    story = await stage.story(call_id)
    assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.COMPLETED, HangUpBy.AGENT), story
    assert attempt.collected["budget"] == 500, story
    assert (await stage.kinds(call_id)).count("handover.failed") == 1, story
    assert stage.said_by_carrier() == []
    assert stage.people_on_the_line() == []


async def test_the_agent_comes_back_after_a_long_ring(tmp_path: Path) -> None:
    """The ring was longer than the limit of silence, which counts anew from then on."""
    rings = {"manner": "busy", "answer_after_ms": 9000}
    async with a_stage(tmp_path, rings, silence_s=6) as stage:
        call_id = await stage.call(ADA)
        told = await stage.until_event(call_id, "carrier.transfer_failed")
        known = await stage.until_event(call_id, "handover.failed")
        assert (known.at - told.at).total_seconds() < 2
        await completed_with_the_agent(stage, call_id)


async def test_a_failure_that_no_webhook_tells_is_found_by_asking(tmp_path: Path) -> None:
    """A timer asks the carrier who is there."""
    async with a_stage(tmp_path, {"manner": "busy"}) as stage:
        stage.lose_webhooks("CALL_FAILED", "DIALOG_FAILED")
        call_id = await stage.call(ADA)
        await completed_with_the_agent(stage, call_id)


async def test_the_end_of_the_dialog_alone_tells_that_the_human_left(tmp_path: Path) -> None:
    """The webhook of the human's own leg is lost; the person is not left on a dead line."""
    leaves = {"manner": "hangs_up_at_once", "answer_after_ms": 300, "hang_up_delay_ms": 1000}
    async with a_stage(tmp_path, leaves) as stage:
        lost = Fault("webhook CALL_FINISHED", FaultKind.LOSE, skip=1)
        stage.carrier.faults.add(lost)
        call_id = await stage.call(ADA)
        await stage.until_event(call_id, "carrier.answered", leg="human")
        attempt = await stage.until(call_id, within_s=20)
        assert lost.hits == 1
        assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.COMPLETED, HangUpBy.HUMAN), (
            await stage.story(call_id)
        )


async def test_a_refused_transfer_gives_the_person_back_at_once(tmp_path: Path) -> None:
    """No human's phone rang: the media are joined again."""
    async with a_stage(tmp_path, {"manner": "answers"}) as stage:
        stage.carrier.faults.add(
            Fault("POST /calls/1/dialogs", FaultKind.STATUS, skip=1, status=400, body={})
        )
        call_id = await stage.call(ADA)
        await completed_with_the_agent(stage, call_id)
        assert stage.carrier.calls_to(HUMAN) == []


async def test_a_transfer_whose_request_was_lost_gives_the_person_back(tmp_path: Path) -> None:
    """Whether the human's phone rings is unclear, so the carrier is asked."""
    async with a_stage(tmp_path, {"manner": "answers"}) as stage:
        stage.carrier.faults.add(Fault("POST /calls/1/dialogs", FaultKind.DROP_BEFORE, skip=1))
        call_id = await stage.call(ADA)
        await stage.until_event(call_id, "handover.unclear")
        await completed_with_the_agent(stage, call_id)
        assert stage.carrier.calls_to(HUMAN) == []


async def test_a_transfer_whose_answer_was_lost_stands(tmp_path: Path) -> None:
    """The human's phone does ring: the agent does not come back into the conversation."""
    leaves = {"manner": "hangs_up_at_once", "answer_after_ms": 4000, "hang_up_delay_ms": 3000}
    async with a_stage(tmp_path, leaves) as stage:
        stage.carrier.faults.add(Fault("POST /calls/1/dialogs", FaultKind.DROP_AFTER, skip=1))
        call_id = await stage.call(ADA)
        await stage.until_event(call_id, "handover.unclear")
        attempt = await stage.until(call_id, within_s=60)
        assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.COMPLETED, HangUpBy.HUMAN), (
            await stage.story(call_id)
        )
        assert len(stage.carrier.media) == 1
        assert stage.said_by_carrier() == []


async def test_after_a_takeover_the_person_is_apologised_to_when_no_human_answers(tmp_path: Path) -> None:
    """The process that held the conversation is gone; its successor hears from the carrier that nobody is there."""
    async with a_stage(tmp_path, {"manner": "busy", "answer_after_ms": 26000}) as stage:
        call_id = await stage.call(ADA)
        await stage.until_event(call_id, "handover")
        await stage.until_event(call_id, "carrier.unknown", leg="human")
        await stage.lose_app()
        assert stage.people_on_the_line()
        await stage.start_app()
        attempt = await stage.until(call_id, within_s=60)
        assert attempt.end_reason is EndReason.MEDIA_FAILED, await stage.story(call_id)
        assert len(stage.said_by_carrier()) == 1
        assert stage.people_on_the_line() == []


async def test_after_a_takeover_the_person_is_hung_up_on_when_the_human_leaves(tmp_path: Path) -> None:
    """The webhook of that comes to the successor."""
    leaves = {"manner": "hangs_up_at_once", "answer_after_ms": 300, "hang_up_delay_ms": 28000}
    async with a_stage(tmp_path, leaves) as stage:
        call_id = await stage.call(ADA)
        await stage.until_event(call_id, "carrier.answered", leg="human")
        await stage.stop_app()
        assert stage.people_on_the_line()
        await stage.start_app()
        attempt = await stage.until(call_id, within_s=60)
        assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.COMPLETED, HangUpBy.HUMAN), (
            await stage.story(call_id)
        )
        assert stage.said_by_carrier() == []


async def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def dialogs(stage: Stage) -> int:
    """How often the carrier was asked to connect the person with something."""
    return sum(exchange.name == "POST /calls/1/dialogs" for exchange in stage.carrier.traffic.exchanges)


async def test_who_is_on_the_way_back_when_the_server_stops_hears_why(tmp_path: Path) -> None:
    """Such a person is with nobody; the outcome tells of the stop."""
    async with a_stage(tmp_path, {"manner": "busy"}) as stage:
        stage.carrier.faults.add(Fault("socket", FaultKind.CUSTOM, detail="never_connects", skip=1, times=9))
        call_id = await stage.call(ADA)
        await stage.until_event(call_id, "handover.failed")
        await wait_for(lambda: dialogs(stage) == 3)
        stage.app.live.shut_down()
        attempt = await stage.until(call_id, CallState.ENDED, CallState.DONE)
        outcome = (attempt.end_reason, attempt.end_detail)
        assert outcome == (EndReason.MEDIA_FAILED, "the server was stopped"), await stage.story(call_id)
        assert len(stage.said_by_carrier()) == 1


async def test_a_transfer_waits_for_a_media_socket_that_is_being_joined_again(tmp_path: Path) -> None:
    """Else the person were torn from the human by the new socket."""
    leaves = {"manner": "hangs_up_at_once", "answer_after_ms": 300, "hang_up_delay_ms": 6000}
    people = {ADA: {"manner": "silent", "answer_after_ms": 200, "patience_s": 60}, HUMAN: leaves}
    options = StageOptions(agent={"handover_number": HUMAN}, limits={"silence_s": 60})
    async with Stage(tmp_path, people, options) as stage:
        stage.fault(stage.carrier, "socket", "dies", seconds=3.0)
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.TALKING)
        slow = Fault("GET /calls/1/calls/*", FaultKind.DELAY, seconds=1.5)
        stage.carrier.faults.add(slow)
        await wait_for(lambda: slow.hits)
        conversation, _ = stage.app.live._running[call_id]
        asked = asyncio.create_task(conversation._transfer())
        await stage.until_event(call_id, "carrier.answered", leg="human")
        await asked
        attempt = await stage.until(call_id, CallState.ENDED, CallState.DONE)
        story = await stage.story(call_id)
        assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.COMPLETED, HangUpBy.HUMAN), story
        kinds = await stage.kinds(call_id)
        assert kinds.index("media.rejoined") < kinds.index("handover"), story
        assert dialogs(stage) == 3


async def test_a_mark_that_is_written_twice_does_not_take_back_that_the_human_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to the commit was lost, and the human answered before the conversation tried again."""
    async with a_stage(tmp_path, {"manner": "answers", "answer_after_ms": 20000}) as stage:
        really, lost = Ledger.open, asyncio.Event()

        @asynccontextmanager
        async def lossy(ledger: Ledger, attempt_id: str, source: str) -> AsyncIterator[Entry]:
            async with really(ledger, attempt_id, source) as entry:
                yield entry
            if entry.attempt.carrier_data.get(HANDED_OVER) and not lost.is_set():
                lost.set()
                async with really(ledger, attempt_id, "test") as other:
                    await mark(other, **{HUMAN_ANSWERED: True})
                raise ConnectionResetError

        monkeypatch.setattr(Ledger, "open", lossy)
        call_id = await stage.call(ADA)
        await stage.until_event(call_id, "handover")
        await wait_for(lambda: dialogs(stage) == 2)
        attempt = await stage.app.calls.get(call_id)
        assert lost.is_set()
        assert attempt.carrier_data[HUMAN_ANSWERED], await stage.story(call_id)
