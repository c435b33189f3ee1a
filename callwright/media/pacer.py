"""One timer for all calls: a wheel of 5 ms slots that only acts where inbound frames did not."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from callwright.media.metrics import MediaMetrics

TICK_S = 0.005
"""Resolution of the wheel."""

_TICKS_PER_S = 200
_SLOTS = 16
_STALL_S = 0.05

logger = logging.getLogger(__name__)


class Paced(Protocol):
    """Something with a next moment at which it has to act, in seconds of the pacer's clock."""

    deadline: float

    def tick(self, now: float) -> None:
        """Act, and move `deadline` on."""
        ...


class _Entry:
    """A place on the wheel; `paced` is None once it left."""

    __slots__ = ("paced",)

    def __init__(self, paced: Paced) -> None:
        self.paced: Paced | None = paced


class Pacer:
    """Calls `tick` of everything that is due. The timer runs only while something is on the wheel.

    Deadlines may move on freely in between: an entry is looked at when its old deadline comes, and put where
    its new one is. A call whose frames leave on arrival therefore costs one look per frame.
    """

    def __init__(self, monotonic: Callable[[], float], metrics: MediaMetrics) -> None:
        self._monotonic = monotonic
        self._metrics = metrics
        self._wheel: list[list[_Entry]] = [[] for _ in range(_SLOTS)]
        self._entries: dict[int, _Entry] = {}
        self._slot = 0
        self._timer: asyncio.TimerHandle | None = None
        self._expected = 0.0
        self.longest_lag_s = 0.0

    def add(self, paced: Paced) -> None:
        """Put something on the wheel; adding it twice does nothing."""
        if id(paced) in self._entries:
            return
        if self._timer is None:
            now = self._monotonic()
            self._slot = int(now / TICK_S)
            self._arm(now)
        entry = self._entries[id(paced)] = _Entry(paced)
        self._wheel[(self._slot + 1) % _SLOTS].append(entry)

    def remove(self, paced: Paced) -> None:
        """Take something off the wheel; no error when it is not there."""
        entry = self._entries.pop(id(paced), None)
        if entry is not None:
            entry.paced = None

    def close(self) -> None:
        """Stop the timer and forget everything."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._entries.clear()
        self._wheel = [[] for _ in range(_SLOTS)]

    def take_lag(self) -> float:
        """Longest lag in seconds since the last time it was taken."""
        lag, self.longest_lag_s = self.longest_lag_s, 0.0
        return lag

    def run(self, now: float) -> None:
        """Act for every slot up to `now`; the timer calls this."""
        current = int(now / TICK_S)
        first = max(self._slot + 1, current - _SLOTS + 1)
        self._slot = current
        limit = now + TICK_S / 2
        furthest = now + (_SLOTS - 2) * TICK_S
        wheel = self._wheel
        for number in range(first, current + 1):
            slot = wheel[number % _SLOTS]
            if not slot:
                continue
            wheel[number % _SLOTS] = []
            for entry in slot:
                paced = entry.paced
                if paced is None:
                    continue
                if paced.deadline <= limit:
                    self._tick(paced, now)
                if paced.deadline < furthest:
                    number_due = int(paced.deadline * _TICKS_PER_S + 0.5)
                    wheel[(number_due if number_due > current else current + 1) % _SLOTS].append(entry)
                else:
                    wheel[(current + _SLOTS - 1) % _SLOTS].append(entry)

    def _tick(self, paced: Paced, now: float) -> None:
        try:
            paced.tick(now)
        except Exception:
            # Supervision point: a fault in one call must not stop the clock of the others.
            logger.exception("Pacing of a call failed; it is taken off the clock")
            self.remove(paced)

    def _arm(self, now: float) -> None:
        delay = max((int(now / TICK_S) + 1) * TICK_S - now, 0.001)
        self._expected = now + delay
        self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        now = self._monotonic()
        lag = now - self._expected
        if lag > self.longest_lag_s:
            self.longest_lag_s = lag
            if lag > _STALL_S:
                self._metrics.stalls.inc()
        self.run(now)
        if self._entries:
            self._arm(now)
        else:
            self._timer = None
