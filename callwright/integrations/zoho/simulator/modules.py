"""Modules and their fields, as the metadata API tells them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_FIXTURE = Path(__file__).parent.parent / "fixtures" / "modules.yaml"
_JSON_TYPES = {
    "integer": "integer",
    "double": "double",
    "currency": "double",
    "percent": "double",
    "boolean": "boolean",
    "lookup": "jsonobject",
    "ownerlookup": "jsonobject",
    "multiselectpicklist": "jsonarray",
}
_LENGTHS = {
    "text": 120,
    "textarea": 2000,
    "email": 100,
    "phone": 30,
    "website": 255,
    "picklist": 120,
    "multiselectpicklist": 1000,
    "integer": 9,
    "bigint": 18,
    "double": 16,
    "currency": 16,
    "percent": 5,
    "boolean": 5,
    "date": 20,
    "datetime": 120,
    "lookup": 120,
    "ownerlookup": 120,
    "formula": 16,
}


@dataclass(slots=True)
class Field:
    """One field; `access` is rw, c (on creation only) or r."""

    name: str
    type: str
    id: str
    length: int
    access: str = "rw"
    decimals: int | None = None
    mandatory: bool = False
    unique: bool = False
    custom: bool = False
    restricted: bool = False
    options: list[str] = field(default_factory=list)
    module: str | None = None

    @property
    def json_type(self) -> str:
        """The JSON type that Zoho expects."""
        return _JSON_TYPES.get(self.type, "string")


@dataclass(slots=True)
class Module:
    """One module and its fields by api_name."""

    name: str
    singular: str
    id: str
    id_prefix: str
    fields: dict[str, Field]


@dataclass(slots=True)
class Organisation:
    """The modules, and where the facts of a world's people go."""

    modules: dict[str, Module]
    facts: dict[str, str]


def load_organisation() -> Organisation:
    """Read fixtures/modules.yaml."""
    data = yaml.safe_load(_FIXTURE.read_text(encoding="utf-8"))
    facts = data.pop("facts")
    modules = {name: _module(name, index, raw) for index, (name, raw) in enumerate(data.items(), 1)}
    return Organisation(modules, facts)


def _module(name: str, index: int, raw: dict[str, Any]) -> Module:
    fields = {}
    for number, (field_name, settings) in enumerate(raw["fields"].items(), 1):
        given: dict[str, Any] = {"type": settings} if isinstance(settings, str) else dict(settings)
        kind = given.pop("type")
        length = given.pop("length", _LENGTHS[kind])
        field_id = f"{raw['id_prefix']}{index:03d}{number:09d}"
        fields[field_name] = Field(name=field_name, type=kind, id=field_id, length=length, **given)
    return Module(name, raw["singular"], f"{raw['id_prefix']}{index:012d}", raw["id_prefix"], fields)
