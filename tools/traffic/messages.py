"""Websocket messages against a vendor's AsyncAPI document."""

from typing import Any

from tools.traffic.documents import Documents
from tools.traffic.problems import Checker


class Messages:
    """The messages of one direction; `direction` is the key of the channel in the document.

    `tags`: fields that may tell a message's type, the first that is there counts.
    """

    def __init__(
        self, documents: Documents, checker: Checker, name: str, direction: str, tags: tuple[str, ...]
    ) -> None:
        self._checker = checker
        self._tags = tags
        self._payloads: dict[str, Any] = {}
        """Strict schema by the message's type; the one without a type under an empty name."""
        for channel in documents.by_name[name]["channels"].values():
            for item in _alternatives(channel[direction]["message"]):
                payload = documents.resolve(item)["payload"]
                schema = documents.resolve(payload)
                for kind in _types(documents, schema, tags):
                    self._payloads[kind] = documents.site(payload)

    def knows(self, body: Any) -> bool:
        """Whether the document describes a message of this type."""
        return _type(body, self._tags) in self._payloads

    def problems(self, body: Any) -> list[str]:
        """What is wrong with a message of a known type."""
        return self._checker.problems(self._payloads[_type(body, self._tags)], body, "message")


def _type(body: Any, tags: tuple[str, ...]) -> str:
    """The message's type, empty where no field tells it; no message of a document has the type of nonsense."""
    if not isinstance(body, dict):
        return "nonsense"
    return next((str(body[tag]) for tag in tags if tag in body), "")


def _alternatives(message: Any) -> list[Any]:
    alternatives = message.get("oneOf", [message])
    return list(alternatives)


def _types(documents: Documents, schema: Any, tags: tuple[str, ...]) -> list[str]:
    """The values that the telling field may have; an empty one when the message has no such field."""
    properties = schema.get("properties", {})
    kind = documents.resolve(next((properties[tag] for tag in tags if tag in properties), {}))
    parts = [kind, *(documents.resolve(part) for part in kind.get("allOf", ()))]
    values = [
        value
        for part in parts
        for value in (part.get("enum") or ([part["const"]] if "const" in part else ()))
    ]
    return [str(value) for value in values] or [""]
