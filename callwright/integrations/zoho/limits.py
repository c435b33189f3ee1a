"""Keeps one process within Zoho's limits: requests in flight, pauses it asks for, and credits (API limits page).

Zoho counts credits over a rolling day and requests in flight per organisation, and answers 429 to both.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from callwright.domain.errors import VendorBusy
from callwright.ports.clock import Clock

_FIRST_PAUSE_S = 60.0
_LONGEST_PAUSE_S = 960.0
_DAY_S = 86_400.0
_BUCKET_S = 3600.0


class Limits:
    """Turns to send a request; a turn costs credits and waits at most `wait_s` for its place."""

    def __init__(
        self, vendor: str, clock: Clock, *, in_flight: int, complex_in_flight: int, wait_s: float = 30.0
    ) -> None:
        self._vendor = vendor
        self._clock = clock
        self._all = asyncio.Semaphore(in_flight)
        self._complex = asyncio.Semaphore(complex_in_flight)
        self._wait_s = wait_s
        self._paused_until = 0.0
        self._throttles = 0
        self._spent: deque[tuple[float, int]] = deque()

    @asynccontextmanager
    async def turn(self, *, heavy: bool, credit: int) -> AsyncIterator[None]:
        """Hold a place while a request runs; `heavy` ones (search, query) have a smaller limit of their own.

        Raises VendorBusy when Zoho has asked for a pause, or when no place is free in time.
        """
        self._respect_pause()
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._wait_s):
                    if heavy:
                        await stack.enter_async_context(self._complex)
                    await stack.enter_async_context(self._all)
            except TimeoutError as error:
                message = f"no request could be sent within {self._wait_s:g} s: too many are under way"
                raise VendorBusy(self._vendor, message, retry_after_s=5.0) from error
            self._respect_pause()
            self._spend(credit)
            yield

    def throttled(self, hint_s: float | None) -> float:
        """Note a 429 and return the pause in seconds: Zoho's hint, else 60 s doubled with each one in a row."""
        doubled = min(_FIRST_PAUSE_S * 2**self._throttles, _LONGEST_PAUSE_S)
        self._throttles += 1
        pause = doubled if hint_s is None else hint_s
        self._paused_until = max(self._paused_until, self._clock.monotonic() + pause)
        return pause

    def answered(self) -> None:
        """Note an answer that is not a 429, which ends the doubling."""
        self._throttles = 0

    @property
    def credits_used(self) -> int:
        """Credits that this process has spent in the last 24 hours, estimated from Zoho's price list."""
        self._forget()
        return sum(credit for _, credit in self._spent)

    def _respect_pause(self) -> None:
        remaining = self._paused_until - self._clock.monotonic()
        if remaining > 0:
            raise VendorBusy(self._vendor, "Zoho has asked for a pause", retry_after_s=remaining)

    def _spend(self, credit: int) -> None:
        self._forget()
        now = self._clock.monotonic()
        if self._spent and now - self._spent[-1][0] < _BUCKET_S:
            since, spent = self._spent[-1]
            self._spent[-1] = (since, spent + credit)
        else:
            self._spent.append((now, credit))

    def _forget(self) -> None:
        while self._spent and self._clock.monotonic() - self._spent[0][0] > _DAY_S:
            self._spent.popleft()
