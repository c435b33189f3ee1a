"""Small stores that integrations share across processes; the database implements them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SharedToken:
    """An access token and its facts (such as an API host), valid until `expires_at`."""

    value: str
    expires_at: datetime
    facts: dict[str, str]


class TokenStore(Protocol):
    """Access tokens shared by all processes, refreshed by one of them at a time."""

    async def get(
        self, name: str, refresh: Callable[[], Awaitable[SharedToken]], *, stale: str | None = None
    ) -> SharedToken:
        """The live token, or the result of `refresh` run by exactly one process while others wait.

        `stale` is a token value that the vendor has just refused: it is replaced even if it has not expired.
        Errors of `refresh` pass through to the caller who ran it; waiters give up after 30 s with VendorBusy.
        """
        ...


class SecretStore(Protocol):
    """Vendor facts and credentials of an integration, encrypted at rest."""

    async def read(self, integration: str, key: str) -> str | None:
        """The stored value, or None."""
        ...

    async def write(self, integration: str, key: str, value: str) -> None:
        """Store or replace a value."""
        ...

    async def delete(self, integration: str, key: str) -> None:
        """Forget a value; it is no error if there is none."""
        ...


class CounterStore(Protocol):
    """Rates that hold over all processes."""

    async def reserve(self, scope: str, per_second: float, burst: int = 1) -> float:
        """Take the next slot of a rate; returns how many seconds from now it is (0 = at once)."""
        ...

    async def block(self, scope: str, seconds: float) -> None:
        """Let no slot of the rate be earlier than `seconds` from now (a vendor's Retry-After)."""
        ...
