"""The demo's world: simulators of every kind of vendor on loopback, and the agent that fits them."""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from callwright.domain.agent import AgentDefinition, parse_agent
from callwright.ports.clock import ShiftedClock
from callwright.registry import IntegrationSpec, Role, with_role
from callwright.simulation.vendor import VendorSimulator
from callwright.simulation.world import World, WorldOptions, load_world

_WORLDS = "callwright.simulation.worlds"
_INTEGRATIONS = "callwright.integrations"
_OPENING = time(11, 0)
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Cast:
    """The integrations that play in a demo, by role."""

    carrier: IntegrationSpec
    engine: IntegrationSpec
    crm: IntegrationSpec


@dataclass(frozen=True, slots=True)
class Expected:
    """What has to come of the call to one person, if everybody understands each other."""

    outcome: str
    answers: Mapping[str, Any]

    def differences(self, call: Mapping[str, Any]) -> list[str]:
        """Where a call, as the API shows it, ended otherwise. No to a wish that nobody had is as good as silence."""
        found: dict[str, tuple[Any, Any]] = {}
        if call["end_reason"] != self.outcome:
            found["outcome"] = (call["end_reason"] or call["state"], self.outcome)
        told = call["collected"]
        for name in sorted({*told, *self.answers}):
            got, wanted = told.get(name), self.answers.get(name)
            if got != wanted and not (got is False and wanted is None):
                found[name] = (got, wanted)
        return [f"{name}: {got!r}, expected {wanted!r}" for name, (got, wanted) in found.items()]


def choose_cast(names: tuple[str, ...] = ()) -> Cast:
    """The named integration of each role, or one that can play in a demo."""
    chosen = {role: _pick(role, names) for role in Role}
    return Cast(chosen[Role.CARRIER], chosen[Role.VOICE_AGENTS], chosen[Role.CRM])


def shift_to_working_day(zone: ZoneInfo, now: datetime | None = None) -> float:
    """Seconds by which the clock must be moved so that it is 11:00 on the next weekday in a zone."""
    local = (now or datetime.now(UTC)).astimezone(zone)
    opening = datetime.combine(local.date() + timedelta(days=1), _OPENING, zone)
    while opening.weekday() >= _SATURDAY:
        opening += timedelta(days=1)
    return (opening - local).total_seconds()


class DemoWorld:
    """Starts and stops the simulators, and tells how to reach them."""

    def __init__(self, cast: Cast, *, traffic_folder: Path | None = None) -> None:
        self.cast = cast
        self._agent_text = _read("demo-agent.yaml")
        self.zone = ZoneInfo(yaml.safe_load(self._agent_text)["time_zone"])
        self.shift_s = shift_to_working_day(self.zone)
        options = WorldOptions(traffic_folder=traffic_folder)
        clock = ShiftedClock(timedelta(seconds=self.shift_s))
        text = _read("demo.yaml")
        self.world: World = load_world(text, clock=clock, options=options)
        self.expected: Mapping[str, Expected] = {
            record_id: Expected(item["outcome"], item.get("answers", {}))
            for record_id, item in yaml.safe_load(text)["expect"].items()
        }
        specs = (cast.carrier, cast.engine, cast.crm)
        self.simulators: dict[str, VendorSimulator] = {
            spec.name: spec.build_simulator(self.world) for spec in specs
        }

    async def start(self) -> None:
        """Let every simulator listen on loopback."""
        for simulator in self.simulators.values():
            await simulator.start()

    async def stop(self) -> None:
        """Close every simulator."""
        for simulator in self.simulators.values():
            await simulator.stop()

    def environment(self, port: int, data_dir: Path) -> dict[str, str]:
        """The settings with which the server talks to this world."""
        base = {
            "OUR_BASE_URL": f"http://127.0.0.1:{port}",
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "DATA_DIR": str(data_dir),
            "DATABASE_URL": "",
            "MAX_CONCURRENT_CALLS": "12",
            "SIMULATED_CLOCK_SHIFT_S": str(self.shift_s),
            "LOG_LEVEL": "WARNING",
        }
        for simulator in self.simulators.values():
            base |= simulator.environment()
        return base

    def agent(self) -> AgentDefinition:
        """The demo's agent, completed with what the integrations say about their demo set-up."""
        data: dict[str, Any] = yaml.safe_load(self._agent_text)
        data |= {"carrier": self.cast.carrier.name, "caller_id": self.world.options.call_signs[0]}
        data["engine"] = {"platform": self.cast.engine.name, **fixture(self.cast.engine.name)["engine"]}
        mapping = fixture(self.cast.crm.name)["crm"]
        asked = {field["name"] for field in data["collect"]}
        results = {name: target for name, target in mapping["results"].items() if name in asked}
        data["crm"] = {**mapping, "system": self.cast.crm.name, "results": results}
        return parse_agent(data)


def fixture(integration: str) -> Mapping[str, Any]:
    """What an integration says about its demo set-up, in fixtures/demo.yaml."""
    content: Mapping[str, Any] = yaml.safe_load(_demo_file(integration).read_text("utf-8"))
    return content


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def until_listening(port: int, process: asyncio.subprocess.Process, limit_s: float = 30.0) -> bool:
    """Wait for a server on a loopback port; False when its process ends or the time is over."""
    deadline = asyncio.get_running_loop().time() + limit_s
    while asyncio.get_running_loop().time() < deadline and process.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        await writer.wait_closed()
        return True
    return False


def _pick(role: Role, names: tuple[str, ...]) -> IntegrationSpec:
    """The named one; else one that says it can play in a demo; else the first."""
    specs = with_role(role)
    named = (spec for spec in specs if spec.name in names)
    return next(named, None) or next((spec for spec in specs if _demo_file(spec.name).is_file()), specs[0])


def _demo_file(integration: str) -> Traversable:
    return resources.files(_INTEGRATIONS) / integration / "fixtures" / "demo.yaml"


def _read(name: str) -> str:
    return (resources.files(_WORLDS) / name).read_text("utf-8")
