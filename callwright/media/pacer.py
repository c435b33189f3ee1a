"""One clock for all calls, which only acts where frames that should have arrived did not."""

import asyncio
import logging
from array import array
from collections.abc import Callable
from typing import Protocol

from callwright.media.metrics import MediaMetrics

TICK_S = 0.005
"""How often deadlines are looked at."""

NEVER = float("inf")

_LONG_TICKS = 4
_LIVELY = 2
_LATE_S = 0.003
_STALL_S = 0.05

logger = logging.getLogger(__name__)


class Paced(Protocol):
    """Something with a next moment at which it has to act."""

    def place(self, deadlines: "array[float]", slot: int) -> None:
        """Keep the deadline (seconds of the pacer's clock) in this place from now on."""
        ...

    def tick(self, now: float) -> None:
        """The deadline passed, or will within half a tick: act, and set the next."""
        ...


class Pacer:
    """Calls `tick` of everything that is due.

    The deadlines of all calls lie in one array, so that a frame that leaves on arrival costs no more than moving its
    deadline, and the least of hundreds is found in microseconds. Arriving frames are moments to look, too: whoever
    handles them calls `hasten` from `next_at` on, and where there are enough of them the timer, whose wake-ups cost
    more than a frame, fires every 20 ms only. It runs while there is something to pace.
    """

    def __init__(self, monotonic: Callable[[], float], metrics: MediaMetrics, capacity: int = 4096) -> None:
        self._monotonic = monotonic
        self._metrics = metrics
        self._deadlines = array("d", [NEVER]) * capacity
        self._paced: list[Paced | None] = []
        self._free: list[int] = []
        self._slots: dict[int, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._expected = 0.0
        self._hastened = 0
        self.next_at = NEVER
        self.longest_lag_s = 0.0

    def add(self, paced: Paced) -> None:
        """Start to look after something; adding it twice does nothing. Raises RuntimeError beyond the capacity."""
        if id(paced) in self._slots:
            return
        if self._free:
            slot = self._free.pop()
            self._paced[slot] = paced
        elif len(self._paced) < len(self._deadlines):
            slot = len(self._paced)
            self._paced.append(paced)
        else:
            raise RuntimeError(f"the pacer has room for {len(self._deadlines)} calls")
        self._slots[id(paced)] = slot
        paced.place(self._deadlines, slot)
        if self._timer is None:
            now = self._monotonic()
            self.next_at = now + TICK_S
            self._arm(now, 1)

    def remove(self, paced: Paced) -> None:
        """Forget something; no error when it is not there."""
        slot = self._slots.pop(id(paced), None)
        if slot is not None:
            paced.place(array("d", [NEVER]), 0)
            self._deadlines[slot] = NEVER
            self._paced[slot] = None
            self._free.append(slot)

    def close(self) -> None:
        """Stop the timer and forget everything."""
        for paced in list(self._paced):
            if paced is not None:
                self.remove(paced)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.next_at = NEVER

    def take_lag(self) -> float:
        """Longest lag in seconds since the last time it was taken."""
        lag, self.longest_lag_s = self.longest_lag_s, 0.0
        return lag

    def hasten(self, now: float) -> None:
        """A frame arrived: look now, or when we are late, after the frames that wait in the other sockets.

        They may be the very ones that are missing.
        """
        self._hastened += 1
        if now - self.next_at < _LATE_S:
            self.run(now)
        else:
            self.next_at = NEVER
            asyncio.get_running_loop().call_soon(self._run_late)

    def run(self, now: float) -> None:
        """Act for everything that is due at `now`."""
        self.next_at = now + TICK_S
        limit = now + TICK_S / 2
        deadlines = self._deadlines[: len(self._paced)]
        if not deadlines or min(deadlines) > limit:
            return
        for slot in [slot for slot, deadline in enumerate(deadlines) if deadline <= limit]:
            paced = self._paced[slot]
            if paced is None:
                continue
            try:
                paced.tick(now)
            except Exception:
                # Supervision point: a fault in one call must not stop the clock of the others.
                logger.exception("Pacing of a call failed; it is not paced any more")
                self.remove(paced)

    def _run_late(self) -> None:
        if self._timer is not None:
            self.run(self._monotonic())

    def _arm(self, now: float, ticks: int) -> None:
        delay = ticks * TICK_S
        self._expected = now + delay
        self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        now = self._monotonic()
        lag = now - self._expected
        if lag > self.longest_lag_s:
            self.longest_lag_s = lag
            if lag > _STALL_S:
                self._metrics.stalls.inc()
        if now >= self.next_at:
            self.run(now)
        lively, self._hastened = self._hastened >= _LIVELY, 0
        if self._slots:
            self._arm(now, _LONG_TICKS if lively else 1)
        else:
            self._timer = None
            self.next_at = NEVER
