"""How far each part of a call's outcome got on its way into the CRM."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.storage.database import insert_into
from callwright.storage.schema import crm_writes

PLANNED = "planned"
OWED = frozenset({"refused", "parked"})
"""States in which the CRM did not take a part, and nobody tries any more."""


@dataclass(frozen=True, slots=True)
class CrmWrite:
    """One part (`kind`, such as the record's fields or the logged call) and its state.

    `next_try_at` is set while another try is planned; `external_id` is the CRM's id of what was written.
    """

    attempt_id: str
    kind: str
    state: str
    tries: int
    next_try_at: datetime | None
    external_id: str | None
    detail: dict[str, Any]
    updated_at: datetime


class Outcome(TypedDict, total=False):
    """What a try may add; `detail` and `external_id` stay as they were when they are not given."""

    detail: dict[str, Any] | None
    external_id: str | None
    next_try_at: datetime | None


async def plan(conn: AsyncConnection, attempt_id: str, kinds: Iterable[str], now: datetime) -> None:
    """Note parts that are to be written; those that are known already stay as they are."""
    rows = [
        {
            "attempt_id": attempt_id,
            "kind": kind,
            "state": PLANNED,
            "tries": 0,
            "next_try_at": now,
            "detail": {},
            "updated_at": now,
        }
        for kind in dict.fromkeys(kinds)
    ]
    if rows:
        statement = insert_into(conn, crm_writes)
        await conn.execute(statement.on_conflict_do_nothing(index_elements=["attempt_id", "kind"]), rows)


async def get(conn: AsyncConnection, attempt_id: str, kind: str) -> CrmWrite | None:
    """One part, or None when it was never planned or tried."""
    statement = select(crm_writes).where(crm_writes.c.attempt_id == attempt_id, crm_writes.c.kind == kind)
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else CrmWrite(*row)


async def of_attempt(conn: AsyncConnection, attempt_id: str) -> list[CrmWrite]:
    """Every part of a call's outcome, by kind."""
    statement = select(crm_writes).where(crm_writes.c.attempt_id == attempt_id).order_by(crm_writes.c.kind)
    return [CrmWrite(*row) for row in await conn.execute(statement)]


async def due(conn: AsyncConnection, now: datetime, limit: int) -> list[CrmWrite]:
    """Parts whose next try has come, longest waiting first."""
    statement = (
        select(crm_writes)
        .where(crm_writes.c.next_try_at <= now)
        .order_by(crm_writes.c.next_try_at, crm_writes.c.attempt_id, crm_writes.c.kind)
        .limit(limit)
    )
    return [CrmWrite(*row) for row in await conn.execute(statement)]


async def record(
    conn: AsyncConnection,
    attempt_id: str,
    kind: str,
    *,
    state: str,
    tries: int,
    now: datetime,
    **outcome: Unpack[Outcome],
) -> None:
    """Write how a part stands now; no next try is planned unless `next_try_at` says when."""
    values: dict[str, Any] = {
        "state": state,
        "tries": tries,
        "updated_at": now,
        "next_try_at": outcome.get("next_try_at"),
    }
    values |= {name: outcome[name] for name in ("detail", "external_id") if outcome.get(name) is not None}
    statement = insert_into(conn, crm_writes).values(
        {"detail": {}, **values, "attempt_id": attempt_id, "kind": kind}
    )
    await conn.execute(statement.on_conflict_do_update(index_elements=["attempt_id", "kind"], set_=values))


async def reopen(conn: AsyncConnection, attempt_id: str, now: datetime) -> int:
    """Let what was refused, in whole or in part, or set aside be tried from the start; returns how many parts."""
    statement = select(crm_writes).where(crm_writes.c.attempt_id == attempt_id)
    parts = [CrmWrite(*row) for row in await conn.execute(statement)]
    owed = [part.kind for part in parts if part.state in OWED or part.detail.get("refused")]
    fresh = {"state": "retry", "tries": 0, "next_try_at": now, "updated_at": now}
    for kind in owed:
        which = (crm_writes.c.attempt_id == attempt_id, crm_writes.c.kind == kind)
        await conn.execute(update(crm_writes).where(*which).values(fresh))
    return len(owed)
