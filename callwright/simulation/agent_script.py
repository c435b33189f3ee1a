"""The scripted mind of a simulated hosted agent: it asks its questions, and knows only what it understood."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from callwright.simulation.world import PlannedQuestion

Question = PlannedQuestion
"""What to ask, and as which type (string, integer, number, boolean) or choice to understand the answer."""

OPT_OUT: Final = "opt_out"
"""The field that is filled from what the person wishes; a question without `ask` is not asked."""

MAX_REPEATS: Final = 2
"""How often a question is asked again before it is given up."""

NOT_UNDERSTOOD: Final = "Sorry, I did not catch that."
TRANSFERRING: Final = "One moment please, I am connecting you."
STILL_THERE: Final = "Are you still there?"
OPTED_OUT: Final = "I understand, we will not call you again. Goodbye."
GONE: Final = "I cannot hear you. Goodbye."
DECLINED: Final = "No problem. Goodbye."

_OPT_OUT = re.compile(
    r"\b(?:(?:do not|don'?t|never) (?:ever )?(?:call|phone|ring)|stop calling|(?:remove|delete) (?:me|my number)"
    r"|take me off|unsubscribe|opt out)\b",
    re.IGNORECASE,
)
_HUMAN = re.compile(
    r"\b(?:speak|talk|connect|transfer|put)\b.{0,20}\b(?:human|person|someone|somebody|representative|operator|manager)\b"
    r"|\breal person\b",
    re.IGNORECASE,
)
_DECLINE = re.compile(r"\b(?:not interested|no time|(?:good)?bye|good bye)\b", re.IGNORECASE)
_YES = re.compile(
    r"\b(?:yes|yeah|yep|sure|of course|correct|right|certainly|absolutely|ok|okay|i do|i am)\b(?! not\b)",
    re.IGNORECASE,
)
_NO = re.compile(r"\b(?:no|nope|not|never|don'?t|wrong|i'm afraid)\b", re.IGNORECASE)
_AGAIN = re.compile(r"^\W*(?:sorry|pardon|what)\W*$|\b(?:repeat|say (?:that|it) again)\b", re.IGNORECASE)
_GREETING = re.compile(r"\W*(?:hello|hi|hey|good (?:morning|day|afternoon|evening))\W*", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])-?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|(?<![\w.])-?\d+(?:\.\d+)?")
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the agent wants to be run."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """What the agent does next: say something, run a tool, end the call after saying it; or nothing."""

    say: str | None = None
    end_call: bool = False
    tool: ToolCall | None = None


def fill(template: str, variables: Mapping[str, Any]) -> str:
    """Put variables into `{{name}}`; an unknown one is left out."""
    return _VARIABLE.sub(lambda found: str(variables.get(found[1], "")), template)


def extract(question: Question, text: str) -> Value | None:
    """The answer in the words heard, or None; raises ValueError for a question of an unknown type."""
    if question.choices:
        return _choice(question.choices, text)
    reader = _READERS.get(question.type)
    if reader is None:
        raise ValueError(f"question {question.field_id} has type {question.type}; known: {sorted(_READERS)}")
    return reader(text)


def _choice(choices: Sequence[str], text: str) -> str | None:
    found = [
        (match.start(), -len(choice), choice)
        for choice in choices
        if (match := re.search(rf"(?<!\w){re.escape(choice)}(?!\w)", text, re.IGNORECASE))
    ]
    return min(found)[2] if found else None


def _boolean(text: str) -> bool | None:
    yes, no = _YES.search(text), _NO.search(text)
    if yes is None or no is None:
        return None if yes is no else yes is not None
    return yes.start() < no.start()


def _number(text: str) -> float | None:
    found = _NUMBER.search(text)
    return float(found[0].replace(",", "")) if found else None


def _integer(text: str) -> int | None:
    number = _number(text)
    return int(number) if number is not None and number.is_integer() else None


def _string(text: str) -> str | None:
    return text.strip() or None


_READERS: dict[str, Callable[[str], Value | None]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}


class AgentScript:
    """One conversation of the agent; pure, and without any notion of time."""

    def __init__(
        self, first_message: str, questions: Sequence[Question], closing: str, variables: Mapping[str, Any]
    ) -> None:
        self._first_message = first_message
        self._questions = tuple(question for question in questions if question.ask)
        self._closing = closing
        self._variables = dict(variables)
        self._answers: dict[str, Value | None] = {question.field_id: None for question in questions}
        self._asked = -1
        self._repeats = 0
        self._silences = 0
        self._last = ""
        self._cut = False
        self.opted_out = False
        """Whether the person does not want to be called any more."""
        self.wants_human = False
        """Whether the person asked for a human."""
        self.ended = False
        """Whether the agent has said its last word."""

    def update_variables(self, variables: Mapping[str, Any]) -> None:
        """Take variables that changed in mid-call; what is said from now on has them."""
        self._variables.update(variables)

    def opening(self) -> str:
        """The first message, with its variables."""
        self._last = fill(self._first_message, self._variables)
        return self._last

    def interrupted(self) -> None:
        """The person spoke up before the agent's words were out: they are said again to a mere greeting."""
        self._cut = True

    def heard(self, text: str, *, complete: bool) -> Turn:
        """The person has said `text`; `complete` is False when it was cut short or arrived damaged.

        Raises ValueError for a question of an unknown type.
        """
        if self.ended:
            return Turn(end_call=True)
        turn = self._wish(text) or self._answer(text, complete=complete)
        self._silences, self._cut = 0, False
        self._last = turn.say or self._last
        return turn

    def silence(self) -> Turn:
        """The person has said nothing for as long as the platform waits: ask whether they are there, then end."""
        if self.ended:
            return Turn(end_call=True)
        self._silences += 1
        return Turn(STILL_THERE) if self._silences <= MAX_REPEATS else self._end(GONE)

    def collected(self) -> dict[str, Value | None]:
        """The answers by field, None where there is none; a field `opt_out` tells of the wish not to be called."""
        if OPT_OUT in self._answers:
            return {**self._answers, OPT_OUT: self.opted_out}
        return dict(self._answers)

    def summary(self) -> str:
        """One or two sentences about the conversation."""
        answered = {name: value for name, value in self._answers.items() if value is not None}
        facts = ", ".join(f"{name} = {value}" for name, value in answered.items()) or "nothing"
        text = f"{len(answered)} of {len(self._answers)} questions were answered: {facts}."
        if self.opted_out:
            text += " The person does not want to be called again."
        if self.wants_human:
            text += " The person asked for a human."
        return text

    def _wish(self, text: str) -> Turn | None:
        """What the person wants beside answering."""
        if _OPT_OUT.search(text):
            self.opted_out = True
            return self._end(OPTED_OUT)
        if _HUMAN.search(text):
            self.wants_human = True
            return Turn(TRANSFERRING, tool=ToolCall("transfer_to_human", {"reason": text}))
        if _DECLINE.search(text):
            return self._end(DECLINED)
        if self._cut and _GREETING.fullmatch(text):
            return Turn(self._last)
        return None

    def _answer(self, text: str, *, complete: bool) -> Turn:
        if self._asked < 0:
            return self._ask_next("")
        question = self._questions[self._asked]
        unsure = _AGAIN.search(text) or (question.type == "string" and not complete)
        value = None if unsure else extract(question, text)
        if value is not None:
            self._answers[question.field_id] = value
            return self._ask_next("Thank you. ")
        if self._repeats < MAX_REPEATS:
            self._repeats += 1
            return Turn(f"{NOT_UNDERSTOOD} {fill(question.ask, self._variables)}")
        return self._ask_next("Never mind. ")

    def _ask_next(self, lead_in: str) -> Turn:
        self._asked += 1
        self._repeats = 0
        if self._asked >= len(self._questions):
            return self._end(lead_in + fill(self._closing, self._variables))
        return Turn(lead_in + fill(self._questions[self._asked].ask, self._variables))

    def _end(self, words: str) -> Turn:
        self.ended = True
        return Turn(words, end_call=True)
