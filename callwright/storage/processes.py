"""The processes that share the database, so that the work of a dead one can be taken over.

Their times are the database's own: clocks of machines differ, and a simulated world has moved one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.storage.database import changed, insert_into, lock, now_of
from callwright.storage.schema import processes


@dataclass(frozen=True, slots=True)
class Process:
    """One process; `slot` is the name it was given, `media_url` where carriers reach its media sockets."""

    id: str
    slot: str
    media_url: str
    started_at: datetime
    heartbeat_at: datetime
    stopped_at: datetime | None


async def announce(conn: AsyncConnection, process_id: str, *, slot: str, media_url: str) -> list[Process]:
    """Tell the others that a process has started, unless some of them have its slot or its media address.

    Returns those; it is announced only when there are none.
    """
    await lock(conn, "processes")
    same = processes.c.slot == slot
    if media_url:
        same = or_(same, processes.c.media_url == media_url)
    rivals = await _where(conn, _RUNS, same, processes.c.id != process_id)
    if rivals:
        return rivals
    now = now_of(conn)
    values = {
        "slot": slot,
        "media_url": media_url,
        "started_at": now,
        "heartbeat_at": now,
        "stopping_at": None,
        "stopped_at": None,
    }
    statement = insert_into(conn, processes).values(id=process_id, **values)
    await conn.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
    return []


async def heartbeat(conn: AsyncConnection, process_id: str) -> bool:
    """Say that a process is alive; False when the others have given it up, and then it has to stop."""
    statement = update(processes).where(processes.c.id == process_id, _RUNS)
    return await changed(conn, statement.values(heartbeat_at=now_of(conn))) == 1


async def silent(conn: AsyncConnection, longer_than: timedelta) -> list[Process]:
    """Running processes that were not heard of for a time."""
    return await _where(conn, _RUNS, processes.c.heartbeat_at < now_of(conn, -longer_than))


async def gone(conn: AsyncConnection, process_id: str, *, silent_for: timedelta | None = None) -> bool:
    """Note that a process has stopped or died; False when that was known, or it was heard of meanwhile."""
    statement = update(processes).where(processes.c.id == process_id, _RUNS)
    if silent_for is not None:
        statement = statement.where(processes.c.heartbeat_at < now_of(conn, -silent_for))
    return await changed(conn, statement.values(stopped_at=now_of(conn))) == 1


async def stopping(conn: AsyncConnection, process_id: str) -> None:
    """Tell the others that a process ends its calls and takes no more."""
    await conn.execute(
        update(processes).where(processes.c.id == process_id, _RUNS).values(stopping_at=now_of(conn))
    )


async def others_at_work(conn: AsyncConnection, process_id: str, heard_within: timedelta) -> set[str]:
    """Ids of the other processes that can take a call: heard of just now, and not about to stop."""
    conditions = (_RUNS, processes.c.id != process_id, processes.c.stopping_at.is_(None))
    heard = processes.c.heartbeat_at >= now_of(conn, -heard_within)
    return {process.id for process in await _where(conn, *conditions, heard)}


async def active(conn: AsyncConnection) -> list[Process]:
    """Every process that has not stopped, by slot."""
    return await _where(conn, _RUNS)


async def purge(conn: AsyncConnection, before: datetime) -> int:
    """Forget processes that stopped before that moment; returns how many."""
    return await changed(conn, delete(processes).where(processes.c.stopped_at < before))


_RUNS = processes.c.stopped_at.is_(None)


async def _where(conn: AsyncConnection, *conditions: ColumnElement[bool]) -> list[Process]:
    statement = select(processes).where(*conditions).order_by(processes.c.slot, processes.c.id)
    return [_read(row) for row in await conn.execute(statement)]


def _read(row: Row[Any]) -> Process:
    return Process(row.id, row.slot, row.media_url, row.started_at, row.heartbeat_at, row.stopped_at)
