"""One timer for all conversations of a simulator: no task and no wait per frame."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

TICK_S: Final = 0.02

_log = logging.getLogger(__name__)

Tick = Callable[[float], None]


class SharedTimer:
    """Calls every subscriber with the loop's time each 20 ms, while there are any."""

    def __init__(self) -> None:
        self._subscribers: dict[int, tuple[Tick, Callable[[], None]]] = {}
        self._next = 0
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0

    def add(self, tick: Tick, failed: Callable[[], None]) -> int:
        """Subscribe; `failed` is called, and the subscription ended, when `tick` raises. Answers its number."""
        self._next += 1
        self._subscribers[self._next] = (tick, failed)
        if self._handle is None:
            loop = asyncio.get_running_loop()
            self._due = loop.time() + TICK_S
            self._handle = loop.call_at(self._due, self._run)
        return self._next

    def remove(self, number: int) -> None:
        """End a subscription; it is no error if it is over."""
        self._subscribers.pop(number, None)

    def stop(self) -> None:
        """End all subscriptions."""
        self._subscribers.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _run(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for number, (tick, failed) in list(self._subscribers.items()):
            if number not in self._subscribers:
                continue
            try:
                tick(now)
            except Exception:  # one conversation's error must not stop the clock of the others
                _log.exception("a simulated conversation failed")
                self.remove(number)
                failed()
        self._due = max(self._due + TICK_S, now)
        self._handle = loop.call_at(self._due, self._run) if self._subscribers else None
