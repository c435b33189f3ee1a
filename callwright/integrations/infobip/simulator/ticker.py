"""One clock for the audio of all calls: every member ticks once each 20 ms, spread over phases, without drift."""

import asyncio
import logging
import time
from collections.abc import Callable

TICK_S = 0.020
_PHASES = 10
_STEP_S = TICK_S / _PHASES
_LONGEST_CATCH_UP_S = 1.0

_log = logging.getLogger(__name__)

Tick = Callable[[float], None]
"""Called with the moment (time.monotonic) at which the tick was due."""


class Ticker:
    """Runs while it has members. After a stall it catches up tick by tick, as a media server's card would."""

    def __init__(self) -> None:
        self.longest_stall_s = 0.0
        self._members: list[dict[int, Tick]] = [{} for _ in range(_PHASES)]
        self._task: asyncio.Task[None] | None = None

    def add(self, key: int, tick: Tick) -> None:
        """Let a member tick, in the phase that has fewest."""
        min(self._members, key=len)[key] = tick
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="infobip-simulator-ticker")

    def remove(self, key: int) -> None:
        """Let a member tick no more."""
        for members in self._members:
            members.pop(key, None)

    async def close(self) -> None:
        """Stop the clock."""
        for members in self._members:
            members.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        start = time.monotonic()
        step = 0
        while any(self._members):
            step += 1
            due = start + step * _STEP_S
            late_s = time.monotonic() - due
            if late_s > _LONGEST_CATCH_UP_S:
                start, step = time.monotonic(), 0
                continue
            self.longest_stall_s = max(self.longest_stall_s, late_s)
            await asyncio.sleep(max(0.0, -late_s))
            for key, tick in list(self._members[step % _PHASES].items()):
                try:
                    tick(due)
                except Exception:
                    # one call's fault must not stop the clock of the others; it is reported and ends
                    _log.exception("a call of the simulated carrier failed")
                    self.remove(key)
