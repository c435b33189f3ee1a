import asyncio
from datetime import timedelta

from callwright.storage import timers
from callwright.storage.database import Database
from callwright.storage.timers import Timer
from tests.databases import OpenDatabase
from tests.storage.samples import NOON, stored

MINUTE = timedelta(minutes=1)


async def test_a_timer_is_claimed_when_due_and_removed_when_done(database: Database) -> None:
    attempt = await stored(database)
    async with database.write() as conn:
        assert await timers.kinds_due(conn, NOON + MINUTE) == set()
        await timers.set_timer(conn, attempt.id, "ring", NOON + MINUTE)
        await timers.set_timer(conn, attempt.id, "longest", NOON + 2 * MINUTE)
        assert await timers.kinds_due(conn, NOON) == set()
        assert await timers.kinds_due(conn, NOON + MINUTE) == {("acme", "ring")}
        assert await timers.kinds_due(conn, NOON + 2 * MINUTE) == {("acme", "ring"), ("acme", "longest")}
        assert await timers.claim_due(conn, NOON, "p", 30, 10) == []
        claimed = await timers.claim_due(conn, NOON + 5 * MINUTE, "p", 30, 10)
    assert claimed == [
        Timer(attempt.id, "ring", NOON + MINUTE, 1),
        Timer(attempt.id, "longest", NOON + 2 * MINUTE, 1),
    ]
    async with database.write() as conn:
        assert await timers.claim_due(conn, NOON + 5 * MINUTE, "q", 30, 10) == []
        assert await timers.kinds_due(conn, NOON + 5 * MINUTE) == set()
        assert await timers.kinds_due(conn, NOON + 5 * MINUTE + timedelta(seconds=30)) == {
            ("acme", "ring"),
            ("acme", "longest"),
        }
        for timer in claimed:
            await timers.complete(conn, timer)
        assert await timers.kinds_due(conn, NOON + 60 * MINUTE) == set()


async def test_only_the_kinds_that_are_wanted_are_claimed(database: Database) -> None:
    attempt = await stored(database)
    async with database.write() as conn:
        await timers.set_timer(conn, attempt.id, "ring", NOON)
        await timers.set_timer(conn, attempt.id, "longest", NOON)
        claimed = await timers.claim_due(conn, NOON, "p", 30, 10, {"longest", "other"})
        assert claimed == [Timer(attempt.id, "longest", NOON, 1)]
        assert await timers.kinds_due(conn, NOON) == {("acme", "ring")}


async def test_only_timers_of_the_carrier_that_is_wanted_are_claimed(database: Database) -> None:
    ours, other = await stored(database), await stored(database, carrier="other")
    async with database.write() as conn:
        for attempt in (ours, other):
            await timers.set_timer(conn, attempt.id, "ring", NOON)
        assert await timers.kinds_due(conn, NOON) == {("acme", "ring"), ("other", "ring")}
        claimed = await timers.claim_due(conn, NOON, "p", 30, 10, {"ring"}, "other")
        assert claimed == [Timer(other.id, "ring", NOON, 1)]
        assert await timers.kinds_due(conn, NOON) == {("acme", "ring")}


async def test_a_claim_expires_and_the_next_one_counts(database: Database) -> None:
    attempt = await stored(database)
    async with database.write() as conn:
        await timers.set_timer(conn, attempt.id, "ring", NOON)
        await timers.claim_due(conn, NOON, "p", 30, 10)
        assert await timers.claim_due(conn, NOON + timedelta(seconds=29), "q", 30, 10) == []
        late = NOON + timedelta(seconds=30)
        assert await timers.claim_due(conn, late, "q", 30, 10) == [Timer(attempt.id, "ring", NOON, 2)]


async def test_what_a_dead_process_had_claimed_is_free_at_once(database: Database) -> None:
    attempt, other = await stored(database), await stored(database)
    async with database.write() as conn:
        await timers.set_timer(conn, attempt.id, "ring", NOON)
        await timers.claim_due(conn, NOON, "dead", 30, 10)
        await timers.set_timer(conn, other.id, "ring", NOON)
        await timers.claim_due(conn, NOON, "alive", 30, 10)
        await timers.release(conn, "dead")
        assert await timers.claim_due(conn, NOON, "q", 30, 10) == [Timer(attempt.id, "ring", NOON, 2)]


async def test_a_timer_that_was_moved_meanwhile_is_kept(database: Database) -> None:
    attempt = await stored(database)
    async with database.write() as conn:
        await timers.set_timer(conn, attempt.id, "poll", NOON)
        (claimed,) = await timers.claim_due(conn, NOON, "p", 30, 10)
        await timers.set_timer(conn, attempt.id, "poll", NOON + MINUTE)
        await timers.complete(conn, claimed)
        assert await timers.kinds_due(conn, NOON) == set()
        (again,) = await timers.claim_due(conn, NOON + MINUTE, "p", 30, 10)
        assert again.tries == 1


async def test_timers_are_cancelled_by_kind_or_all(database: Database) -> None:
    attempt, other = await stored(database), await stored(database)
    async with database.write() as conn:
        for kind in ("a", "b", "c", "d"):
            await timers.set_timer(conn, attempt.id, kind, NOON)
        await timers.set_timer(conn, other.id, "a", NOON)
        await timers.cancel(conn, attempt.id, "a", "b")
        left = await timers.claim_due(conn, NOON, "p", 30, 10)
        assert {(timer.attempt_id, timer.kind) for timer in left} == {
            (attempt.id, "c"),
            (attempt.id, "d"),
            (other.id, "a"),
        }
        await timers.cancel(conn, attempt.id)
        await timers.cancel(conn, other.id)
        assert await timers.kinds_due(conn, NOON + 60 * MINUTE) == set()


async def test_of_two_processes_each_timer_has_one_claimer(
    database: Database, open_database: OpenDatabase
) -> None:
    attempt = await stored(database)
    async with database.write() as conn:
        for number in range(60):
            await timers.set_timer(conn, attempt.id, f"k{number:02}", NOON - timedelta(seconds=number))
    processes = [database, await open_database()]

    async def claim(index: int) -> list[str]:
        mine: list[str] = []
        while True:
            async with processes[index % 2].write() as conn:
                claimed = await timers.claim_due(conn, NOON, f"p{index}", 30, 7)
            assert len(claimed) <= 7
            if not claimed:
                return mine
            mine += [timer.kind for timer in claimed]

    found = [kind for kinds in await asyncio.gather(*(claim(index) for index in range(6))) for kind in kinds]
    assert sorted(found) == [f"k{number:02}" for number in range(60)]


async def test_the_longest_overdue_come_first(database: Database) -> None:
    attempt = await stored(database)
    async with database.write() as conn:
        for number in (3, 1, 2):
            await timers.set_timer(conn, attempt.id, f"k{number}", NOON + timedelta(seconds=number))
        claimed = await timers.claim_due(conn, NOON + MINUTE, "p", 30, 2)
        assert [timer.kind for timer in claimed] == ["k1", "k2"]
