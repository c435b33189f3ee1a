"""What is wrong with a value, by a strict schema, in one line each."""

import json
from datetime import date, datetime
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]  # ships no types
from jsonschema.exceptions import best_match  # type: ignore[import-untyped]  # as above

from tools.traffic.documents import Documents

_SHOWN = 200
_STRAY = "unevaluatedProperties"
_LIMITS = {"int32": 2**31, "int64": 2**63}

_formats = FormatChecker(formats=())


def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or bool(datetime.fromisoformat(value))


def _is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


def _fits(value: object, limit: int) -> bool:
    return not isinstance(value, int) or -limit <= value < limit


_formats.checks("date-time", ValueError)(_is_moment)
_formats.checks("date", ValueError)(_is_date)
for _name, _limit in _LIMITS.items():
    _formats.checks(_name)(lambda value, limit=_limit: _fits(value, limit))


class Checker:
    """Validates values against schemas whose references a vendor's documents hold."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def problems(self, schema: Any, value: Any, where: str) -> list[str]:
        """Everything wrong with a decoded value; `where` begins each line."""
        validator = Draft202012Validator(schema, registry=self._documents.registry, format_checker=_formats)
        errors = [best_match([error]) or error for error in validator.iter_errors(value)]
        told = [(_place(error), error) for error in errors]
        others = [place for place, error in told if error.validator != _STRAY]
        # Where something else is wrong with an object, all of its fields count as undeclared.
        worth = [
            (place, error)
            for place, error in told
            if error.validator != _STRAY or not any(other.startswith(place) for other in others)
        ]
        return sorted({f"{where}{place}: {_short(error.message)}" for place, error in worth})

    def text_problems(self, schema: Any, text: str, where: str) -> list[str]:
        """As `problems`, for a parameter, which travels as text: it may be any value that the text can mean."""
        attempts = [self.problems(schema, value, where) for value in _readings(text)]
        return min(attempts, key=len)


def _place(error: Any) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return "".join(parts)


def _readings(text: str) -> list[Any]:
    readings: list[Any] = [text]
    if text in {"true", "false"} or text.removeprefix("-").replace(".", "", 1).isdigit():
        readings.append(json.loads(text))
    readings.append(text.split(","))
    return readings


def _short(message: str) -> str:
    return message if len(message) <= _SHOWN else f"{message[: _SHOWN // 2]} ... {message[-_SHOWN // 2 :]}"
