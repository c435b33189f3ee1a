"""What an operator has put on hold, for all processes and across restarts."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.storage.database import changed, insert_into
from callwright.storage.schema import holds

DIALING = "dialing"
"""The scope of the hold under which nobody is dialled."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why something stands still, and since when."""

    reason: str
    since: datetime


async def put(conn: AsyncConnection, scope: str, reason: str, now: datetime) -> Hold:
    """Put on hold; one that stands keeps its moment and gets the new reason. Returns what stands."""
    statement = insert_into(conn, holds).values(scope=scope, reason=reason, since=now)
    statement = statement.on_conflict_do_update(index_elements=["scope"], set_={"reason": reason})
    await conn.execute(statement)
    return await find(conn, scope) or Hold(reason, now)


async def find(conn: AsyncConnection, scope: str) -> Hold | None:
    """The hold on a scope, if there is one."""
    statement = select(holds.c.reason, holds.c.since).where(holds.c.scope == scope)
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else Hold(*row)


async def lift(conn: AsyncConnection, scope: str) -> bool:
    """Release; False when there was no hold."""
    return await changed(conn, delete(holds).where(holds.c.scope == scope)) == 1
