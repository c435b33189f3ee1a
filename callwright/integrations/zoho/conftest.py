"""A simulated organisation and the adapter that talks to it over real HTTP."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from callwright.integrations.zoho.crm import ZohoCrm
from callwright.integrations.zoho.settings import ZohoSettings
from callwright.integrations.zoho.simulator import ZohoSimulator
from callwright.ports.clock import SystemClock
from callwright.ports.storage import SharedToken
from callwright.registry import IntegrationContext
from callwright.simulation.world import World, WorldOptions, WorldRecord

LEAD = "5725767000000101001"
OTHER = "5725767000000101002"
CONTACT = "5725768000000101001"
UNKNOWN = "5725767000000999999"
MOMENT = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)

PEOPLE = [
    WorldRecord(
        LEAD,
        "Asha",
        "Rao",
        "+447700900101",
        {"product": "Solar roof", "company": "Rao Ltd", "Language": "English", "Score": None},
    ),
    WorldRecord(OTHER, "Ben", "O'Neill", "+447700900102", {"Customer_Number": "C-2", "Topics": ["Price"]}),
    WorldRecord(CONTACT, "Cara", "Diaz", "+447700900103", {"module": "Contacts"}),
]


class MovableClock(SystemClock):
    """The machine's clock, which a test may move forward."""

    def __init__(self) -> None:
        self._shift = 0.0

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self._shift += seconds

    def now(self) -> datetime:
        """The moved moment, aware, UTC."""
        return super().now() + timedelta(seconds=self._shift)

    def monotonic(self) -> float:
        """The moved counter in seconds."""
        return super().monotonic() + self._shift


class MemoryTokens:
    """A TokenStore that several adapters of one test share, as processes share the database."""

    def __init__(self, clock: MovableClock) -> None:
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: dict[str, SharedToken] = {}

    async def get(
        self, name: str, refresh: Callable[[], Awaitable[SharedToken]], *, stale: str | None = None
    ) -> SharedToken:
        """The live token, or the one that `refresh` gives while others wait."""
        async with asyncio.timeout(30), self._lock:
            known = self._known.get(name)
            if known is not None and known.value != stale and self._clock.now() < known.expires_at:
                return known
            self._known[name] = await refresh()
            return self._known[name]


class MemorySecrets:
    """A SecretStore in memory."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], str] = {}

    async def read(self, integration: str, key: str) -> str | None:
        """The stored value, or None."""
        return self._values.get((integration, key))

    async def write(self, integration: str, key: str, value: str) -> None:
        """Store or replace a value."""
        self._values[integration, key] = value

    async def delete(self, integration: str, key: str) -> None:
        """Forget a value."""
        self._values.pop((integration, key), None)


class NoCounters:
    """A CounterStore that limits nothing."""

    async def reserve(self, scope: str, per_second: float, burst: int = 1) -> float:
        """The next slot is now."""
        return 0.0

    async def block(self, scope: str, seconds: float) -> None:
        """Nothing is held back."""


@dataclass
class Bench:
    """The simulator, and adapters that share their stores as processes of one installation do."""

    clock: MovableClock
    simulator: ZohoSimulator
    context: IntegrationContext
    opened: list[ZohoCrm] = field(default_factory=list)

    def settings(self, **changed: str) -> ZohoSettings:
        """Settings for the simulator, with changes by environment name."""
        return ZohoSettings.model_validate({**self.simulator.environment(), "ZOHO_TIMEOUT_S": "5", **changed})

    def lead(self, **values: object) -> str:
        """One more lead, not yet written to by us; its id."""
        record_id = self.simulator.tables.insert("Leads", {"Last_Name": "Fresh", **values})
        self.simulator.tables.effects.clear()
        return record_id

    @property
    def one(self) -> ZohoCrm:
        """The first adapter, for tests that share it."""
        return self.opened[0] if self.opened else self.crm()

    def crm(self, context: IntegrationContext | None = None, **changed: str) -> ZohoCrm:
        """One more adapter."""
        self.opened.append(ZohoCrm(self.settings(**changed), context or self.context))
        return self.opened[-1]


@asynccontextmanager
async def open_bench(options: WorldOptions) -> AsyncIterator[Bench]:
    """A started simulator and its bench; all that was opened is closed."""
    clock = MovableClock()
    simulator = ZohoSimulator(World(clock=clock, records=PEOPLE, options=options))
    await simulator.start()
    context = IntegrationContext(clock, MemoryTokens(clock), MemorySecrets(), NoCounters())
    bench = Bench(clock, simulator, context)
    try:
        yield bench
    finally:
        for crm in bench.opened:
            await crm.close()
        await simulator.stop()


def _traffic_folder() -> Path | None:
    folder = os.environ.get("TRAFFIC_FOLDER")
    return Path(folder) if folder else None


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A simulator with two leads and a contact; TRAFFIC_FOLDER, if set, receives what went over its wires."""
    async with open_bench(WorldOptions(traffic_folder=_traffic_folder())) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Bench]:
    """A simulator for all tests of a module, for tables of many rows; each test takes a lead of its own."""
    async with open_bench(WorldOptions(traffic_folder=_traffic_folder())) as opened:
        yield opened


@pytest.fixture
def crm(bench: Bench) -> ZohoCrm:
    """The adapter."""
    return bench.crm()


@pytest.fixture
def simulator(bench: Bench) -> ZohoSimulator:
    """The organisation."""
    return bench.simulator
