from datetime import timedelta

from callwright.storage import inbox
from callwright.storage.database import Database
from tests.databases import OpenDatabase
from tests.storage.samples import NOON

SECOND = timedelta(seconds=1)


async def test_a_repeated_webhook_is_kept_once(database: Database) -> None:
    async with database.write() as conn:
        assert await inbox.store(conn, "acme", "1", {"kind": "ended"}, NOON, "call_1")
        assert not await inbox.store(conn, "acme", "1", {"kind": "other"}, NOON)
        assert await inbox.store(conn, "other", "1", [1], NOON)
        first, second = await inbox.pending(conn, NOON, 10, "p", 30)
    assert (first.source, first.payload, first.attempt_id, first.tries) == (
        "acme",
        {"kind": "ended"},
        "call_1",
        1,
    )
    assert (second.source, second.payload, second.attempt_id) == ("other", [1], None)


async def test_events_are_handed_out_until_they_are_applied(
    database: Database, open_database: OpenDatabase
) -> None:
    async with database.write() as conn:
        for number in range(4):
            await inbox.store(conn, "acme", str(number), number, NOON)
        mine = await inbox.pending(conn, NOON, 3, "p", 30)
    assert [item.payload for item in mine] == [0, 1, 2]
    other = await open_database()
    async with other.write() as conn:
        (last,) = await inbox.pending(conn, NOON, 3, "q", 30)
        assert last.payload == 3
        await inbox.applied(conn, mine[0].id, NOON, "call_1")
        await inbox.retry_later(conn, mine[1].id, NOON + 5 * SECOND, "no such call yet")
        await inbox.park(conn, mine[2].id, "nonsense")
        assert await inbox.waiting(conn) == 2
        assert await inbox.pending(conn, NOON + 4 * SECOND, 9, "q", 30) == []
        (again,) = await inbox.pending(conn, NOON + 5 * SECOND, 9, "q", 30)
        assert (again.payload, again.tries) == (1, 2)
        (expired,) = await inbox.pending(conn, NOON + 30 * SECOND, 9, "q", 30)
        assert expired.payload == 3, "a claim of a process that died expires"


async def test_what_a_dead_process_had_taken_is_free_at_once(database: Database) -> None:
    async with database.write() as conn:
        for number in range(4):
            await inbox.store(conn, "acme", str(number), number, NOON)
        applied, *_ = await inbox.pending(conn, NOON, 3, "dead", 30)
        await inbox.applied(conn, applied.id, NOON, "call_1")
        await inbox.pending(conn, NOON, 1, "alive", 30)
        await inbox.release(conn, "dead", NOON)
        assert [item.payload for item in await inbox.pending(conn, NOON, 9, "q", 30)] == [1, 2]


async def test_purging_leaves_what_still_waits(database: Database) -> None:
    async with database.write() as conn:
        for number in range(3):
            await inbox.store(conn, "acme", str(number), number, NOON)
        done, parked, _ = await inbox.pending(conn, NOON, 3, "p", 30)
        await inbox.applied(conn, done.id, NOON, "call_1")
        await inbox.park(conn, parked.id, "nonsense")
        assert await inbox.purge(conn, NOON, 9) == 0
        assert await inbox.purge(conn, NOON + SECOND, 1) == 1, "no more than it was asked to"
        assert await inbox.purge(conn, NOON + SECOND, 9) == 1
        assert await inbox.waiting(conn) == 1


async def test_what_was_given_up_is_counted_by_whose_it_is(database: Database) -> None:
    async with database.write() as conn:
        for number in range(5):
            await inbox.store(conn, "acme", str(number), number, NOON)
        first, foreign, *failed = await inbox.pending(conn, NOON, 4, "p", 30)
        await inbox.applied(conn, first.id, NOON, "call_1")
        assert await inbox.parked(conn) == (0, 0)
        await inbox.park(conn, foreign.id, inbox.NO_SUCH_CALL)
        for item in failed:
            await inbox.park(conn, item.id, "KeyError: 'id'")
        assert await inbox.parked(conn) == (1, 2)
