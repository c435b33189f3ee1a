"""The stores that integrations get, in memory."""

import asyncio
from collections.abc import Awaitable, Callable

from callwright.ports.clock import Clock
from callwright.ports.storage import SharedToken

_WAIT_S = 30.0


class MemoryTokens:
    """A TokenStore: one refresh at a time."""

    def __init__(self, clock: Clock) -> None:
        self.known: dict[str, SharedToken] = {}
        self._clock = clock
        self._lock = asyncio.Lock()

    async def get(
        self, name: str, refresh: Callable[[], Awaitable[SharedToken]], *, stale: str | None = None
    ) -> SharedToken:
        async with asyncio.timeout(_WAIT_S), self._lock:
            known = self.known.get(name)
            if known is None or known.value == stale or known.expires_at <= self._clock.now():
                known = self.known[name] = await refresh()
            return known


class MemorySecrets:
    """A SecretStore."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str] = {}

    async def read(self, integration: str, key: str) -> str | None:
        return self.values.get((integration, key))

    async def write(self, integration: str, key: str, value: str) -> None:
        self.values[integration, key] = value

    async def delete(self, integration: str, key: str) -> None:
        self.values.pop((integration, key), None)


class MemoryCounters:
    """A CounterStore that limits nothing and remembers what was held back."""

    def __init__(self) -> None:
        self.blocked: list[tuple[str, float]] = []

    async def reserve(self, scope: str, per_second: float, burst: int = 1) -> float:
        return 0.0

    async def block(self, scope: str, seconds: float) -> None:
        self.blocked.append((scope, seconds))
