"""What is wrong with an agent is told in plain sentences, each with its place and what to do."""

from datetime import date
from typing import Any

import pytest

from callwright.domain.agent import AgentDefinition, parse_agent
from callwright.domain.errors import InvalidInput
from callwright.domain.phone import to_e164
from tests.domain.test_agent import GOOD

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "opt-out as text": (
        {"collect": [{"name": "opt_out"}]},
        "collect.opt_out: is of type text; whether somebody opted out is yes or no. Write `type: boolean`.",
    ),
    "default of another type": (
        {"variables": [{"name": "floor", "type": "integer", "default": "many"}]},
        "variables.floor.default: 'many' is not a number. Give a default of type integer, or correct the type.",
    ),
    "default outside the choices": (
        {"variables": [{"name": "size", "type": "choice", "choices": ["s", "m"], "default": "xl"}]},
        "variables.size.default: 'xl' is none of s, m. Give a default of type choice, or correct the type.",
    ),
    "default that is too long": (
        {"variables": [{"name": "town", "max_length": 3, "default": "London"}]},
        "variables.town.default: is longer than 3 characters. Give a default of type text, or correct the type.",
    ),
    "default that is a list": (
        {"variables": [{"name": "town", "default": ["London"]}]},
        (
            "variables.0.default: is neither text, nor a number, nor yes or no. "
            "The value where none is given; it has to be of the variable's type."
        ),
    ),
    "choices missing": (
        {"collect": [{"name": "size", "type": "choice"}]},
        "collect.size.choices: is needed for type choice. List the values.",
    ),
    "choices without need": (
        {"collect": [{"name": "size", "choices": ["s"]}]},
        "collect.size.choices: means nothing for type text. Remove it, or write `type: choice`.",
    ),
    "doubled": (
        {"collect": [{"name": "size"}, {"name": "size"}]},
        "collect.size: is declared more than once. Keep one of them.",
    ),
    "not declared": (
        {"crm": {"system": "s", "phone_fields": ["Phone"], "results": {"size": "Size"}}},
        (
            "crm.results.size: is not declared in `collect`. "
            "Declare it in `collect` (there: budget), or remove it."
        ),
    ),
    "number without quotes": (
        {"caller_id": 447700900001},
        (
            "caller_id: is not text; what looks like a number, a date or yes and no needs quotes. "
            "The number that people see, in quotes; it has to be ours at the carrier."
        ),
    ),
    "bad name": (
        {"name": "Bad Name"},
        (
            "name: does not have the right form, ^[a-z0-9][a-z0-9-]{0,62}$. "
            "Lower case, digits and -; calls name the agent by it."
        ),
    ),
    "too small": ({"limits": {"ring_s": 5}}, "limits.ring_s: is below 15. How long the phone rings."),
    "deep": (
        {"retry": {"busy": {"after_s": 1}}},
        "retry.busy.after_s: is below 60. Seconds until the next attempt; the gate may put it off further.",
    ),
    "time zone": (
        {"time_zone": "Mars"},
        (
            "time_zone: 'Mars' is not a time zone such as Europe/London. "
            "Where the people are, such as Europe/London, if their numbers do not tell it alone."
        ),
    ),
    "unknown": ({"colour": "red"}, "colour: is not known here. Remove it, or check its spelling."),
    "no engine": ({"engine": None}, "engine: is not a mapping of names to values. Who speaks."),
}


@pytest.mark.parametrize("change,text", WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_an_agent_is_said_plainly(change: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_agent({**GOOD, **change})
    assert [str(problem) for problem in caught.value.problems] == [text]


def test_all_names_that_disagree_are_told_at_once() -> None:
    crm = {"system": "s", "phone_fields": ["P"], "results": {"a": "A", "b": "B"}, "variables": {"c": "C"}}
    with pytest.raises(InvalidInput) as caught:
        parse_agent({**GOOD, "crm": crm, "collect": [{"name": "opt_out", "type": "date"}]})
    places = [problem.where for problem in caught.value.problems]
    assert places == ["collect.opt_out", "crm.variables.c", "crm.results.a", "crm.results.b"]


def test_defaults_that_fit_are_taken() -> None:
    variables = [
        {"name": "floor", "type": "integer", "default": 3},
        {"name": "visit", "type": "date", "default": date(2026, 11, 24)},
        {"name": "known", "type": "boolean", "default": "yes"},
        {"name": "size", "type": "choice", "choices": ["s", "m"], "default": "M"},
    ]
    agent = parse_agent({**GOOD, "variables": variables})
    assert [variable.default for variable in agent.variables] == [3, "2026-11-24", "yes", "M"]


def test_the_default_apology_promises_nothing() -> None:
    """Whether there is another call is up to `retry`."""
    assert "again" not in AgentDefinition.model_fields["apology"].default


@pytest.mark.parametrize(
    "raw,text",
    [
        ("07700 900123", "'07700 900123' has no country code."),
        ("+999 1234567", "'+999 1234567' begins with a country code that does not exist."),
        ("call me", "'call me' is not a phone number."),
        ("+44", "'+44' is not a phone number."),
        ("", "'' is not a phone number."),
    ],
)
def test_what_is_wrong_with_a_number_is_said_plainly(raw: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        to_e164(raw)
    (problem,) = caught.value.problems
    assert problem.what == text
    assert "+447700900123" in problem.remedy
