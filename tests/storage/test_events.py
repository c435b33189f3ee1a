import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from callwright.domain.events import CallEvent, Speaker, TranscriptLine
from callwright.storage import events, transcripts
from callwright.storage.database import Database
from callwright.storage.schema import attempts as attempts_table
from tests.databases import OpenDatabase
from tests.storage.samples import NOON, stored


def an_event(kind: str = "gate", dedup_key: str | None = None) -> CallEvent:
    return CallEvent(kind=kind, at=NOON, source="test", data={"n": [1]}, dedup_key=dedup_key)


async def test_events_come_back_in_order(database: Database) -> None:
    attempt, other = await stored(database), await stored(database)
    written = [an_event(f"k{number}") for number in range(5)]
    async with database.write() as conn:
        for event in written:
            assert await events.append(conn, attempt.id, event)
        await events.append(conn, other.id, an_event())
    async with database.read() as conn:
        assert await events.history(conn, attempt.id) == written


async def test_a_repeated_event_is_not_written_and_the_transaction_goes_on(database: Database) -> None:
    attempt, other = await stored(database), await stored(database)
    async with database.write() as conn:
        assert await events.append(conn, attempt.id, an_event(dedup_key="d"))
        assert not await events.append(conn, attempt.id, an_event(kind="again", dedup_key="d"))
        assert await events.append(conn, other.id, an_event(dedup_key="d"))
        assert await events.append(conn, attempt.id, an_event())
        assert await events.append(conn, attempt.id, an_event())
    async with database.read() as conn:
        assert [event.kind for event in await events.history(conn, attempt.id)] == ["gate"] * 3


async def test_an_event_of_no_attempt_is_an_error(database: Database) -> None:
    async def write() -> None:
        async with database.write() as conn:
            await events.append(conn, "none", an_event(dedup_key="d"))

    with pytest.raises(IntegrityError):
        await write()


async def test_a_cursor_misses_no_event_of_a_transaction_that_commits_late(
    database: Database, open_database: OpenDatabase
) -> None:
    attempt = await stored(database)
    other = await open_database()
    wrote, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with database.write() as conn:
            await events.append(conn, attempt.id, an_event("slow"))
            wrote.set()
            await go_on.wait()

    async def fast() -> None:
        async with other.write() as conn:
            await events.append(conn, attempt.id, an_event("fast"))

    async def follow(cursor: int) -> list[tuple[int, str, CallEvent]]:
        async with database.read() as conn:
            return await events.after(conn, cursor, 10)

    async with database.read() as conn:
        assert await events.latest_cursor(conn) == 0
    slow_task = asyncio.create_task(slow())
    await wrote.wait()
    fast_task = asyncio.create_task(fast())
    if not database.is_sqlite:  # on SQLite the second writer waits for the first
        await fast_task
    early = await follow(0)
    go_on.set()
    await asyncio.gather(slow_task, fast_task)
    cursor = early[-1][0] if early else 0
    seen = early + await follow(cursor)
    assert sorted(event.kind for _, _, event in seen) == ["fast", "slow"]
    assert {attempt_id for _, attempt_id, _ in seen} == {attempt.id}
    async with database.read() as conn:
        assert await events.latest_cursor(conn) == seen[-1][0]
        assert await events.after(conn, seen[0][0], 10) == seen[1:]


async def test_deleting_an_attempt_takes_its_rows_along(database: Database) -> None:
    attempt = await stored(database)
    async with database.write() as conn:
        await events.append(conn, attempt.id, an_event())
        await conn.execute(delete(attempts_table))
        assert await events.history(conn, attempt.id) == []


async def test_lines_are_replaced_in_their_place(database: Database) -> None:
    attempt = await stored(database)
    hello = TranscriptLine("1", Speaker.AGENT, "Hello, this is Ann calling about", 0)
    who = TranscriptLine("2", Speaker.PERSON, "Who?", 900)
    corrected = TranscriptLine("1", Speaker.AGENT, "Hello, this", 0, interrupted=True)
    again = TranscriptLine("3", Speaker.AGENT, "Ann.", 1500)
    async with database.write() as conn:
        await transcripts.put(conn, attempt.id, [hello, who])
        await transcripts.put(conn, attempt.id, [])
    async with database.write() as conn:
        await transcripts.put(conn, attempt.id, [again, corrected])
    async with database.read() as conn:
        assert await transcripts.lines(conn, attempt.id) == [corrected, who, again]
        assert await transcripts.lines(conn, "none") == []


async def test_a_line_given_twice_at_once_counts_as_its_last_form(database: Database) -> None:
    attempt = await stored(database)
    lines = [TranscriptLine("1", Speaker.AGENT, text, 0) for text in ("He", "Hello")]
    async with database.write() as conn:
        await transcripts.put(conn, attempt.id, lines)
        assert await transcripts.lines(conn, attempt.id) == lines[1:]


async def test_moments_of_events_keep_microseconds(database: Database) -> None:
    attempt = await stored(database)
    event = CallEvent(kind="k", at=NOON + timedelta(microseconds=1), source="s")
    async with database.write() as conn:
        await events.append(conn, attempt.id, event)
        assert await events.history(conn, attempt.id) == [event]
