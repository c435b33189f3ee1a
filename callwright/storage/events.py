"""The append-only log of what happened to calls, in the order it was committed."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, func, literal_column, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.domain.events import CallEvent
from callwright.storage.database import changed, insert_into
from callwright.storage.schema import call_events

# PostgreSQL hands ids out before it commits, so a reader that follows a cursor could pass an id whose
# transaction is still open. A row counts once every transaction as old as its own has ended.
_SETTLED: ColumnElement[bool] = literal_column(
    "age(call_events.xmin) > age(pg_snapshot_xmin(pg_current_snapshot())::xid)"
)


_WORDS = ("transcript", "dtmf", "carrier.dtmf")
"""Kinds of events that hold nothing but what was said or keyed in."""

_RESULTS = "results"
_ANSWERS = frozenset({"collected", "rejected"})


async def append(conn: AsyncConnection, attempt_id: str, event: CallEvent) -> bool:
    """Add an event; False when the attempt has one with this dedup_key, and then nothing is written."""
    statement = insert_into(conn, call_events).values(
        attempt_id=attempt_id,
        at=event.at,
        kind=event.kind,
        source=event.source,
        dedup_key=event.dedup_key,
        data=event.data,
    )
    if event.dedup_key is not None:
        statement = statement.on_conflict_do_nothing(index_elements=["attempt_id", "dedup_key"])
    return await changed(conn, statement) == 1


async def history(conn: AsyncConnection, attempt_id: str) -> list[CallEvent]:
    """Every event of an attempt, oldest first."""
    statement = select(call_events).where(call_events.c.attempt_id == attempt_id).order_by(call_events.c.id)
    return [_to_event(row) for row in await conn.execute(statement)]


async def of_attempt(conn: AsyncConnection, attempt_id: str, cursor: int) -> list[tuple[int, CallEvent]]:
    """Events of an attempt behind a cursor (0: all), oldest first, each with its own cursor.

    None is missed as long as every writer of the attempt's events holds its row.
    """
    statement = (
        select(call_events)
        .where(call_events.c.attempt_id == attempt_id, call_events.c.id > cursor)
        .order_by(call_events.c.id)
    )
    return [(row.id, _to_event(row)) for row in await conn.execute(statement)]


async def after(conn: AsyncConnection, cursor: int, limit: int) -> list[tuple[int, str, CallEvent]]:
    """Events of all attempts behind a cursor, each with its own cursor and attempt id; none is missed."""
    statement = (
        select(call_events)
        .where(call_events.c.id > cursor, _settled(conn))
        .order_by(call_events.c.id)
        .limit(limit)
    )
    return [(row.id, row.attempt_id, _to_event(row)) for row in await conn.execute(statement)]


async def latest_cursor(conn: AsyncConnection) -> int:
    """The cursor behind which only what happens from now on is found; 0 before the first event."""
    statement = select(func.coalesce(func.max(call_events.c.id), 0)).where(_settled(conn))
    cursor: int = (await conn.execute(statement)).scalar_one()
    return cursor


async def forget_words(conn: AsyncConnection, attempt_ids: Sequence[str]) -> None:
    """Take what people said or keyed in out of the logs of these attempts; the events themselves stay."""
    table = call_events.c
    of_these = table.attempt_id.in_(attempt_ids)
    said = update(call_events).where(of_these, table.kind.in_(_WORDS))
    await conn.execute(said.values(data={"deleted": True}))
    found = await conn.execute(select(table.id, table.data).where(of_these, table.kind == _RESULTS))
    rest = [
        {"which": row.id, "kept": {name: row.data[name] for name in row.data if name not in _ANSWERS}}
        for row in found
    ]
    if rest:
        statement = update(call_events).where(table.id == bindparam("which"))
        await conn.execute(statement.values(data=bindparam("kept", type_=table.data.type)), rest)


def _settled(conn: AsyncConnection) -> ColumnElement[bool]:
    return _SETTLED if conn.dialect.name == "postgresql" else true()


def _to_event(row: Row[Any]) -> CallEvent:
    return CallEvent(kind=row.kind, at=row.at, source=row.source, data=row.data, dedup_key=row.dedup_key)
