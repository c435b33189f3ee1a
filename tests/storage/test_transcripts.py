"""Transcripts: kept line by line, and the words of old calls forgotten wherever they lie."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select, text

from callwright.domain.events import CallEvent, Speaker, TranscriptLine
from callwright.domain.states import CallState
from callwright.storage import attempts, events, inbox, transcripts
from callwright.storage.database import Database
from callwright.storage.schema import HAS_WORDS, metadata
from tests.storage.samples import NOON, stored

DAY = timedelta(days=1)
SECRET = "my mother is ill"


async def a_finished_call(database: Database, **changes: Any) -> str:
    """A call with words everywhere; returns its id."""
    finished = {"state": CallState.DONE, "ended_at": NOON, "done_at": NOON + timedelta(minutes=1)}
    detail = {"rejected_values": {"budget": SECRET}, "record": {"written": ["Budget"]}}
    attempt = await stored(
        database,
        **{**finished, "summary": SECRET, "crm_detail": detail, "collected": {"budget": 5}, **changes},
    )
    logged = {
        "transcript": {"lines": [{"text": SECRET}]},
        "dtmf": {"digit": SECRET},
        "carrier.dtmf": {"data": {"digits": SECRET}},
        "results": {"state": "ready", "collected": {"budget": SECRET}, "rejected": {"budget": SECRET}},
        "state": {"to": "done"},
    }
    async with database.write() as conn:
        await transcripts.put(conn, attempt.id, [TranscriptLine("1", Speaker.PERSON, SECRET, 0)])
        for kind, data in logged.items():
            await events.append(conn, attempt.id, CallEvent(kind, NOON, "test", data, f"key-{kind}"))
        await inbox.store(conn, "engine:talker", attempt.id, {"transcript": [SECRET]}, NOON)
        (item,) = await inbox.pending(conn, NOON, 1, "p", 30)
        await inbox.applied(conn, item.id, NOON, attempt.id)
    return attempt.id


async def places_of_words(database: Database) -> list[str]:
    """The tables in which the words can be found."""
    async with database.read() as conn:
        rows = {
            table.name: [tuple(row) for row in await conn.execute(select(table))]
            for table in metadata.sorted_tables
        }
    return sorted(name for name, found in rows.items() if SECRET in str(found))


async def purge(database: Database, limit: int = 10) -> int:
    async with database.write() as conn:
        return await transcripts.purge(conn, NOON + DAY, limit)


async def test_the_words_of_an_old_call_are_nowhere_afterwards(database: Database) -> None:
    call_id = await a_finished_call(database)
    assert await places_of_words(database) == ["attempts", "call_events", "inbox", "transcript_lines"]
    assert await purge(database) == 1
    assert await places_of_words(database) == []
    assert await purge(database) == 0, "it is not looked at again"
    async with database.write() as conn:
        kept = await attempts.get(conn, call_id)
        assert kept is not None
        assert kept.collected == {"budget": 5}
        assert kept.crm_detail == {"record": {"written": ["Budget"]}}
        told = {event.kind: event.data for event in await events.history(conn, call_id)}
        assert told["state"] == {"to": "done"}
        assert told["results"] == {"state": "ready"}
        assert told["transcript"] == {"deleted": True}
        assert not await inbox.store(conn, "engine:talker", call_id, {"transcript": [SECRET]}, NOON)


async def test_words_that_are_not_due_stay(database: Database) -> None:
    await a_finished_call(database, ended_at=NOON + DAY)
    await a_finished_call(database, state=CallState.ENDED, done_at=None, phone="+447700900124")
    assert await purge(database) == 0
    assert len(await places_of_words(database)) == 4


async def test_only_so_many_calls_are_purged_at_once(database: Database) -> None:
    for _ in range(3):
        await a_finished_call(database)
    assert [await purge(database, 2), await purge(database, 2)] == [2, 1]
    assert await places_of_words(database) == []


async def test_words_that_come_late_are_forgotten_too(database: Database) -> None:
    call_id = await a_finished_call(database)
    assert await purge(database) == 1
    async with database.write() as conn:
        call = await attempts.get(conn, call_id, for_update=True)
        assert call is not None
        call = await attempts.save(conn, call, state=CallState.ENDED, done_at=None, summary=SECRET)
        await transcripts.put(conn, call_id, [TranscriptLine("2", Speaker.PERSON, SECRET, 0)])
    assert await purge(database) == 0, "it is not finished"
    async with database.write() as conn:
        await attempts.save(conn, call, state=CallState.DONE, done_at=NOON + timedelta(minutes=9))
    assert await purge(database) == 1
    assert await places_of_words(database) == []


async def test_old_calls_are_found_by_an_index(database: Database) -> None:
    """Years of calls whose words are gone must not be read again each hour."""
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    old = f"WHERE {HAS_WORDS} AND ended_at < '2026-11-22 00:00:00' ORDER BY ended_at LIMIT 50"
    question = f"{explain} SELECT id FROM attempts {old}"  # noqa: S608 - nothing in it comes from outside
    async with database.write() as conn:
        if not database.is_sqlite:
            await conn.execute(text("SET LOCAL enable_seqscan = off"))
        plan = (await conn.execute(text(question))).all()
    assert "ix_attempts_ended_at" in str(plan)
