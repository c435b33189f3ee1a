"""Time comes from here, so that a test or the demo can place it."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time and a steady counter."""

    def now(self) -> datetime:
        """The current moment, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds of a counter that never jumps."""
        ...


class SystemClock:
    """The machine's clock."""

    monotonic = staticmethod(time.monotonic)
    """The function itself: every audio frame asks for the time."""

    def now(self) -> datetime:
        """The current moment, aware, UTC."""
        return datetime.now(UTC)


class ShiftedClock(SystemClock):
    """The machine's clock moved by a fixed amount, for a simulated world only."""

    def __init__(self, shift: timedelta) -> None:
        self._shift = shift

    def now(self) -> datetime:
        """The simulated moment, aware, UTC."""
        return datetime.now(UTC) + self._shift
