"""Rates that hold over all processes: a slot every 1/rate seconds, with a burst (GCRA)."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.ports.clock import Clock
from callwright.storage.database import Database, insert_into, lock
from callwright.storage.schema import rates


async def reserve(conn: AsyncConnection, scope: str, now: datetime, per_second: float, burst: int) -> float:
    """Take the scope's next slot; returns in how many seconds it is. Raises ValueError for a rate of 0.

    Generic cell rate algorithm: `next_free_at` is when the bucket would be empty of reservations; up to
    `burst` slots may be taken ahead of it.
    """
    if per_second <= 0 or burst < 1:
        raise ValueError(f"a rate of {per_second} per second with bursts of {burst} has no slots")
    interval = timedelta(seconds=1 / per_second)
    await lock(conn, f"rate:{scope}")
    row = (await conn.execute(select(rates).where(rates.c.scope == scope))).one_or_none()
    next_free = now if row is None else row.next_free_at
    earliest = [now, next_free - (burst - 1) * interval]
    if row is not None and row.blocked_until is not None:
        earliest.append(row.blocked_until)
    slot = max(earliest)
    taken = max(next_free, slot) + interval
    statement = insert_into(conn, rates).values(scope=scope, next_free_at=taken)
    await conn.execute(
        statement.on_conflict_do_update(index_elements=["scope"], set_={"next_free_at": taken})
    )
    return (slot - now).total_seconds()


async def block(conn: AsyncConnection, scope: str, until: datetime) -> None:
    """Let no slot be earlier than that; an earlier block that lasts longer stays."""
    await lock(conn, f"rate:{scope}")
    row = (await conn.execute(select(rates).where(rates.c.scope == scope))).one_or_none()
    if row is not None and row.blocked_until is not None:
        until = max(until, row.blocked_until)
    statement = insert_into(conn, rates).values(scope=scope, next_free_at=until, blocked_until=until)
    await conn.execute(
        statement.on_conflict_do_update(index_elements=["scope"], set_={"blocked_until": until})
    )


class Counters:
    """The rates behind ports.storage.CounterStore, each call in a transaction of its own."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def reserve(self, scope: str, per_second: float, burst: int = 1) -> float:
        """Take the next slot of a rate; returns how many seconds from now it is (0 = at once)."""
        async with self._database.write() as conn:
            return await reserve(conn, scope, self._clock.now(), per_second, burst)

    async def block(self, scope: str, seconds: float) -> None:
        """Let no slot of the rate be earlier than `seconds` from now (a vendor's Retry-After)."""
        async with self._database.write() as conn:
            await block(conn, scope, self._clock.now() + timedelta(seconds=seconds))
