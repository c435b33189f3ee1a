"""Turns schemas of OpenAPI 3.0, 3.1 and AsyncAPI 2 into strict JSON Schema 2020-12."""

import copy
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any

_BASE = "__base"
_BRANCHES = ("allOf", "anyOf", "oneOf")
_MAPS_OF_SITES = ("properties", "patternProperties")
_SITES = ("items", "additionalProperties")


class _Shape(Enum):
    """What a schema says about an object's fields."""

    NOTHING = auto()
    OPEN = auto()
    CLOSED = auto()


def absolute_references(node: Any, base: str, locate: Callable[[str], str | None]) -> Any:
    """A copy in which every `$ref` names its document; one that cannot be found becomes `{}`."""
    if isinstance(node, list):
        return [absolute_references(item, base, locate) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        target = base + reference if reference.startswith("#") else locate(reference)
        return {} if target is None else {"$ref": target}
    return {
        key: _targets(value, base) if _is_mapping(key, value) else absolute_references(value, base, locate)
        for key, value in node.items()
    }


def nullable_types(node: Any) -> None:
    """Say `nullable: true` of OpenAPI 3.0 as a type, in place."""
    if isinstance(node, list):
        for item in node:
            nullable_types(item)
    elif isinstance(node, dict):
        for item in node.values():
            nullable_types(item)
        if node.get("nullable") is True:
            bare = {key: value for key, value in node.items() if key != "nullable"}
            node.clear()
            node["anyOf"] = [bare, {"type": "null"}]


class Rewriter:
    """Rewrites whole documents that may refer to one another."""

    def __init__(self, documents: Mapping[str, Any]) -> None:
        self._documents = documents

    def document(self, uri: str) -> Any:
        """A copy of a document whose component schemas are strict; its operations use `site` for their own."""
        document = copy.deepcopy(self._documents[uri])
        schemas = document.get("components", {}).get("schemas", {})
        rewritten: dict[str, Any] = {}
        for name, schema in schemas.items():
            mapping = _mapping_of(schema)
            if not mapping:
                rewritten[name] = self._inside(schema)
                continue
            own = f"{uri}#/components/schemas/{name}"
            rewritten[name + _BASE] = self._inside(schema)
            rewritten[name] = _selection(own + _BASE, schema["discriminator"]["propertyName"], mapping)
        for name, schema in schemas.items():
            mapping = _mapping_of(schema)
            for target in mapping.values():
                _inherit_base(rewritten[target.rpartition("/")[2]], f"{uri}#/components/schemas/{name}")
        if schemas:
            document["components"]["schemas"] = rewritten
        return document

    def site(self, schema: Any) -> Any:
        """A schema where a value stands: fields that nothing in it declares are errors."""
        if not isinstance(schema, dict):
            return schema
        inner = self._inside(schema)
        if self._shape(schema, frozenset()) is _Shape.CLOSED:
            return {"allOf": [inner], "unevaluatedProperties": False}
        return inner

    def _inside(self, schema: Any) -> Any:
        """A schema that may be part of a composition: strict in what it contains, open itself."""
        if not isinstance(schema, dict):
            return schema
        result = dict(schema)
        result.pop("discriminator", None)
        for key in _MAPS_OF_SITES:
            if isinstance(result.get(key), dict):
                result[key] = {name: self.site(value) for name, value in result[key].items()}
        for key in _SITES:
            if isinstance(result.get(key), dict):
                result[key] = self.site(result[key])
        for key in _BRANCHES:
            if isinstance(result.get(key), list):
                result[key] = [self._inside(item) for item in result[key]]
        if "oneOf" in result:
            # Branches are told apart by fields that specifications often leave optional: one match is enough.
            result.setdefault("allOf", []).append({"anyOf": result.pop("oneOf")})
        return result

    def _shape(self, schema: Any, seen: frozenset[str]) -> _Shape:
        if not isinstance(schema, dict):
            return _Shape.OPEN
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return _Shape.NOTHING if reference in seen else self._shape_of(reference, seen)
        shapes = [_own_shape(schema)]
        shapes += [self._shape(item, seen) for item in schema.get("allOf", ())]
        for key in ("anyOf", "oneOf"):
            branches = [self._shape_as_branch(item, seen) for item in schema.get(key, ())]
            shapes += [_Shape.OPEN] if _Shape.OPEN in branches else branches
        if _Shape.OPEN in shapes:
            return _Shape.OPEN
        return _Shape.CLOSED if _Shape.CLOSED in shapes else _Shape.NOTHING

    def _shape_of(self, reference: str, seen: frozenset[str]) -> _Shape:
        base, _, pointer = reference.partition("#")
        node = self._documents[base]
        for part in pointer.strip("/").split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return self._shape(node, seen | {reference})

    def _shape_as_branch(self, schema: Any, seen: frozenset[str]) -> _Shape:
        """An alternative that says nothing at all admits everything."""
        if not isinstance(schema, dict) or not schema.keys() - {"title", "description", "examples"}:
            return _Shape.OPEN
        return self._shape(schema, seen)


def _own_shape(schema: Mapping[str, Any]) -> _Shape:
    if "additionalProperties" in schema:
        return _Shape.OPEN  # it has its own say about fields that are not listed
    if isinstance(schema.get("properties"), dict):
        return _Shape.CLOSED
    composed = any(key in schema for key in (*_BRANCHES, "$ref"))
    return _Shape.OPEN if schema.get("type") == "object" and not composed else _Shape.NOTHING


def _mapping_of(schema: Any) -> dict[str, str]:
    """The schemas that a discriminator selects; empty for one beside `oneOf`, which selects by itself."""
    if not isinstance(schema, dict) or "oneOf" in schema or "anyOf" in schema:
        return {}
    mapping = (schema.get("discriminator") or {}).get("mapping")
    return dict(mapping) if isinstance(mapping, dict) else {}


def _selection(base: str, name: str, mapping: Mapping[str, str]) -> dict[str, Any]:
    conditions = [
        {
            "if": {"required": [name], "properties": {name: {"const": value}}},
            "then": {"$ref": target},
        }
        for value, target in mapping.items()
    ]
    return {"allOf": [{"$ref": base}, *conditions]}


def _inherit_base(schema: Any, parent: str) -> None:
    """Let a sub-type's `allOf` name its parent without the parent's selection, which would name it again."""
    for part in schema.get("allOf", ()):
        if part.get("$ref") == parent:
            part["$ref"] = parent + _BASE


def _is_mapping(key: str, value: Any) -> bool:
    """Whether this is a discriminator's mapping, whose texts are references."""
    return (
        key == "mapping" and isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    )


def _targets(mapping: Mapping[str, str], base: str) -> dict[str, str]:
    return {key: base + item if item.startswith("#") else item for key, item in mapping.items()}
