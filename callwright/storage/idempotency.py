"""Answers to requests that carried an Idempotency-Key, kept for a day so that a repeat gets the same one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.domain.errors import Conflict
from callwright.storage.database import changed, delete_some, insert_into
from callwright.storage.schema import idempotency

KEPT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The answer that a request got; `attempt_id` is the call that it made."""

    attempt_id: str | None
    response: Any


class KeyReused(Conflict):
    """The key came with another request before."""


async def claim(
    conn: AsyncConnection, key: str, owner: str, request_hash: str, now: datetime
) -> Remembered | None:
    """None when the request is new and this transaction may answer it; else the answer that it got.

    `owner` is the API key's id: each has its own keys. A second request waits for the first one's
    transaction, so `remember` belongs into the same. Raises KeyReused for another request under the same
    key, Conflict when the first one was never answered.
    """
    mine = (idempotency.c.api_key_id == owner, idempotency.c.key == key)
    await conn.execute(delete(idempotency).where(*mine, idempotency.c.created_at <= now - KEPT))
    statement = insert_into(conn, idempotency).values(
        api_key_id=owner, key=key, request_hash=request_hash, created_at=now
    )
    if await changed(conn, statement.on_conflict_do_nothing(index_elements=["api_key_id", "key"])) == 1:
        return None
    row = (await conn.execute(select(idempotency).where(*mine))).one()
    if row.request_hash != request_hash:
        raise KeyReused("this Idempotency-Key was used for another request")
    if row.response is None:
        raise Conflict("the first request with this Idempotency-Key has no answer yet")
    return Remembered(row.attempt_id, row.response)


async def remember(
    conn: AsyncConnection, key: str, owner: str, *, response: Any, attempt_id: str | None = None
) -> None:
    """Keep the answer of a claimed request; `response` is JSON and not null."""
    await conn.execute(
        update(idempotency)
        .where(idempotency.c.api_key_id == owner, idempotency.c.key == key)
        .values(response=response, attempt_id=attempt_id)
    )


async def purge(conn: AsyncConnection, now: datetime, limit: int) -> int:
    """Forget answers older than a day, so many at most; returns how many."""
    return await delete_some(conn, idempotency, limit, idempotency.c.created_at <= now - KEPT)
