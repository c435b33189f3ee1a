"""The database goes away while somebody is on the line: they notice nothing, or they hear an apology."""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import CallState
from callwright.toolkit.logs import configure_logs
from tests.scenarios.outage import outage_of
from tests.scenarios.stage import ANSWERS, Stage, StageOptions

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""The library for workflows leaves a connection that was cut to the garbage collector."""

ADA = "+447700900101"
TALKS = {**ANSWERS, "replies": [], "otherwise": "Could you say that again, please, and slowly?"}


@pytest.fixture(autouse=True)
def logs_of_a_server() -> Iterator[None]:
    """Errors are logged as `serve` does: a traceback in colours takes seconds of the event loop."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logs("ERROR")
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    gc.collect()


async def wait_for(condition: Callable[[], object], within_s: float) -> None:
    """Look at the simulators, since the row cannot be asked."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        await asyncio.sleep(0.02)


def said(stage: Stage) -> int:
    """How many lines the agent platform has in its transcripts."""
    return sum(len(conversation.transcript) for conversation in stage.engine.conversations.values())


async def test_a_short_outage_is_ridden_out(tmp_path: Path, database_url: str) -> None:
    """The audio goes on; what was said and noted meanwhile is written when the database is back."""
    async with outage_of(database_url) as outage:
        options = StageOptions(database_url=outage.url)
        async with Stage(tmp_path, {ADA: ANSWERS}, options) as stage:
            call_id = await stage.call(ADA)
            await stage.until(call_id, CallState.TALKING)
            before = said(stage)
            await outage.begin()
            await wait_for(lambda: said(stage) >= before + 3, 20)
            await outage.end()
            attempt = await stage.until(call_id, within_s=60)
            story = await stage.story(call_id)
            assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.COMPLETED, HangUpBy.AGENT), story
            assert attempt.collected == {"interested": True, "budget": 500, "opt_out": False}, story
            (conversation,) = stage.engine.conversations.values()
            assert conversation.hearing.faults == 0, conversation.hearing
            lines = [line.text for line in await stage.app.calls.transcript(call_id)]
            assert "500." in lines, lines
            assert any("goodbye" in line for line in lines), lines
            assert len(lines) == len(set(lines)), lines
            assert stage.said_by_carrier() == []
            assert len(stage.crm.writes(stage.record_of[ADA])) == 1


async def test_a_long_outage_ends_with_an_apology(tmp_path: Path, database_url: str) -> None:
    """After 25 s the person hears why and is hung up on, without a row; the outcome is written afterwards, once."""
    async with outage_of(database_url) as outage:
        options = StageOptions(database_url=outage.url, limits={"silence_s": 60, "longest_call_s": 120})
        async with Stage(tmp_path, {ADA: TALKS}, options) as stage:
            call_id = await stage.call(ADA)
            await stage.until(call_id, CallState.TALKING)
            await outage.begin()
            began = time.monotonic()
            await wait_for(stage.said_by_carrier, 35)
            assert time.monotonic() - began > 20
            await wait_for(lambda: stage.people_on_the_line() == [], 15)
            await outage.end()
            attempt = await stage.until(call_id, within_s=60)
            story = await stage.story(call_id)
            assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.MEDIA_FAILED, HangUpBy.US), story
            assert "database" in attempt.end_detail
            assert attempt.crm_state == "written", story
            assert len(stage.crm.writes(stage.record_of[ADA])) == 1
            assert stage.carrier.dials_by_phone[ADA] == 1


async def test_who_hangs_up_during_an_outage_has_hung_up(tmp_path: Path, database_url: str) -> None:
    """The carrier is asked what became of the leg; its webhook cannot be stored."""
    leaves = {**ANSWERS, "replies": [{"when": "interested", "say": "Bye."}], "hang_up_after": 1}
    async with (
        outage_of(database_url) as outage,
        Stage(tmp_path, {ADA: leaves}, StageOptions(database_url=outage.url)) as stage,
    ):
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.TALKING)
        await outage.begin()
        await wait_for(lambda: stage.people_on_the_line() == [], 20)
        await outage.end()
        attempt = await stage.until(call_id, within_s=60)
        outcome = (attempt.end_reason, attempt.hang_up_by)
        assert outcome == (EndReason.COMPLETED, HangUpBy.PERSON), await stage.story(call_id)
        assert stage.said_by_carrier() == []


async def test_who_answers_during_an_outage_is_spoken_to_when_it_is_over(
    tmp_path: Path, database_url: str
) -> None:
    """The webhook is refused with 5xx, so that the carrier sends it again."""
    async with outage_of(database_url) as outage:
        people = {ADA: {**ANSWERS, "answer_after_ms": 1500}}
        async with Stage(tmp_path, people, StageOptions(database_url=outage.url)) as stage:
            call_id = await stage.call(ADA)
            await stage.until(call_id, CallState.RINGING)
            await outage.begin()
            await wait_for(lambda: any(call.answered for call in stage.carrier.calls_to(ADA)), 10)
            await outage.end()
            attempt = await stage.until(call_id, within_s=60)
            outcome = (attempt.end_reason, attempt.hang_up_by)
            assert outcome == (EndReason.COMPLETED, HangUpBy.AGENT), await stage.story(call_id)
