import asyncio
from datetime import timedelta

import pytest

from callwright.storage import rates
from callwright.storage.database import Database
from callwright.storage.rates import Counters
from tests.databases import OpenDatabase
from tests.storage.samples import NOON, SetClock


async def test_slots_are_evenly_spaced_after_the_burst(database: Database) -> None:
    async with database.write() as conn:
        waits = [await rates.reserve(conn, "s", NOON, 5, 3) for _ in range(6)]
        assert waits == pytest.approx([0, 0, 0, 0.2, 0.4, 0.6])
        assert await rates.reserve(conn, "other", NOON, 5, 1) == 0
        later = NOON + timedelta(seconds=60)
        waits = [await rates.reserve(conn, "s", later, 5, 3) for _ in range(4)]
        assert waits == pytest.approx([0, 0, 0, 0.2])


async def test_a_block_moves_every_later_slot(database: Database) -> None:
    async with database.write() as conn:
        await rates.block(conn, "s", NOON + timedelta(seconds=10))
        await rates.block(conn, "s", NOON + timedelta(seconds=5))
        waits = [await rates.reserve(conn, "s", NOON, 2, 1) for _ in range(3)]
        assert waits == pytest.approx([10, 10.5, 11])


async def test_a_rate_without_slots_is_an_error(database: Database) -> None:
    async with database.write() as conn:
        with pytest.raises(ValueError, match="no slots"):
            await rates.reserve(conn, "s", NOON, 0, 1)


async def test_exact_over_processes(database: Database, open_database: OpenDatabase) -> None:
    clock = SetClock()
    counters = [Counters(database, clock), Counters(await open_database(), clock)]
    waits = await asyncio.gather(*(counters[number % 2].reserve("s", 10, 2) for number in range(30)))
    assert sorted(waits) == pytest.approx([0.0, *(number / 10 for number in range(29))])
    await counters[0].block("s", 60)
    assert await counters[1].reserve("s", 10, 2) == pytest.approx(60)
