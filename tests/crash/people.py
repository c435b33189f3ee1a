"""Whom the crash test calls: people of every kind, one number and one CRM record each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from callwright.domain.outcome import EndReason

_TALKS: dict[str, Any] = {
    "manner": "answers",
    "answer_after_ms": 200,
    "greeting": "Hi.",
    "patience_s": 60,
    "replies": [{"when": "interested", "say": "Yes."}],
}

CUT_SHORT = frozenset({EndReason.MEDIA_FAILED, EndReason.AGENT_FAILED})
"""How a call to somebody who answered may end when the process that held it died."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of person: their script, and the reasons that are right if the carrier ever dialled them."""

    name: str
    script: dict[str, Any]
    reasons: frozenset[EndReason]


TALKER = Kind("talker", _TALKS, CUT_SHORT | {EndReason.COMPLETED})
BUSY = Kind("busy", {"manner": "busy"}, frozenset({EndReason.BUSY}))
AWAY = Kind("away", {"manner": "no_answer", "answer_after_ms": 1500}, frozenset({EndReason.NO_ANSWER}))
MACHINE = Kind(
    "machine",
    {"manner": "voicemail", "answer_after_ms": 300},
    CUT_SHORT | {EndReason.COMPLETED, EndReason.MACHINE},
)
HASTY = Kind(
    "hasty",
    {"manner": "hangs_up_at_once", "answer_after_ms": 300, "hang_up_delay_ms": 800},
    CUT_SHORT | {EndReason.COMPLETED},
)
REJECTS = Kind("rejects", {"manner": "rejects", "answer_after_ms": 700}, frozenset({EndReason.REJECTED}))
WRONG = Kind("wrong", {"manner": "invalid"}, frozenset({EndReason.INVALID_NUMBER}))


@dataclass(frozen=True, slots=True)
class Callee:
    """One person to be called once; who is to be called twice appears a second time."""

    phone: str
    kind: Kind
    time: int = 1


def callees(*kinds: Kind) -> list[Callee]:
    """One person of each kind given, in this order, each with a number of their own."""
    numbers = _numbers()
    return [Callee(next(numbers), kind) for kind in kinds]


def some_twice(people: list[Callee], every: int) -> list[Callee]:
    """After each `every`-th person the same one again, so that two calls want one number at once."""
    again = {
        index: replace(person, time=2) for index, person in enumerate(people) if index % every == every - 1
    }
    return [item for index, person in enumerate(people) for item in (person, again.get(index)) if item]


def _numbers() -> Iterator[str]:
    """Numbers that are kept free for fiction."""
    return (f"+447700900{number:03d}" for number in range(101, 999))
