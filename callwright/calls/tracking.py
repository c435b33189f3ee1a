"""What the carrier tells about a call, however it comes: by webhook, or because we asked."""

from datetime import datetime
from typing import Any

from callwright.calls.ledger import Entry, TimerKind
from callwright.domain.attempt import Attempt
from callwright.domain.events import CarrierEvent, CarrierEventKind, Leg
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import LIVE, CallState, Signal
from callwright.ports.carrier import CallHandle, CarrierCall, CarrierCallState

HANDED_OVER = "handed_over"
"""The mark in `carrier_data` while the person is with, or on the way to, a human."""

HUMAN_ANSWERED = "human_answered"
"""The mark in `carrier_data` that the human took the call."""

EXPLAINED = "explained"
"""The event that tells why we had hung up, when that came to be stored after the end itself."""

_ASK_AGAIN_S = 6.0
_LONGEST_CALL_SLACK_S = 30.0
HANG_UP_WITHIN_S = 8.0
"""A hang-up that was asked for is the conversation's to carry out; where none takes it up, a timer's."""

_EXPLAINED_WITHIN_S = 5.0

_OVER = frozenset({CallState.ENDED, CallState.DONE})


def handle_of(attempt: Attempt, caller_id: str) -> CallHandle:
    """The call as the carrier port wants it named."""
    return CallHandle(
        attempt_id=attempt.id,
        carrier_call_id=attempt.carrier_call_id or "",
        phone=attempt.phone,
        caller_id=caller_id,
        answered=attempt.answered_at is not None,
        data=attempt.carrier_data,
    )


async def apply_event(entry: Entry, event: CarrierEvent, longest_call_s: float) -> bool:
    """Apply one event of the carrier; False when it is a repeat. Late ones are kept as data."""
    fresh = await entry.note(
        f"carrier.{event.kind}",
        dedup_key=event.dedup_key,
        leg=str(event.leg),
        at=event.at.isoformat(),
        carrier_call_id=event.carrier_call_id,
        detail=event.detail,
        **({"data": event.data} if event.data else {}),
    )
    if fresh and event.leg is Leg.HUMAN:
        await human_event(entry, event)
    if not fresh or event.leg is not Leg.PERSON:
        return fresh
    known = _identity(entry.attempt, event.carrier_call_id, event.data)
    match event.kind:
        case CarrierEventKind.ACCEPTED | CarrierEventKind.EARLY_MEDIA:
            await placed(entry, known)
        case CarrierEventKind.RINGING:
            await ringing(entry, known)
        case CarrierEventKind.ANSWERED:
            await answered(entry, known, longest_call_s)
        case CarrierEventKind.ENDED:
            reason = event.end_reason or EndReason.CARRIER_ERROR
            known |= _answer(entry.attempt, event.answered_at)
            await ended(entry, reason, event.hang_up_by, event.duration_s, event.detail, known)
    return True


async def apply_call(entry: Entry, call: CarrierCall, longest_call_s: float) -> None:
    """Apply what the carrier answered when asked."""
    known = _identity(entry.attempt, call.carrier_call_id, call.data)
    match call.state:
        case CarrierCallState.PLACED:
            await placed(entry, known)
        case CarrierCallState.RINGING:
            await ringing(entry, known)
        case CarrierCallState.ANSWERED:
            await answered(entry, known, longest_call_s)
        case CarrierCallState.ENDED:
            reason = call.end_reason or EndReason.CARRIER_ERROR
            known |= _answer(entry.attempt, call.answered_at)
            await ended(entry, reason, call.hang_up_by, call.duration_s, call.detail, known)


async def placed(entry: Entry, known: dict[str, Any]) -> None:
    """The carrier has the call."""
    if await entry.move(Signal.ACCEPT, **known):
        await _watch(entry)
    elif known and entry.attempt.state not in _OVER:
        await entry.set(**known)


async def ringing(entry: Entry, known: dict[str, Any]) -> None:
    """The person's phone rings."""
    if await entry.move(Signal.RING, **known):
        await _watch(entry)


async def answered(entry: Entry, known: dict[str, Any], longest_call_s: float) -> None:
    """The person's leg is established; a call that we hold to be over has to be hung up."""
    now = entry.now()
    if await entry.move(Signal.ANSWER, **{"answered_at": now, **known}):
        await entry.cancel(TimerKind.RECONCILE, TimerKind.ASK)
        await entry.timer(TimerKind.LONGEST_CALL, _longest(entry.attempt, longest_call_s))
    elif entry.attempt.state in _OVER:
        if known:
            await entry.set(**known)
        await entry.note("late_leg", detail="the carrier has a call of ours that is over here")
        await entry.timer(TimerKind.LATE_LEG, 0)


def _longest(attempt: Attempt, longest_call_s: float) -> float:
    """When a call that was answered is hung up on, whatever else does not: soon, if that was asked for."""
    if not attempt.hang_up_requested:
        return longest_call_s + _LONGEST_CALL_SLACK_S
    return 0.0 if attempt.end_reason is not None else HANG_UP_WITHIN_S


async def ended(
    entry: Entry,
    reason: EndReason,
    hang_up_by: HangUpBy | None,
    duration_s: float | None,
    detail: str,
    known: dict[str, Any],
) -> None:
    """The person's leg is over; a reason that we noted before (such as agent_failed) stands."""
    attempt = entry.attempt
    facts = {
        **known,
        "end_reason": attempt.end_reason or reason,
        "end_detail": attempt.end_detail or detail,
        "hang_up_by": attempt.hang_up_by or hang_up_by,
        "duration_s": duration_s,
    }
    if await entry.move(Signal.END, **facts) and is_unexplained(entry.attempt):
        await entry.timer(TimerKind.FINISH, _EXPLAINED_WITHIN_S)


def is_unexplained(attempt: Attempt) -> bool:
    """Whether we hung up on somebody who had answered, without a reason in the row: an outage holds it up."""
    return (
        attempt.state in _OVER
        and attempt.end_reason is EndReason.COMPLETED
        and attempt.hang_up_by is HangUpBy.US
        and attempt.answered_at is not None
    )


async def human_event(entry: Entry, event: CarrierEvent) -> None:
    """Something about the leg of the human to whom the person is handed over.

    What may mean that nobody is there any more is never believed by itself: a timer has the carrier asked at once,
    whichever process lives, so that the person is neither left alone nor hears two.
    """
    if not entry.attempt.carrier_data.get(HANDED_OVER) or entry.attempt.state not in LIVE:
        return
    if event.kind is CarrierEventKind.ANSWERED:
        await mark(entry, **{HUMAN_ANSWERED: True})
    elif event.kind is CarrierEventKind.ENDED:
        await human_left(entry)
    else:
        await entry.timer(TimerKind.HANDOVER, 0)


async def mark(entry: Entry, **data: bool) -> None:
    """Add to the carrier's data of the row."""
    await entry.set(carrier_data={**entry.attempt.carrier_data, **data})


async def human_left(entry: Entry) -> None:
    """The human who had taken over hung up: the person's leg is still ours to end."""
    attempt = entry.attempt
    if attempt.state in LIVE and attempt.end_reason is None:
        await entry.set(end_reason=EndReason.COMPLETED, hang_up_by=HangUpBy.HUMAN)
        await entry.timer(TimerKind.LONGEST_CALL, 0)


async def _watch(entry: Entry) -> None:
    await entry.cancel(TimerKind.RECONCILE)
    await entry.timer(TimerKind.ASK, 0.0 if entry.attempt.hang_up_requested else _ASK_AGAIN_S)


def _answer(attempt: Attempt, answered_at: datetime | None) -> dict[str, Any]:
    """When the person answered, if that is new: the event that should have told it is late or lost."""
    return {"answered_at": answered_at} if answered_at is not None and attempt.answered_at is None else {}


def _identity(attempt: Attempt, carrier_call_id: str, data: dict[str, Any]) -> dict[str, Any]:
    """The fields by which the carrier knows the call, where they are new."""
    known: dict[str, Any] = {}
    if carrier_call_id and attempt.carrier_call_id is None:
        known["carrier_call_id"] = carrier_call_id
    kept = data.get("keep")
    if isinstance(kept, dict) and kept.items() - attempt.carrier_data.items():
        known["carrier_data"] = {**attempt.carrier_data, **kept}
    return known
