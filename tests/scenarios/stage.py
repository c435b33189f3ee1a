"""A stage for whole calls: a world with its simulators, and Callwright itself on a port of its own."""

import asyncio
import gc
import time
import warnings
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from callwright.api.application import build_api
from callwright.app import Callwright
from callwright.calls.service import NewCall
from callwright.cli.demo_world import fixture, free_port
from callwright.config import load
from callwright.domain.agent import AgentDefinition, parse_agent
from callwright.domain.attempt import Attempt
from callwright.domain.events import CallEvent
from callwright.domain.states import CallState
from callwright.media.collector import spare_collector
from callwright.media.server import WebServer
from callwright.ports.operations import SetupPlan
from callwright.registry import integrations
from callwright.simulation.faults import Fault, FaultKind
from callwright.simulation.world import AgentPlan, PlannedQuestion, World, WorldOptions, WorldRecord

CARRIER, ENGINE, CRM = "infobip", "elevenlabs", "zoho"
CALLER_ID = "+447700900001"

QUESTIONS = (
    PlannedQuestion("interested", "Are you still interested?", "boolean"),
    PlannedQuestion("budget", "What is your budget?", "integer"),
    PlannedQuestion("opt_out", "", "boolean"),
)
ANSWERS: dict[str, Any] = {
    "manner": "answers",
    "answer_after_ms": 200,
    "replies": [
        {"when": "interested", "say": "Yes."},
        {"when": "budget", "say": "500."},
        {"when": "northwind|there", "say": "Yes?"},
    ],
    "otherwise": "Sorry, could you repeat that?",
}


@dataclass
class StageOptions:
    """What a scenario changes about its stage."""

    database_url: str = ""
    agent: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    crm: dict[str, Any] = field(default_factory=dict)
    world: WorldOptions = field(default_factory=lambda: WorldOptions(analysis_s=0.3, agent_thinks_s=0.1))
    questions: tuple[PlannedQuestion, ...] = QUESTIONS
    environment: dict[str, str] = field(default_factory=dict)


class Stage:
    """Start, place calls, look, stop. Everything runs in the test's event loop."""

    def __init__(
        self, folder: Path, people: dict[str, dict[str, Any]], options: StageOptions | None = None
    ) -> None:
        self.options = options or StageOptions()
        self.folder = folder
        self.people = people
        records = [
            WorldRecord(
                f"57257670000002{index:05d}", f"Person{index}", "Test", phone, {"Product_Interest": "pump"}
            )
            for index, phone in enumerate(people, start=1)
        ]
        self.record_of = {record.phone: record.record_id for record in records}
        self.world = World(
            options=self.options.world,
            agent=AgentPlan(
                "Hello {{first_name}}, this is Northwind.", self.options.questions, "Thank you, goodbye."
            ),
            records=records,
            people=people,
        )
        self.simulators: dict[str, Any] = {
            name: integrations()[name].build_simulator(self.world) for name in (CARRIER, ENGINE, CRM)
        }
        self.port = free_port()
        self._open = AsyncExitStack()
        self.app: Callwright
        self.server: WebServer

    @property
    def carrier(self) -> Any:
        """The carrier's simulator."""
        return self.simulators[CARRIER]

    @property
    def engine(self) -> Any:
        """The agent platform's simulator."""
        return self.simulators[ENGINE]

    @property
    def crm(self) -> Any:
        """The CRM's simulator."""
        return self.simulators[CRM]

    def environment(self) -> dict[str, str]:
        """The settings of the server on this stage."""
        own = {
            "OUR_BASE_URL": f"http://127.0.0.1:{self.port}",
            "PORT": str(self.port),
            "DATA_DIR": str(self.folder),
            "DATABASE_URL": self.options.database_url,
            "CALLING_HOURS": "00:00-23:59 mon-sun",
            "MAX_CONCURRENT_CALLS": "100",
        }
        for simulator in self.simulators.values():
            own |= simulator.environment()
        return own | self.options.environment

    def agent(self) -> AgentDefinition:
        """The agent that calls on this stage."""
        crm = {**fixture(CRM)["crm"], **self.options.crm}
        crm["results"] = {"interested": "Interested", "budget": "Budget"}
        data: dict[str, Any] = {
            "name": "test-agent",
            "carrier": CARRIER,
            "caller_id": CALLER_ID,
            "engine": {"platform": ENGINE, "agent_id": "agent_demo"},
            "crm": crm,
            "time_zone": "Europe/London",
            "variables": [{"name": name} for name in ("first_name", "last_name", "product")],
            "collect": [
                {"name": "interested", "type": "boolean"},
                {"name": "budget", "type": "integer"},
                {"name": "opt_out", "type": "boolean"},
            ],
            "limits": {
                "ring_s": 15,
                "longest_call_s": 60,
                "silence_s": 15,
                "results_wait_s": 20,
                **self.options.limits,
            },
        }
        return parse_agent({**data, **self.options.agent})

    async def __aenter__(self) -> Self:
        await self._open.__aenter__()
        try:
            for simulator in self.simulators.values():
                await simulator.start()
                self._open.push_async_callback(simulator.stop)
            await self.start_app(first=True)
            spare_collector()
            self._open.callback(gc.unfreeze)
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.stop_app()
        finally:
            await self._open.aclose()
            collect_what_was_cut_off()

    async def start_app(self, *, first: bool = False) -> None:
        """Start Callwright; the first time vendors are set up and the agent is stored."""
        self.app = await Callwright.build(load(self.environment()))
        self.server = WebServer(build_api(self.app), self.app.media, port=self.port)
        if first:
            agent = self.agent()
            base = self.app.settings.our_base_url
            plan = SetupPlan(
                base, self.app.media_url(), self.app.settings.slot, (agent.engine.agent_id,), apply=True
            )
            for _, _, integration in self.app.directory.all():
                await integration.setup(plan)
            await self.app.agents.put(agent)
        await self.server.start()
        await self.app.start()

    async def stop_app(self) -> None:
        """Stop Callwright as SIGTERM does."""
        await self.app.stop()
        await self.server.stop()

    async def lose_app(self) -> None:
        """End Callwright as one that the others gave up: it drops everything in silence, as if it had died."""
        self.app.fenced.set()
        await self.stop_app()
        collect_what_was_cut_off()

    async def call(self, phone: str, **options: Any) -> str:
        """Call the CRM record of a number; returns the call's id."""
        new = NewCall("test-agent", record_id=self.record_of[phone], **options)
        return (await self.app.calls.create(new)).id

    async def until(self, call_id: str, *states: CallState, within_s: float = 30.0) -> Attempt:
        """Wait until the call is in one of the states (default: done)."""
        wanted = states or (CallState.DONE,)
        return await self.until_row(call_id, lambda attempt: attempt.state in wanted, within_s=within_s)

    async def until_row(
        self, call_id: str, condition: Callable[[Attempt], bool], *, within_s: float = 30.0
    ) -> Attempt:
        """Wait until a condition holds for the call's row; fails with its history at the time limit."""
        deadline = time.monotonic() + within_s
        while True:
            attempt = await self.app.calls.get(call_id)
            if condition(attempt):
                return attempt
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within_s} s:\n{await self.story(call_id)}")
            await asyncio.sleep(0.02)

    async def story(self, call_id: str) -> str:
        """The row and log of a call, for a failing test's message."""
        attempt = await self.app.calls.get(call_id)
        lines = [
            f"{event.at:%H:%M:%S.%f} {event.source} {event.kind} {event.data}"
            for event in await self.app.calls.history(call_id)
        ]
        return "\n".join([str(attempt), *lines])

    def fault(self, simulator: Any, where: str, detail: str, *, seconds: float = 0.0, times: int = 1) -> None:
        """Put a fault in force that the simulator knows by its detail."""
        simulator.faults.add(Fault(where, FaultKind.CUSTOM, detail=detail, seconds=seconds, times=times))

    def lose_webhooks(self, *names: str) -> None:
        """Let no webhook of these types (or prefixes) of the carrier arrive."""
        for name in names:
            self.carrier.faults.add(Fault(f"webhook {name}", FaultKind.LOSE, times=1000))

    def violations(self) -> list[str]:
        """Where our adapters broke a vendor's rules."""
        return [text for simulator in self.simulators.values() for text in simulator.traffic.violations]

    def said_by_carrier(self) -> list[str]:
        """Texts that the carrier was asked to speak."""
        said = [exchange for exchange in self.carrier.traffic.exchanges if exchange.name.endswith("/say")]
        return [exchange.body["text"] for exchange in said if exchange.status == 200]

    def people_on_the_line(self) -> list[str]:
        """Numbers whose leg is still up at the carrier."""
        return [call.e164 for call in self.carrier.calls.values() if call.live and call.e164]

    async def until_row_of_record(self, record_id: str, within_s: float = 10.0) -> None:
        """Wait until there is a call for a CRM record."""
        deadline = time.monotonic() + within_s
        while not (await self.app.calls.search(crm_record=record_id))[0]:
            assert time.monotonic() < deadline, "no call was created"
            await asyncio.sleep(0.02)

    async def until_event(self, call_id: str, kind: str, *, within_s: float = 30.0, **data: Any) -> CallEvent:
        """Wait for an event of a kind whose data has these values."""
        deadline = time.monotonic() + within_s
        while True:
            for event in await self.app.calls.history(call_id):
                if event.kind == kind and data.items() <= event.data.items():
                    return event
            assert time.monotonic() < deadline, f"no {kind}:\n{await self.story(call_id)}"
            await asyncio.sleep(0.02)

    async def kinds(self, call_id: str) -> list[str]:
        """The kinds of events in a call's log."""
        return [event.kind for event in await self.app.calls.history(call_id)]


def collect_what_was_cut_off() -> None:
    """A task that is cancelled while it opens a connection to the database leaves that to the collector.

    It is collected here, lest its warning fail whichever test runs then.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
