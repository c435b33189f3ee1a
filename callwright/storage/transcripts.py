"""What was said in a call, line by line."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.domain.events import Speaker, TranscriptLine
from callwright.storage import events, inbox
from callwright.storage.database import insert_into
from callwright.storage.schema import HAS_WORDS, attempts, transcript_lines

_REJECTED = "rejected_values"


async def put(conn: AsyncConnection, attempt_id: str, lines: Iterable[TranscriptLine]) -> None:
    """Store lines; one with the key of an earlier line replaces it in its place."""
    newest = {line.key: line for line in lines}
    if not newest:
        return
    table = transcript_lines
    last = select(func.coalesce(func.max(table.c.position), 0)).where(table.c.attempt_id == attempt_id)
    position = (await conn.execute(last)).scalar_one()
    statement = insert_into(conn, table)
    replaced = {name: statement.excluded[name] for name in ("speaker", "text", "at_ms", "interrupted")}
    statement = statement.on_conflict_do_update(index_elements=["attempt_id", "key"], set_=replaced)
    rows = [
        {
            "attempt_id": attempt_id,
            "key": line.key,
            "position": position + offset,
            "speaker": line.speaker,
            "text": line.text,
            "at_ms": line.at_ms,
            "interrupted": line.interrupted,
        }
        for offset, line in enumerate(newest.values(), start=1)
    ]
    await conn.execute(statement, rows)


async def lines(conn: AsyncConnection, attempt_id: str) -> list[TranscriptLine]:
    """The transcript of an attempt, in the order in which its lines first came."""
    table = transcript_lines
    statement = select(table).where(table.c.attempt_id == attempt_id).order_by(table.c.position)
    return [
        TranscriptLine(row.key, Speaker(row.speaker), row.text, row.at_ms, row.interrupted)
        for row in await conn.execute(statement)
    ]


async def purge(conn: AsyncConnection, before: datetime, limit: int) -> int:
    """Forget the words of finished calls that ended earlier than that, wherever they lie, of so many calls at most.

    Returns of how many calls. The outcome and the typed answers stay; a call that is finished again, because something
    came late, is looked at again.
    """
    table = attempts.c
    old = (
        select(table.id, table.crm_detail).where(HAS_WORDS, table.ended_at < before).order_by(table.ended_at)
    )
    rows = (await conn.execute(old.limit(limit).with_for_update(skip_locked=True))).all()
    ids = [row.id for row in rows]
    if not ids:
        return 0
    await conn.execute(delete(transcript_lines).where(transcript_lines.c.attempt_id.in_(ids)))
    await events.forget_words(conn, ids)
    await inbox.forget_payloads(conn, ids)
    for row in rows:
        if _REJECTED in row.crm_detail:
            kept = {name: value for name, value in row.crm_detail.items() if name != _REJECTED}
            await conn.execute(update(attempts).where(table.id == row.id).values(crm_detail=kept))
    forgotten = {"summary": "", "words_deleted_of": table.done_at, "revision": table.revision + 1}
    await conn.execute(update(attempts).where(table.id.in_(ids)).values(forgotten))
    return len(ids)
