"""The examples pass the check that a user would run on them, against simulated vendors."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callwright.cli.agents import read_definitions
from callwright.domain.outcome import EndReason
from tests.cli.command import Terminal
from tests.scenarios.stage import Stage

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.yaml"))


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Terminal]:
    """A terminal whose settings lead to simulated vendors."""
    stage = Stage(tmp_path / "data", {})
    for simulator in stage.simulators.values():
        await simulator.start()
    yield Terminal(tmp_path, **stage.environment())
    for simulator in stage.simulators.values():
        await simulator.stop()


async def test_every_example_is_usable(terminal: Terminal) -> None:
    assert len(EXAMPLES) >= 3
    result = await terminal.run("agents", "check", *map(str, EXAMPLES))
    assert result.code == 0, result.err
    assert result.out.splitlines() == [f"{path.stem}: usable" for path in EXAMPLES]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_can_be_opted_out_of_and_keeps_its_promise(path: Path) -> None:
    (agent,) = read_definitions([path])
    assert agent.name == path.stem
    assert any(field.name == "opt_out" and field.type == "boolean" for field in agent.collect)
    if "call you again" in agent.apology:
        assert EndReason.MEDIA_FAILED in agent.retry
