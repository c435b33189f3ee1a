"""A data folder or database that cannot be used is told in words, by every command."""

from pathlib import Path

import pytest

from tests.cli.command import Terminal

COMMANDS = pytest.mark.parametrize(
    "arguments", [["serve", "--port", "0"], ["keys", "list"], ["agents", "list"]]
)


@COMMANDS
async def test_a_folder_that_cannot_be_made_is_told(
    terminal: Terminal, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    result = await terminal.run(*arguments, DATA_DIR=str(tmp_path / "file" / "data"))
    assert result.code == 2
    assert "DATA_DIR" in result.err
    assert "Not a directory" in result.err
    assert "Traceback" not in result.err


@COMMANDS
async def test_a_database_that_is_away_is_told_without_its_password(
    terminal: Terminal, arguments: list[str]
) -> None:
    result = await terminal.run(*arguments, DATABASE_URL="postgresql://user:secret-password@127.0.0.1:1/x")
    assert result.code == 2
    assert "DATABASE_URL: does not open" in result.err
    assert "Connection refused" in result.err
    assert "secret-password" not in result.err
    assert "Traceback" not in result.err


async def test_check_has_a_line_for_a_database_that_is_away(terminal: Terminal) -> None:
    result = await terminal.run("check", DATABASE_URL="postgresql://user@127.0.0.1:1/x")
    assert result.code == 1
    assert any(line.startswith("failed  database: DATABASE_URL") for line in result.out.splitlines())


async def test_an_address_that_is_not_ours_blames_the_host(terminal: Terminal) -> None:
    result = await terminal.run("serve", "--host", "192.0.2.1", "--port", "0")
    assert result.code == 2
    assert "HOST: cannot listen on 192.0.2.1" in result.err


async def test_a_new_data_folder_is_told_once(terminal: Terminal) -> None:
    assert "is new" in (await terminal.run("keys", "list")).err
    assert "is new" not in (await terminal.run("keys", "list")).err
