"""A server that is told to stop: nobody is dialled, nobody is left with a ringing or silent phone."""

import asyncio
import time
from pathlib import Path

import psycopg
import pytest

from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import CallState
from callwright.simulation.faults import Fault, FaultKind
from tests.crash.people import Kind
from tests.databases import postgres_url
from tests.scenarios.pair import pair
from tests.scenarios.stage import ANSWERS, Stage
from tests.scenarios.test_handover import a_stage

ADA = "+447700900101"
HANG_UP = "POST /calls/1/calls/*/hangup"


@pytest.fixture
def server_url(postgres_server: str) -> str:
    """The URL of a fresh database."""
    name = f"t_{time.monotonic_ns()}"
    with psycopg.connect(postgres_server, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}".encode())
    return postgres_url(postgres_server, name)


async def test_a_stop_cancels_what_rings(tmp_path: Path) -> None:
    """Nobody is left to answer into silence; the outcome is told after the next start, and nobody is dialled twice."""
    async with Stage(tmp_path, {ADA: {**ANSWERS, "answer_after_ms": 8000}}) as stage:
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.RINGING)
        await stage.stop_app()
        assert stage.people_on_the_line() == []
        await stage.start_app()
        attempt = await stage.until(call_id, within_s=45)
        assert attempt.end_reason is EndReason.CANCELED, await stage.story(call_id)
        assert attempt.end_detail == "the server was stopped"
        assert stage.carrier.dials_by_phone[ADA] == 1


async def test_who_answers_while_the_server_stops_hears_why(tmp_path: Path) -> None:
    """The answer came before the cancellation: an apology instead of silence."""
    async with Stage(tmp_path, {ADA: {"manner": "silent", "answer_after_ms": 1500}}) as stage:
        stage.carrier.faults.add(
            Fault("POST /calls/1/calls/*/hangup", FaultKind.STATUS, status=503, body={}, times=3)
        )
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.RINGING)
        await stage.stop_app()
        assert stage.people_on_the_line() == []
        assert stage.said_by_carrier()
        await stage.start_app()
        attempt = await stage.until(call_id)
        assert attempt.end_detail == "the server was stopped", await stage.story(call_id)


async def test_a_call_in_preparation_is_not_dialled_by_a_server_that_stops(tmp_path: Path) -> None:
    """It waits for the next start."""
    async with Stage(tmp_path, {ADA: {"manner": "busy"}}) as stage:
        slow = Fault("GET /v1/convai/conversation/get-signed-url", FaultKind.DELAY, seconds=2.0)
        stage.engine.faults.add(slow)
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.PREPARING)
        await stage.stop_app()
        assert stage.carrier.dials_by_phone[ADA] == 0
        await stage.start_app()
        attempt = await stage.until(call_id, within_s=45)
        assert attempt.end_reason is EndReason.BUSY, await stage.story(call_id)
        assert stage.carrier.dials_by_phone[ADA] == 1


async def test_a_stop_waits_for_a_call_of_which_nobody_knows_whether_it_rings(tmp_path: Path) -> None:
    """The answer to the dial was lost a moment ago: the carrier is asked, and the phone stops ringing."""
    async with Stage(tmp_path, {ADA: {**ANSWERS, "answer_after_ms": 12000}}) as stage:
        stage.lose_webhooks("CALL_")
        stage.carrier.faults.add(Fault("POST /calls/1/calls", FaultKind.DROP_AFTER))
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.UNKNOWN)
        await stage.stop_app()
        assert stage.people_on_the_line() == [], await _restarted(stage, call_id)
        await stage.start_app()
        attempt = await stage.until(call_id)
        assert attempt.end_reason is EndReason.CANCELED, await stage.story(call_id)


async def _restarted(stage: Stage, call_id: str) -> str:
    await stage.start_app()
    return await stage.story(call_id)


async def test_a_cancellation_that_is_refused_is_tried_again_in_time(tmp_path: Path) -> None:
    """A stop has seconds, not half a minute."""
    async with Stage(tmp_path, {ADA: {**ANSWERS, "answer_after_ms": 14000}}) as stage:
        stage.carrier.faults.add(Fault(HANG_UP, FaultKind.STATUS, status=503, body={}, times=2))
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.RINGING)
        await stage.stop_app()
        assert stage.people_on_the_line() == []
        await stage.start_app()
        assert (await stage.until(call_id)).end_reason is EndReason.CANCELED


@pytest.mark.slow
async def test_processes_that_stop_together_leave_nobody_ringing(tmp_path: Path, server_url: str) -> None:
    """Neither can count on the other."""
    patient = Kind("patient", {"manner": "silent", "answer_after_ms": 14000, "patience_s": 120}, frozenset())
    async with pair(tmp_path, server_url, patient) as (world, _, __):
        first, second = await world.start_both()
        await world.order(world.callees[0])
        await world.until("it rings", lambda: world.call_is(CallState.RINGING), 20)
        assert all(await asyncio.gather(first.stop(75), second.stop(75)))
        assert world.stage.people_on_the_line() == []
        assert (await world.call()).end_reason is EndReason.CANCELED


@pytest.mark.slow
async def test_one_of_two_processes_leaves_what_rings_to_the_other(tmp_path: Path, server_url: str) -> None:
    """The person is spoken to by the one that stays."""
    patient = Kind("patient", {"manner": "silent", "answer_after_ms": 6000, "patience_s": 120}, frozenset())
    async with pair(tmp_path, server_url, patient) as (world, _, __):
        first, second = await world.start_both()
        await world.order(world.callees[0])
        await world.until("it rings", lambda: world.call_is(CallState.RINGING), 20)
        running = await world.running()
        owner = (await world.call()).owner
        leaver = first if running["first"].id == owner else second
        assert await leaver.stop(30)
        await world.until("they talk", lambda: world.call_is(CallState.TALKING), 30)
        assert world.stage.said_by_carrier() == []


async def test_who_waits_for_a_human_is_not_left_behind(tmp_path: Path) -> None:
    """Nobody would fetch the person back when the human does not answer."""
    async with a_stage(tmp_path, {"manner": "no_answer", "answer_after_ms": 60000}) as stage:
        call_id = await stage.call(ADA)
        await stage.until_event(call_id, "handover")
        await stage.stop_app()
        assert ADA not in stage.people_on_the_line()
        await stage.start_app()
        assert (await stage.until(call_id)).ended_at is not None


async def test_who_talks_with_a_human_goes_on_talking(tmp_path: Path) -> None:
    """The call is theirs; a stop does not wait for it."""
    talks = {"manner": "answers", "answer_after_ms": 300, "patience_s": 90, "replies": [], "otherwise": "Hm."}
    async with a_stage(tmp_path, talks) as stage:
        call_id = await stage.call(ADA)
        await stage.until_event(call_id, "carrier.answered", leg="human")
        await stage.until_row(call_id, lambda row: bool(row.carrier_data.get("human_answered")))
        began = time.monotonic()
        await stage.stop_app()
        assert time.monotonic() - began < 10
        assert ADA in stage.people_on_the_line()
        await stage.start_app()
        # After the restart no conversation holds the call, and a hang-up by the API ends it all the same.
        await stage.app.calls.hang_up(call_id)
        attempt = await stage.until(call_id, within_s=60)
        assert attempt.hang_up_by is HangUpBy.API, await stage.story(call_id)
        assert stage.people_on_the_line() == []
