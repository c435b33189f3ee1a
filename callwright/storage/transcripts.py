"""What was said in a call, line by line."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.domain.events import Speaker, TranscriptLine
from callwright.domain.states import CallState
from callwright.storage.database import changed, insert_into
from callwright.storage.schema import attempts, transcript_lines


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


async def purge(conn: AsyncConnection, before: datetime) -> int:
    """Forget the words of finished calls that ended earlier than that; returns how many lines."""
    old = select(attempts.c.id).where(attempts.c.state == CallState.DONE, attempts.c.ended_at < before)
    return await changed(conn, delete(transcript_lines).where(transcript_lines.c.attempt_id.in_(old)))
