"""Goes through a vendor's recorded traffic, message by message, and counts what is wrong."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.traffic.documents import Documents, load, schema_uri
from tools.traffic.messages import Messages
from tools.traffic.operations import Operation, Operations
from tools.traffic.problems import Checker
from tools.traffic.vendors import Vendor

Row = Mapping[str, Any]
_ADMINISTRATION = "/__"
_SUCCESS = 2
_NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class Finding:
    """One message that the specification does not allow, or does not know."""

    line: int
    name: str
    problems: tuple[str, ...]


@dataclass(slots=True)
class Result:
    """What became of one side's messages; `names` counts them by operation or message type."""

    names: "Counter[str]" = field(default_factory=Counter)
    violations: list[Finding] = field(default_factory=list)
    unknown: list[Finding] = field(default_factory=list)
    undescribed: "Counter[str]" = field(default_factory=Counter)
    """Answers that the specification says nothing about, by status and operation; they are not looked at."""

    @property
    def checked(self) -> int:
        """How many messages were looked at."""
        return self.names.total()

    @property
    def good(self) -> bool:
        """Whether everything is known and allowed."""
        return not self.violations and not self.unknown

    def add(self, line: int, name: str, problems: list[str] | None) -> None:
        """Count a message; `problems` is None for one that the specification does not know."""
        self.names[name] += 1
        if problems is None:
            self.unknown.append(Finding(line, name, ()))
        elif problems:
            self.violations.append(Finding(line, name, tuple(problems)))


class Validator:
    """A vendor's specifications, ready to judge."""

    def __init__(self, vendor: Vendor, folder: Path) -> None:
        found = {
            pattern: sorted(path for path in folder.glob(pattern) if path.is_file())
            for pattern in vendor.files
        }
        absent = [pattern for pattern, paths in found.items() if not paths]
        if absent:
            raise FileNotFoundError(f"{folder} has no {', '.join(absent)}")
        raw = {path.name: load(path) for paths in found.values() for path in paths}
        described = {name: item for name, item in raw.items() if "openapi" in item or "asyncapi" in item}
        self.documents = Documents(described | dict(vendor.by_hand), vendor.errata)
        names = {pattern: paths[0].name for pattern, paths in found.items()}
        checker = Checker(self.documents)
        bodies = {operation: vendor.fields(operation, names) for operation in vendor.bodies}
        self._operations = Operations(self.documents, checker, bodies)
        self._checker = checker
        self._sent = self._received = None
        if vendor.socket is not None:
            name = names.get(vendor.socket.file, vendor.socket.file)
            socket = vendor.socket
            self._sent = Messages(self.documents, checker, name, socket.sent, socket.tags)
            self._received = Messages(self.documents, checker, name, socket.received, socket.tags)
        self._webhook: Any = None
        if vendor.webhooks is not None:
            file, schema = vendor.webhooks
            self._webhook = self.documents.site_of(schema_uri(names[file], schema))

    def ours(self, rows: Iterator[tuple[int, Row]]) -> Result:
        """Judge what the adapter sent."""
        result = Result()
        for line, row in rows:
            if row["direction"] != "in" or row["path"].startswith(_ADMINISTRATION):
                continue
            if row["kind"] in {"http", "upgrade"}:
                name, problems = self._request(row)
                result.add(line, name, problems)
            elif row["kind"] == "ws":
                result.add(line, f"message {row['name']}", _judge(self._sent, row["body"]))
        return result

    def theirs(self, rows: Iterator[tuple[int, Row]]) -> Result:
        """Judge what the simulator sent: answers, messages, and webhooks where a schema describes them.

        What a fault made is left out: it is meant to be wrong.
        """
        result = Result()
        for line, row in rows:
            if row.get("forged"):
                continue
            if row["kind"] == "http" and row["direction"] == "in" and row["status"] is not None:
                operation = self._operation(row)
                if operation is None or row["path"].startswith(_ADMINISTRATION):
                    continue
                name = f"{row['status']} to {operation.name}"
                schema = _answer(operation, row["status"])
                if schema is not None:
                    result.add(line, name, self._checker.problems(schema, row["answer"], "answer"))
                elif row["answer"] is not None:
                    result.undescribed[name] += 1
            elif row["kind"] == "ws" and row["direction"] == "out":
                result.add(line, f"message {row['name']}", _judge(self._received, row["body"]))
            elif row["kind"] == "webhook" and self._webhook is not None:
                problems = self._checker.problems(self._webhook, row["body"], "webhook")
                result.add(line, f"webhook {row['name']}", problems)
        return result

    def _request(self, row: Row) -> tuple[str, list[str] | None]:
        """The operation's name and what is wrong; of several operations that fit, the one that fits best."""
        method = row["name"].partition(" ")[0]
        fitting = self._operations.find(method, row["path"])
        if not fitting:
            return row["name"], None
        judged = [
            (item.name, self._operations.problems(item, row["path"], row["query"], row["body"]))
            for item in fitting
        ]
        return min(judged, key=lambda item: len(item[1]))

    def _operation(self, row: Row) -> Operation | None:
        fitting = self._operations.find(row["name"].partition(" ")[0], row["path"])
        return fitting[0] if fitting else None


def read(file: Path) -> Iterator[tuple[int, Row]]:
    """Rows of a recorded file with their line numbers."""
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            yield number, json.loads(line)


def _judge(messages: Messages | None, body: Any) -> list[str] | None:
    return messages.problems(body) if messages is not None and messages.knows(body) else None


def _answer(operation: Operation, status: int) -> Any:
    """The schema of an answer; None for a status that the document says nothing about.

    A success that is not listed, unless it has no body, is held to what the document says of 200.
    """
    listed = operation.answers.get(str(status)) or operation.answers.get(f"{status // 100}XX")
    other = listed is None and status // 100 == _SUCCESS and status != _NO_CONTENT
    return operation.answers.get("200") if other else listed
