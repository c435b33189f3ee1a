"""Keeps every call moving: starts what is due, answers timers, applies webhooks, takes over from dead processes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from callwright.calls.inbox import Inbox
from callwright.calls.ledger import Ledger, TimerKind
from callwright.calls.live import LiveCalls
from callwright.calls.reconciling import Reconciler
from callwright.calls.recovery import Recovery
from callwright.domain.states import CallState, Signal
from callwright.ports.workflows import Workflows
from callwright.storage import attempts, idempotency, inbox, processes, suppressions, timers

log = structlog.get_logger(__name__)

DIAL, FINISH = "dial", "finish"
_PERIOD_S = 0.5
_LEASE_S = 60.0
_AT_ONCE = 16
_START_BATCH = 20
_HEARTBEAT_S = 2.0
_PURGE_EVERY_S = 3600.0
_KEEP_S = 86400.0
_KEEP_INBOX = timedelta(days=30)
_STOP_S = 5.0


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
        rules: SweepRules,
    ) -> None:
        self._ledger = ledger
        self._workflows = workflows
        self._inbox = mail
        self._live = live
        self._recovery = recovery
        self._process_id = rules.process_id
        self._max_concurrent_calls = rules.max_concurrent_calls
        self._keep_recordings_s = rules.keep_recordings_days * 86400.0
        self._awake = asyncio.Event()
        self._started: set[str] = set()
        self._firing: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._holding = False
        self._handlers: dict[str, Callable[[str], Awaitable[None]]] = {
            TimerKind.RECONCILE: reconciler.resolve_unknown,
            TimerKind.ASK: reconciler.ask,
            TimerKind.LONGEST_CALL: reconciler.end_longest,
            TimerKind.LATE_LEG: reconciler.end_late_leg,
            TimerKind.FINISH: self._start_finish,
            TimerKind.PREPARE_LIMIT: self._prepare_limit,
        }
        ledger.on_change(self.wake)
        live.on_wake(self.wake)

    def wake(self) -> None:
        """Look at once instead of at the next half second."""
        self._awake.set()

    async def start(self) -> None:
        """Start the loops."""
        loops = (("sweep", self._sweep, _PERIOD_S), ("heartbeat", self._recovery.beat, _HEARTBEAT_S))
        purge = ("purge", self._purge, _PURGE_EVERY_S)
        self._tasks = [asyncio.create_task(self._loop(*loop), name=loop[0]) for loop in (*loops, purge)]

    def hold(self) -> None:
        """Start no further call; those that run go on."""
        self._holding = True

    async def stop(self) -> None:
        """Stop the loops within five seconds."""
        running = {*self._tasks, *self._firing}
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=_STOP_S)
        self._tasks = []

    async def _loop(self, name: str, work: Callable[[], Awaitable[None]], period_s: float) -> None:
        while True:
            try:
                await work()
            except Exception:  # supervision point: a database that is away for a moment must not end the loop
                log.exception("a background loop failed", loop=name)
                await asyncio.sleep(period_s)
            if name != "sweep":
                await asyncio.sleep(period_s)
                continue
            try:
                async with asyncio.timeout(period_s):
                    await self._awake.wait()
            except TimeoutError:
                continue
            finally:
                self._awake.clear()

    async def _sweep(self) -> None:
        while await self._inbox.apply_pending():
            pass
        await self._live.look()
        await self._fire_timers()
        await self._start_due()

    async def _fire_timers(self) -> None:
        """Answer due timers in tasks of their own: a slow vendor must not hold up the sweep."""
        now = self._ledger.clock.now()
        free = _AT_ONCE - len(self._firing)
        async with self._ledger.database.read() as conn:
            upcoming = await timers.next_due(conn)
        if upcoming is None or upcoming > now or free <= 0:
            return
        async with self._ledger.database.write() as conn:
            due = await timers.claim_due(conn, now, self._process_id, _LEASE_S, free)
        for timer in due:
            task = asyncio.create_task(self._fire(timer), name=f"timer {timer.kind}")
            self._firing.add(task)
            task.add_done_callback(self._fired)

    def _fired(self, task: asyncio.Task[None]) -> None:
        self._firing.discard(task)
        self.wake()

    async def _fire(self, timer: timers.Timer) -> None:
        with structlog.contextvars.bound_contextvars(call_id=timer.attempt_id):
            try:
                async with asyncio.timeout(_LEASE_S * 0.9):
                    await self._handlers[timer.kind](timer.attempt_id)
                async with self._ledger.database.write() as conn:
                    await timers.complete(conn, timer)
            except Exception:  # supervision point: the claim runs out and the timer fires again
                log.exception("a timer failed", timer=timer.kind, tries=timer.tries)

    async def _start_due(self) -> None:
        """Start the dial workflow of queued calls whose time has come, no more than there is room for."""
        if self._holding:
            return
        now = self._ledger.clock.now()
        async with self._ledger.database.read() as conn:
            room = self._max_concurrent_calls - await attempts.count_in_progress(conn)
            if room <= 0:
                return
            due = await attempts.due(conn, now, min(room, _START_BATCH) + len(self._started))
            found = [await attempts.get(conn, attempt_id) for attempt_id in due]
        wanted = {
            f"{DIAL}-{attempt.id}-{attempt.round}": attempt.id for attempt in found if attempt is not None
        }
        self._started &= wanted.keys()
        for workflow_id in [name for name in wanted if name not in self._started][
            : max(0, room - len(self._started))
        ]:
            await self._workflows.start(DIAL, workflow_id, wanted[workflow_id])
            self._started.add(workflow_id)

    async def _start_finish(self, attempt_id: str) -> None:
        attempt = await self._ledger.get(attempt_id)
        if attempt.state is CallState.ENDED:
            await self._workflows.start(FINISH, f"{FINISH}-{attempt_id}-{attempt.finish_round}", attempt_id)

    async def _prepare_limit(self, attempt_id: str) -> None:
        """Preparation that neither came to a dial nor to an end in time starts again."""
        async with self._ledger.open(attempt_id, "sweeper") as entry:
            if entry.attempt.state is CallState.PREPARING:
                until = entry.now() + timedelta(seconds=1)
                await entry.note("deferred", why="preparation took too long", until=until.isoformat())
                await entry.move(Signal.DEFER, not_before=until, round=entry.attempt.round + 1)

    async def _purge(self) -> None:
        """Forget what nobody will ask for again."""
        await self._workflows.purge(_KEEP_S)
        before = self._ledger.clock.now() - timedelta(seconds=_KEEP_S)
        async with self._ledger.database.write() as conn:
            await inbox.purge(conn, before - _KEEP_INBOX)
            await idempotency.purge(conn, before)
            await processes.purge(conn, before)
            await suppressions.purge(conn, before)
        await asyncio.to_thread(self._live.forget_recordings, self._keep_recordings_s)
