"""Writes the tables of docs/agents.md from the models of an agent."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from callwright.domain.agent import AgentDefinition
from callwright.domain.outcome import EndReason

BEGIN = "<!-- Written by `make docs` from callwright/domain/agent.py: begin -->"
END = "<!-- end -->"

_REASON = EndReason.__name__
_PARTS = (
    ("`engine`", "Engine"),
    ("`crm`", "CrmMapping"),
    ("Each of `variables`", "Variable"),
    ("Each of `collect`", "CollectedField"),
    ("Each of `tools`", "HttpTool"),
    ("`limits`, in seconds", "Limits"),
    ("Each of `retry`", "RetryRule"),
    ("`machine_detection`", "MachineDetection"),
)


def filled(page: str) -> str:
    """The page with fresh tables between its marks; raises ValueError when a mark is missing."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"docs/agents.md lacks {BEGIN!r} or {END!r}")
    return "\n\n".join([f"{head}{BEGIN}", *_tables(), f"{END}{tail}"])


def _tables() -> Iterator[str]:
    schema = AgentDefinition.model_json_schema()
    named: Mapping[str, Any] = schema["$defs"]
    yield "### The agent"
    yield _table(schema, named)
    missing = {name for name, part in named.items() if "properties" in part} - {name for _, name in _PARTS}
    if missing:
        raise ValueError(f"no title for {', '.join(sorted(missing))}")
    for title, name in _PARTS:
        yield f"### {title}"
        yield _table(named[name], named)


def _table(part: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    required = part.get("required", [])
    rows = (
        (f"`{name}`", _type(item, named), _default(name, item, required), item.get("description", ""))
        for name, item in part["properties"].items()
    )
    return _lines((("key", "type", "default", "meaning"), ("---",) * 4, *rows))


def _type(item: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    if "$ref" in item:
        part = named[item["$ref"].rpartition("/")[2]]
        return ", ".join(f"`{value}`" for value in part["enum"]) if "enum" in part else "a section"
    if "anyOf" in item:
        kinds = (_type(kind, named) for kind in item["anyOf"] if kind.get("type") != "null")
        return " or ".join(dict.fromkeys(kinds))
    match item.get("type"):
        case "array":
            return "a list of sections" if "$ref" in item["items"] else "a list of texts"
        case "object":
            return _mapping(item)
        case "integer":
            return f"whole number{_bounds(item)}"
        case "number":
            return f"number{_bounds(item)}"
        case "boolean":
            return "true or false"
    return "text"


def _mapping(item: Mapping[str, Any]) -> str:
    inner = item.get("additionalProperties")
    if not isinstance(inner, dict):
        return "anything"
    key = "end reason" if item.get("propertyNames", {}).get("$ref", "").endswith(f"/{_REASON}") else "name"
    return f"{key}: {'a section' if '$ref' in inner else 'text'}"


def _bounds(item: Mapping[str, Any]) -> str:
    least = item.get("minimum")
    most = item.get("maximum")
    if least is not None and most is not None:
        return f", {least:g} to {most:g}"
    if least is not None:
        return f", {least:g} or more"
    return f", up to {most:g}" if most is not None else ""


def _default(name: str, item: Mapping[str, Any], required: Iterable[str]) -> str:
    if name in required:
        return "required"
    value = item.get("default")
    if value is None or value == "" or isinstance(value, list | dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _lines(rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
