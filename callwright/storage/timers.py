"""Timers as rows: what has to happen to a call at a moment, whichever process is alive then."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.storage.database import insert_into
from callwright.storage.schema import attempts, timers


@dataclass(frozen=True, slots=True)
class Timer:
    """One timer of an attempt; `tries` counts how often it was claimed."""

    attempt_id: str
    kind: str
    due_at: datetime
    tries: int


async def set_timer(conn: AsyncConnection, attempt_id: str, kind: str, due_at: datetime) -> None:
    """Set or move the attempt's timer of this kind; a claim on the old one no longer counts."""
    fresh = {"due_at": due_at, "claimed_by": None, "claimed_until": None, "tries": 0}
    statement = insert_into(conn, timers).values(attempt_id=attempt_id, kind=kind, **fresh)
    await conn.execute(statement.on_conflict_do_update(index_elements=["attempt_id", "kind"], set_=fresh))


async def cancel(conn: AsyncConnection, attempt_id: str, *kinds: str) -> None:
    """Remove the attempt's timers of these kinds, or all of them when none is named."""
    statement = delete(timers).where(timers.c.attempt_id == attempt_id)
    await conn.execute(statement.where(timers.c.kind.in_(kinds)) if kinds else statement)


async def claim_due(
    conn: AsyncConnection,
    now: datetime,
    holder: str,
    lease_s: float,
    limit: int,
    kinds: Collection[str] | None = None,
    carrier: str | None = None,
) -> list[Timer]:
    """Claim timers whose moment has come; no one else gets them within `lease_s` seconds.

    Of these kinds or of any, of one carrier's calls or of all.
    """
    ready = (
        select(timers.c.attempt_id, timers.c.kind)
        .where(timers.c.due_at <= now, _is_free(now), _of(kinds), _at(carrier))
        .order_by(timers.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("ready")
    )
    statement = (
        update(timers)
        .where(timers.c.attempt_id == ready.c.attempt_id, timers.c.kind == ready.c.kind)
        .values(claimed_by=holder, claimed_until=now + timedelta(seconds=lease_s), tries=timers.c.tries + 1)
        .returning(timers.c.attempt_id, timers.c.kind, timers.c.due_at, timers.c.tries)
    )
    claimed = [Timer(*row) for row in await conn.execute(statement)]
    return sorted(claimed, key=lambda timer: timer.due_at)


async def release(conn: AsyncConnection, holder: str) -> None:
    """Let others have at once what a dead process had claimed."""
    freed = {"claimed_by": None, "claimed_until": None}
    await conn.execute(update(timers).where(timers.c.claimed_by == holder).values(freed))


async def complete(conn: AsyncConnection, timer: Timer) -> None:
    """Remove a timer that has done its work, unless it was set to another moment meanwhile."""
    await conn.execute(
        delete(timers).where(
            timers.c.attempt_id == timer.attempt_id,
            timers.c.kind == timer.kind,
            timers.c.due_at == timer.due_at,
        )
    )


async def kinds_due(conn: AsyncConnection, now: datetime) -> set[tuple[str, str]]:
    """The carriers, and kinds, of which a timer could be claimed now."""
    statement = (
        select(attempts.c.carrier, timers.c.kind)
        .distinct()
        .where(attempts.c.id == timers.c.attempt_id, timers.c.due_at <= now, _is_free(now))
    )
    return {(carrier, kind) for carrier, kind in await conn.execute(statement)}


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(timers.c.claimed_until.is_(None), timers.c.claimed_until <= now)


def _of(kinds: Collection[str] | None) -> ColumnElement[bool]:
    return true() if kinds is None else timers.c.kind.in_([str(kind) for kind in kinds])


def _at(carrier: str | None) -> ColumnElement[bool]:
    if carrier is None:
        return true()
    return exists().where(attempts.c.id == timers.c.attempt_id, attempts.c.carrier == carrier)
