"""The processes that share the database, so that the work of a dead one can be taken over."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.storage.database import changed, insert_into, lock
from callwright.storage.schema import processes


@dataclass(frozen=True, slots=True)
class Process:
    """One process; `slot` is the smallest number that no other running process has."""

    id: str
    slot: int
    base_url: str
    roles: tuple[str, ...]
    started_at: datetime
    heartbeat_at: datetime
    stopped_at: datetime | None


async def announce(
    conn: AsyncConnection, process_id: str, *, base_url: str, roles: Iterable[str], now: datetime
) -> Process:
    """Tell the others that a process has started, and take the smallest free slot (from 0) for it."""
    await lock(conn, "processes")
    running = await active(conn)
    taken = {process.slot for process in running if process.id != process_id}
    slot = next(number for number in range(len(taken) + 1) if number not in taken)
    process = Process(process_id, slot, base_url, tuple(roles), now, now, None)
    values = {
        "slot": slot,
        "base_url": base_url,
        "roles": list(process.roles),
        "started_at": now,
        "heartbeat_at": now,
        "stopped_at": None,
    }
    statement = insert_into(conn, processes).values(id=process_id, **values)
    await conn.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
    return process


async def heartbeat(conn: AsyncConnection, process_id: str, now: datetime) -> bool:
    """Say that a process is alive; False when the others have given it up, and then it has to stop."""
    mine = (processes.c.id == process_id, processes.c.stopped_at.is_(None))
    return await changed(conn, update(processes).where(*mine).values(heartbeat_at=now)) == 1


async def stale(conn: AsyncConnection, before: datetime) -> list[Process]:
    """Running processes whose last heartbeat was before that moment."""
    return [process for process in await active(conn) if process.heartbeat_at < before]


async def gone(conn: AsyncConnection, process_id: str, now: datetime) -> bool:
    """Note that a process has stopped or died, which frees its slot; False when that was known."""
    mine = (processes.c.id == process_id, processes.c.stopped_at.is_(None))
    return await changed(conn, update(processes).where(*mine).values(stopped_at=now)) == 1


async def active(conn: AsyncConnection) -> list[Process]:
    """Every process that has not stopped, by slot."""
    statement = select(processes).where(processes.c.stopped_at.is_(None)).order_by(processes.c.slot)
    return [_read(row) for row in await conn.execute(statement)]


async def purge(conn: AsyncConnection, before: datetime) -> int:
    """Forget processes that stopped before that moment; returns how many."""
    return await changed(conn, delete(processes).where(processes.c.stopped_at < before))


def _read(row: Row[Any]) -> Process:
    return Process(
        row.id, row.slot, row.base_url, tuple(row.roles), row.started_at, row.heartbeat_at, row.stopped_at
    )
