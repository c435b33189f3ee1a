"""What the simulators and the database tell after it is over: every broken promise, in words."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from callwright.domain.attempt import Attempt
from callwright.domain.events import CallEvent
from callwright.domain.outcome import EndReason
from callwright.domain.states import CallState
from tests.crash.world import CrashWorld

_NEVER_DIALLED = frozenset({EndReason.DIAL_UNKNOWN, EndReason.PREPARATION_FAILED, EndReason.CARRIER_ERROR})


@dataclass
class Audit:
    """The counts of one world and its broken promises, by kind."""

    calls: int = 0
    dials: int = 0
    answered: int = 0
    unknown: int = 0
    cut_short: int = 0
    completed: int = 0
    longest_silence_s: float = 0.0
    double_dials: list[str] = field(default_factory=list)
    lost_outcomes: list[str] = field(default_factory=list)
    duplicate_effects: list[str] = field(default_factory=list)
    people_left: list[str] = field(default_factory=list)
    broken_rules: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """Every broken promise."""
        return [
            *(f"double dial: {text}" for text in self.double_dials),
            *(f"lost outcome: {text}" for text in self.lost_outcomes),
            *(f"duplicate effect: {text}" for text in self.duplicate_effects),
            *(f"left on the line: {text}" for text in self.people_left),
            *(f"vendor's rule broken: {text}" for text in self.broken_rules),
        ]


async def audit(world: CrashWorld, most_silence_s: float) -> Audit:
    """Look at everything; call it when nothing moves any more. Who had to listen to nothing for longer was left."""
    rows = await world.attempts()
    legs = world.person_legs()
    found = Audit(
        calls=len(rows),
        dials=len(legs),
        answered=sum(leg.answered is not None for leg in legs),
        unknown=sum(row.end_reason is EndReason.DIAL_UNKNOWN for row in rows),
        cut_short=sum(row.end_reason in {EndReason.MEDIA_FAILED, EndReason.AGENT_FAILED} for row in rows),
        completed=sum(row.end_reason is EndReason.COMPLETED for row in rows),
        longest_silence_s=max((leg.silent_s for leg in legs), default=0.0),
    )
    _count_dials(legs, found)
    _find_people_left(world, most_silence_s, found)
    _find_lost_orders(world, rows, found)
    for row in rows:
        _check_end(world, row, await world.history(row.id), found)
        _check_entries(world, row, found)
    for calls in _by_record(rows).values():
        _check_record(world, calls, found)
    for name, simulator in world.stage.simulators.items():
        found.broken_rules.extend(f"{name}: {text}" for text in simulator.traffic.violations)
    return found


def _count_dials(legs: list[Any], found: Audit) -> None:
    """No two dials for one call, no two calls to one number at once."""
    by_attempt = Counter(leg.external_id for leg in legs)
    found.double_dials += [
        f"{count} dials for call {name}" for name, count in by_attempt.items() if count > 1
    ]
    by_number: dict[str, list[Any]] = {}
    for leg in legs:
        by_number.setdefault(leg.e164, []).append(leg)
    for number, calls in by_number.items():
        calls.sort(key=lambda leg: leg.started)
        for earlier, later in pairwise(calls):
            if earlier.ended is None or earlier.ended > later.started:
                found.double_dials.append(f"two calls to {number} at once")


def _find_people_left(world: CrashWorld, most_silence_s: float, found: Audit) -> None:
    now = datetime.now(UTC)
    for leg in world.people_on_line():
        age = (now - leg.answered).total_seconds()
        found.people_left.append(f"{leg.e164} ({world.kind_of[leg.e164].name}), for {age:.0f} s")
    for leg in world.person_legs():
        if leg.silent_s > most_silence_s:
            kind = world.kind_of[leg.e164].name
            found.people_left.append(f"{leg.e164} ({kind}) heard nothing for {leg.silent_s:.0f} s")


def _find_lost_orders(world: CrashWorld, rows: list[Attempt], found: Audit) -> None:
    """Every order became exactly one call."""
    per_record = Counter(row.crm.record_id if row.crm else "" for row in rows)
    ordered = Counter(callee.phone for callee in world.callees)
    for phone, wanted in ordered.items():
        count = per_record[world.stage.record_of[phone]]
        if count < wanted:
            found.lost_outcomes.append(f"{count} calls to {phone} instead of {wanted}")
        elif count > wanted:
            found.double_dials.append(f"{count} calls were made of {wanted} orders for {phone}")


def _check_end(world: CrashWorld, row: Attempt, history: list[CallEvent], found: Audit) -> None:
    """One final state, and a reason that fits what the carrier knows."""
    name = f"call {row.id} to {row.phone}"
    if row.state is not CallState.DONE or row.end_reason is None:
        found.lost_outcomes.append(f"{name} is {row.state}, {row.end_reason}")
        return
    ends = Counter(event.data["to"] for event in history if event.kind == "state")
    if (ends[CallState.ENDED], ends[CallState.DONE]) != (1, 1):
        found.lost_outcomes.append(f"{name} ended {ends[CallState.ENDED]} times")
    leg = next((leg for leg in world.person_legs() if leg.external_id == row.id), None)
    if leg is None:
        if row.end_reason not in _NEVER_DIALLED:
            found.lost_outcomes.append(f"{name} was never dialled, yet ended as {row.end_reason}")
        return
    kind = world.kind_of[leg.e164]
    if row.end_reason not in kind.reasons:
        found.lost_outcomes.append(f"{name} ({kind.name}) ended as {row.end_reason}: {row.end_detail}")
    if (leg.answered is None) != (row.answered_at is None):
        found.lost_outcomes.append(f"{name}: answered {leg.answered} at the carrier, {row.answered_at} here")
    _check_answers(world, row, name, found)


def _check_answers(world: CrashWorld, row: Attempt, name: str, found: Audit) -> None:
    """What the agent platform collected is what we have."""
    conversation = world.stage.engine.conversations.get(row.conversation_id or "")
    if conversation is None or conversation.status != "done":
        return
    told = {key: value for key, value in conversation.collected.items() if value is not None}
    ours = {key: value for key, value in row.collected.items() if key in told or value is not None}
    declared = {"interested", "budget"}
    if {key: value for key, value in told.items() if key in declared} != ours:
        found.lost_outcomes.append(f"{name}: the platform collected {told}, we have {row.collected}")


def _by_record(rows: list[Attempt]) -> dict[str, list[Attempt]]:
    """The calls about each record, in the order in which they ended."""
    found: dict[str, list[Attempt]] = {}
    for row in sorted(rows, key=lambda row: row.ended_at or row.created_at):
        assert row.crm is not None
        found.setdefault(row.crm.record_id, []).append(row)
    return found


def _check_record(world: CrashWorld, calls: list[Attempt], found: Audit) -> None:
    """The record says what its calls say, the last one last; each call wrote each field once."""
    mapping = world.stage.agent().crm
    assert mapping is not None
    assert calls[0].crm is not None
    crm, record_id, name = world.stage.crm, calls[0].crm.record_id, f"record of {calls[0].phone}"
    wanted: dict[str, Any] = {}
    for row in calls:
        wanted |= {
            field: row.collected[key] for key, field in mapping.results.items() if key in row.collected
        }
        if mapping.outcome_field and row.end_reason is not None:
            wanted[mapping.outcome_field] = mapping.outcome_values[row.end_reason]
    record = crm.record(record_id)
    for field_name, value in wanted.items():
        if record[field_name] != value:
            found.lost_outcomes.append(f"{name}: {field_name} is {record[field_name]!r}, not {value!r}")
    written = Counter(field_name for change in crm.writes(record_id) for field_name in change)
    found.duplicate_effects += [
        f"{name}: {field_name} was written {count} times for {len(calls)} calls"
        for field_name, count in written.items()
        if count > len(calls)
    ]


def _check_entries(world: CrashWorld, row: Attempt, found: Audit) -> None:
    """One logged call for each attempt; one note for each that brought a summary; everything was written."""
    mark, name = f"callwright:{row.id}", f"call {row.id} to {row.phone}"
    crm = world.stage.crm
    if row.crm_state != "written":
        found.lost_outcomes.append(f"{name}: the CRM state is {row.crm_state}, {row.crm_detail}")
    logged = sum(mark in str(entry.get("Subject")) for entry in crm.calls_logged)
    noted = sum(mark in str(entry.get("Note_Title")) for entry in crm.notes)
    wanted = int(row.answered_at is not None and bool(row.summary))
    if logged == 0 or noted < wanted:
        found.lost_outcomes.append(f"{name}: {logged} logged calls, {noted} of {wanted} notes")
    if logged > 1 or noted > wanted:
        found.duplicate_effects.append(f"{name}: {logged} logged calls, {noted} notes")
