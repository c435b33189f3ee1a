import asyncio
from datetime import timedelta

from callwright.storage import leases
from callwright.storage.database import Database
from tests.databases import OpenDatabase
from tests.storage.samples import NOON, SetClock

HOUR = timedelta(hours=1)


async def test_places_are_limited_renewed_and_given_back(open_database: OpenDatabase) -> None:
    clock = SetClock()
    database = await open_database(clock)
    await database.migrate()
    async with database.write() as conn:
        assert await leases.take(conn, "s", "a", 2, NOON + HOUR)
        assert await leases.take(conn, "s", "b", 2, NOON + HOUR)
        assert not await leases.take(conn, "s", "c", 2, NOON + HOUR)
        assert await leases.take(conn, "s", "a", 2, NOON + 3 * HOUR), "the holder's own place is renewed"
        assert await leases.take(conn, "s", "a", 1, NOON + 3 * HOUR), "also over a limit that was lowered"
        assert await leases.take(conn, "other", "c", 2, NOON + HOUR)
        assert await leases.held(conn, "s", NOON) == 2
        await leases.release(conn, "s", "a")
        await leases.release(conn, "s", "a")
        assert await leases.take(conn, "s", "c", 2, NOON + HOUR)
        await leases.release_all(conn, "c")
        assert await leases.held(conn, "s", NOON) == 1
        assert await leases.held(conn, "other", NOON) == 0


async def test_expired_places_are_free(open_database: OpenDatabase) -> None:
    clock = SetClock()
    database = await open_database(clock)
    await database.migrate()
    async with database.write() as conn:
        assert await leases.take(conn, "s", "a", 1, NOON + HOUR)
        assert await leases.take(conn, "t", "b", 1, NOON + HOUR)
        await leases.renew(conn, "b", NOON + 2 * HOUR)
        clock.move(3600)
        assert await leases.held(conn, "s", clock.now()) == 0
        assert await leases.take(conn, "s", "x", 1, NOON + 2 * HOUR)
        assert not await leases.take(conn, "t", "x", 1, NOON + 2 * HOUR)
        await leases.renew(conn, "a", NOON + 9 * HOUR)
        assert await leases.held(conn, "s", NOON + 3 * HOUR) == 0, "what has expired is not renewed"


async def test_exact_under_fifty_takers_of_two_processes(
    database: Database, open_database: OpenDatabase
) -> None:
    processes = [database, await open_database()]
    until = database.clock.now() + HOUR
    most = 0

    async def take(number: int) -> bool:
        nonlocal most
        process = processes[number % 2]
        async with process.write() as conn:
            taken = await leases.take(conn, "s", f"h{number}", 7, until)
        async with process.read() as conn:
            most = max(most, await leases.held(conn, "s", database.clock.now()))
        return taken

    assert sum(await asyncio.gather(*(take(number) for number in range(50)))) == 7
    assert most == 7
