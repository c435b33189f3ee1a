"""Answers due timers, each in a task of its own: a slow vendor holds up neither other timers nor another vendor's."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import structlog

from callwright.calls.ledger import Ledger, TimerKind
from callwright.storage import timers

log = structlog.get_logger(__name__)

_LEASE_S = 60.0
_AT_ONCE = 16
_STOP_S = 5.0
_LANES = (
    frozenset({TimerKind.FINISH, TimerKind.PREPARE_LIMIT}),
    frozenset({TimerKind.LONGEST_CALL}),
    frozenset({TimerKind.HANDOVER}),
    frozenset({TimerKind.LATE_LEG}),
    frozenset({TimerKind.RECONCILE, TimerKind.ASK}),
)
"""Kinds of timers that share room: what needs no carrier, hang-ups that are due, persons with a human, legs that have
to be apologised to, calls to be asked for.
"""

Handler = Callable[[str], Awaitable[None]]


class Alarms:
    """The timers that this process has in hand: at most 16 of a lane for each carrier, each for at most 54 s."""

    def __init__(
        self, ledger: Ledger, process_id: str, handlers: Mapping[str, Handler], on_done: Callable[[], None]
    ) -> None:
        self._ledger = ledger
        self._process_id = process_id
        self._handlers = handlers
        self._on_done = on_done
        self._firing: dict[tuple[str, frozenset[str]], set[asyncio.Task[None]]] = {}

    async def fire_due(self) -> None:
        """Claim what is due, as far as there is room, and answer it in the background."""
        now = self._ledger.clock.now()
        async with self._ledger.database.read() as conn:
            due = await timers.kinds_due(conn, now)
        for carrier in sorted({carrier for carrier, _ in due}):
            kinds_due = {kind for owner, kind in due if owner == carrier}
            for kinds in _LANES:
                if not kinds.isdisjoint(kinds_due):
                    await self._claim(carrier, kinds, now)

    async def stop(self) -> None:
        """Cancel what is under way, within five seconds; the claims run out, or are released at the end."""
        running = set().union(*self._firing.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=_STOP_S)

    async def _claim(self, carrier: str, kinds: frozenset[str], now: datetime) -> None:
        firing = self._firing.setdefault((carrier, kinds), set())
        free = _AT_ONCE - len(firing)
        if free <= 0:
            return
        async with self._ledger.database.write() as conn:
            claimed = await timers.claim_due(conn, now, self._process_id, _LEASE_S, free, kinds, carrier)
        for timer in claimed:
            self._start(timer, firing)

    def _start(self, timer: timers.Timer, firing: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(self._fire(timer), name=f"timer {timer.kind}")
        firing.add(task)
        task.add_done_callback(firing.discard)
        task.add_done_callback(lambda _task: self._on_done())

    async def _fire(self, timer: timers.Timer) -> None:
        with structlog.contextvars.bound_contextvars(call_id=timer.attempt_id):
            try:
                async with asyncio.timeout(_LEASE_S * 0.9):
                    await self._handlers[timer.kind](timer.attempt_id)
                async with self._ledger.database.write() as conn:
                    await timers.complete(conn, timer)
            except Exception:  # supervision point: the claim runs out and the timer fires again
                log.exception("a timer failed", timer=timer.kind, tries=timer.tries)
