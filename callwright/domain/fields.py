"""Declared variables and collected fields, and how a value becomes one of the declared type."""

import math
import re
from datetime import date, datetime, time
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from callwright.domain.errors import Problem
from callwright.domain.wording import Wrong

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="lower case, digits and _")]

_YES = frozenset({"true", "yes", "y", "1", "on"})
_NO = frozenset({"false", "no", "n", "0", "off"})
_NUMBER = re.compile(r"^[+-]?\d[\d, ]*(?:\.\d+)?$")


class FieldType(StrEnum):
    """The types that a variable or a collected field may have."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    CHOICE = "choice"


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    section: ClassVar[str]

    name: Name = Field(description="Lower case, digits and _.")
    type: FieldType = Field(FieldType.TEXT, description="What its value has to be.")
    description: str = Field("", description="For people.")
    required: bool = Field(
        False,
        description="Of a variable: without a value nobody is called. Collected: reported when missing.",
    )
    choices: tuple[str, ...] = Field((), description="The values of type choice.")
    max_length: int | None = Field(None, ge=1, le=65535, description="Longest text, in characters.")

    @model_validator(mode="after")
    def _choices_fit(self) -> "_Declared":
        if (self.type is FieldType.CHOICE) != bool(self.choices):
            needed = self.type is FieldType.CHOICE
            what = "is needed for type choice." if needed else f"means nothing for type {self.type}."
            remedy = "List the values." if needed else "Remove it, or write `type: choice`."
            raise Wrong(Problem(f"{self.section}.{self.name}.choices", what, remedy))
        return self


class Variable(_Declared):
    """A value that the agent is given before the call."""

    section = "variables"

    default: str | int | float | bool | None = Field(
        None, description="The value where none is given; it has to be of the variable's type."
    )

    @field_validator("default", mode="before")
    @classmethod
    def _one_value(cls, value: Any) -> Any:
        """YAML reads unquoted dates as such."""
        if isinstance(value, date | time | datetime):
            return value.isoformat()
        if value is not None and not isinstance(value, str | int | float):
            raise ValueError("is neither text, nor a number, nor yes or no")
        return value

    @model_validator(mode="after")
    def _default_fits(self) -> "Variable":
        try:
            coerce(self, self.default)
        except ValueError as error:
            remedy = f"Give a default of type {self.type}, or correct the type."
            raise Wrong(Problem(f"{self.section}.{self.name}.default", f"{error}.", remedy)) from error
        return self


class CollectedField(_Declared):
    """A value that the agent is asked to find out; `ask` is the question it may use."""

    section = "collect"

    ask: str = Field("", description="The question; for people, the platform's agent has its own.")


def coerce(declared: _Declared, raw: Any) -> Any:
    """Turn a raw value into the declared type, as JSON-friendly data; None stays None.

    Dates and times become ISO 8601 text. Raises ValueError saying what was expected.
    """
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return None
    value = _CONVERT[declared.type](raw)
    if declared.type is FieldType.CHOICE:
        return _choose(declared.choices, value)
    if declared.max_length and isinstance(value, str) and len(value) > declared.max_length:
        raise ValueError(f"is longer than {declared.max_length} characters")
    return value


def _text(raw: Any) -> str:
    if isinstance(raw, dict):
        raw = raw.get("name", raw)
    if isinstance(raw, (list, tuple)):
        return ", ".join(str(item) for item in raw)
    return str(raw).strip()


def _number(raw: Any) -> int | float:
    if isinstance(raw, bool):
        raise ValueError("is true or false, not a number")
    if isinstance(raw, (int, float)):
        number: int | float = raw
    else:
        text = str(raw).strip()
        if not _NUMBER.match(text):
            raise ValueError(f"{text!r} is not a number")
        number = float(text.replace(",", "").replace(" ", ""))
    if not math.isfinite(number):
        raise ValueError("is not a finite number")
    return int(number) if float(number).is_integer() else number


def _integer(raw: Any) -> int:
    number = _number(raw)
    if not isinstance(number, int):
        raise ValueError(f"{number} is not a whole number")
    return number


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    text = str(raw).strip().lower()
    if text in _YES or text in _NO:
        return text in _YES
    raise ValueError(f"{raw!r} is neither yes nor no")


def _iso(kind: type[date] | type[time] | type[datetime]) -> Any:
    def convert(raw: Any) -> str:
        if isinstance(raw, kind):
            return raw.isoformat()
        try:
            return kind.fromisoformat(str(raw).strip()).isoformat()
        except ValueError as error:
            raise ValueError(f"{raw!r} is not an ISO 8601 {kind.__name__}") from error

    return convert


def _choose(choices: tuple[str, ...], value: str) -> str:
    for choice in choices:
        if choice.casefold() == value.casefold():
            return choice
    raise ValueError(f"{value!r} is none of {', '.join(choices)}")


_CONVERT: dict[FieldType, Any] = {
    FieldType.TEXT: _text,
    FieldType.INTEGER: _integer,
    FieldType.NUMBER: _number,
    FieldType.BOOLEAN: _boolean,
    FieldType.DATE: _iso(date),
    FieldType.TIME: _iso(time),
    FieldType.DATETIME: _iso(datetime),
    FieldType.CHOICE: _text,
}
