"""How far each part of a call's outcome got on its way into the CRM, and who is sending it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.storage.database import changed, insert_into, now_of
from callwright.storage.schema import crm_writes

SENDING = "sending"
OWED = frozenset({"refused", "parked"})
"""States in which the CRM did not take a part, and nobody tries any more."""


@dataclass(frozen=True, slots=True)
class CrmWrite:
    """One part (`kind`, such as the record's fields or the logged call) and its state.

    `held_by` is who is sending it, until `held_until` by the database's own time; `next_try_at` is set while
    another try is planned; `external_id` is the CRM's id of what was written.
    """

    attempt_id: str
    kind: str
    state: str
    tries: int
    next_try_at: datetime | None
    held_by: str | None
    held_until: datetime | None
    external_id: str | None
    detail: dict[str, Any]
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Try:
    """One try to send a part: by which process, and the how-manieth it is."""

    attempt_id: str
    kind: str
    holder: str
    number: int


async def get(conn: AsyncConnection, attempt_id: str, kind: str) -> CrmWrite | None:
    """One part, or None when it was never tried."""
    row = (await conn.execute(select(crm_writes).where(*_which(attempt_id, kind)))).one_or_none()
    return None if row is None else CrmWrite(*row)


async def of_attempt(conn: AsyncConnection, attempt_id: str) -> list[CrmWrite]:
    """Every part of a call's outcome, by kind."""
    statement = select(crm_writes).where(crm_writes.c.attempt_id == attempt_id).order_by(crm_writes.c.kind)
    return [CrmWrite(*row) for row in await conn.execute(statement)]


async def begin(conn: AsyncConnection, attempt_id: str, kind: str, now: datetime) -> CrmWrite | None:
    """The part as the tries before left it, locked until the transaction ends; None when there were none."""
    fresh = {"state": SENDING, "tries": 0, "detail": {}, "updated_at": now}
    statement = insert_into(conn, crm_writes).values(attempt_id=attempt_id, kind=kind, **fresh)
    statement = statement.on_conflict_do_nothing(index_elements=["attempt_id", "kind"])
    if await changed(conn, statement) == 1:
        return None
    locked = select(crm_writes).where(*_which(attempt_id, kind)).with_for_update()
    return CrmWrite(*(await conn.execute(locked)).one())


async def held_for(conn: AsyncConnection, write: CrmWrite) -> float:
    """For how many seconds a part stays with whoever is sending it; 0 or less when it is free."""
    if write.held_until is None:
        return 0.0
    now: datetime = (await conn.execute(select(now_of(conn)))).scalar_one()
    return (write.held_until - now).total_seconds()


async def hold(conn: AsyncConnection, wanted: Try, lease_s: float, now: datetime) -> None:
    """Note that a part is being sent; nobody else may send it within `lease_s` seconds."""
    values = {
        "state": SENDING,
        "tries": wanted.number,
        "held_by": wanted.holder,
        "held_until": now_of(conn, timedelta(seconds=lease_s)),
        "next_try_at": None,
        "updated_at": now,
    }
    await conn.execute(update(crm_writes).where(*_which(wanted.attempt_id, wanted.kind)).values(values))


async def settle(
    conn: AsyncConnection,
    made: Try,
    state: str,
    now: datetime,
    *,
    detail: dict[str, Any],
    external_id: str | None = None,
    next_try_at: datetime | None = None,
) -> bool:
    """Write what came of a try; False when its holder has lost the part to somebody else meanwhile."""
    values = {
        "state": state,
        "next_try_at": next_try_at,
        "held_by": None,
        "held_until": None,
        "external_id": external_id,
        "detail": detail,
        "updated_at": now,
    }
    mine = (*_which(made.attempt_id, made.kind), crm_writes.c.held_by == made.holder)
    return await changed(conn, update(crm_writes).where(*mine).values(values)) == 1


async def release(conn: AsyncConnection, holder: str) -> None:
    """Let others send at once what a process had in hand that is certain to send nothing any more."""
    freed = {"held_by": None, "held_until": None}
    await conn.execute(update(crm_writes).where(crm_writes.c.held_by == holder).values(freed))


async def reopen(conn: AsyncConnection, attempt_id: str, now: datetime) -> int:
    """Let what was refused, in whole or in part, or set aside be tried from the start; returns how many parts."""
    statement = select(crm_writes).where(crm_writes.c.attempt_id == attempt_id)
    parts = [CrmWrite(*row) for row in await conn.execute(statement)]
    owed = [part.kind for part in parts if part.state in OWED or part.detail.get("refused")]
    fresh = {"state": "retry", "tries": 0, "next_try_at": now, "updated_at": now}
    for kind in owed:
        await conn.execute(update(crm_writes).where(*_which(attempt_id, kind)).values(fresh))
    return len(owed)


def _which(attempt_id: str, kind: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return crm_writes.c.attempt_id == attempt_id, crm_writes.c.kind == kind
