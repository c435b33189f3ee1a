"""The generated pages say what the code says, and whatever a user can type or set explains itself."""

from pathlib import Path
from typing import Annotated

import typer

from callwright.config import declared_variables
from tests.house.source import REPOSITORY, expect_none, write
from tools.command_line import callwright_commands, commands, undocumented
from tools.generate_docs import outdated, pages


def unexplained(settings: dict[str, str]) -> list[str]:
    """Settings without a description."""
    return [name for name, description in settings.items() if not description]


def test_the_generated_pages_are_up_to_date() -> None:
    expect_none([f"docs/{name}: run `make docs`" for name in outdated(REPOSITORY / "docs")])


def test_an_outdated_page_is_found(tmp_path: Path) -> None:
    for name, text in pages().items():
        write(tmp_path, name, text)
    assert outdated(tmp_path) == []
    write(tmp_path, "call-states.md", "It is complicated.\n")
    (tmp_path / "settings.md").unlink()
    assert outdated(tmp_path) == ["call-states.md", "settings.md"]


def test_every_command_is_documented() -> None:
    expect_none(undocumented(callwright_commands()))


def test_an_undocumented_command_is_found() -> None:
    application, keys = typer.Typer(), typer.Typer()
    application.add_typer(keys, name="keys")

    @application.command()
    def call(phone: str, agent: Annotated[str, typer.Option(help="Which agent.")] = "") -> None:
        """Place a call."""

    @keys.command()
    def create() -> None: ...

    found = commands(application, "callwright")
    assert [command.name for command in found] == ["callwright call", "callwright keys create"]
    assert undocumented(found) == ["callwright call PHONE", "callwright keys create"]


def test_every_setting_is_explained() -> None:
    expect_none(unexplained(declared_variables()))


def test_an_unexplained_setting_is_found() -> None:
    assert unexplained({"PORT": "Where to listen.", "HOST": ""}) == ["HOST"]
