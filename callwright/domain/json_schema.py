"""JSON Schema for the arguments of tools: the keywords that tools use, and a refusal of all others.

The keywords mean what draft 2020-12 says; `format` and the annotations are not checked.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

_ANNOTATIONS = frozenset(
    {"$schema", "title", "description", "default", "examples", "format", "deprecated", "$comment"}
)
_MOST_PROBLEMS = 10


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and float(value).is_integer(),
    "null": lambda value: value is None,
}

_Bound = Callable[[Any, Any], bool]
_BOUNDS: dict[str, tuple[str, _Bound, str]] = {
    "minimum": ("number", lambda value, bound: value >= bound, "must be at least {}"),
    "maximum": ("number", lambda value, bound: value <= bound, "must be at most {}"),
    "exclusiveMinimum": ("number", lambda value, bound: value > bound, "must be more than {}"),
    "exclusiveMaximum": ("number", lambda value, bound: value < bound, "must be less than {}"),
    "minLength": ("string", lambda value, bound: len(value) >= bound, "must have at least {} characters"),
    "maxLength": ("string", lambda value, bound: len(value) <= bound, "must have at most {} characters"),
    "pattern": ("string", lambda value, bound: re.search(bound, value) is not None, "must match {}"),
    "minItems": ("array", lambda value, bound: len(value) >= bound, "must have at least {} items"),
    "maxItems": ("array", lambda value, bound: len(value) <= bound, "must have at most {} items"),
}
_NESTED = frozenset({"type", "enum", "const", "properties", "required", "additionalProperties", "items"})


def schema_problems(schema: Any, where: str = "") -> list[str]:
    """What in a schema cannot be checked, or is malformed."""
    if not isinstance(schema, dict):
        return [f"{where or 'the schema'} is not a mapping"]
    at = f"{where}." if where else ""
    unknown = sorted(set(schema) - _ANNOTATIONS - _NESTED - set(_BOUNDS))
    found = [f"{at}{name} is not supported" for name in unknown]
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if not isinstance(types, list) or any(name not in _TYPES for name in types):
        found.append(f"{at}type must be one of {', '.join(_TYPES)}")
    bounds = [name for name in _BOUNDS if name in schema]
    found.extend(f"{at}{name} is malformed" for name in bounds if not _is_bound(name, schema[name]))
    if "enum" in schema and not isinstance(schema["enum"], list):
        found.append(f"{at}enum must be a list")
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        found.append(f"{at}required must be a list of names")
    for name, part in _parts(schema, at):
        found.extend(schema_problems(part, name))
    return found


def value_problems(schema: Mapping[str, Any], value: Any, where: str = "") -> list[str]:
    """Where a value does not fit a schema without problems, at most ten places."""
    return list(_misfits(schema, value, where))[:_MOST_PROBLEMS]


def _misfits(schema: Mapping[str, Any], value: Any, where: str) -> list[str]:
    name = where or "the arguments"
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(_TYPES[kind](value) for kind in types):
        return [f"{name} must be of type {' or '.join(types)}"]
    found = []
    if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
        found.append(f"{name} must be one of {', '.join(map(str, schema['enum']))}")
    if "const" in schema and not _same(value, schema["const"]):
        found.append(f"{name} must be {schema['const']}")
    for keyword, (kind, fits, told) in _BOUNDS.items():
        if keyword in schema and _TYPES[kind](value) and not fits(value, schema[keyword]):
            found.append(f"{name} {told.format(schema[keyword])}")
    if isinstance(value, dict):
        found.extend(_object_misfits(schema, value, f"{where}." if where else ""))
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            found.extend(_misfits(schema["items"], item, f"{where}[{number}]"))
    return found


def _object_misfits(schema: Mapping[str, Any], value: dict[str, Any], at: str) -> list[str]:
    known = schema.get("properties", {})
    found = [f"{at}{name} is missing" for name in schema.get("required", []) if name not in value]
    rest = schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in known:
            found.extend(_misfits(known[name], item, f"{at}{name}"))
        elif rest is False:
            found.append(f"{at}{name} is not known")
        elif isinstance(rest, dict):
            found.extend(_misfits(rest, item, f"{at}{name}"))
    return found


def _parts(schema: dict[str, Any], at: str) -> list[tuple[str, Any]]:
    """The schemas within a schema, with their places."""
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        return [(f"{at}properties", properties)]
    parts = [(f"{at}properties.{name}", part) for name, part in properties.items()]
    if "items" in schema:
        parts.append((f"{at}items", schema["items"]))
    if not isinstance(schema.get("additionalProperties", True), bool):
        parts.append((f"{at}additionalProperties", schema["additionalProperties"]))
    return parts


def _is_bound(name: str, bound: Any) -> bool:
    if name == "pattern":
        try:
            re.compile(bound)
        except (re.error, TypeError):
            return False
        return True
    if _BOUNDS[name][0] != "number":
        return isinstance(bound, int) and not isinstance(bound, bool) and bound >= 0
    return _is_number(bound)


def _same(left: Any, right: Any) -> bool:
    """Equality as JSON has it: true is not 1, 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
    return bool(left == right)
