"""Persons on the way to a human: neither alone nor with two, whatever is lost, and whoever dies meanwhile."""

from pathlib import Path
from typing import Any

from callwright.domain.outcome import EndReason, HangUpBy
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
        await stage.stop_app()
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
