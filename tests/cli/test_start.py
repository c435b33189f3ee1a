"""Help and version come fast, and what cannot start says why."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

import callwright
from tests.cli.command import Terminal, line_with, stop

SLOW = ("dbos", "numpy", "sqlalchemy", "fastapi", "uvicorn", "httpx2", "phonenumbers")


async def test_version(terminal: Terminal) -> None:
    result = await terminal.run("version")
    assert (result.code, result.out) == (0, f"callwright {callwright.__version__}\n")


@pytest.mark.parametrize("arguments", [["version"], ["--help"], ["call", "--help"], ["calls", "--help"]])
async def test_help_imports_nothing_slow(terminal: Terminal, arguments: list[str]) -> None:
    program = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print([name for name in {SLOW!r} if name in sys.modules], file=sys.stderr))\n"
        f"sys.argv = ['callwright', *{arguments!r}]\n"
        "from callwright.cli import main\n"
        "main()\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        env=terminal.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0
    assert out
    assert err.decode() == "[]\n"


async def test_every_command_has_help(terminal: Terminal) -> None:
    commands = (
        "serve",
        "call",
        "check",
        "setup",
        "settings",
        "version",
        *(f"calls {name}" for name in ("list", "show", "hang-up", "export")),
        *(f"agents {name}" for name in ("import", "check", "list", "show", "archive")),
        "hold",
        "release",
        *(f"crm {name}" for name in ("fields", "find", "query", "rewrite", "test-mapping")),
        *(f"suppressions {name}" for name in ("list", "add", "remove")),
        *(f"keys {name}" for name in ("create", "list", "revoke")),
    )
    program = (
        "import contextlib, sys\n"
        "from callwright.cli import main\n"
        f"for command in {commands!r}:\n"
        "    sys.argv = ['callwright', *command.split(), '--help']\n"
        "    with contextlib.suppress(SystemExit):\n"
        "        main()\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=terminal.environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    for command in commands:
        assert f"callwright {command} " in out.decode()


@pytest.mark.parametrize("arguments", [["serve"], ["check"], ["keys", "list"], ["agents", "list"]])
async def test_wrong_settings_are_all_listed_with_what_to_do(
    terminal: Terminal, arguments: list[str]
) -> None:
    result = await terminal.run(*arguments, PORT="many", LOG_LEVEL="LOUD", CALLWRIGHT_SLOTT="x")
    assert result.code == 2
    assert "Traceback" not in result.err
    for text in ("PORT", "LOG_LEVEL", "CALLWRIGHT_SLOTT", "Did you mean CALLWRIGHT_SLOT?"):
        assert text in result.err


async def test_an_unknown_option_exits_with_2(terminal: Terminal) -> None:
    result = await terminal.run("calls", "list", "--colour")
    assert result.code == 2
    assert "--colour" in result.err


async def test_serve_tells_where_it_listens_answers_and_stops_on_a_signal(terminal: Terminal) -> None:
    process = await terminal.start("serve", "--port", "0", LOG_LEVEL="INFO")
    line = await line_with(process, "listens on")
    port = int(line.split("http://127.0.0.1:")[1].split()[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    result = await stop(process)
    assert result.code == 0
    lines = result.err.splitlines()
    assert any("OUR_BASE_URL is not set" in line for line in lines)
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    assert "started" in {item["event"] for item in logged}


async def test_a_live_stream_does_not_hold_up_the_stop(terminal: Terminal) -> None:
    key = (await terminal.run("keys", "create", "feed", "--scope", "calls:read", "--json")).json["key"]
    process = await terminal.start("serve", "--port", "0")
    port = int((await line_with(process, "listens on")).split("http://127.0.0.1:")[1].split()[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    async with asyncio.timeout(8):
        assert (await stop(process)).code == 0
    writer.close()


async def test_a_second_server_on_the_same_folder_is_refused(terminal: Terminal) -> None:
    first = await terminal.start("serve", "--port", "0")
    await line_with(first, "listens on")
    try:
        second = await terminal.run("serve", "--port", "0")
        assert second.code == 2
        assert "is used by the running process" in second.err
        assert "Traceback" not in second.err
        # Other commands work beside a running server.
        assert (await terminal.run("keys", "list")).code == 0
        assert (await terminal.run("agents", "list")).code == 0
    finally:
        await stop(first)


async def test_a_taken_port_is_told(terminal: Terminal, tmp_path: Path) -> None:
    first = await terminal.start("serve", "--port", "0")
    port = (await line_with(first, "listens on")).split("http://127.0.0.1:")[1].split()[0]
    try:
        second = await terminal.run("serve", "--port", port, DATA_DIR=str(tmp_path / "other"))
        assert second.code == 2
        assert f"cannot listen on 127.0.0.1:{port} (Address already in use)" in second.err
        assert "Traceback" not in second.err
    finally:
        await stop(first)


async def test_a_database_of_another_kind_is_refused(terminal: Terminal) -> None:
    result = await terminal.run("serve", DATABASE_URL="mysql://user:secret-password@localhost/x")
    assert result.code == 2
    assert "DATABASE_URL" in result.err
    assert "secret-password" not in result.err
