"""The gate before every dial: facts in, decision and reasons out. It fails closed and has no bypass."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from callwright.domain.hours import CallingHours


class Verdict(StrEnum):
    """ALLOW now, DEFER to a later moment, or REFUSE for good."""

    ALLOW = "allow"
    DEFER = "defer"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Reason:
    """The finding of one rule, stored with the call."""

    rule: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided; `until` is set when it defers."""

    verdict: Verdict
    reasons: tuple[Reason, ...] = field(default=())
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class GateFacts:
    """All that the gate looks at, read in the transaction that commits the intent.

    `hours` must all be open; `zones` are all those the recipient may be in, empty when unknown. `held` is why
    nobody is dialled at present; `dial_slot` the moment of the carrier's rate that the call has reserved, None
    while it has none, which is before its ticket.
    """

    now: datetime
    phone: str
    zones: tuple[ZoneInfo, ...]
    hours: tuple[CallingHours, ...]
    suppressed: str | None
    caller_id: str
    owned_caller_ids: frozenset[str]
    in_flight_call: str | None
    calls_in_progress: int
    max_concurrent_calls: int
    waiting: timedelta = timedelta(0)
    """How long the call has been waiting for its turn."""

    held: str | None = None
    dial_slot: datetime | None = None


IN_FLIGHT_RETRY = timedelta(seconds=30)
LONGEST_IN_FLIGHT_RETRY = timedelta(minutes=10)
CONCURRENCY_RETRY = timedelta(seconds=2)
NEAR_SLOT = timedelta(seconds=3)
"""A dial slot as near as this is waited for; a call with a farther one is deferred, and keeps it."""

_FARTHEST_OPENING = timedelta(days=15)


def decide(facts: GateFacts) -> Decision:
    """Apply every rule; refusals win over deferrals, the latest deferral wins over earlier ones."""
    findings = [rule(facts) for rule in _RULES]
    reasons = tuple(reason for reason, _ in findings)
    if any(reason.verdict is Verdict.REFUSE for reason in reasons):
        return Decision(Verdict.REFUSE, reasons)
    waits = [until for reason, until in findings if reason.verdict is Verdict.DEFER and until]
    if waits:
        return Decision(Verdict.DEFER, reasons, max(waits))
    return Decision(Verdict.ALLOW, reasons)


_Finding = tuple[Reason, datetime | None]


def _finding(rule: str, verdict: Verdict, detail: str, until: datetime | None = None) -> _Finding:
    return Reason(rule, verdict, detail), until


def _suppression(facts: GateFacts) -> _Finding:
    if facts.suppressed is not None:
        return _finding("suppression", Verdict.REFUSE, f"on the suppression list: {facts.suppressed}")
    return _finding("suppression", Verdict.ALLOW, "not on the suppression list")


def _caller_id(facts: GateFacts) -> _Finding:
    if facts.caller_id not in facts.owned_caller_ids:
        owned = ", ".join(sorted(facts.owned_caller_ids)) or "none"
        return _finding("caller_id", Verdict.REFUSE, f"{facts.caller_id} is not ours (ours: {owned})")
    return _finding("caller_id", Verdict.ALLOW, f"{facts.caller_id} is ours")


def _hours(facts: GateFacts) -> _Finding:
    if not facts.zones:
        return _finding("hours", Verdict.REFUSE, "the recipient's time zone is not known")
    names = ", ".join(str(zone) for zone in facts.zones)
    windows = " and ".join(str(hours) for hours in facts.hours)
    opening: datetime | None = facts.now
    while opening is not None:
        closed = [hours for hours in facts.hours if not hours.open_at(opening, facts.zones)]
        if not closed:
            break
        opening = closed[0].next_opening(opening, facts.zones)
        if opening is not None and opening - facts.now > _FARTHEST_OPENING:
            opening = None
    if opening is None:
        return _finding("hours", Verdict.REFUSE, f"{windows} never opens in all of {names}")
    if opening > facts.now:
        return _finding("hours", Verdict.DEFER, f"{windows} is closed in {names}", opening)
    return _finding("hours", Verdict.ALLOW, f"{windows} is open in {names}")


def _one_in_flight(facts: GateFacts) -> _Finding:
    if facts.in_flight_call is not None:
        # A number may stay locked for hours: the longer the wait, the less often it is looked at.
        until = facts.now + max(IN_FLIGHT_RETRY, min(facts.waiting / 10, LONGEST_IN_FLIGHT_RETRY))
        return _finding("in_flight", Verdict.DEFER, f"call {facts.in_flight_call} holds this number", until)
    return _finding("in_flight", Verdict.ALLOW, "no other call to this number")


def _concurrency(facts: GateFacts) -> _Finding:
    count = f"{facts.calls_in_progress} of {facts.max_concurrent_calls} calls in progress"
    if facts.calls_in_progress >= facts.max_concurrent_calls:
        return _finding("concurrency", Verdict.DEFER, count, facts.now + CONCURRENCY_RETRY)
    return _finding("concurrency", Verdict.ALLOW, count)


def _hold(facts: GateFacts) -> _Finding:
    if facts.held is not None:
        return _finding("hold", Verdict.DEFER, f"dialling is on hold: {facts.held}", facts.now)
    return _finding("hold", Verdict.ALLOW, "dialling is not on hold")


def _carrier_rate(facts: GateFacts) -> _Finding:
    if facts.dial_slot is None:
        return _finding("carrier_rate", Verdict.ALLOW, "a dial slot is reserved before the dial")
    detail = f"the dial slot is at {facts.dial_slot.isoformat(timespec='milliseconds')}"
    if facts.dial_slot - facts.now > NEAR_SLOT:
        return _finding("carrier_rate", Verdict.DEFER, detail, facts.dial_slot)
    return _finding("carrier_rate", Verdict.ALLOW, detail)


_RULES = (_suppression, _caller_id, _hours, _one_in_flight, _concurrency, _hold, _carrier_rate)
