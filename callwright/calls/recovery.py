"""After a crash: who is dead, what was theirs, and what becomes of the people on the line."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.calls.agents import AgentBook
from callwright.calls.farewell import END_WAIT_S, Farewell, until
from callwright.calls.handover import HANDED_OVER
from callwright.calls.ledger import Ledger, TimerKind
from callwright.calls.live import LiveCalls
from callwright.calls.reconciling import Reconciler
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt
from callwright.domain.errors import ConfigurationError, Conflict, Problem, VendorError
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import LIVE, CallState, Signal
from callwright.ports.carrier import HangUpCause
from callwright.ports.workflows import Workflows
from callwright.storage import attempts, crm_writes, inbox, processes, timers

log = structlog.get_logger(__name__)

_DEAD_AFTER = timedelta(seconds=10)
"""Silence of that length, without the lock that a living process holds, is a death."""

_BROKEN_AFTER_S = 5.0
_PLACE_FREE_WITHIN_S = 3.0
_LOOK_EVERY_S = 0.25
_BATCH = 500
_MOST_TALKING = 2000
_MOST_IN_CARE = 2000
_AT_ONCE = 32
_ROW_EVERY_S = 1.0
_HUNG_UP_WITHIN_S = 50.0
_DIED = "the process that held the call died"
_REJOIN_WITHIN = timedelta(seconds=15)
_ON_LINE = (CallState.ANSWERED, CallState.TALKING)
_UNANSWERED = (CallState.PLACED, CallState.RINGING, CallState.DIALING, CallState.UNKNOWN)
_OWNED = frozenset({*_ON_LINE, *_UNANSWERED})


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """This process: its id, its place among the others, and what to do when they have given it up."""

    id: str
    slot: str
    media_url: str
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
        self._places = {True: asyncio.Semaphore(_AT_ONCE), False: asyncio.Semaphore(_AT_ONCE)}
        self._mute: set[str] = set()
        self._last_beat = self._beats_since = -math.inf

    async def announce(self) -> None:
        """Tell the other processes about this one, and take over from dead ones that had its place.

        On SQLite all earlier ones are dead. Raises ConfigurationError when a living one has our slot or media address.
        """
        if self._ledger.database.is_sqlite:
            async with self._ledger.database.read() as conn:
                earlier = await processes.active(conn)
            for process in earlier:
                await self._give_up(process)
        clock = self._ledger.clock
        deadline = clock.monotonic() + _PLACE_FREE_WITHIN_S
        while rivals := await self._enter():
            living = [process for process in rivals if not await self._give_up(process)]
            if living and clock.monotonic() >= deadline:
                raise ConfigurationError(self._taken_by(living[0]))
            if living:
                await asyncio.sleep(_LOOK_EVERY_S)

    async def beat(self) -> None:
        """Say that we live, and take over from those that do not."""
        async with self._ledger.database.write() as conn:
            alive = await processes.heartbeat(conn, self._process.id)
            silent = await processes.silent(conn, _DEAD_AFTER)
        if not alive:
            log.error("others gave this process up; it stops, because its calls are theirs now")
            self._process.on_fenced()
            return
        if self._may_judge():
            mute = {
                process.id for process in silent if not await self._give_up(process, silent_for=_DEAD_AFTER)
            }
            for process_id in mute - self._mute:
                log.error("a process lives but is silent: its database, or it, hangs", process=process_id)
            self._mute = mute
        await self._care_for_orphans()

    async def drop(self) -> None:
        """Drop what is under way."""
        tasks = list(self._in_care.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def leave(self) -> None:
        """Drop what is under way and tell the others that this process stops; its work has stopped already."""
        await self.drop()
        async with self._ledger.database.write() as conn:
            await self._release(conn, self._process.id)
            await crm_writes.release(conn, self._process.id)
            await processes.gone(conn, self._process.id)

    async def _enter(self) -> list[processes.Process]:
        async with self._ledger.database.write() as conn:
            return await processes.announce(
                conn, self._process.id, slot=self._process.slot, media_url=self._process.media_url
            )

    def _taken_by(self, other: processes.Process) -> Problem:
        same_slot = other.slot == self._process.slot
        name, value = ("CALLWRIGHT_SLOT", other.slot) if same_slot else ("MEDIA_BASE_URL", other.media_url)
        heard_at = f"{other.heartbeat_at:%H:%M:%S} UTC"
        what = f"{value} is in use by the running process {other.id}, last heard of at {heard_at}."
        remedy = "Stop that one, or give each process a CALLWRIGHT_SLOT and a MEDIA_BASE_URL of its own."
        return Problem(name, what, remedy)

    def _may_judge(self) -> bool:
        """Whether our own beats are unbroken for so long that the silence of others is not the database's."""
        now = self._ledger.clock.monotonic()
        if now - self._last_beat > _BROKEN_AFTER_S:
            self._beats_since = now
        self._last_beat = now
        return now - self._beats_since >= _DEAD_AFTER.total_seconds()

    async def _give_up(self, process: processes.Process, *, silent_for: timedelta | None = None) -> bool:
        """Take over from a process; False, and nothing happens, when it lives: when it holds its lock.

        The verdict is committed first, while its lock is ours: whoever is given up finds out by its next beat.
        Should we die after that, its workflows are found by whoever looks for those of processes that do not run.
        """
        async with self._workflows.if_dead(process.id) as dead:
            if not dead:
                return False
            async with self._ledger.database.write() as conn:
                if not await processes.gone(conn, process.id, silent_for=silent_for):
                    return True
                await self._release(conn, process.id)
                if self._ledger.database.is_sqlite:
                    # Elsewhere it may live on without its database, and send until its lease is over.
                    await crm_writes.release(conn, process.id)
            adopted = await self._workflows.adopt(process.id)
        log.warning("took over from a dead process", process=process.id, slot=process.slot, workflows=adopted)
        return True

    async def _release(self, conn: AsyncConnection, process_id: str) -> None:
        """The timers and webhooks that a process had in hand are free at once."""
        await timers.release(conn, process_id)
        await inbox.release(conn, process_id, self._ledger.clock.now())

    async def _care_for_orphans(self) -> None:
        """Calls whose owner does not run, or lost them; each is claimed by the first who changes its row."""
        async with self._ledger.database.read() as conn:
            on_line = await attempts.orphaned(conn, _ON_LINE, limit=_BATCH)
            others = await attempts.orphaned(conn, _UNANSWERED, limit=_BATCH)
            talking = await attempts.in_states(
                conn, [CallState.TALKING], owner=self._process.id, limit=_MOST_TALKING
            )
        on_line += filter(self._is_lost, talking)
        for attempt in [*sorted(on_line, key=_urgency), *others]:
            if len(self._in_care) >= _MOST_IN_CARE:
                return
            if attempt.id not in self._in_care:
                care = self._care(attempt, self._can_rejoin(attempt))
                task = asyncio.create_task(care, name=f"recovery {attempt.id}")
                self._in_care[attempt.id] = task
                task.add_done_callback(partial(self._cared, attempt.id))

    def _cared(self, attempt_id: str, _task: asyncio.Task[None]) -> None:
        self._in_care.pop(attempt_id, None)

    def _is_lost(self, attempt: Attempt) -> bool:
        """Ours, talking, and its conversation is gone without having ended it."""
        handed_over = attempt.carrier_data.get(HANDED_OVER)
        return attempt.end_reason is None and not handed_over and not self._live.holds(attempt.id)

    async def _care(self, attempt: Attempt, fresh: bool) -> None:
        """A place is held for requests only: what is spoken to one person keeps nobody else waiting.

        People on the line have places of their own.
        """
        places = self._places[attempt.state in _ON_LINE]
        with structlog.contextvars.bound_contextvars(call_id=attempt.id):
            try:
                async with places:
                    left = await self._take(attempt, fresh)
                    if left is None:
                        return
                    agent = await self._agents.of(left.attempt)
                    spoken_s = await self._farewell.say(left.attempt, agent) if left.untold else 0.0
                await self._send_off(left.attempt, agent, spoken_s, places)
            except (Conflict, VendorError) as error:
                log.warning("an orphaned call has to wait", error=str(error))
            except Exception:  # supervision point: one orphan must not keep the others waiting
                log.exception("an orphaned call could not be taken over")

    async def _take(self, attempt: Attempt, fresh: bool) -> "_Left | None":
        """Make the call ours; returns who has to leave. `fresh`: its conversation can start, however long it queued."""
        log.warning("found an orphaned call", state=attempt.state, owner=attempt.owner)
        if attempt.state in _ON_LINE:
            await self._reconciler.refresh(attempt)
        async with self._ledger.open(attempt.id, "recovery") as entry:
            if entry.attempt.owner != attempt.owner or entry.attempt.state not in _OWNED:
                return None
            await entry.set(owner=self._process.id)
            await entry.note("taken_over", previous=attempt.owner or "nobody")
            if entry.attempt.state in {CallState.DIALING, CallState.UNKNOWN}:
                await entry.move(Signal.LOSE)
                await entry.timer(TimerKind.RECONCILE, 0)
            elif entry.attempt.state in {CallState.PLACED, CallState.RINGING}:
                await entry.timer(TimerKind.ASK, 0)
            leaves, untold = self._has_to_leave(entry.attempt, fresh), entry.attempt.end_reason is None
            if leaves and untold:
                # With the owner, lest a conversation starts beside the farewell.
                await entry.set(end_reason=EndReason.MEDIA_FAILED, hang_up_by=HangUpBy.US, end_detail=_DIED)
            if leaves:
                await entry.timer(TimerKind.LONGEST_CALL, _HUNG_UP_WITHIN_S)
            return _Left(entry.attempt, untold) if leaves else None

    def _has_to_leave(self, attempt: Attempt, fresh: bool) -> bool:
        """The person is on the line, with neither a conversation that could go on nor a human."""
        if attempt.state not in _ON_LINE or attempt.carrier_data.get(HANDED_OVER):
            return False
        return not self._can_rejoin(attempt) and not (fresh and _is_unspoken(attempt))

    def _can_rejoin(self, attempt: Attempt) -> bool:
        """A person who answered just now and was not spoken to yet: the conversation simply starts."""
        if not _is_unspoken(attempt) or attempt.answered_at is None:
            return False
        return self._ledger.clock.now() - attempt.answered_at < _REJOIN_WITHIN

    async def _send_off(
        self, attempt: Attempt, agent: AgentDefinition, spoken_s: float, places: asyncio.Semaphore
    ) -> None:
        """The conversation died with its process: let the person hear the apology out, and hang up."""
        over = self._farewell.row_is_over(attempt.id)
        await until(over, spoken_s, every_s=_ROW_EVERY_S)
        async with places:
            await self._farewell.hang_up(attempt, agent, HangUpCause.NORMAL, over=over)
        if not await until(over, END_WAIT_S, every_s=_ROW_EVERY_S):
            async with places:
                await self._farewell.settle(attempt)
        current = await self._ledger.get(attempt.id)
        if current.state in LIVE:
            log.warning("an orphaned call is still up", call_id=attempt.id)


@dataclass(frozen=True, slots=True)
class _Left:
    """A person whom nobody speaks to any more; `untold`: they have not been apologised to."""

    attempt: Attempt
    untold: bool


def _urgency(attempt: Attempt) -> int:
    """Who is attended to first: who answered just now, who hears silence, who was told or has a human."""
    if attempt.end_reason is not None or attempt.carrier_data.get(HANDED_OVER):
        return 2
    return 0 if attempt.state is CallState.ANSWERED else 1


def _is_unspoken(attempt: Attempt) -> bool:
    return attempt.state is CallState.ANSWERED and attempt.end_reason is None
