"""Changes calls: one locked row, its transition table, its log and its timers, in one transaction."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.domain.attempt import Attempt
from callwright.domain.errors import NotFound
from callwright.domain.events import CallEvent
from callwright.domain.states import CallState, Signal, advance
from callwright.ports.clock import Clock
from callwright.storage import attempts, events, timers
from callwright.storage.bus import Bus, News
from callwright.storage.database import Database

TOPIC = "call"
"""The bus topic on which the id of every changed call is published."""


class TimerKind(StrEnum):
    """What a delayed row is for."""

    PREPARE_LIMIT = "prepare_limit"
    RECONCILE = "reconcile"
    ASK = "ask"
    LONGEST_CALL = "longest_call"
    FINISH = "finish"
    LATE_LEG = "late_leg"
    HANDOVER = "handover"


class Entry:
    """One call, locked for the length of a transaction; `attempt` is its row as changed so far."""

    def __init__(self, conn: AsyncConnection, attempt: Attempt, clock: Clock, source: str) -> None:
        self.conn = conn
        self.attempt = attempt
        self.touched = False
        self._clock = clock
        self._source = source

    def now(self) -> datetime:
        """The current moment."""
        return self._clock.now()

    async def move(self, signal: Signal, **fields: Any) -> bool:
        """Apply a signal and set fields; False, and nothing happens, when a carrier's signal comes too late.

        Raises IllegalTransition for a signal of our own that the state does not know.
        """
        before = self.attempt.state
        after = advance(before, signal)
        if after is None:
            return False
        if signal is Signal.REOPEN:
            fields = {"done_at": None, "finish_round": self.attempt.finish_round + 1, **fields}
        elif after is CallState.ENDED:
            fields = {"ended_at": self._clock.now(), "media_token": None, **fields}
        if after is CallState.DONE:
            fields = {"done_at": self._clock.now(), "agent_ticket": {}, **fields}
        await self.set(state=after, **fields)
        shown = {name: str(fields[name]) for name in ("end_reason", "end_detail") if fields.get(name)}
        await self.note("state", **{"from": str(before), "to": str(after), "signal": str(signal)}, **shown)
        if after is CallState.ENDED:
            if signal is not Signal.REOPEN:
                await timers.cancel(self.conn, self.attempt.id)
            await self.timer(TimerKind.FINISH, 0)
        return True

    async def set(self, **fields: Any) -> None:
        """Set fields of the row."""
        self.attempt = await attempts.save(self.conn, self.attempt, **fields)
        self.touched = True

    async def note(self, kind: str, *, dedup_key: str | None = None, **data: Any) -> bool:
        """Append to the log; False when an event with this key is there already."""
        event = CallEvent(kind, self._clock.now(), self._source, data, dedup_key)
        fresh = await events.append(self.conn, self.attempt.id, event)
        self.touched = self.touched or fresh
        return fresh

    async def timer(self, kind: TimerKind, delay_s: float) -> None:
        """Set or move a timer."""
        due_at = self._clock.now() + timedelta(seconds=delay_s)
        await timers.set_timer(self.conn, self.attempt.id, kind, due_at)
        self.touched = True

    async def cancel(self, *kinds: TimerKind) -> None:
        """Remove timers."""
        await timers.cancel(self.conn, self.attempt.id, *kinds)


class Ledger:
    """Opens calls for a change, and tells everybody once it is committed."""

    def __init__(self, database: Database, clock: Clock, bus: Bus) -> None:
        self.database = database
        self.clock = clock
        self.bus = bus
        self._wakers: list[Callable[[], None]] = []
        self._news = News()

    async def news(self, limit_s: float) -> None:
        """Wait until something is committed here, or told by another process, or for `limit_s` seconds."""
        await self._news.wait(limit_s)

    def tell(self) -> None:
        """Wake whoever waits for news; in a storm of them, a few times a second."""
        self._news.tell()

    def on_change(self, waker: Callable[[], None]) -> None:
        """Call back after every committed change made by this process."""
        self._wakers.append(waker)

    @asynccontextmanager
    async def open(self, attempt_id: str, source: str) -> AsyncIterator[Entry]:
        """A locked call; committed on exit. Raises NotFound."""
        async with self.database.write() as conn:
            attempt = await attempts.get(conn, attempt_id, for_update=True)
            if attempt is None:
                raise NotFound(f"there is no call {attempt_id}")
            entry = Entry(conn, attempt, self.clock, source)
            yield entry
        if entry.touched:
            await self.announce(attempt_id)

    async def announce(self, attempt_id: str) -> None:
        """Tell every process that a call was changed."""
        self.tell()
        for waker in self._wakers:
            waker()
        await self.bus.publish(TOPIC, attempt_id)

    async def get(self, attempt_id: str) -> Attempt:
        """One call as it is now; raises NotFound."""
        async with self.database.read() as conn:
            attempt = await attempts.get(conn, attempt_id)
        if attempt is None:
            raise NotFound(f"there is no call {attempt_id}")
        return attempt
