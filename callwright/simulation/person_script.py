"""What a scripted person does when called; simulation.people plays it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final, Self


class Manner(StrEnum):
    """What happens when this number is called."""

    ANSWERS = "answers"
    SILENT = "silent"
    HANGS_UP_AT_ONCE = "hangs_up_at_once"
    VOICEMAIL = "voicemail"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    REJECTS = "rejects"
    INVALID = "invalid"
    UNREACHABLE = "unreachable"
    BLOCKED = "blocked"


class RingOutcome(StrEnum):
    """How ringing ends, unless the caller gives up before."""

    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    REJECTED = "rejected"
    INVALID = "invalid"
    UNREACHABLE = "unreachable"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class RingPlan:
    """What the line does: `outcome` comes `after_ms`; `rings` tells whether the phone rings until then."""

    outcome: RingOutcome
    after_ms: int
    rings: bool


_RINGING: Final[dict[Manner, tuple[RingOutcome, int, bool]]] = {
    Manner.ANSWERS: (RingOutcome.ANSWERED, 1500, True),
    Manner.SILENT: (RingOutcome.ANSWERED, 1500, True),
    Manner.HANGS_UP_AT_ONCE: (RingOutcome.ANSWERED, 1500, True),
    Manner.VOICEMAIL: (RingOutcome.ANSWERED, 4000, True),
    Manner.NO_ANSWER: (RingOutcome.NO_ANSWER, 60_000, True),
    Manner.BUSY: (RingOutcome.BUSY, 500, False),
    Manner.REJECTS: (RingOutcome.REJECTED, 2500, True),
    Manner.INVALID: (RingOutcome.INVALID, 100, False),
    Manner.UNREACHABLE: (RingOutcome.UNREACHABLE, 800, False),
    Manner.BLOCKED: (RingOutcome.BLOCKED, 100, False),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """Says `say` and presses `digits` when what was understood matches the pattern `when`, at most `times`."""

    when: str
    say: str | None = None
    digits: str = ""
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Interruption:
    """Starts to speak `after_ms` into an utterance, as soon as what is understood of it matches `when`; once."""

    say: str
    after_ms: int = 1000
    when: str = ""


@dataclass(frozen=True, slots=True)
class PersonScript:
    """How one person behaves on one call. Patterns are regular expressions, searched for without regard to case.

    Of the replies the first that matches is used; `otherwise` where none does. After `hang_up_after` replies, or when
    `hang_up_when` is heard, the person hangs up `hang_up_delay_ms` later; after `patience_s` without a sound on
    the line, too. `greeting_after_ms` counts from answering, `think_ms` from the end of the other side's turn.
    """

    manner: Manner = Manner.ANSWERS
    answer_after_ms: int | None = None
    greeting: str | None = "Hello?"
    greeting_after_ms: int = 300
    replies: tuple[Reply, ...] = ()
    otherwise: str | None = "Yes."
    interrupts: tuple[Interruption, ...] = ()
    think_ms: int = 400
    think_jitter_ms: int = 0
    hang_up_after: int | None = None
    hang_up_when: str | None = r"\bgood ?bye\b"
    hang_up_delay_ms: int = 400
    patience_s: float = 20.0
    record_s: float = 60.0
    beep_ms: int = 500
    voice: str = "en"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a script as YAML gives it; raises ValueError for an unknown key, manner or a bad pattern."""
        known = {item.name for item in fields(cls)}
        if unknown := set(data) - known:
            raise ValueError(f"a person's script has no {', '.join(sorted(unknown))}; known: {sorted(known)}")
        values = dict(data)
        values["manner"] = manner = Manner(values.get("manner", Manner.ANSWERS))
        if manner is Manner.VOICEMAIL:
            values.setdefault(
                "greeting", "You have reached the voicemail of this number. Please leave a message."
            )
        try:
            values["replies"] = tuple(Reply(**item) for item in values.get("replies", ()))
            values["interrupts"] = tuple(Interruption(**item) for item in values.get("interrupts", ()))
        except TypeError as error:
            raise ValueError(f"bad reply or interruption in a person's script: {error}") from error
        script = cls(**values)
        for pattern in script.patterns():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"bad pattern {pattern!r} in a person's script: {error}") from error
        return script

    def patterns(self) -> list[str]:
        """Every pattern in the script."""
        own = [self.hang_up_when] if self.hang_up_when is not None else []
        return own + [reply.when for reply in self.replies] + [item.when for item in self.interrupts]

    def texts(self) -> list[str]:
        """Everything the person may say."""
        candidates = [self.greeting, self.otherwise, *(reply.say for reply in self.replies)]
        candidates += [item.say for item in self.interrupts]
        return [text for text in candidates if text]

    def ring(self) -> RingPlan:
        """What happens while it rings."""
        outcome, after_ms, rings = _RINGING[self.manner]
        return RingPlan(outcome, after_ms if self.answer_after_ms is None else self.answer_after_ms, rings)


def matches(pattern: str, text: str) -> bool:
    """Whether `pattern` is found in `text`, without regard to case."""
    return re.search(pattern, text, re.IGNORECASE) is not None
