"""Loads a vendor's specifications and makes of them schemas that are as strict as the vendor's prose.

OpenAPI says little about what it does not list: an unknown field is allowed, a discriminator is a hint. Here a
field that no applicable schema declares is an error, and a discriminator selects the schema that applies.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tools.traffic.rewriting import Rewriter, absolute_references, nullable_types

_SCHEME = "spec:"
_POINTER = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Erratum:
    """A place where a specification contradicts the vendor's own pages; `change` is merged into the schema.

    `file` is the file's name, or a pattern of it. Members in `absent` are not mandatory, those in `nullable` may be
    null.
    """

    file: str
    schema: str
    change: Mapping[str, Any]
    reason: str
    absent: frozenset[str] = frozenset()
    nullable: tuple[str, ...] = ()


class Documents:
    """The specifications of one vendor, by file name, with every reference made absolute."""

    def __init__(self, described: Mapping[str, Any], errata: Iterable[Erratum] = ()) -> None:
        raw = dict(described)
        self.absent: set[str] = set()
        """Files that references name and the folder lacks: what they describe is not checked."""
        for name, document in raw.items():
            raw[name] = absolute_references(document, uri(name), self._locate(raw))
            nullable_types(raw[name])
        for erratum in errata:
            (file,) = (name for name in raw if fnmatch(name, erratum.file))
            _mend(raw[file]["components"]["schemas"][erratum.schema], erratum)
        rewriter = Rewriter({uri(name): document for name, document in raw.items()})
        self.by_name: dict[str, Any] = {name: rewriter.document(uri(name)) for name in raw}
        self.site = rewriter.site
        """Makes the schema of a value strict; see Rewriter."""
        resources = [
            (uri(name), DRAFT202012.create_resource(document)) for name, document in self.by_name.items()
        ]
        self.registry: Registry[Any] = Registry().with_resources(resources)

    def site_of(self, reference: str) -> Any:
        """The strict schema of a value that is what `reference` names."""
        return self.site({"$ref": reference})

    def resolve(self, node: Any) -> Any:
        """What a node is, or what it refers to; {} for a reference that leads nowhere."""
        while isinstance(node, dict) and str(node.get("$ref", "")).startswith(_SCHEME):
            reference = node["$ref"]
            base, _, pointer = reference.partition("#")
            node = self.by_name[base.removeprefix(_SCHEME)]
            for part in pointer.strip("/").split("/"):
                if not isinstance(node, dict) or part not in node:
                    self.absent.add(reference.removeprefix(_SCHEME))
                    return {}
                node = node[part]
        return node

    def _locate(self, known: Mapping[str, Any]) -> Any:
        def locate(url: str) -> str | None:
            """The address of a reference to another file; None when the folder lacks it."""
            base, _, pointer = url.partition("#")
            name = base.rpartition("/")[2]
            if name in known:
                return f"{uri(name)}#{pointer}"
            self.absent.add(name)
            return None

        return locate


def uri(name: str) -> str:
    """The address under which a file's schemas are known."""
    return _SCHEME + name


def schema_uri(name: str, schema: str) -> str:
    """The address of one schema of a file."""
    return f"{uri(name)}{_POINTER}{schema}"


def load(path: Path) -> Any:
    """A JSON or YAML document."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)


def _mend(schema: dict[str, Any], erratum: Erratum) -> None:
    _merge(schema, erratum.change)
    if erratum.absent:
        schema["required"] = [name for name in schema["required"] if name not in erratum.absent]
    for name in erratum.nullable:
        schema["properties"][name] = {"anyOf": [schema["properties"][name], {"type": "null"}]}


def _merge(into: dict[str, Any], change: Mapping[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
