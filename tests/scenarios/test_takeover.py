"""Many persons lose their conversations at once: each is told, and none waits for the others' apologies."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from callwright.calls import recovery
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import CallState
from tests.scenarios.stage import CARRIER, Stage, StageOptions

QUIET = {"manner": "silent", "answer_after_ms": 200, "patience_s": 120}
LONG = "We are sorry, we cannot go on with this call now, because a machine of ours has failed. " * 2
PEOPLE = [f"+4477009001{number:02}" for number in range(6)]


def a_stage(folder: Path, people: list[str]) -> Stage:
    """Persons who stay on the line, whatever they hear."""
    options = StageOptions(agent={"apology": LONG}, limits={"silence_s": 60, "longest_call_s": 120})
    return Stage(folder, dict.fromkeys(people, QUIET), options)


async def all_talk(stage: Stage) -> list[str]:
    calls = [await stage.call(phone) for phone in stage.people]
    for call_id in calls:
        await stage.until(call_id, CallState.TALKING)
    return calls


async def test_nobody_waits_for_the_length_of_another_ones_apology(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With places for two, six persons are told within seconds: each apology is 12 s long."""
    monkeypatch.setattr(recovery, "_AT_ONCE", 2)
    async with a_stage(tmp_path, PEOPLE) as stage:
        calls = await all_talk(stage)
        await stage.app.live.abandon()
        began = time.monotonic()
        while len(stage.said_by_carrier()) < len(PEOPLE):
            assert time.monotonic() - began < 10, stage.said_by_carrier()
            await asyncio.sleep(0.05)
        for call_id in calls:
            attempt = await stage.until(call_id, CallState.ENDED, CallState.DONE)
            assert attempt.end_reason is EndReason.MEDIA_FAILED, await stage.story(call_id)
        assert len(stage.said_by_carrier()) == len(PEOPLE), "each is told once"
        assert stage.people_on_the_line() == []


async def broken(*_: Any) -> None:
    """A fault of an adapter, such as an answer that nobody expected."""
    raise KeyError("unexpected")


@pytest.mark.parametrize("taken_over", [False, True])
async def test_an_apology_that_fails_in_the_adapter_does_not_keep_the_person_on_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken_over: bool
) -> None:
    """In the conversation's own farewell, and in that after a takeover."""
    async with a_stage(tmp_path, PEOPLE[:1]) as stage:
        (call_id,) = await all_talk(stage)
        monkeypatch.setattr(type(stage.app.directory.carrier(CARRIER)), "say", broken)
        if taken_over:
            await stage.app.live.abandon()
        else:
            stage.app.live.shut_down()
        attempt = await stage.until(call_id, CallState.ENDED, CallState.DONE, within_s=4)
        assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.MEDIA_FAILED, HangUpBy.US)
        assert stage.people_on_the_line() == []
