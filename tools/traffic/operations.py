"""HTTP requests against the operations of a vendor's OpenAPI documents: path, query and body."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tools.traffic.documents import Documents
from tools.traffic.problems import Checker

_METHODS = ("get", "put", "post", "delete", "patch")
_PLACEHOLDER = re.compile(r"\{([^{}/]+)\}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation; `place` is `path` or `query`, `schema` is strict."""

    name: str
    place: str
    required: bool
    schema: Any


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `body` is None when it takes none, `answers` are schemas by status as written."""

    method: str
    template: str
    parameters: tuple[Parameter, ...]
    body: Any
    body_required: bool
    answers: Mapping[str, Any]
    pattern: re.Pattern[str]

    @property
    def name(self) -> str:
        """How it is called in a report."""
        return f"{self.method} {self.template}"

    @property
    def openness(self) -> int:
        """How many parts of the path are placeholders: the fewest fit best."""
        return len(_PLACEHOLDER.findall(self.template))


class Operations:
    """Every operation of some documents."""

    def __init__(self, documents: Documents, checker: Checker, bodies: Mapping[str, Any]) -> None:
        """`bodies`: operation -> schemas of fields of its body that the document leaves free."""
        self._checker = checker
        self._all = [
            _with_body(operation, bodies.get(operation.name))
            for document in documents.by_name.values()
            for operation in _operations(documents, document)
        ]

    def find(self, method: str, path: str) -> list[Operation]:
        """Operations that a request may be, of which the path has the fewest placeholders."""
        fitting = [item for item in self._all if item.method == method and item.pattern.fullmatch(path)]
        least = min((item.openness for item in fitting), default=0)
        return [item for item in fitting if item.openness == least]

    def problems(
        self, operation: Operation, path: str, query: Mapping[str, str | list[str]], body: Any
    ) -> list[str]:
        """What is wrong with a request that is this operation."""
        match = operation.pattern.fullmatch(path)
        given: dict[str, dict[str, str | list[str]]] = {
            "path": dict(match.groupdict()) if match else {},
            "query": dict(query),
        }
        found = list(self._parameter_problems(operation, given))
        if body is None:
            return [*found, "the body is missing"] if operation.body_required else found
        if operation.body is None:
            return [*found, "has a body, and the operation takes none"]
        return found + self._checker.problems(operation.body, body, "body")

    def _parameter_problems(
        self, operation: Operation, given: Mapping[str, Mapping[str, str | list[str]]]
    ) -> Iterator[str]:
        known = {item.name for item in operation.parameters if item.place == "query"}
        yield from (f"query {name}: is unknown" for name in given["query"] if name not in known)
        for item in operation.parameters:
            value = given[item.place].get(_group(item.name) if item.place == "path" else item.name)
            if value is None:
                if item.required:
                    yield f"{item.place} {item.name}: is missing"
                continue
            where = f"{item.place} {item.name}"
            if isinstance(value, list):
                yield from self._checker.problems(item.schema, value, where)
            elif not value:
                yield f"{where}: has no value"
            else:
                yield from self._checker.text_problems(item.schema, value, where)


def _operations(documents: Documents, document: Any) -> Iterator[Operation]:
    for template, shared in document.get("paths", {}).items():
        for method in _METHODS:
            if method not in shared:
                continue
            raw = shared[method]
            parameters = [
                documents.resolve(item)
                for item in (*shared.get("parameters", ()), *raw.get("parameters", ()))
            ]
            request = documents.resolve(raw.get("requestBody") or {})
            yield Operation(
                method.upper(),
                template,
                tuple(
                    Parameter(
                        item["name"],
                        item["in"],
                        item.get("required") is True,
                        documents.site(item.get("schema", {})),
                    )
                    for item in parameters
                    if item.get("in") in {"path", "query"}
                ),
                _content(documents, request),
                request.get("required") is True,
                {
                    str(status): _content(documents, documents.resolve(answer))
                    for status, answer in raw.get("responses", {}).items()
                },
                _pattern(template),
            )


def _with_body(operation: Operation, fields: Any) -> Operation:
    """The operation whose body is also held to what other documents say about its fields."""
    if fields is None:
        return operation
    body = {"allOf": [operation.body, {"properties": fields}]}
    return Operation(
        operation.method,
        operation.template,
        operation.parameters,
        body,
        operation.body_required,
        operation.answers,
        operation.pattern,
    )


def _content(documents: Documents, holder: Any) -> Any:
    """The strict schema of a JSON body; None if there is none, {} for any other kind of body."""
    content = holder.get("content") or {}
    for kind, media in content.items():
        if "json" in kind:
            return documents.site(media.get("schema", {}))
    return {} if content else None


def _pattern(template: str) -> re.Pattern[str]:
    parts = _PLACEHOLDER.split(template)
    texts = [
        f"(?P<{_group(part)}>[^/]+)" if position % 2 else re.escape(part)
        for position, part in enumerate(parts)
    ]
    return re.compile("".join(texts))


def _group(name: str) -> str:
    return re.sub(r"\W", "_", name)
