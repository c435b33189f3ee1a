"""Numbers that must not be called."""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.domain.errors import InvalidInput, Problem
from callwright.storage.database import changed, delete_some, insert_into, lock
from callwright.storage.schema import suppressions

_E164 = re.compile(r"\+[1-9]\d{6,14}")


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why a number is not called, who said so, and until when (for ever if `expires_at` is None)."""

    phone: str
    reason: str
    source: str
    created_at: datetime
    expires_at: datetime | None
    evidence: str


async def add(
    conn: AsyncConnection,
    phone: str,
    *,
    reason: str,
    source: str,
    now: datetime,
    expires_at: datetime | None = None,
    evidence: str = "",
) -> Suppression:
    """Suppress a number; what lasts longer stands, so that nothing added later shortens it.

    Returns what stands. Raises InvalidInput when the number is not E.164.
    """
    if not _E164.fullmatch(phone):
        problem = Problem("phone", f"{phone!r} is not E.164.", "Write it as +447700900123.")
        raise InvalidInput(problem)
    await lock(conn, f"suppression:{phone}")
    wanted = Suppression(phone, reason, source, now, expires_at, evidence)
    standing = await find(conn, phone, now)
    if standing is not None and _lasts_longer(standing, wanted):
        return standing
    values = {column.name: getattr(wanted, column.name) for column in suppressions.columns}
    statement = insert_into(conn, suppressions).values(values)
    await conn.execute(statement.on_conflict_do_update(index_elements=["phone"], set_=values))
    return wanted


async def remove(conn: AsyncConnection, phone: str) -> bool:
    """Let a number be called again; False when it was not suppressed."""
    return await changed(conn, delete(suppressions).where(suppressions.c.phone == phone)) > 0


async def find(conn: AsyncConnection, phone: str, now: datetime) -> Suppression | None:
    """Why this number is not to be called at that moment, or None."""
    live = or_(suppressions.c.expires_at.is_(None), suppressions.c.expires_at > now)
    row = (await conn.execute(select(suppressions).where(suppressions.c.phone == phone, live))).one_or_none()
    return None if row is None else Suppression(*row)


async def listing(
    conn: AsyncConnection, now: datetime, *, after: str = "", limit: int = 100
) -> list[Suppression]:
    """Suppressed numbers behind `after`, in the order of the numbers."""
    live = or_(suppressions.c.expires_at.is_(None), suppressions.c.expires_at > now)
    statement = (
        select(suppressions)
        .where(suppressions.c.phone > after, live)
        .order_by(suppressions.c.phone)
        .limit(limit)
    )
    return [Suppression(*row) for row in await conn.execute(statement)]


async def purge(conn: AsyncConnection, before: datetime, limit: int) -> int:
    """Forget suppressions that expired before that moment, so many at most; returns how many."""
    return await delete_some(conn, suppressions, limit, suppressions.c.expires_at < before)


def _lasts_longer(standing: Suppression, wanted: Suppression) -> bool:
    if wanted.expires_at is None:
        return False
    return standing.expires_at is None or standing.expires_at > wanted.expires_at
