"""A world with one vendor in it: its simulator, the adapter on it, and our addresses."""

import json
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from callwright.config import Configuration, load, secret_values
from callwright.domain.errors import VendorError
from callwright.ports.clock import SystemClock
from callwright.ports.operations import SetupPlan
from callwright.registry import IntegrationContext, IntegrationSpec, Role
from callwright.simulation.faults import Fault
from callwright.simulation.traffic import Exchange
from callwright.simulation.vendor import VendorSimulator
from callwright.simulation.world import World, WorldOptions
from tests.contracts.doorway import Doorway
from tests.contracts.leaks import Leaks
from tests.contracts.samples import Sample
from tests.contracts.stores import MemoryCounters, MemorySecrets, MemoryTokens

Eventually = Callable[..., Awaitable[None]]

SLOT = "one"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def world_options(**options: Any) -> WorldOptions:
    """Options of a stage's world; TRAFFIC_FOLDER, if set, receives what goes over its wires."""
    named = os.environ.get("TRAFFIC_FOLDER")
    folder = Path(named) if named else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return WorldOptions(speed=10.0, traffic_folder=folder, **options)


class Stage:
    """Everything that a contract needs, by generic means: SPEC, settings of the simulator, ports.

    `port` is the adapter; `another()` is one more on the same stores, as a second process would have it.
    """

    def __init__(self, spec: IntegrationSpec, role: Role, world: World, leaks: Leaks) -> None:
        self.spec = spec
        self.role = role
        self.world = world
        self.leaks = leaks
        self.simulator: VendorSimulator = spec.build_simulator(world)
        self.tokens = MemoryTokens(world.clock)
        self.secrets = MemorySecrets()
        self.counters = MemoryCounters()
        self.known_secrets: set[str] = set()
        """Secrets that a test itself hands out, such as a token of a media socket."""
        self.doorway = Doorway(spec.name, self._take, self._admit)
        self.configuration: Configuration
        self.port: Any
        self._built: list[Any] = []
        self._mark = 0

    async def open(self) -> None:
        """Start the simulator, read the settings that it gives, build the adapter."""
        await self.simulator.start()
        await self.doorway.open()
        self.configuration = load(self.simulator.environment())
        self.port = self.another()

    async def close(self) -> None:
        """Stop everything, whatever fails on the way."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.doorway.close)
            stack.push_async_callback(self.simulator.stop)  # before: its last webhooks still find us
            for built in self._built:
                # That an adapter cannot be closed is told by a case of its own, not by each of them.
                stack.enter_context(suppress(NotImplementedError))
                stack.push_async_callback(built.close)

    def another(self, **settings: str) -> Any:
        """One more adapter on the same stores, with changed settings by environment name."""
        _, own = load({**self.simulator.environment(), **settings}).integrations[self.spec.name]
        context = IntegrationContext(
            SystemClock(), self.tokens, self.secrets, self.counters, self.doorway.public_url
        )
        self._built.append(self.spec.build(self.role, own, context))
        return self._built[-1]

    def sample(self, name: str = "contract") -> Sample:
        """A file of the integration's fixtures."""
        return Sample(self.spec, name, self.simulator.environment())

    def plan(self, *, apply: bool = True, public_url: str | None = None) -> SetupPlan:
        """The set-up that points at our doorway."""
        return SetupPlan(
            public_url or self.doorway.public_url,
            self.doorway.media_url,
            SLOT,
            agents=self._agents(),
            apply=apply,
        )

    async def set_up(self) -> None:
        """What an operator does once."""
        await self.port.setup(self.plan())

    def fault(self, fault: Fault) -> Fault:
        """Put a fault in force."""
        return self.simulator.faults.add(fault)

    def mark(self) -> None:
        """From here on `requests` counts."""
        self._mark = len(self.simulator.traffic.exchanges)

    def requests(self, *, reads: bool = True) -> list[Exchange]:
        """What the adapter sent by HTTP since the mark, with or without what only reads."""
        recent = list(self.simulator.traffic.exchanges)[self._mark :]
        ours = [item for item in recent if item.direction == "in" and item.kind == "http"]
        return [item for item in ours if reads or item.name.partition(" ")[0] not in _READS]

    async def failure(self, work: Awaitable[Any]) -> VendorError:
        """The VendorError that something raises; its words are searched for secrets."""
        try:
            result = await work
        except VendorError as error:
            self.leaks.said += [repr(error), str(error), error.message, error.body, error.code]
            return error
        raise AssertionError(f"{self.spec.name}: no VendorError but {result!r}")

    def credentials(self) -> set[str]:
        """The secrets of the settings."""
        return set(secret_values(self.configuration))

    def all_secrets(self) -> set[str]:
        """Everything that must not be said: credentials, and what was agreed upon since."""
        found = self.credentials() | self.known_secrets
        found |= {token.value for token in self.tokens.known.values()}
        for (_, key), value in self.secrets.values.items():
            found |= {value} if _promises_a_secret(key) else set(_texts(value))
        return found

    def assert_nothing_leaked(self) -> None:
        """Fail when a secret is in a log line or an error of this test."""
        self.leaks.said += [repr(self.port), repr(self.configuration)]
        leaked = self.leaks.containing(self.all_secrets())
        assert not leaked, f"{self.spec.name} tells a secret: {leaked[:5]}"

    def assert_no_violations(self) -> None:
        """Fail when the simulator says that the adapter broke the vendor's rules."""
        assert self.simulator.traffic.violations == []

    def _agents(self) -> tuple[str, ...]:
        if self.role is not Role.VOICE_AGENTS:
            return ()
        return (str(self.sample("demo").get("engine")["agent_id"]),)

    async def _take(self, request: Any) -> None:
        """Understand a webhook; stages of roles that have webhooks do more."""

    def _admit(self, path: str) -> Any:
        """The listener of a media socket; only carriers have any."""
        return None


def _texts(value: str) -> Iterable[str]:
    """Secrets within a stored JSON object: the values of names that promise one."""
    try:
        decoded = json.loads(value)
    except ValueError:
        return ()
    if not isinstance(decoded, dict):
        return ()
    return [text for name, text in decoded.items() if isinstance(text, str) and _promises_a_secret(name)]


def _promises_a_secret(name: str) -> bool:
    return any(word in name.lower() for word in ("secret", "token", "password"))
