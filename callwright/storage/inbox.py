"""Webhooks that were verified and acknowledged, kept until they have been applied."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.storage.database import changed, delete_some, insert_into
from callwright.storage.schema import INBOX_PARKED, inbox

NO_SUCH_CALL = "no such call"
"""The error of an event that belongs to no call of ours."""


@dataclass(frozen=True, slots=True)
class InboxItem:
    """One event as it was received; `tries` counts how often it was handed out."""

    id: int
    source: str
    dedup_key: str
    received_at: datetime
    payload: Any
    attempt_id: str | None
    tries: int


async def store(
    conn: AsyncConnection,
    source: str,
    dedup_key: str,
    payload: Any,
    now: datetime,
    attempt_id: str | None = None,
) -> bool:
    """Keep an event; False when the source has sent one with this key before, and then nothing is written."""
    statement = insert_into(conn, inbox).values(
        source=source,
        dedup_key=dedup_key,
        received_at=now,
        payload=payload,
        attempt_id=attempt_id,
        tries=0,
        next_try_at=now,
        error="",
    )
    statement = statement.on_conflict_do_nothing(index_elements=["source", "dedup_key"])
    return await changed(conn, statement) == 1


async def pending(
    conn: AsyncConnection, now: datetime, limit: int, holder: str, lease_s: float
) -> list[InboxItem]:
    """Take events that wait to be applied, oldest first; no one else gets them within `lease_s` seconds."""
    ready = (
        select(inbox.c.id)
        .where(inbox.c.next_try_at <= now)
        .order_by(inbox.c.next_try_at, inbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("ready")
    )
    statement = (
        update(inbox)
        .where(inbox.c.id == ready.c.id)
        .values(claimed_by=holder, next_try_at=now + timedelta(seconds=lease_s), tries=inbox.c.tries + 1)
        .returning(
            inbox.c.id,
            inbox.c.source,
            inbox.c.dedup_key,
            inbox.c.received_at,
            inbox.c.payload,
            inbox.c.attempt_id,
            inbox.c.tries,
        )
    )
    taken = [InboxItem(*row) for row in await conn.execute(statement)]
    return sorted(taken, key=lambda item: item.id)


async def applied(conn: AsyncConnection, item_id: int, now: datetime, attempt_id: str) -> None:
    """Note that an event has had its effect, and on which call."""
    await _settle(conn, item_id, applied_at=now, next_try_at=None, error="", attempt_id=attempt_id)


async def retry_later(conn: AsyncConnection, item_id: int, at: datetime, error: str) -> None:
    """Hand the event out again at a later moment."""
    await _settle(conn, item_id, next_try_at=at, error=error)


async def park(conn: AsyncConnection, item_id: int, error: str) -> None:
    """Give up on an event; it stays visible until it is purged."""
    await _settle(conn, item_id, next_try_at=None, error=error)


async def release(conn: AsyncConnection, holder: str, now: datetime) -> None:
    """Let others have at once what a dead process had taken."""
    taken = (inbox.c.claimed_by == holder, inbox.c.next_try_at > now)
    await conn.execute(update(inbox).where(*taken).values(claimed_by=None, next_try_at=now))


async def waiting(conn: AsyncConnection) -> int:
    """How many events have not been applied or parked."""
    statement = select(func.count()).select_from(inbox).where(inbox.c.next_try_at.is_not(None))
    return (await conn.execute(statement)).scalar_one()


async def parked(conn: AsyncConnection) -> tuple[int, int]:
    """How many events were given up: those of calls that are not ours, and those whose applying failed."""
    is_ours = inbox.c.error != NO_SUCH_CALL
    statement = (
        select(is_ours.label("ours"), func.count().label("number")).where(INBOX_PARKED).group_by(is_ours)
    )
    counts = {bool(row.ours): row.number for row in await conn.execute(statement)}
    return counts.get(False, 0), counts.get(True, 0)


async def forget_payloads(conn: AsyncConnection, attempt_ids: Sequence[str]) -> None:
    """Forget what was received for these attempts; that it was received stays, so that a repeat is known."""
    settled = (inbox.c.attempt_id.in_(attempt_ids), inbox.c.next_try_at.is_(None))
    await conn.execute(update(inbox).where(*settled).values(payload={"deleted": True}))


async def purge(conn: AsyncConnection, before: datetime, limit: int) -> int:
    """Forget events received before that moment which wait for nothing, so many at most; returns how many."""
    return await delete_some(conn, inbox, limit, inbox.c.received_at < before, inbox.c.next_try_at.is_(None))


async def _settle(conn: AsyncConnection, item_id: int, **values: Any) -> None:
    await conn.execute(update(inbox).where(inbox.c.id == item_id).values(claimed_by=None, **values))
