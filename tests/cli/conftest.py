"""A bare terminal, and one beside a whole world of simulated vendors with a running server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from tests.cli.command import Terminal, line_with, stop
from tests.scenarios.stage import ANSWERS, Stage

PERSON = "+447700900201"
BUSY = "+447700900202"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A new folder with nothing configured."""
    return Terminal(tmp_path)


@dataclass(frozen=True)
class Town:
    """Simulated vendors, a server of our own, and a terminal that is configured for both."""

    stage: Stage
    terminal: Terminal
    agent_file: Path


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Everything set up by commands alone: vendors, agent, key, server."""
    folder = tmp_path_factory.mktemp("town")
    stage = Stage(folder / "data", {PERSON: ANSWERS, BUSY: {"manner": "busy"}})
    for simulator in stage.simulators.values():
        await simulator.start()
    terminal = Terminal(folder, **stage.environment())
    agent_file = folder / "agent.yaml"
    agent_file.write_text(yaml.safe_dump(stage.agent().model_dump(mode="json", exclude_defaults=True)))
    town = Town(stage, terminal, agent_file)
    for arguments in (("agents", "import", "agent.yaml"), ("setup", "--apply")):
        done = await terminal.run(*arguments)
        assert done.code == 0, done.err
    key = await terminal.run("keys", "create", "tests", "--scope", "admin", "--json")
    terminal.environment["CALLWRIGHT_API_KEY"] = key.json["key"]
    server = await terminal.start("serve")
    reading = asyncio.create_task(_drain(server))
    try:
        await line_with(server, "listens on")
        yield town
    finally:
        reading.cancel()
        ended = await stop(server)
        for simulator in stage.simulators.values():
            await simulator.stop()
    assert ended.code == 0, ended.err


async def _drain(server: asyncio.subprocess.Process) -> None:
    """Keep the server's log from filling its pipe."""
    assert server.stderr is not None
    while await server.stderr.readline():
        pass
