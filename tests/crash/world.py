"""A simulated world that outlives the processes in it: the vendors, the people, the database, the orders."""

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx2
from sqlalchemy import delete

from callwright.cli.demo_world import free_port
from callwright.cli.workshop import open_workshop
from callwright.config import Configuration, load
from callwright.domain.attempt import Attempt
from callwright.domain.events import CallEvent
from callwright.domain.scopes import Scope
from callwright.domain.states import CallState
from callwright.ports.clock import SystemClock
from callwright.ports.operations import SetupPlan
from callwright.simulation.world import PlannedQuestion, WorldOptions
from callwright.storage import api_keys, attempts, crm_writes, events, inbox, schema
from callwright.storage.crm_writes import CrmWrite
from callwright.storage.database import Database
from tests.crash.balancer import Balancer
from tests.crash.people import Callee
from tests.crash.process import Process
from tests.scenarios.stage import Stage, StageOptions

AGENT = "test-agent"
_LOOK_EVERY_S = 0.1
_ORDER_LIMIT_S = 120.0
_QUESTIONS = (PlannedQuestion("interested", "Interested?", "boolean"),)
_CREATED = 201


class CrashWorld:
    """Vendors and people in this process and its event loop; Callwright in others, which come and go."""

    def __init__(
        self, folder: Path, callees: list[Callee], database_url: str = "", analysis_s: float = 0.1
    ) -> None:
        self.folder = folder
        self.callees = callees
        self.kind_of = {callee.phone: callee.kind for callee in callees}
        options = StageOptions(
            database_url=database_url,
            agent={
                "machine_detection": {"enabled": True},
                "apology": "We are sorry. Goodbye.",
                "collect": [{"name": "interested", "type": "boolean"}, {"name": "budget", "type": "integer"}],
            },
            questions=_QUESTIONS,
            world=WorldOptions(analysis_s=analysis_s, agent_thinks_s=0.05),
        )
        self.stage = Stage(folder, {callee.phone: callee.kind.script for callee in callees}, options)
        self.orders: dict[tuple[str, int], str] = {}
        """Phone, and which time -> id of the call that was made of it."""
        self.processes: list[Process] = []
        self._secret_key = secrets.token_urlsafe(32)
        self._ports: dict[str, int] = {}
        self._balancer: Balancer | None = None
        self._api_key = ""
        self.database: Database

    async def __aenter__(self) -> Self:
        for simulator in self.stage.simulators.values():
            await simulator.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self.processes:
            await process.kill()
        await self.database.close()
        if self._balancer is not None:
            await self._balancer.stop()
        for simulator in self.stage.simulators.values():
            await simulator.stop()

    async def prepare(self, *slots: str) -> None:
        """Set the vendors up for processes of these slots; webhooks go to whichever of them accepts."""
        self._ports = {slot: free_port() for slot in slots}
        if len(slots) > 1:
            self._balancer = Balancer(free_port(), self._ports.values())
            await self._balancer.start()
        for slot in slots:
            await self._set_up(load(self.environment(slot)))
        settings = load(self.environment(slots[-1])).settings
        self.database = await Database.open(
            settings.database_url,
            data_dir=settings.data_dir,
            clock=SystemClock(),
            secret_key=self._secret_key,
        )
        async with self.database.write() as conn:
            now = self.database.clock.now()
            _, self._api_key = await api_keys.create(conn, "crash", [Scope.ADMIN], now)
            # The first process shall have to refresh the CRM's access token itself.
            await conn.execute(delete(schema.tokens))

    async def _set_up(self, configuration: Configuration) -> None:
        settings = configuration.settings
        media_url = settings.media_base_url
        agent = self.stage.agent()
        async with open_workshop(configuration) as workshop:
            plan = SetupPlan(
                settings.our_base_url, media_url, settings.slot, (agent.engine.agent_id,), apply=True
            )
            for _, _, integration in workshop.directory.all():
                await integration.setup(plan)
            await workshop.agents.put(agent)

    def environment(self, slot: str) -> dict[str, str]:
        """The settings of the process of a slot; several share the public address of a balancer."""
        own = self._ports[slot]
        public = self._balancer.port if self._balancer is not None else own
        return {
            **self.stage.environment(),
            "CALLWRIGHT_SLOT": slot,
            "PORT": str(own),
            "OUR_BASE_URL": f"http://127.0.0.1:{public}",
            "MEDIA_BASE_URL": f"ws://127.0.0.1:{own}",
            "SECRET_KEY": self._secret_key,
            "LOG_LEVEL": "INFO",
        }

    async def spawn(self, slot: str, kill: str | None = None, occurrence: int = 1) -> Process:
        """Start a process; with `kill` it ends itself at this boundary."""
        process = Process(self.folder, f"{len(self.processes) + 1:02d}-{slot}", self.environment(slot))
        self.processes.append(process)
        await process.start(kill, occurrence)
        return process

    async def order(self, callee: Callee) -> None:
        """Ask whichever process lives for a call, again and again with the same key until one has confirmed it."""
        body = {"agent": AGENT, "record": self.stage.record_of[callee.phone]}
        headers = {
            "Authorization": f"Bearer {self._api_key}",
            "Idempotency-Key": f"{callee.phone} {callee.time}",
        }
        deadline = time.monotonic() + _ORDER_LIMIT_S
        async with httpx2.AsyncClient(headers=headers, timeout=10, trust_env=False) as client:
            while time.monotonic() < deadline:
                for process in [item for item in self.processes if item.alive]:
                    try:
                        answer = await client.post(f"{process.base_url}/api/v1/calls", json=body)
                    except httpx2.TransportError:
                        continue
                    if answer.status_code == _CREATED:
                        self.orders[callee.phone, callee.time] = answer.json()["id"]
                        return
                await asyncio.sleep(_LOOK_EVERY_S)
        raise TimeoutError(f"the call to {callee.phone} was not taken within {_ORDER_LIMIT_S:.0f} s")

    async def attempts(self) -> list[Attempt]:
        """Every call's row."""
        async with self.database.read() as conn:
            return await attempts.in_states(conn, CallState, limit=10_000)

    async def history(self, attempt_id: str) -> list[CallEvent]:
        """A call's log."""
        async with self.database.read() as conn:
            return await events.history(conn, attempt_id)

    async def crm_writes(self, attempt_id: str) -> list[CrmWrite]:
        """What is known of a call's way into the CRM."""
        async with self.database.read() as conn:
            return await crm_writes.of_attempt(conn, attempt_id)

    async def no_webhook_waits(self) -> bool:
        """Whether every stored webhook has been applied or set aside."""
        async with self.database.read() as conn:
            return await inbox.waiting(conn) == 0

    async def all_done(self) -> bool:
        """Whether every person that was to be called has a call, and every call is done."""
        rows = await self.attempts()
        return len(self.orders) == len(self.callees) and all(row.state is CallState.DONE for row in rows)

    def people_on_line(self) -> list[Any]:
        """Legs of people at the carrier that are answered and not over."""
        return [leg for leg in self.person_legs() if leg.live and leg.answered is not None]

    def person_legs(self) -> list[Any]:
        """Every call that the carrier ever made to a person, oldest first."""
        return [leg for leg in self.stage.carrier.calls.values() if leg.e164]

    async def until(self, what: str, condition: Callable[[], Any], within_s: float) -> None:
        """Wait for a condition (it may be a coroutine function); raises TimeoutError that says what did not come."""
        deadline = time.monotonic() + within_s
        while True:
            found = condition()
            if await found if asyncio.iscoroutine(found) else found:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {within_s:.0f} s: {what}")
            await asyncio.sleep(_LOOK_EVERY_S)
