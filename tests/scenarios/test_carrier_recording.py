"""The carrier's own recording: asked for with the dial, fetched after the call, whatever goes wrong with it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from callwright.audio.wav import parse_wav
from callwright.domain.attempt import Attempt
from callwright.domain.events import CallEvent
from callwright.domain.outcome import EndReason
from callwright.domain.states import CallState
from callwright.simulation.faults import Fault, FaultKind
from callwright.simulation.recogniser import Recogniser
from tests.scenarios.stage import ANSWERS, Stage, StageOptions

ADA, BEN = "+447700900101", "+447700900102"
LOOK = "GET /calls/1/recordings/calls/*"
FILES = "GET /calls/1/recordings/files/*"


def recorded() -> StageOptions:
    return StageOptions(agent={"carrier_recording": True})


def heard(content: bytes, channel: int) -> list[str]:
    wav = parse_wav(content)
    assert wav.channels == 2
    recogniser = Recogniser(wav.rate_hz)
    recogniser.feed(wav.channel(channel))
    recogniser.finish()
    return list(recogniser.report().texts)


async def told(stage: Stage, call_id: str) -> list[dict[str, Any]]:
    history: list[CallEvent] = await stage.app.calls.history(call_id)
    return [event.data for event in history if event.kind == "carrier_recording"]


async def finished(stage: Stage, call_id: str) -> tuple[Attempt, str]:
    """The call when all is done, and its story for a failing test's message."""
    attempt = await stage.until(call_id, within_s=60)
    return attempt, await stage.story(call_id)


def asked(stage: Stage, name: str) -> int:
    return sum(row.name.startswith(name) for row in stage.carrier.traffic.exchanges)


async def test_it_is_fetched_and_holds_both_voices(tmp_path: Path) -> None:
    async with Stage(tmp_path, {ADA: ANSWERS}, recorded()) as stage:
        call_id = await stage.call(ADA)
        attempt, story = await finished(stage, call_id)
        assert attempt.carrier_recording_path == f"{call_id}-carrier.wav", story
        content = (tmp_path / "recordings" / attempt.carrier_recording_path).read_bytes()
        assert "500." in heard(content, 0), "the person is on the left"
        assert any("Northwind" in text for text in heard(content, 1)), "the agent is on the right"
        assert (
            await stage.app.calls.carrier_recording(call_id)
            == tmp_path / "recordings" / f"{call_id}-carrier.wav"
        )
        assert await told(stage, call_id) == [{"file": attempt.carrier_recording_path}]
        assert stage.violations() == []


async def test_it_is_not_asked_for_by_default(tmp_path: Path) -> None:
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        call_id = await stage.call(ADA)
        attempt, story = await finished(stage, call_id)
        assert attempt.carrier_recording_path is None, story
        (dialled,) = stage.carrier.traffic.named("POST /calls/1/calls")
        assert "recording" not in dialled.body
        assert asked(stage, "GET /calls/1/recordings") == 0


async def test_the_crm_does_not_wait_for_a_late_one(tmp_path: Path) -> None:
    async with Stage(tmp_path, {ADA: ANSWERS}, recorded()) as stage:
        stage.carrier.exchange.recording_after_s = 6.0
        call_id = await stage.call(ADA)
        attempt = await stage.until_row(call_id, lambda row: row.crm_state == "written", within_s=60)
        assert attempt.carrier_recording_path is None
        assert attempt.state is CallState.ENDED
        attempt, story = await finished(stage, call_id)
        assert attempt.carrier_recording_path is not None, story
        assert asked(stage, "GET /calls/1/recordings/calls/") >= 2
        assert len(stage.crm.writes(stage.record_of[ADA])) == 1, story


@pytest.mark.parametrize(
    "fault",
    [
        Fault(LOOK, FaultKind.STATUS, 3, status=500),
        Fault(LOOK, FaultKind.STATUS, status=429, headers={"Retry-After": "3"}),
        Fault(FILES, FaultKind.STATUS, 3, status=503),
        Fault(FILES, FaultKind.STATUS, status=403),
        Fault(FILES, FaultKind.DROP_AFTER, 3),
        Fault("recording", FaultKind.CUSTOM, detail="partly"),
    ],
    ids=["look-500", "look-429", "file-503", "file-403", "file-cut", "partly"],
)
async def test_what_passes_is_overcome(tmp_path: Path, fault: Fault) -> None:
    async with Stage(tmp_path, {ADA: ANSWERS}, recorded()) as stage:
        stage.carrier.faults.add(fault)
        call_id = await stage.call(ADA)
        attempt, story = await finished(stage, call_id)
        assert fault.hits == fault.times, story
        assert attempt.carrier_recording_path == f"{call_id}-carrier.wav", story
        assert sorted(path.suffix for path in (tmp_path / "recordings").iterdir()) == [".wav", ".wav"]
        assert len(stage.crm.writes(stage.record_of[ADA])) == 1, story


@pytest.mark.parametrize(
    "fault",
    [
        Fault("recording", FaultKind.CUSTOM, detail="fails"),
        Fault("recording", FaultKind.CUSTOM, detail="sftp"),
    ],
    ids=["fails", "sftp"],
)
async def test_what_does_not_pass_ends_the_call_without_it(tmp_path: Path, fault: Fault) -> None:
    async with Stage(tmp_path, {ADA: ANSWERS}, recorded()) as stage:
        stage.carrier.faults.add(fault)
        call_id = await stage.call(ADA)
        attempt, story = await finished(stage, call_id)
        assert attempt.carrier_recording_path is None, story
        assert attempt.end_reason is EndReason.COMPLETED
        assert attempt.crm_state == "written", story
        (note,) = await told(stage, call_id)
        assert note["file"] is None


async def test_a_call_that_nobody_answers_has_none(tmp_path: Path) -> None:
    async with Stage(tmp_path, {BEN: {"manner": "busy"}}, recorded()) as stage:
        call_id = await stage.call(BEN)
        attempt, story = await finished(stage, call_id)
        assert attempt.carrier_recording_path is None, story
        assert asked(stage, "GET /calls/1/recordings") == 0


async def test_it_is_fetched_after_a_restart(tmp_path: Path) -> None:
    async with Stage(tmp_path, {ADA: ANSWERS}, recorded()) as stage:
        stage.carrier.exchange.recording_after_s = 8.0
        call_id = await stage.call(ADA)
        await stage.until_row(call_id, lambda row: row.crm_state == "written", within_s=60)
        await stage.stop_app()
        await stage.start_app()
        attempt, story = await finished(stage, call_id)
        assert attempt.carrier_recording_path is not None, story
        assert stage.carrier.dials_by_phone[ADA] == 1


async def test_only_two_are_fetched_at_a_time(tmp_path: Path) -> None:
    """What cannot be fetched yet holds up nothing else of its call, and is fetched in the end."""
    people = [f"+4477009001{number:02d}" for number in range(1, 5)]
    short = {"manner": "silent", "answer_after_ms": 200}
    options = StageOptions(agent={"carrier_recording": True}, limits={"silence_s": 10})
    async with Stage(tmp_path, dict.fromkeys(people, short), options) as stage:
        slow = Fault(FILES, FaultKind.DELAY, times=1000, seconds=4.0)
        stage.carrier.faults.add(slow)
        calls = [await stage.call(phone) for phone in people]
        for call_id in calls:
            await stage.until(call_id, CallState.TALKING)
        for call_id in calls:
            await stage.app.calls.hang_up(call_id)
        most = 0
        waiting = set(calls)
        while waiting:
            most = max(most, len(list((tmp_path / "recordings").glob("*.part"))))
            waiting = {
                each for each in waiting if (await stage.app.calls.get(each)).state is not CallState.DONE
            }
            await asyncio.sleep(0.02)
        assert most == 2
        for call_id in calls:
            assert (await stage.app.calls.get(call_id)).carrier_recording_path, await stage.story(call_id)
