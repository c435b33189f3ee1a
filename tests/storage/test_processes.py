"""Which processes share the database, and which of them have fallen silent."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from callwright.storage import processes
from callwright.storage.database import Database
from callwright.storage.schema import processes as table
from tests.databases import OpenDatabase
from tests.storage.samples import SetClock

SILENCE = timedelta(seconds=10)


async def announce(database: Database, process_id: str, slot: str, media_url: str = "") -> list[str]:
    """The ids of those that have the place already."""
    async with database.write() as conn:
        rivals = await processes.announce(conn, process_id, slot=slot, media_url=media_url)
    return [rival.id for rival in rivals]


async def fall_silent(database: Database, process_id: str, seconds: float) -> None:
    """Let the last heartbeat be that long ago."""
    then = datetime.now(UTC) - timedelta(seconds=seconds)
    async with database.write() as conn:
        await conn.execute(update(table).where(table.c.id == process_id).values(heartbeat_at=then))


async def test_a_place_belongs_to_one_running_process(database: Database) -> None:
    assert await announce(database, "p1", "a", "wss://a") == []
    assert await announce(database, "p1", "a", "wss://a") == [], "it may say so twice"
    assert await announce(database, "p2", "a", "wss://b") == ["p1"]
    assert await announce(database, "p2", "b", "wss://a") == ["p1"]
    assert await announce(database, "p2", "b", "") == []
    assert await announce(database, "p3", "c", "") == [], "no address is nobody's address"
    async with database.write() as conn:
        found = await processes.active(conn)
        assert [(process.id, process.slot, process.media_url) for process in found] == [
            ("p1", "a", "wss://a"),
            ("p2", "b", ""),
            ("p3", "c", ""),
        ]
        assert await processes.gone(conn, "p1")
    assert await announce(database, "p4", "a", "wss://a") == [], "the place of a dead one is free"


async def test_of_those_that_start_at_once_one_gets_the_place(
    database: Database, open_database: OpenDatabase
) -> None:
    databases = [database, await open_database()]
    rivals = await asyncio.gather(
        *(announce(databases[number % 2], f"p{number}", "main") for number in range(8))
    )
    assert rivals.count([]) == 1
    winner = f"p{rivals.index([])}"
    assert [rival for rival in rivals if rival] == [[winner]] * 7


async def test_a_process_that_fell_silent_is_given_up_once(database: Database) -> None:
    await announce(database, "p1", "a")
    await announce(database, "p2", "b")
    await fall_silent(database, "p1", 11)
    async with database.write() as conn:
        assert [process.id for process in await processes.silent(conn, SILENCE)] == ["p1"]
        assert not await processes.gone(conn, "p2", silent_for=SILENCE), "it is not silent"
        assert await processes.gone(conn, "p1", silent_for=SILENCE)
        assert not await processes.gone(conn, "p1"), "that was known"
        assert not await processes.heartbeat(conn, "p1"), "a process given up must stop"
        assert await processes.silent(conn, SILENCE) == []
        assert await processes.heartbeat(conn, "p2")


async def test_who_was_heard_of_before_the_verdict_lives(database: Database) -> None:
    await announce(database, "p1", "a")
    await fall_silent(database, "p1", 11)
    async with database.write() as conn:
        assert await processes.heartbeat(conn, "p1")
        assert not await processes.gone(conn, "p1", silent_for=SILENCE)
        assert await processes.heartbeat(conn, "p1")


@pytest.mark.parametrize("days", [-300, 300])
async def test_a_wrong_clock_kills_nobody(
    database: Database, open_database: OpenDatabase, days: float
) -> None:
    clock = SetClock()
    clock.move(days * 86400)
    other = await open_database(clock)
    await announce(database, "p1", "a")
    await announce(other, "p2", "b")
    async with other.write() as conn:
        assert await processes.heartbeat(conn, "p2")
        assert await processes.silent(conn, SILENCE) == []
    async with database.write() as conn:
        assert await processes.silent(conn, SILENCE) == []
        for process in await processes.active(conn):
            assert abs((process.heartbeat_at - datetime.now(UTC)).total_seconds()) < 60


async def test_stopped_processes_are_forgotten_in_the_end(database: Database) -> None:
    await announce(database, "p1", "a")
    await announce(database, "p2", "b")
    async with database.write() as conn:
        await processes.gone(conn, "p1")
        assert await processes.purge(conn, datetime.now(UTC) - timedelta(minutes=1)) == 0
        assert await processes.purge(conn, datetime.now(UTC) + timedelta(minutes=1)) == 1
        assert [process.id for process in await processes.active(conn)] == ["p2"]
