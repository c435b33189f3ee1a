"""Two Callwright processes on one PostgreSQL database, each with a way of its own to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from callwright.domain.attempt import Attempt
from callwright.domain.states import CallState
from callwright.storage import processes
from tests.crash.people import Callee, Kind
from tests.crash.process import Process
from tests.crash.world import CrashWorld
from tests.scenarios.tunnel import Tunnel

ADA = "+447700900101"
QUIET = Kind("quiet", {"manner": "silent", "answer_after_ms": 200, "patience_s": 120}, frozenset())
FIRST, SECOND = "first", "second"


class Pair(CrashWorld):
    """Two processes, each with a tunnel of its own to the database; the test itself has none."""

    def __init__(self, folder: Path, url: str, tunnels: dict[str, Tunnel], kind: Kind = QUIET) -> None:
        super().__init__(folder, [Callee(ADA, kind)], url)
        self.stage.options.limits = {"silence_s": 120, "longest_call_s": 120}
        self._tunnels: dict[str, Tunnel] = {}
        self._later = tunnels

    async def prepare(self, *slots: str) -> None:
        await super().prepare(*slots)
        self._tunnels = self._later

    def environment(self, slot: str) -> dict[str, str]:
        own = super().environment(slot)
        return {**own, "DATABASE_URL": self._tunnels[slot].url} if slot in self._tunnels else own

    async def start_both(self, *, talk: bool = False) -> tuple[Process, Process]:
        """The first one is ready, and a call talks with it if that is wanted, before the second one starts."""
        first = await self.spawn(FIRST)
        assert await first.until_ready()
        if talk:
            await self.talk()
        second = await self.spawn(SECOND)
        assert await second.until_ready()
        return first, second

    async def talk(self) -> None:
        """A call that talks, with the only process."""
        await self.order(self.callees[0])
        await self.until("the call talks", lambda: self.call_is(CallState.TALKING), 20)

    async def call(self) -> Attempt:
        (attempt,) = await self.attempts()
        return attempt

    async def call_is(self, state: CallState) -> bool:
        return any(attempt.state is state for attempt in await self.attempts())

    async def kinds(self) -> list[str]:
        return [event.kind for event in await self.history((await self.call()).id)]

    async def running(self) -> dict[str, processes.Process]:
        """The processes that run, by slot."""
        async with self.database.read() as conn:
            return {process.slot: process for process in await processes.active(conn)}

    async def hang_up(self, process: Process) -> None:
        url = f"{process.base_url}/api/v1/calls/{(await self.call()).id}/hang-up"
        headers = {"Authorization": f"Bearer {self._api_key}"}
        async with httpx2.AsyncClient(headers=headers, timeout=10, trust_env=False) as client:
            assert (await client.post(url)).is_success


@asynccontextmanager
async def pair(folder: Path, url: str, kind: Kind = QUIET) -> AsyncIterator[tuple[Pair, Tunnel, Tunnel]]:
    async with (
        Tunnel(url) as first,
        Tunnel(url) as second,
        Pair(folder, url, {FIRST: first, SECOND: second}, kind) as world,
    ):
        await world.prepare(FIRST, SECOND)
        yield world, first, second
