"""What is declared of a tool's arguments is checked as the reference implementation checks it, or refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from callwright.domain.json_schema import schema_problems, value_problems

SLOT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "day": {"type": "string", "enum": ["monday", "tuesday"], "description": "Which day."},
        "people": {"type": "integer", "minimum": 1, "maximum": 8},
        "names": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 2},
        "note": {"type": ["string", "null"], "pattern": "^[a-z ]*$"},
    },
    "required": ["day"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "value, told",
    [
        ({"day": "monday", "people": 2, "names": ["Ada"], "note": None}, []),
        ({}, ["day is missing"]),
        ({"day": "sunday"}, ["day must be one of monday, tuesday"]),
        ({"day": "monday", "people": 9}, ["people must be at most 8"]),
        ({"day": "monday", "people": True}, ["people must be of type integer"]),
        ({"day": "monday", "names": ["", "a", "b"]}, None),
        ({"day": "monday", "colour": "red"}, ["colour is not known"]),
        ([], ["the arguments must be of type object"]),
    ],
)
def test_misfits_are_told_by_their_place(value: Any, told: list[str] | None) -> None:
    expected = told or ["names must have at most 2 items", "names[0] must have at least 1 characters"]
    assert sorted(value_problems(SLOT, value)) == ([] if told == [] else sorted(expected))


@pytest.mark.parametrize(
    "schema, told",
    [
        (SLOT, []),
        ({}, []),
        ({"anyOf": []}, ["anyOf is not supported"]),
        ({"properties": {"day": {"type": "date"}}}, None),
        ({"properties": {"day": "string"}}, ["properties.day is not a mapping"]),
        ({"properties": []}, ["properties is not a mapping"]),
        ({"required": "day"}, ["required must be a list of names"]),
        ({"items": {"pattern": "("}}, ["items.pattern is malformed"]),
        ({"minLength": -1, "enum": 1}, ["minLength is malformed", "enum must be a list"]),
        ("object", ["the schema is not a mapping"]),
    ],
)
def test_schemas_that_cannot_be_checked_are_refused(schema: Any, told: list[str] | None) -> None:
    types = "object, array, string, boolean, number, integer, null"
    assert schema_problems(schema) == (
        told if told is not None else [f"properties.day.type must be one of {types}"]
    )


SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "", "a", "ab", "b"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["object", "array", "string", "boolean", "number", "integer", "null"])
        | st.just(["string", "null"]),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": SCALARS,
        "minimum": st.integers(-2, 2),
        "exclusiveMaximum": st.integers(-2, 2),
        "minLength": st.integers(0, 2),
        "maxLength": st.integers(0, 2),
        "pattern": st.sampled_from(["^a", "b$"]),
        "minItems": st.integers(0, 2),
        "maxItems": st.integers(0, 2),
        "required": st.lists(st.sampled_from("abc"), unique=True, max_size=2),
        "additionalProperties": st.booleans(),
    },
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda base, properties, items: {**base, "properties": properties, "items": items},
        LEAVES,
        st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
        inner,
    ),
    max_leaves=3,
)


@given(schema=SCHEMAS, value=VALUES)
def test_it_agrees_with_the_reference_implementation(schema: dict[str, Any], value: Any) -> None:
    assert schema_problems(schema) == []
    assert (value_problems(schema, value) == []) is Draft202012Validator(schema).is_valid(value), (
        schema,
        value,
    )
