"""Keeps every call moving: starts what is due, answers timers, applies webhooks, takes over from dead processes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from callwright.calls.alarms import Alarms
from callwright.calls.finishing import FINISH, workflow_of
from callwright.calls.inbox import Inbox
from callwright.calls.ledger import Ledger, TimerKind
from callwright.calls.live import LiveCalls
from callwright.calls.reconciling import Reconciler
from callwright.calls.recovery import Recovery
from callwright.calls.upkeep import Started, Upkeep
from callwright.domain.states import CallState
from callwright.ports.workflows import Workflows
from callwright.storage import attempts, holds

log = structlog.get_logger(__name__)

DIAL = "dial"
_PERIOD_S = 0.5
_START_BATCH = 20
_HEARTBEAT_S = 2.0
_MEND_EVERY_S = 10.0
_PURGE_EVERY_S = 3600.0
_MOST_INBOX_ROUNDS = 20
_STALLED_AFTER_S = 30.0
_STOP_S = 5.0
_WOKEN = ("sweep", "timers", "starts")
"""Loops that look at once after a change."""


@dataclass(frozen=True, slots=True)
class SweepRules:
    """What the loops need to know of this process."""

    process_id: str
    max_concurrent_calls: int
    keep_recordings_days: int


class Sweeper:
    """The background loops of one process."""

    def __init__(
        self,
        ledger: Ledger,
        workflows: Workflows,
        mail: Inbox,
        reconciler: Reconciler,
        live: LiveCalls,
        recovery: Recovery,
        upkeep: Upkeep,
        rules: SweepRules,
    ) -> None:
        self._ledger = ledger
        self._workflows = workflows
        self._inbox = mail
        self._live = live
        self._recovery = recovery
        self._upkeep = upkeep
        self._max_concurrent_calls = rules.max_concurrent_calls
        self._keep_recordings_s = rules.keep_recordings_days * 86400.0
        self._awake = {name: asyncio.Event() for name in _WOKEN}
        self._started: dict[str, Started] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._last_round: dict[str, float] = {}
        self._holding = False
        handlers: dict[str, Callable[[str], Awaitable[None]]] = {
            TimerKind.RECONCILE: reconciler.resolve_unknown,
            TimerKind.ASK: reconciler.ask,
            TimerKind.LONGEST_CALL: reconciler.end_longest,
            TimerKind.LATE_LEG: reconciler.end_late_leg,
            TimerKind.HANDOVER: live.settle_handover,
            TimerKind.FINISH: self._start_finish,
            TimerKind.PREPARE_LIMIT: upkeep.prepare_again,
        }
        self._alarms = Alarms(ledger, rules.process_id, handlers, self.wake)
        ledger.on_change(self.wake)
        live.on_wake(self.wake)

    def wake(self) -> None:
        """Look at once instead of at the next half second."""
        for awake in self._awake.values():
            awake.set()

    async def start(self) -> None:
        """Start the loops."""
        loops = (
            ("sweep", self._sweep, _PERIOD_S),
            ("timers", self._alarms.fire_due, _PERIOD_S),
            ("starts", self._start_due, _PERIOD_S),
            ("heartbeat", self._recovery.beat, _HEARTBEAT_S),
            ("mend", self._mend, _MEND_EVERY_S),
            ("purge", self._purge, _PURGE_EVERY_S),
        )
        self._last_round = {name: time.monotonic() for name, _, period in loops if period < _STALLED_AFTER_S}
        self._tasks = [asyncio.create_task(self._loop(*loop), name=loop[0]) for loop in loops]

    def hold(self) -> None:
        """Start no further call; those that run go on."""
        self._holding = True

    def stalled(self) -> list[str]:
        """Names of the loops that have not come round, with success, for 30 s."""
        late = time.monotonic() - _STALLED_AFTER_S
        return [name for name, moment in self._last_round.items() if moment < late]

    async def stop(self) -> None:
        """Stop the loops within ten seconds."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_S)
        self._tasks = []
        await self._alarms.stop()

    async def _loop(self, name: str, work: Callable[[], Awaitable[None]], period_s: float) -> None:
        while True:
            try:
                await work()
                if name in self._last_round:
                    self._last_round[name] = time.monotonic()
            except Exception:  # supervision point: a database that is away for a moment must not end the loop
                log.exception("a background loop failed", loop=name)
                await asyncio.sleep(period_s)
            awake = self._awake.get(name)
            if awake is None:
                await asyncio.sleep(period_s)
                continue
            try:
                async with asyncio.timeout(period_s):
                    await awake.wait()
            except TimeoutError:
                continue
            finally:
                awake.clear()

    async def _sweep(self) -> None:
        """Apply webhooks and begin conversations: this waits for no vendor, and not for the workflows' database."""
        for _ in range(_MOST_INBOX_ROUNDS):
            applied = await self._inbox.apply_pending()
            await self._live.look()
            if not applied:
                break

    async def _start_due(self) -> None:
        """Start the dial workflow of queued calls whose time has come, no more than there is room for.

        In a loop of its own: a start waits for the workflows' database, for up to 30 s.
        """
        if self._holding:
            return
        now = self._ledger.clock.now()
        async with self._ledger.database.read() as conn:
            room = self._max_concurrent_calls - await attempts.count_in_progress(conn)
            if room <= 0 or await holds.find(conn, holds.DIALING) is not None:
                return
            due = await attempts.due(conn, now, min(room, _START_BATCH) + len(self._started))
            found = [await attempts.get(conn, attempt_id) for attempt_id in due]
        wanted = {
            f"{DIAL}-{attempt.id}-{attempt.round}": Started(attempt.id, attempt.round)
            for attempt in found
            if attempt is not None
        }
        self._started = {name: call for name, call in self._started.items() if name in wanted}
        fresh = [name for name in wanted if name not in self._started]
        for workflow_id in fresh[: max(0, room - len(self._started))]:
            call = wanted[workflow_id]
            await self._workflows.start(DIAL, workflow_id, call.attempt_id)
            self._started[workflow_id] = call

    async def _start_finish(self, attempt_id: str) -> None:
        attempt = await self._ledger.get(attempt_id)
        if attempt.state is CallState.ENDED:
            await self._workflows.start(FINISH, workflow_of(attempt), attempt_id)

    async def _mend(self) -> None:
        await self._upkeep.mend(self._started)

    async def _purge(self) -> None:
        await self._upkeep.purge()
        await asyncio.to_thread(self._live.forget_recordings, self._keep_recordings_s)
