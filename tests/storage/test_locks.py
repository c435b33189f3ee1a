import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from callwright.domain.errors import ConfigurationError
from callwright.storage.database import Database
from callwright.storage.locks import AdvisoryLock, FolderLock

KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'callwright lock'"


async def test_a_folder_is_locked_until_it_is_released(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path / "lock", "p1"), FolderLock(tmp_path / "lock", "p2")
    await first.take()
    with pytest.raises(ConfigurationError, match=r"running process p1 \(pid"):
        await second.take()
    async with first.if_dead("p2") as dead:
        assert dead
    async with first.if_dead("p1") as dead:
        assert not dead
    async with second.if_dead("p1") as dead:
        assert not dead, "who does not hold the folder knows nothing"
    await first.release()
    await first.release()
    await second.take()
    await second.release()


MakeLock = Callable[..., AdvisoryLock]


@pytest.fixture
async def make_lock(database: Database, lost: list[str]) -> AsyncIterator[MakeLock]:
    if database.is_sqlite:
        pytest.skip("SQLite has no advisory locks")
    made: list[AdvisoryLock] = []

    def build(process_id: str, check_every_s: float = 0.2) -> AdvisoryLock:
        lock = AdvisoryLock(
            database.url,
            process_id,
            patience_s=0.5,
            on_lost=lambda: lost.append(process_id),
            check_every_s=check_every_s,
        )
        made.append(lock)
        return lock

    yield build
    for lock in made:
        await lock.release()


@pytest.fixture
def lost() -> list[str]:
    return []


async def test_an_id_is_held_by_one_and_a_dead_one_is_told_from_a_living(make_lock: MakeLock) -> None:
    first, second = make_lock("p1"), make_lock("p1")
    await first.take()
    with pytest.raises(ConfigurationError, match="p1: is taken"):
        await second.take()
    other = make_lock("p2")
    await other.take()
    async with other.if_dead("p1") as dead:
        assert not dead
    async with other.if_dead("p2") as dead:
        assert not dead
    await first.release()
    async with other.if_dead("p1") as dead:
        assert dead
        with pytest.raises(ConfigurationError):
            await second.take()
    await second.take()


async def test_a_lock_lost_with_its_connection_is_taken_again(
    make_lock: MakeLock, database: Database, lost: list[str]
) -> None:
    first, second = make_lock("p1"), make_lock("p1")
    await first.take()
    async with database.write() as conn:
        await conn.execute(text(KILL))
    await asyncio.sleep(1)
    with pytest.raises(ConfigurationError):
        await second.take()
    assert lost == []


async def test_who_finds_its_id_taken_is_told(
    make_lock: MakeLock, database: Database, lost: list[str]
) -> None:
    first, second = make_lock("p1", 1.0), make_lock("p1")
    await first.take()
    taking = asyncio.create_task(second.take())
    await asyncio.sleep(0.1)
    async with database.write() as conn:
        # The waiting one is left alone: it has the younger connection.
        await conn.execute(text(f"{KILL} ORDER BY backend_start LIMIT 1"))
    await taking
    async with asyncio.timeout(10):
        while not lost:
            await asyncio.sleep(0.05)
    assert lost == ["p1"]
