"""Leases: how many may hold a scope (a carrier's lines, a campaign) at once, exact over all processes."""

from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.storage.database import facts_of, insert_into, lock
from callwright.storage.schema import leases


async def take(conn: AsyncConnection, scope: str, holder: str, limit: int, until: datetime) -> bool:
    """Take one of the scope's `limit` places, or renew the holder's own; False when all are held.

    Others wait for this transaction at the same scope: one that takes several scopes takes them in
    sorted order.
    """
    await lock(conn, f"lease:{scope}")
    await conn.execute(delete(leases).where(leases.c.scope == scope, leases.c.expires_at <= _now(conn)))
    holders = set((await conn.execute(select(leases.c.holder).where(leases.c.scope == scope))).scalars())
    if holder not in holders and len(holders) >= limit:
        return False
    statement = insert_into(conn, leases).values(scope=scope, holder=holder, expires_at=until)
    await conn.execute(
        statement.on_conflict_do_update(index_elements=["scope", "holder"], set_={"expires_at": until})
    )
    return True


async def release(conn: AsyncConnection, scope: str, holder: str) -> None:
    """Give the holder's place in a scope back; it is no error if it has none."""
    await conn.execute(delete(leases).where(leases.c.scope == scope, leases.c.holder == holder))


async def release_all(conn: AsyncConnection, holder: str) -> None:
    """Give back every place of a holder."""
    await conn.execute(delete(leases).where(leases.c.holder == holder))


async def renew(conn: AsyncConnection, holder: str, until: datetime) -> None:
    """Keep every place that the holder still has until then."""
    live = leases.c.expires_at > _now(conn)
    await conn.execute(update(leases).where(leases.c.holder == holder, live).values(expires_at=until))


async def held(conn: AsyncConnection, scope: str, now: datetime) -> int:
    """How many places of a scope are held."""
    statement = select(func.count()).where(leases.c.scope == scope, leases.c.expires_at > now)
    return (await conn.execute(statement)).scalar_one()


def _now(conn: AsyncConnection) -> datetime:
    return facts_of(conn).clock.now()
