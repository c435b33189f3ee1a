"""Attempts: the rows that are the truth about calls, changed one revision at a time."""

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, TypedDict, Unpack

from sqlalchemy import ColumnElement, Row, and_, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.domain.attempt import Attempt, CrmReference
from callwright.domain.errors import Conflict, InvalidInput, Problem
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import IN_FLIGHT, CallState
from callwright.storage.cipher import Cipher
from callwright.storage.database import changed, facts_of, insert_into
from callwright.storage.schema import ONE_IN_FLIGHT, attempts, processes, timers

_PLAIN = tuple(
    field.name
    for field in fields(Attempt)
    if field.name not in ("crm", "agent_ticket", "state", "end_reason", "hang_up_by")
)
_FIELDS = frozenset(field.name for field in fields(Attempt))
_TICKET = "The agent ticket of a call"


class NumberBusy(Conflict):
    """Another attempt to the same number is in flight."""


class Wanted(TypedDict, total=False):
    """What to search attempts for; None means anything."""

    state: CallState | None
    phone: str | None
    agent: str | None
    outcome: EndReason | None
    crm_record: str | None
    """The CRM record's id."""
    since: datetime | None
    """Created then or later."""
    before: datetime | None
    """Created earlier than that."""


async def insert(conn: AsyncConnection, attempt: Attempt) -> None:
    """Store a new attempt; raises Conflict when its id exists, NumberBusy when its number is in flight."""
    values = _to_columns(facts_of(conn).cipher, {name: getattr(attempt, name) for name in _FIELDS})
    statement = insert_into(conn, attempts).values(values).on_conflict_do_nothing(index_elements=["id"])
    try:
        async with conn.begin_nested():
            stored = await changed(conn, statement)
    except IntegrityError as error:
        raise _explained(error, attempt) from error
    if not stored:
        raise Conflict(f"attempt {attempt.id} exists already")


async def get(conn: AsyncConnection, attempt_id: str, *, for_update: bool = False) -> Attempt | None:
    """One attempt; `for_update` keeps others from changing it until the transaction ends."""
    statement = select(attempts).where(attempts.c.id == attempt_id)
    row = (await conn.execute(statement.with_for_update() if for_update else statement)).one_or_none()
    return None if row is None else _to_attempt(facts_of(conn).cipher, row)


async def by_carrier_call(conn: AsyncConnection, carrier: str, carrier_call_id: str) -> Attempt | None:
    """The newest attempt that became this call of the carrier."""
    return await _newest(conn, attempts.c.carrier == carrier, attempts.c.carrier_call_id == carrier_call_id)


async def by_conversation(conn: AsyncConnection, engine: str, conversation_id: str) -> Attempt | None:
    """The newest attempt that this conversation of the agent platform belongs to."""
    return await _newest(conn, attempts.c.engine == engine, attempts.c.conversation_id == conversation_id)


async def save(conn: AsyncConnection, before: Attempt, **changes: Any) -> Attempt:
    """Write the changed fields if nobody changed the attempt since `before`; returns it as it is now.

    Raises Conflict when somebody did, NumberBusy when its number is in flight elsewhere; the transaction
    can go on after either.
    """
    after = replace(before, **changes, revision=before.revision + 1)
    values = _to_columns(facts_of(conn).cipher, {**changes, "revision": after.revision})
    statement = (
        update(attempts)
        .where(attempts.c.id == before.id, attempts.c.revision == before.revision)
        .values(values)
    )
    try:
        if _may_collide(before, after):
            async with conn.begin_nested():
                written = await changed(conn, statement)
        else:
            written = await changed(conn, statement)
    except IntegrityError as error:
        raise _explained(error, after) from error
    if not written:
        raise Conflict(f"attempt {before.id} was changed by somebody else since revision {before.revision}")
    return after


async def in_flight(conn: AsyncConnection, phone: str, *, but: str | None = None) -> str | None:
    """The id of the attempt that holds this number, other than `but`."""
    statement = select(attempts.c.id).where(attempts.c.phone == phone, attempts.c.phone != "", _IS_IN_FLIGHT)
    if but is not None:
        statement = statement.where(attempts.c.id != but)
    found: str | None = (await conn.execute(statement.limit(1))).scalar_one_or_none()
    return found


async def count_in_progress(conn: AsyncConnection) -> int:
    """How many attempts are in flight."""
    statement = select(func.count()).select_from(attempts).where(_IS_IN_FLIGHT)
    return (await conn.execute(statement)).scalar_one()


async def count_by_state(conn: AsyncConnection) -> dict[str, int]:
    """How many attempts are in each state but DONE, whose number only grows."""
    states = [str(state) for state in CallState if state is not CallState.DONE]
    number = func.count().label("number")
    statement = (
        select(attempts.c.state, number).where(attempts.c.state.in_(states)).group_by(attempts.c.state)
    )
    return {row.state: row.number for row in await conn.execute(statement)}


async def due(conn: AsyncConnection, now: datetime, limit: int) -> list[str]:
    """Ids of queued attempts whose time has come, longest waiting first."""
    statement = (
        select(attempts.c.id)
        .where(attempts.c.state == CallState.QUEUED, attempts.c.not_before <= now)
        .order_by(attempts.c.not_before, attempts.c.id)
        .limit(limit)
    )
    return list((await conn.execute(statement)).scalars())


async def in_states(
    conn: AsyncConnection, states: Iterable[CallState], *, owner: str | None = None, limit: int
) -> list[Attempt]:
    """Attempts in any of the states, oldest first; `owner` keeps those whose media this process holds."""
    statement = select(attempts).where(attempts.c.state.in_([str(state) for state in states]))
    if owner is not None:
        statement = statement.where(attempts.c.owner == owner)
    statement = statement.order_by(attempts.c.created_at, attempts.c.id).limit(limit)
    cipher = facts_of(conn).cipher
    return [_to_attempt(cipher, row) for row in await conn.execute(statement)]


async def orphaned(conn: AsyncConnection, states: Iterable[CallState], *, limit: int) -> list[Attempt]:
    """Attempts in any of the states whose owner does not run, oldest first.

    One statement, for calls and processes at the same moment: a process is announced before it owns a call.
    """
    runs = exists().where(processes.c.id == attempts.c.owner, processes.c.stopped_at.is_(None))
    statement = select(attempts).where(attempts.c.state.in_([str(state) for state in states]), ~runs)
    statement = statement.order_by(attempts.c.created_at, attempts.c.id).limit(limit)
    cipher = facts_of(conn).cipher
    return [_to_attempt(cipher, row) for row in await conn.execute(statement)]


@dataclass(frozen=True, slots=True)
class Standing:
    """What of an attempt in flight matters to whoever has to let go of it."""

    id: str
    state: CallState
    owner: str | None
    hang_up_requested: bool
    carrier_data: dict[str, Any]


async def standing(conn: AsyncConnection, states: Iterable[CallState], limit: int) -> list[Standing]:
    """Attempts in any of the states, oldest first."""
    columns = attempts.c
    statement = (
        select(columns.id, columns.state, columns.owner, columns.hang_up_requested, columns.carrier_data)
        .where(columns.state.in_([str(state) for state in states]))
        .order_by(columns.created_at, columns.id)
        .limit(limit)
    )
    return [
        Standing(row.id, CallState(row.state), row.owner, row.hang_up_requested, row.carrier_data)
        for row in await conn.execute(statement)
    ]


async def without_timer(conn: AsyncConnection, state: CallState, kind: str, limit: int) -> list[Attempt]:
    """Attempts in a state that have no timer of this kind, oldest first."""
    timed = exists().where(timers.c.attempt_id == attempts.c.id, timers.c.kind == kind)
    statement = select(attempts).where(attempts.c.state == state, ~timed)
    statement = statement.order_by(attempts.c.created_at, attempts.c.id).limit(limit)
    cipher = facts_of(conn).cipher
    return [_to_attempt(cipher, row) for row in await conn.execute(statement)]


async def search(
    conn: AsyncConnection,
    *,
    limit: int = 50,
    cursor: str | None = None,
    **wanted: Unpack[Wanted],
) -> tuple[list[Attempt], str | None]:
    """Attempts that match all that is wanted, newest first, and a cursor when there are more.

    Raises InvalidInput for a cursor that is not ours.
    """
    where = [_SEARCH[name](value) for name, value in wanted.items() if value is not None]
    if cursor is not None:
        where.append(_older_than(*_read_cursor(cursor)))
    newest = (attempts.c.created_at.desc(), attempts.c.id.desc())
    rows = (await conn.execute(select(attempts).where(*where).order_by(*newest).limit(limit + 1))).all()
    cipher = facts_of(conn).cipher
    found = [_to_attempt(cipher, row) for row in rows[:limit]]
    return found, _write_cursor(found[-1]) if len(rows) > limit and found else None


_SEARCH: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "state": attempts.c.state.__eq__,
    "phone": attempts.c.phone.__eq__,
    "agent": attempts.c.agent_name.__eq__,
    "outcome": attempts.c.end_reason.__eq__,
    "crm_record": attempts.c.crm_record_id.__eq__,
    "since": attempts.c.created_at.__ge__,
    "before": attempts.c.created_at.__lt__,
}

_IS_IN_FLIGHT = attempts.c.state.in_([str(state) for state in sorted(IN_FLIGHT)])


def _may_collide(before: Attempt, after: Attempt) -> bool:
    """Whether the in-flight index can refuse; only then is a savepoint worth its round trips."""
    return after.state in IN_FLIGHT and (before.state not in IN_FLIGHT or before.phone != after.phone)


def _explained(error: IntegrityError, attempt: Attempt) -> Exception:
    # SQLite names the indexed column, PostgreSQL the index.
    if ONE_IN_FLIGHT in str(error.orig) or "attempts.phone" in str(error.orig):
        return NumberBusy(f"another attempt to {attempt.phone} is in flight")
    return error


async def _newest(conn: AsyncConnection, *where: ColumnElement[bool]) -> Attempt | None:
    statement = select(attempts).where(*where).order_by(attempts.c.created_at.desc(), attempts.c.id.desc())
    row = (await conn.execute(statement.limit(1))).one_or_none()
    return None if row is None else _to_attempt(facts_of(conn).cipher, row)


def _to_columns(cipher: Cipher, values: dict[str, Any]) -> dict[str, Any]:
    columns = dict(values)
    if "crm" in columns:
        crm: CrmReference | None = columns.pop("crm")
        columns["crm_system"] = crm and crm.system
        columns["crm_module"] = crm and crm.module
        columns["crm_record_id"] = crm and crm.record_id
    if "agent_ticket" in columns:
        columns["agent_ticket"] = cipher.seal(columns["agent_ticket"])
    return columns


def _to_attempt(cipher: Cipher, row: Row[Any]) -> Attempt:
    columns = row._mapping  # noqa: SLF001 - public interface of Row, underscored so as not to hide a column
    values = {name: columns[name] for name in _PLAIN}
    system = columns["crm_system"]
    return Attempt(
        **values,
        state=CallState(columns["state"]),
        end_reason=EndReason(columns["end_reason"]) if columns["end_reason"] else None,
        hang_up_by=HangUpBy(columns["hang_up_by"]) if columns["hang_up_by"] else None,
        crm=CrmReference(system, columns["crm_module"], columns["crm_record_id"]) if system else None,
        agent_ticket=cipher.unseal(columns["agent_ticket"], _TICKET),
    )


def _older_than(created_at: datetime, attempt_id: str) -> ColumnElement[bool]:
    return and_(
        attempts.c.created_at <= created_at,
        or_(attempts.c.created_at < created_at, attempts.c.id < attempt_id),
    )


def _write_cursor(attempt: Attempt) -> str:
    return base64.urlsafe_b64encode(f"{attempt.created_at.isoformat()} {attempt.id}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
        moment, _, attempt_id = text.partition(" ")
        return datetime.fromisoformat(moment).astimezone(UTC), attempt_id
    except (ValueError, OverflowError) as error:
        remedy = "Pass on what the page before gave."
        raise InvalidInput(Problem("cursor", "is not one of ours.", remedy)) from error
