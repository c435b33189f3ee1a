"""Compares a class with the Protocol that it is to implement, and says in words how it departs from it."""

import inspect
from collections.abc import Iterator
from typing import Any

_SELF = "self"


def departures(implementation: type[Any], protocol: type[Any]) -> list[str]:
    """What is missing or different, one line each; parameters must have the Protocol's names, order and kinds."""
    return [
        f"{implementation.__qualname__}.{problem}"
        for name, wanted in _members(protocol)
        for problem in _problems(implementation, protocol, name, wanted)
    ]


def _members(protocol: type[Any]) -> Iterator[tuple[str, Any]]:
    yield from ((name, None) for name in protocol.__annotations__ if not name.startswith("_"))
    yield from (
        (name, value)
        for name, value in vars(protocol).items()
        if inspect.isfunction(value) and not name.startswith("_")
    )


def _problems(implementation: type[Any], protocol: type[Any], name: str, wanted: Any) -> Iterator[str]:
    where = f"{protocol.__module__}.{protocol.__name__}"
    found = inspect.getattr_static(implementation, name, None)
    if wanted is None:
        if found is None and not _assigned_by_constructor(implementation, name):
            yield f"{name} is missing: an attribute of {where}"
        return
    if found is None:
        yield f"{name} is missing: a method of {where}, {_shown(name, wanted)}"
        return
    if not inspect.isfunction(found):
        yield f"{name} is not a method; {where} has {_shown(name, wanted)}"
        return
    if inspect.iscoroutinefunction(found) != inspect.iscoroutinefunction(wanted):
        asked = "async" if inspect.iscoroutinefunction(wanted) else "not async"
        yield f"{name} must be {asked}: {_shown(name, wanted)}"
    if _shape(found) != _shape(wanted):
        yield f"{_shown(name, found)} is not what {where} asks for: {_shown(name, wanted)}"


def _shape(function: Any) -> list[tuple[str, Any, bool]]:
    """Names, kinds, and whether there is a default."""
    return [
        (name, parameter.kind, parameter.default is not inspect.Parameter.empty)
        for name, parameter in inspect.signature(function).parameters.items()
        if name != _SELF
    ]


def _shown(name: str, function: Any) -> str:
    return f"{name}{inspect.signature(function)}"


def _assigned_by_constructor(implementation: type[Any], name: str) -> bool:
    """Whether a constructor of the class sets the attribute."""
    constructors = [vars(base).get("__init__") for base in implementation.__mro__]
    sources = [inspect.getsource(found) for found in constructors if inspect.isfunction(found)]
    return any(f"self.{name}{after}" in source for source in sources for after in (" = ", ": "))
