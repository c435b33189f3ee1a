"""An ending is acted upon at once, whatever the conversation waits for; and what cannot be kept does not end a call."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import CallState
from tests.scenarios.stage import ANSWERS, Stage

ADA = "+447700900101"
SILENT = {"manner": "silent", "answer_after_ms": 100}


async def within(seconds: float, condition: Callable[[], object]) -> float:
    """Wait for a condition; returns after how many seconds it held."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


async def answered_without_media(stage: Stage) -> str:
    """A call that was answered, and whose media socket is waited for in vain."""
    stage.fault(stage.carrier, "socket", "never_connects", times=5)
    call_id = await stage.call(ADA)
    await stage.until_event(call_id, "agent.ready")
    return call_id


async def test_the_api_hangs_up_at_once_while_the_media_are_awaited(tmp_path: Path) -> None:
    """Not after the time limits of two tries."""
    async with Stage(tmp_path, {ADA: SILENT}) as stage:
        call_id = await answered_without_media(stage)
        await stage.app.calls.hang_up(call_id)
        await within(1.0, lambda: stage.people_on_the_line() == [])
        attempt = await stage.until(call_id)
        assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.COMPLETED, HangUpBy.API)
        assert stage.said_by_carrier() == []


async def test_a_stop_apologises_at_once_while_the_media_are_awaited(tmp_path: Path) -> None:
    """The person hears why and is hung up on before the process is gone."""
    async with Stage(tmp_path, {ADA: SILENT}) as stage:
        call_id = await answered_without_media(stage)
        stop = asyncio.create_task(stage.stop_app())
        await within(1.0, stage.said_by_carrier)
        await stop
        assert stage.people_on_the_line() == []
        await stage.start_app()
        attempt = await stage.until(call_id)
        assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.MEDIA_FAILED, HangUpBy.US)


async def test_a_refused_agent_is_apologised_for_at_once_while_the_media_are_awaited(tmp_path: Path) -> None:
    """With the vendor's reason, not with that of the media."""
    async with Stage(tmp_path, {ADA: SILENT}) as stage:
        stage.fault(stage.carrier, "socket", "never_connects", times=5)
        stage.fault(stage.engine, "socket", "refuse_3000_quota")
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.ANSWERED)
        await within(2.0, stage.said_by_carrier)
        attempt = await stage.until(call_id)
        assert attempt.end_reason is EndReason.AGENT_FAILED, await stage.story(call_id)
        assert "quota" in attempt.end_detail, attempt.end_detail


async def test_who_leaves_while_the_media_are_awaited_is_not_waited_for(tmp_path: Path) -> None:
    """The call is over for us as soon as the carrier tells it."""
    leaves = {"manner": "hangs_up_at_once", "answer_after_ms": 100, "hang_up_delay_ms": 1500}
    async with Stage(tmp_path, {ADA: leaves}) as stage:
        call_id = await answered_without_media(stage)
        await stage.until(call_id, CallState.ENDED, CallState.DONE)
        await within(1.0, lambda: not stage.app.live.count)
        attempt = await stage.until(call_id)
        assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.COMPLETED, HangUpBy.PERSON)


async def test_a_fault_of_ours_while_the_agent_is_opened_ends_with_an_apology(tmp_path: Path) -> None:
    """A ticket that nobody can read: the media socket that came is closed, the person is told."""
    async with Stage(tmp_path, {ADA: {**SILENT, "answer_after_ms": 800}}) as stage:
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.RINGING)
        async with stage.app.ledger.open(call_id, "test") as entry:
            await entry.set(agent_ticket={"torn": True})
        attempt = await stage.until(call_id)
        assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.MEDIA_FAILED, HangUpBy.US)
        assert stage.said_by_carrier()
        await within(2.0, lambda: all(leg.close_code for leg in stage.carrier.media.values()))


async def test_a_recording_that_cannot_be_named_does_not_end_the_call(tmp_path: Path) -> None:
    """The call goes on without it; its log tells why."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        stage.app.recordings.folder = tmp_path / ("x" * 300)
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id)
        assert attempt.end_reason is EndReason.COMPLETED, await stage.story(call_id)
        assert attempt.recording_path is None
        assert "recording.failed" in await stage.kinds(call_id)


async def test_a_disk_that_refuses_the_recording_does_not_end_the_call(tmp_path: Path) -> None:
    """A file stands where the folder should be: nothing can be written, and the call's log tells it."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        (tmp_path / "recordings").rmdir()
        (tmp_path / "recordings").write_text("in the way")
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id)
        assert attempt.end_reason is EndReason.COMPLETED, await stage.story(call_id)
        await stage.until_event(call_id, "recording.failed")
