"""What pydantic finds wrong with data, in plain sentences."""

from collections.abc import Mapping
from typing import Any

from callwright.domain.errors import Problem

_SENTENCES: Mapping[str, str] = {
    "missing": "is missing.",
    "extra_forbidden": "is not known here.",
    "string_type": "is not text; what looks like a number, a date or yes and no needs quotes.",
    "string_pattern_mismatch": "does not have the right form, {pattern}.",
    "string_too_short": "is shorter than {min_length} characters.",
    "string_too_long": "is longer than {max_length} characters.",
    "too_short": "has fewer than {min_length} entries.",
    "too_long": "has more than {max_length} entries.",
    "int_type": "is not a whole number.",
    "int_parsing": "is not a whole number.",
    "int_parsing_size": "is not a whole number of a usable size.",
    "int_from_float": "is not a whole number.",
    "float_type": "is not a number.",
    "float_parsing": "is not a number.",
    "finite_number": "is not a finite number.",
    "bool_type": "is neither true nor false.",
    "bool_parsing": "is neither true nor false.",
    "greater_than": "is not above {gt}.",
    "greater_than_equal": "is below {ge}.",
    "less_than": "is not below {lt}.",
    "less_than_equal": "is above {le}.",
    "enum": "is none of {expected}.",
    "dict_type": "is not a mapping of names to values.",
    "model_type": "is not a mapping of names to values.",
    "model_attributes_type": "is not a mapping of names to values.",
    "list_type": "is not a list.",
    "tuple_type": "is not a list.",
}
"""By pydantic's name of the error; the braces are filled from its context."""


class Wrong(ValueError):
    """What a validator of ours found, each with its place; a message alone would lose the places."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("; ".join(str(problem) for problem in problems))


def sentence(found: Mapping[str, Any]) -> str:
    """One of `ValidationError.errors()` as a sentence; the value itself is not repeated."""
    context = found.get("ctx", {})
    known = _SENTENCES.get(found["type"])
    if known is not None:
        return known.format_map(context)
    text = str(context["error"]) if found["type"] == "value_error" else str(found["msg"])
    return text if text.endswith((".", "!", "?")) else f"{text}."


def problems_of(found: Mapping[str, Any], where: str, remedy: str = "") -> list[Problem]:
    """One of `ValidationError.errors()` as problems: those of our own validator, or one at `where`."""
    error = found.get("ctx", {}).get("error")
    if isinstance(error, Wrong):
        return list(error.problems)
    return [Problem(where, sentence(found), remedy)]
