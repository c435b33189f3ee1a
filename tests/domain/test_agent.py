"""Agents and their fields: good ones are read, bad ones are refused with every problem at once."""

from typing import Any

import pytest

from callwright.domain.agent import parse_agent
from callwright.domain.errors import InvalidInput
from callwright.domain.fields import CollectedField, FieldType, coerce
from callwright.domain.phone import to_e164

GOOD: dict[str, Any] = {
    "name": "reminder",
    "carrier": "acme",
    "caller_id": "+447700900001",
    "engine": {"platform": "voices", "agent_id": "a1"},
    "variables": [{"name": "first_name", "default": "there"}],
    "collect": [{"name": "budget", "type": "integer"}],
}


def test_a_small_agent_is_complete() -> None:
    """Everything else has a default."""
    agent = parse_agent(GOOD)
    assert agent.limits.ring_s == 30
    assert agent.record


def test_every_problem_is_reported_at_once() -> None:
    """Nobody wants to mend a file one error at a time."""
    bad = {**GOOD, "caller_id": "0770", "colour": "red", "limits": {"ring_s": 5}, "calling_hours": "whenever"}
    with pytest.raises(InvalidInput) as caught:
        parse_agent(bad)
    assert {problem.where for problem in caught.value.problems} == {
        "caller_id",
        "colour",
        "limits.ring_s",
        "calling_hours",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"collect": [{"name": "a", "type": "choice"}]},
        {"collect": [{"name": "a"}, {"name": "a"}]},
        {"crm": {"system": "s", "phone_fields": ["Phone"], "results": {"nothing": "X"}}},
        {"crm": {"system": "s", "phone_fields": []}},
        {"retry": {"busy": {"after_s": 1}}},
        {"time_zone": "Mars/Olympus"},
        [],
        None,
    ],
)
def test_what_is_refused(change: Any) -> None:
    """Undeclared names, missing choices, doubled names, impossible values."""
    with pytest.raises(InvalidInput):
        parse_agent({**GOOD, **change} if isinstance(change, dict) else change)


@pytest.mark.parametrize(
    "kind, raw, value",
    [
        (FieldType.TEXT, "  x ", "x"),
        (FieldType.TEXT, {"id": "1", "name": "Ada"}, "Ada"),
        (FieldType.INTEGER, "1,200", 1200),
        (FieldType.INTEGER, 3.0, 3),
        (FieldType.NUMBER, "1.5", 1.5),
        (FieldType.BOOLEAN, "Yes", True),
        (FieldType.BOOLEAN, False, False),
        (FieldType.DATE, "2026-11-24", "2026-11-24"),
        (FieldType.TIME, "14:30", "14:30:00"),
        (FieldType.TEXT, "   ", None),
        (FieldType.INTEGER, None, None),
    ],
)
def test_values_become_their_type(kind: FieldType, raw: Any, value: Any) -> None:
    """What a CRM or a platform gives is turned into the declared type."""
    assert coerce(CollectedField(name="f", type=kind), raw) == value


@pytest.mark.parametrize(
    "kind, raw",
    [
        (FieldType.INTEGER, "1.5"),
        (FieldType.INTEGER, True),
        (FieldType.NUMBER, "about ten"),
        (FieldType.NUMBER, float("nan")),
        (FieldType.BOOLEAN, "perhaps"),
        (FieldType.DATE, "tomorrow"),
    ],
)
def test_values_that_do_not_fit(kind: FieldType, raw: Any) -> None:
    """A value of another type is refused, not bent."""
    with pytest.raises(ValueError, match=r"."):
        coerce(CollectedField(name="f", type=kind), raw)


@pytest.mark.parametrize(
    "raw, region, expected",
    [
        ("+44 7700 900123", None, "+447700900123"),
        ("0044 7700 900123", None, "+447700900123"),
        ("'+447700900123", None, "+447700900123"),
        ("07700 900123", "GB", "+447700900123"),
    ],
)
def test_numbers_become_e164(raw: str, region: str | None, expected: str) -> None:
    """However people write them."""
    assert to_e164(raw, region) == expected


@pytest.mark.parametrize(
    "raw", ["", "call me", "07700 900123", "+44", "+4477009", "+1 415 555 2671 x12", "9.19876543210E+11"]
)
def test_what_is_no_number(raw: str) -> None:
    """Guessing a number would call a stranger."""
    with pytest.raises(InvalidInput):
        to_e164(raw)
