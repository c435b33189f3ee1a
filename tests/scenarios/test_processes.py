"""Several processes on one PostgreSQL database, and what becomes of calls when one of them loses touch with it."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from callwright.app import Callwright
from callwright.calls.service import NewCall
from callwright.calls.writeback import CrmWriter
from callwright.config import load
from callwright.domain.attempt import Attempt, CrmReference
from callwright.domain.outcome import EndReason
from callwright.domain.states import CallState
from callwright.storage import attempts, crm_writes
from tests.crash.process import Process
from tests.databases import postgres_url
from tests.scenarios.pair import ADA, FIRST, QUIET, SECOND, pair
from tests.scenarios.stage import CARRIER, CRM, ENGINE, Stage, StageOptions

OUTAGE_S = 13.0
"""Longer than the silence after which a process counts as dead."""


@pytest.fixture
def server_url(postgres_server: str) -> str:
    """The URL of a fresh database."""
    name = f"t_{time.monotonic_ns()}"
    with psycopg.connect(postgres_server, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}".encode())
    return postgres_url(postgres_server, name)


@pytest.mark.slow
async def test_a_process_that_lives_keeps_its_calls_without_the_database(
    tmp_path: Path, server_url: str
) -> None:
    async with pair(tmp_path, server_url) as (world, tunnel, _):
        first, second = await world.start_both(talk=True)
        owner = (await world.call()).owner
        tunnel.hold()
        await asyncio.sleep(OUTAGE_S)
        assert set(await world.running()) == {FIRST, SECOND}
        tunnel.mend()
        await asyncio.sleep(4)  # two heartbeats
        call = await world.call()
        assert (call.state, call.owner) == (CallState.TALKING, owner)
        await world.hang_up(second)
        await world.until("the call is done", world.all_done, 30)
        call = await world.call()
        assert (call.end_reason, call.end_detail) == (EndReason.COMPLETED, "hung up by the API")
        assert "taken_over" not in await world.kinds()
        assert first.alive
        assert world.stage.said_by_carrier() == []


@pytest.mark.slow
async def test_a_process_that_was_given_up_stops_and_leaves_its_people_to_the_others(
    tmp_path: Path, server_url: str
) -> None:
    async with pair(tmp_path, server_url) as (world, tunnel, _):
        first, second = await world.start_both(talk=True)
        tunnel.hold()
        # The server forgets the connections of a machine that it does not hear of; here nobody waits for that.
        with psycopg.connect(server_url, autocommit=True) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'callwright lock'"
                " AND backend_start = (SELECT min(backend_start) FROM pg_stat_activity"
                " WHERE application_name = 'callwright lock')"
            )

        async def taken_over() -> bool:
            return "taken_over" in await world.kinds()

        await world.until("the second process takes over", taken_over, 30)
        tunnel.mend()
        await world.until("the call is done", world.all_done, 30)
        async with asyncio.timeout(20):
            await first.until_dead()
        assert not first.was_killed
        assert second.alive
        call = await world.call()
        assert (call.end_reason, call.end_detail) == (
            EndReason.MEDIA_FAILED,
            "the process that held the call died",
        )
        assert len(world.stage.said_by_carrier()) == 1
        assert set(await world.running()) == {SECOND}


@pytest.mark.slow
async def test_when_the_database_was_away_from_everybody_nobody_is_given_up(
    tmp_path: Path, server_url: str
) -> None:
    async with pair(tmp_path, server_url) as (world, one, other):
        both = await world.start_both()
        before = await world.running()
        await one.cut()
        await other.cut()
        await asyncio.sleep(OUTAGE_S)
        one.mend()  # it is back first, and has nobody to compare itself with
        await asyncio.sleep(6)
        other.mend()

        async def beats() -> bool:
            after = await world.running()
            return set(after) == set(before) and all(
                after[slot].heartbeat_at > before[slot].heartbeat_at for slot in before
            )

        await world.until("both are heard of again", beats, 30)
        await asyncio.sleep(OUTAGE_S)
        assert {slot: process.id for slot, process in (await world.running()).items()} == {
            slot: process.id for slot, process in before.items()
        }
        assert all(process.alive for process in both)


@pytest.mark.slow
async def test_a_place_is_refused_to_a_second_process_and_free_after_a_kill(
    tmp_path: Path, server_url: str
) -> None:
    async with pair(tmp_path, server_url) as (world, _, _):
        first = await world.spawn(FIRST)
        assert await first.until_ready()
        environment = {**world.environment(FIRST), "PORT": world.environment(SECOND)["PORT"]}
        twins = {
            "CALLWRIGHT_SLOT: first is in use by the running process first-": environment,
            "MEDIA_BASE_URL: ws://127.0.0.1": {**environment, "CALLWRIGHT_SLOT": "other"},
        }
        for number, (message, settings) in enumerate(twins.items()):
            twin = Process(tmp_path, f"twin{number}", settings)
            world.processes.append(twin)
            await twin.start()
            assert not await twin.until_ready(), "it ends by itself"
            told = " ".join((tmp_path / f"twin{number}.log").read_text().split())
            assert message in told
            assert "a MEDIA_BASE_URL of its own" in told
        assert first.alive
        await first.kill()
        again = await world.spawn(FIRST)
        started = time.monotonic()
        assert await again.until_ready()
        assert time.monotonic() - started < 9, "it does not wait for ten seconds of silence"
        assert set(await world.running()) == {FIRST}


@pytest.mark.slow
async def test_a_stop_does_not_wait_for_a_database_that_hangs(tmp_path: Path, server_url: str) -> None:
    async with pair(tmp_path, server_url) as (world, tunnel, _):
        first = await world.spawn(FIRST)
        assert await first.until_ready()
        await world.talk()
        tunnel.hold()
        started = time.monotonic()
        assert await first.stop(within_s=75)
        assert time.monotonic() - started < 70
        tunnel.mend()
        again = await world.spawn(FIRST)
        assert await again.until_ready()
        await world.until("the call is done", world.all_done, 30)


async def test_a_stop_goes_on_after_a_step_that_fails(tmp_path: Path) -> None:
    async with Stage(tmp_path, {}) as stage:
        file = Path(str(stage.app.database.url.database))
        with closing(sqlite3.connect(file)) as conn:
            conn.execute("ALTER TABLE timers RENAME TO elsewhere")
        await stage.app.stop()
        with closing(sqlite3.connect(file)) as conn:
            conn.execute("ALTER TABLE elsewhere RENAME TO timers")
        await stage.server.stop()
        await stage.start_app()
        assert (await stage.app.ready())["calls"] == "ok"


@asynccontextmanager
async def two_apps(stage: Stage) -> AsyncIterator[tuple[Callwright, Callwright]]:
    """Two of them on the stage's database, built and not started."""
    apps = [await Callwright.build(load(stage.environment())) for _ in range(2)]
    try:
        yield apps[0], apps[1]
    finally:
        for app in apps:
            await app.stop()


async def test_one_wish_that_comes_twice_at_once_is_one_call(tmp_path: Path, server_url: str) -> None:
    far_off = "2126-01-01T00:00:00+00:00"
    async with (
        Stage(tmp_path, {ADA: QUIET.script}, StageOptions(database_url=server_url)) as stage,
        two_apps(stage) as (one, other),
    ):
        new = NewCall("test-agent", record_id=stage.record_of[ADA], dedup_key="k1", tags={"until": far_off})
        async with await psycopg.AsyncConnection.connect(server_url) as conn:
            # Both look for an earlier call before either can store one.
            await conn.execute("LOCK TABLE attempts IN SHARE ROW EXCLUSIVE MODE")
            both = [asyncio.create_task(app.calls.create(new)) for app in (one, other)]
            await _until_some(conn, _BLOCKED, 2)
            await conn.rollback()
        first, second = await asyncio.gather(*both)
        assert first.id == second.id
        found, _ = await stage.app.calls.search(crm_record=stage.record_of[ADA])
        assert [attempt.id for attempt in found] == [first.id]
        kinds = await stage.kinds(first.id)
        assert kinds.count("created") == 1


_BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'attempts'::regclass"


async def _until_some(conn: psycopg.AsyncConnection[Any], count: LiteralString, least: int = 1) -> None:
    """Wait until a query counts that many; its transaction stays open."""
    async with asyncio.timeout(10):
        while True:
            row = await (await conn.execute(count)).fetchone()
            if row is not None and row[0] >= least:
                return
            await asyncio.sleep(0.02)


async def ended_call(stage: Stage, **changes: Any) -> Attempt:
    """A call that is done here while the CRM has heard nothing of it."""
    now = stage.app.clock.now()
    attempt = Attempt(
        id=f"{time.monotonic_ns():025x}",
        agent_name="test-agent",
        agent_version=1,
        carrier=CARRIER,
        engine=ENGINE,
        state=CallState.DONE,
        revision=0,
        source="api",
        created_at=now,
        not_before=now,
        phone=ADA,
        crm=CrmReference(CRM, "Leads", stage.record_of[ADA]),
        dialed_at=now,
        answered_at=now,
        ended_at=now,
        end_reason=EndReason.COMPLETED,
        results_state="ready",
        collected={"interested": True},
        summary="They are interested.",
    )
    attempt = replace(attempt, **changes)
    async with stage.app.database.write() as conn:
        await attempts.insert(conn, attempt)
    return attempt


async def test_two_processes_do_not_write_the_same_part_to_the_crm(tmp_path: Path, server_url: str) -> None:
    async with (
        Stage(tmp_path, {ADA: QUIET.script}, StageOptions(database_url=server_url)) as stage,
        two_apps(stage) as apps,
    ):
        call = await ended_call(stage)
        agent = stage.agent()
        stage.crm.state.behaviour.latency_s = 0.3
        writers = [CrmWriter(app.ledger, app.directory, app.process_id) for app in apps]
        first, second = await asyncio.gather(*(writer.write(call, agent) for writer in writers))
        waits = [done.retry_in_s for done in (first, second) if done.retry_in_s is not None]
        assert waits
        assert all(0 < wait <= 5 for wait in waits)
        again = await writers[1].write(call, agent)
        assert (again.state, again.retry_in_s) == ("written", None)
        mark = f"callwright:{call.id}"
        assert sum(mark in str(note.get("Note_Title")) for note in stage.crm.notes) == 1
        assert sum(mark in str(entry.get("Subject")) for entry in stage.crm.calls_logged) == 1
        assert len(stage.crm.writes(stage.record_of[ADA])) == 1


async def test_what_a_dead_process_was_sending_is_looked_for_before_it_is_sent_again(
    tmp_path: Path, server_url: str
) -> None:
    async with (
        Stage(
            tmp_path, {ADA: QUIET.script}, StageOptions(database_url=server_url, crm={"overwrite": True})
        ) as stage,
        two_apps(stage) as (one, other),
    ):
        call = await ended_call(stage)
        agent = stage.agent()
        stage.crm.state.behaviour.latency_s = 0.4
        dying = asyncio.create_task(CrmWriter(one.ledger, one.directory, one.process_id).write(call, agent))
        async with await psycopg.AsyncConnection.connect(server_url) as conn, asyncio.timeout(10):
            await _until_some(conn, "SELECT count(*) FROM crm_writes")
            # From here on it cannot note what came of its try.
            await conn.execute("LOCK TABLE crm_writes IN SHARE ROW EXCLUSIVE MODE")
            while not stage.crm.writes(stage.record_of[ADA]):
                await asyncio.sleep(0.01)
            dying.cancel()
            await asyncio.gather(dying, return_exceptions=True)
            await conn.rollback()
        writer = CrmWriter(other.ledger, other.directory, other.process_id)
        held = await writer.write(call, agent)
        assert held.state == "retrying"
        async with other.database.write() as conn:
            (part,) = [
                part for part in await crm_writes.of_attempt(conn, call.id) if part.held_by == one.process_id
            ]
            assert part.kind == "record"
            assert 30 < await crm_writes.held_for(conn, part) <= 45
            await conn.exec_driver_sql("UPDATE crm_writes SET held_until = now() - interval '1 second'")
        again = await writer.write(call, agent)
        assert again.state == "written"
        sent = [
            exchange.name for exchange in stage.crm.traffic.exchanges if exchange.name.startswith("PUT /crm")
        ]
        assert len(sent) == 1, "it was looked for, and found"


async def test_a_part_that_cannot_be_made_does_not_stop_the_others(tmp_path: Path) -> None:
    async with Stage(tmp_path, {ADA: QUIET.script}) as stage:
        # No JSON can hold half a character: the request fails before it leaves.
        call = await ended_call(stage, collected={"interested": "a secret \ud800"})
        agent, app = stage.agent(), stage.app
        assert agent.crm is not None
        mapping = agent.crm.model_copy(update={"results": {"interested": "Description"}})
        agent = agent.model_copy(update={"crm": mapping})
        done = await CrmWriter(app.ledger, app.directory, app.process_id).write(call, agent)
        assert done.state == "retrying"
        assert done.retry_in_s is not None
        assert done.detail["record"] == {"error": "UnicodeEncodeError", "tries": 1}
        assert len(stage.crm.notes) == 1
        assert len(stage.crm.calls_logged) == 1
