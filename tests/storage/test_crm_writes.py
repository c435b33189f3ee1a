"""Parts of an outcome on their way into the CRM: one sender at a time, and what came of it."""

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from callwright.storage import crm_writes
from callwright.storage.crm_writes import Try
from callwright.storage.database import Database
from callwright.storage.schema import crm_writes as table
from tests.databases import OpenDatabase
from tests.storage.samples import NOON, stored

HOUR = timedelta(hours=1)
LEASE_S = 45.0


async def send(database: Database, attempt_id: str, holder: str) -> Try | None:
    """A try to send the note, unless it is in other hands."""
    async with database.write() as conn:
        before = await crm_writes.begin(conn, attempt_id, "note", NOON)
        if before is not None and await crm_writes.held_for(conn, before) > 0:
            return None
        made = Try(attempt_id, "note", holder, before.tries + 1 if before is not None else 1)
        await crm_writes.hold(conn, made, LEASE_S, NOON)
        return made


async def end_leases(database: Database) -> None:
    async with database.write() as conn:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await conn.execute(update(table).where(table.c.held_until.is_not(None)).values(held_until=past))


async def test_a_part_is_sent_by_one_process_at_a_time(
    database: Database, open_database: OpenDatabase
) -> None:
    attempt = await stored(database)
    databases = [database, await open_database()]
    tries = await asyncio.gather(
        *(send(databases[number % 2], attempt.id, f"p{number}") for number in range(6))
    )
    assert [made.number for made in tries if made is not None] == [1]


async def test_a_lease_is_as_long_as_it_says_whatever_our_clocks_say(database: Database) -> None:
    attempt = await stored(database)
    assert await send(database, attempt.id, "p1")
    async with database.read() as conn:
        write = await crm_writes.get(conn, attempt.id, "note")
        assert write is not None
        assert (write.state, write.tries, write.held_by) == ("sending", 1, "p1")
        assert LEASE_S - 10 < await crm_writes.held_for(conn, write) <= LEASE_S


async def test_after_the_lease_the_next_one_sends_and_the_first_is_not_heard(database: Database) -> None:
    attempt = await stored(database)
    first = await send(database, attempt.id, "p1")
    assert first is not None
    await end_leases(database)
    second = await send(database, attempt.id, "p2")
    assert second is not None
    assert second.number == 2
    async with database.write() as conn:
        assert not await crm_writes.settle(conn, first, "parked", NOON, detail={"error": "late"})
        assert await crm_writes.settle(conn, second, "done", NOON, detail={"id": "z1"}, external_id="z1")
        write = await crm_writes.get(conn, attempt.id, "note")
    assert write is not None
    assert (write.state, write.detail, write.external_id) == ("done", {"id": "z1"}, "z1")
    assert (write.held_by, write.held_until, write.next_try_at) == (None, None, None)


async def test_a_part_that_has_to_be_tried_again_is_free_for_everybody(database: Database) -> None:
    attempt = await stored(database)
    first = await send(database, attempt.id, "p1")
    assert first is not None
    async with database.write() as conn:
        await crm_writes.settle(conn, first, "retry", NOON, detail={"error": "busy"}, next_try_at=NOON + HOUR)
        write = await crm_writes.get(conn, attempt.id, "note")
        assert write is not None
        assert (write.next_try_at, await crm_writes.held_for(conn, write)) == (NOON + HOUR, 0.0)
        assert await crm_writes.get(conn, attempt.id, "call") is None
    again = await send(database, attempt.id, "p2")
    assert again is not None
    assert again.number == 2


async def test_what_a_stopped_process_had_in_hand_is_free_at_once(database: Database) -> None:
    attempt, other = await stored(database), await stored(database, phone="+447700900124")
    assert await send(database, attempt.id, "p1")
    assert await send(database, other.id, "p11")
    async with database.write() as conn:
        await crm_writes.release(conn, "p1")
    assert await send(database, attempt.id, "p2")
    assert await send(database, other.id, "p2") is None
