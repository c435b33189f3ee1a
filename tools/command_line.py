"""Reads the commands of `callwright` and their options."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import typer
import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Option:
    """An option or argument of a command, as it is typed."""

    name: str
    help: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the tree; `name` is how it is typed, such as `callwright keys create`."""

    name: str
    help: str
    options: tuple[Option, ...]


def callwright_commands() -> list[Command]:
    """The commands of callwright.cli; none while there is no Typer application in it."""
    spec = find_spec("callwright.cli")
    if spec is None or spec.origin is None:
        return []
    found = [item for item in vars(import_module("callwright.cli")).values() if isinstance(item, typer.Typer)]
    return commands(found[0], "callwright") if found else []


def commands(application: typer.Typer, name: str) -> list[Command]:
    """Every command of an application that can be run, in the order of its help; hidden ones are left out."""
    return list(_walk(typer.main.get_group(application), name))


def undocumented(application: list[Command]) -> list[str]:
    """Commands and options that do not say what they do."""
    return [
        " ".join(words)
        for command in application
        for words, text in (
            ((command.name,), command.help),
            *(((command.name, option.name), option.help) for option in command.options),
        )
        if not text
    ]


def _walk(command: Any, name: str) -> Iterator[Command]:
    if command.hidden:
        return
    if isinstance(command, TyperGroup):
        for child_name, child in command.commands.items():
            yield from _walk(child, f"{name} {child_name}")
    elif isinstance(command, TyperCommand):
        options = tuple(_option(item) for item in command.params if not getattr(item, "hidden", False))
        yield Command(name, (command.help or "").strip(), options)


def _option(item: Any) -> Option:
    if isinstance(item, TyperArgument):
        name = item.name.upper()
        return Option(name if item.required else f"[{name}]", item.help or "")
    return Option(", ".join([*item.opts, *item.secondary_opts]), item.help or "")
