"""The life of a call as a table: state x signal -> state. docs/call-states.md is generated from it."""

from enum import StrEnum

from callwright.domain.errors import IllegalTransition


class CallState(StrEnum):
    """Where a call is. From DIALING on, the person's number is locked until ENDED."""

    QUEUED = "queued"
    PREPARING = "preparing"
    DIALING = "dialing"
    UNKNOWN = "unknown"
    PLACED = "placed"
    RINGING = "ringing"
    ANSWERED = "answered"
    TALKING = "talking"
    ENDED = "ended"
    DONE = "done"


class Signal(StrEnum):
    """What moves a call: our own decisions, and what the carrier tells."""

    START = "start"
    DEFER = "defer"
    REFUSE = "refuse"
    INTEND = "intend"
    ACCEPT = "accept"
    FAIL = "fail"
    LOSE = "lose"
    RING = "ring"
    ANSWER = "answer"
    TALK = "talk"
    END = "end"
    FINISH = "finish"
    REOPEN = "reopen"


TRANSITIONS: dict[CallState, dict[Signal, CallState]] = {
    CallState.QUEUED: {
        Signal.START: CallState.PREPARING,
        Signal.DEFER: CallState.QUEUED,
        Signal.REFUSE: CallState.ENDED,
        Signal.END: CallState.ENDED,
    },
    CallState.PREPARING: {
        Signal.START: CallState.PREPARING,
        Signal.DEFER: CallState.QUEUED,
        Signal.REFUSE: CallState.ENDED,
        Signal.INTEND: CallState.DIALING,
        Signal.END: CallState.ENDED,
    },
    CallState.DIALING: {
        Signal.DEFER: CallState.QUEUED,
        Signal.ACCEPT: CallState.PLACED,
        Signal.FAIL: CallState.ENDED,
        Signal.LOSE: CallState.UNKNOWN,
        Signal.RING: CallState.RINGING,
        Signal.ANSWER: CallState.ANSWERED,
        Signal.END: CallState.ENDED,
    },
    CallState.UNKNOWN: {
        Signal.LOSE: CallState.UNKNOWN,
        Signal.ACCEPT: CallState.PLACED,
        Signal.FAIL: CallState.ENDED,
        Signal.RING: CallState.RINGING,
        Signal.ANSWER: CallState.ANSWERED,
        Signal.END: CallState.ENDED,
    },
    CallState.PLACED: {
        Signal.RING: CallState.RINGING,
        Signal.ANSWER: CallState.ANSWERED,
        Signal.END: CallState.ENDED,
    },
    CallState.RINGING: {
        Signal.ANSWER: CallState.ANSWERED,
        Signal.END: CallState.ENDED,
    },
    CallState.ANSWERED: {
        Signal.TALK: CallState.TALKING,
        Signal.END: CallState.ENDED,
    },
    CallState.TALKING: {
        Signal.END: CallState.ENDED,
    },
    CallState.ENDED: {
        Signal.FINISH: CallState.DONE,
    },
    CallState.DONE: {
        Signal.REOPEN: CallState.ENDED,
    },
}

FROM_CARRIER = frozenset({Signal.ACCEPT, Signal.RING, Signal.ANSWER, Signal.TALK, Signal.END})
"""Signals that a vendor may repeat, delay or reorder: where the table has no entry they change nothing."""

IN_FLIGHT = frozenset(
    {
        CallState.PREPARING,
        CallState.DIALING,
        CallState.UNKNOWN,
        CallState.PLACED,
        CallState.RINGING,
        CallState.ANSWERED,
        CallState.TALKING,
    }
)
"""States in which the number is locked: no second call to it may start."""

LIVE = frozenset({CallState.PLACED, CallState.RINGING, CallState.ANSWERED, CallState.TALKING})
"""States in which the carrier has a call of ours."""


def advance(state: CallState, signal: Signal) -> CallState | None:
    """The next state, or None when a vendor's signal comes late or twice and changes nothing.

    Raises IllegalTransition for a signal of our own that the state does not know.
    """
    target = TRANSITIONS[state].get(signal)
    if target is None and signal not in FROM_CARRIER:
        known = ", ".join(sorted(TRANSITIONS[state])) or "none"
        raise IllegalTransition(f"a call in state {state} got {signal}; it knows {known}")
    return target
