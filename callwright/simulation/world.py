"""One pretend world: its clock, its people, its CRM records, and the script of its hosted agent."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from callwright.ports.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class WorldRecord:
    """One person as a CRM knows them: plain facts; each CRM's simulator puts them into its own fields."""

    record_id: str
    first_name: str
    last_name: str
    phone: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedQuestion:
    """A question of the world's agent: what it collects, as which type (string, integer, number, boolean)."""

    field_id: str
    ask: str
    type: str = "string"
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """What the hosted agent of this world says and asks; `{{name}}` stands for a dynamic variable."""

    first_message: str
    questions: tuple[PlannedQuestion, ...]
    closing: str


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """How fast and how well the world works. Times in seconds; `speed` divides waits outside of media."""

    seed: int = 1
    speed: float = 1.0
    agent_thinks_s: float = 0.3
    analysis_s: float = 1.0
    ping_every_s: float = 2.0
    traffic_folder: Path | None = None
    call_signs: tuple[str, ...] = ("+447700900001",)


@dataclass(slots=True)
class World:
    """Everything that simulators share. `people` are raw scripts, by E.164, read by simulation.people.

    Simulators live in one process and one event loop; `notes` lets scenarios mark things.
    """

    clock: Clock = field(default_factory=SystemClock)
    options: WorldOptions = field(default_factory=WorldOptions)
    agent: AgentPlan = field(default_factory=lambda: AgentPlan("Hello.", (), "Goodbye."))
    records: list[WorldRecord] = field(default_factory=list)
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


def load_world(text: str, *, clock: Clock | None = None, options: WorldOptions | None = None) -> World:
    """Read a world from YAML (keys: agent, records, people)."""
    data = yaml.safe_load(text)
    agent = data["agent"]
    questions = tuple(
        PlannedQuestion(
            item["field_id"], item["ask"], item.get("type", "string"), tuple(item.get("choices", ()))
        )
        for item in agent["questions"]
    )
    return World(
        clock=clock or SystemClock(),
        options=options or WorldOptions(),
        agent=AgentPlan(agent["first_message"], questions, agent["closing"]),
        records=[WorldRecord(**item) for item in data["records"]],
        people=dict(data["people"]),
    )
