"""After a crash: who is dead, what was theirs, and what becomes of the people on the line."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from callwright.calls.agents import AgentBook
from callwright.calls.farewell import Farewell
from callwright.calls.handover import HANDED_OVER
from callwright.calls.ledger import Ledger, TimerKind
from callwright.calls.live import LiveCalls
from callwright.calls.reconciling import Reconciler
from callwright.domain.attempt import Attempt
from callwright.domain.errors import Conflict, VendorError
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import LIVE, CallState, Signal
from callwright.ports.carrier import HangUpCause
from callwright.ports.workflows import Workflows
from callwright.storage import attempts, inbox, processes, timers

log = structlog.get_logger(__name__)

_DEAD_AFTER = timedelta(seconds=10)
_BATCH = 500
_AT_ONCE = 32
_HUNG_UP_WITHIN_S = 50.0
_DIED = "the process that held the call died"
_REJOIN_WITHIN = timedelta(seconds=15)
_OWNED = (CallState.DIALING, CallState.UNKNOWN, *LIVE)


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """This process: its id and address, and what to do when the others have given it up."""

    id: str
    base_url: str
    on_fenced: Callable[[], None]


class Recovery:
    """Heartbeats of this process, and the calls of those that have none."""

    def __init__(
        self,
        ledger: Ledger,
        workflows: Workflows,
        agents: AgentBook,
        reconciler: Reconciler,
        farewell: Farewell,
        live: LiveCalls,
        process: ProcessFacts,
    ) -> None:
        self._ledger = ledger
        self._workflows = workflows
        self._agents = agents
        self._reconciler = reconciler
        self._farewell = farewell
        self._live = live
        self._process = process
        self._in_care: dict[str, asyncio.Task[None]] = {}

    async def announce(self) -> None:
        """Tell the other processes about this one; alone on SQLite, all earlier ones are dead."""
        now = self._ledger.clock.now()
        earlier: list[processes.Process] = []
        async with self._ledger.database.write() as conn:
            if self._ledger.database.is_sqlite:
                earlier = await processes.active(conn)
            await processes.announce(
                conn,
                self._process.id,
                base_url=self._process.base_url,
                roles=("api", "work", "media"),
                now=now,
            )
        for process in earlier:
            await self._adopt(process.id, now)

    async def beat(self) -> None:
        """Say that we live, and take over from those that do not."""
        now = self._ledger.clock.now()
        async with self._ledger.database.write() as conn:
            alive = await processes.heartbeat(conn, self._process.id, now)
            dead = await processes.stale(conn, now - _DEAD_AFTER)
        if not alive:
            log.error("others gave this process up; it stops, because its calls are theirs now")
            self._process.on_fenced()
            return
        for process in dead:
            await self._adopt(process.id, now)
        await self._care_for_orphans()

    async def leave(self) -> None:
        """Drop what is under way and tell the others that this process stops."""
        tasks = list(self._in_care.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._release(self._process.id, self._ledger.clock.now())

    async def _adopt(self, process_id: str, now: datetime) -> None:
        """Its workflows first: a crash in between leaves it to be found again."""
        adopted = await self._workflows.adopt(process_id)
        if await self._release(process_id, now):
            log.warning("took over from a dead process", process=process_id, workflows=adopted)

    async def _release(self, process_id: str, now: datetime) -> bool:
        """Note that a process is gone; the timers and webhooks that it had in hand are free at once."""
        async with self._ledger.database.write() as conn:
            await timers.release(conn, process_id)
            await inbox.release(conn, process_id, now)
            return await processes.gone(conn, process_id, now)

    async def _care_for_orphans(self) -> None:
        """Calls whose owner is not alive; each is claimed by the first who changes its row."""
        async with self._ledger.database.read() as conn:
            alive = {process.id for process in await processes.active(conn)}
            owned = await attempts.in_states(conn, _OWNED, limit=_BATCH)
        for attempt in owned:
            if len(self._in_care) >= _AT_ONCE:
                return
            if attempt.id not in self._in_care and self._is_orphan(attempt, alive):
                task = asyncio.create_task(self._care(attempt), name=f"recovery {attempt.id}")
                self._in_care[attempt.id] = task
                task.add_done_callback(partial(self._cared, attempt.id))

    def _cared(self, attempt_id: str, _task: asyncio.Task[None]) -> None:
        self._in_care.pop(attempt_id, None)

    def _is_orphan(self, attempt: Attempt, alive: set[str]) -> bool:
        """Nobody alive owns it; or we do, it talks, and its conversation is gone without having ended it."""
        if attempt.owner != self._process.id:
            return attempt.owner not in alive
        talking = attempt.state is CallState.TALKING and attempt.end_reason is None
        return talking and not attempt.carrier_data.get(HANDED_OVER) and not self._live.holds(attempt.id)

    async def _care(self, attempt: Attempt) -> None:
        with structlog.contextvars.bound_contextvars(call_id=attempt.id):
            try:
                await self._take(attempt)
            except (Conflict, VendorError) as error:
                log.warning("an orphaned call has to wait", error=str(error))
            except Exception:  # supervision point: one orphan must not keep the others waiting
                log.exception("an orphaned call could not be taken over")

    async def _take(self, attempt: Attempt) -> None:
        log.warning("found an orphaned call", state=attempt.state, owner=attempt.owner)
        if attempt.state in {CallState.ANSWERED, CallState.TALKING}:
            await self._reconciler.refresh(attempt)
        async with self._ledger.open(attempt.id, "recovery") as entry:
            if entry.attempt.owner != attempt.owner or entry.attempt.state not in _OWNED:
                return
            await entry.set(owner=self._process.id)
            await entry.note("taken_over", previous=attempt.owner or "nobody")
            if entry.attempt.state in {CallState.DIALING, CallState.UNKNOWN}:
                await entry.move(Signal.LOSE)
                await entry.timer(TimerKind.RECONCILE, 0)
            elif entry.attempt.state in {CallState.PLACED, CallState.RINGING}:
                await entry.timer(TimerKind.ASK, 0)
            leaves, untold = self._has_to_leave(entry.attempt), entry.attempt.end_reason is None
            if leaves and untold:
                # With the owner, lest a conversation starts beside the farewell.
                await entry.set(end_reason=EndReason.MEDIA_FAILED, hang_up_by=HangUpBy.US, end_detail=_DIED)
            if leaves:
                await entry.timer(TimerKind.LONGEST_CALL, _HUNG_UP_WITHIN_S)
            current = entry.attempt
        if leaves:
            await self._send_off(current, apologise=untold)

    def _has_to_leave(self, attempt: Attempt) -> bool:
        """The person is on the line, with neither a conversation that could go on nor a human."""
        on_line = attempt.state in {CallState.ANSWERED, CallState.TALKING}
        return on_line and not attempt.carrier_data.get(HANDED_OVER) and not self._can_rejoin(attempt)

    def _can_rejoin(self, attempt: Attempt) -> bool:
        """A person who answered just now and was not spoken to yet: the conversation simply starts."""
        fresh = attempt.state is CallState.ANSWERED and attempt.end_reason is None
        if not fresh or attempt.answered_at is None:
            return False
        return self._ledger.clock.now() - attempt.answered_at < _REJOIN_WITHIN

    async def _send_off(self, attempt: Attempt, *, apologise: bool) -> None:
        """The conversation died with its process: apologise to the person, once, and hang up."""
        agent = await self._agents.of(attempt)
        if apologise:
            await self._farewell.apologise(attempt, agent)
        await self._farewell.hang_up(attempt, agent, HangUpCause.NORMAL)
        current = await self._ledger.get(attempt.id)
        if current.state in LIVE:
            log.warning("an orphaned call is still up", call_id=attempt.id)
