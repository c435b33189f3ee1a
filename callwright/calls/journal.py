"""What a conversation writes about its call and sees of it. The conversation itself never waits for the database."""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import structlog

from callwright.calls.ledger import Entry, Ledger
from callwright.calls.outage import DATABASE_AWAY
from callwright.calls.talk_log import Lines, TalkLog
from callwright.domain.attempt import Attempt
from callwright.domain.events import CallEvent
from callwright.storage import attempts, events

log = structlog.get_logger(__name__)

SOURCE = "conversation"
_MOST_NOTES = 1000
_TURN_EVERY_S = 1.0
_LOOK_EVERY_S = 3.0
_TRY_AGAIN_S = 0.5

Change = Callable[[Entry], Awaitable[object]]


class Journal:
    """One call's row and log. What is to be written waits in order, at most 1,000 notes, while the database is away.

    A change may be applied again when the answer to its commit was lost: it must be the same twice over.
    """

    def __init__(self, ledger: Ledger, attempt: Attempt, talk: TalkLog, on_news: Callable[[], None]) -> None:
        """`on_news` is called when the row was read, and when the database goes away."""
        self._ledger = ledger
        self._row = attempt
        self._talk = talk
        self._on_news = on_news
        self._changes: deque[Change] = deque()
        self._kept: dict[str, Any] = {}
        self._events: list[CallEvent] = []
        self._cursor = 0
        self._stale = True
        self._look_at = 0.0
        self._busy_since: float | None = None
        self._failing = False
        self._wake = asyncio.Event()
        self._turned = asyncio.Event()
        self._key = secrets.token_hex(4)
        self._notes = 0
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0

    @property
    def attempt(self) -> Attempt:
        """The call as it was last seen, with the carrier's data that are still to be written."""
        if not self._kept:
            return self._row
        return replace(self._row, carrier_data={**self._row.carrier_data, **self._kept})

    @property
    def away_s(self) -> float:
        """For how many seconds the database has not answered; 0 while nothing is asked of it."""
        return 0.0 if self._busy_since is None else self._ledger.clock.monotonic() - self._busy_since

    @property
    def waiting(self) -> int:
        """How many changes are still to be written."""
        return len(self._changes)

    def start(self) -> None:
        """Begin to write and to look."""
        self._task = asyncio.create_task(self._run(), name=f"journal {self._row.id}")

    async def close(self) -> None:
        """Stop; what is not written is lost."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def look(self) -> None:
        """The row was changed: read it."""
        self._stale = True
        self._wake.set()

    def take(self) -> list[CallEvent]:
        """Events of the log that were not taken yet."""
        fresh, self._events = self._events, []
        return fresh

    def change(self, change: Change) -> None:
        """Write something about the call, after all that was asked for before."""
        self._changes.append(change)
        self._wake.set()

    def note(self, kind: str, **data: Any) -> None:
        """Append to the call's log; dropped and counted when 1,000 changes wait."""
        if len(self._changes) >= _MOST_NOTES:
            self.dropped += 1
            return
        self._notes += 1
        key = f"{SOURCE}:{self._key}:{self._notes}"
        self.change(lambda entry: entry.note(kind, dedup_key=key, **data))

    def set(self, **fields: Any) -> None:
        """Set fields of the row."""
        self.change(lambda entry: entry.set(**fields))

    def keep(self, data: dict[str, Any], *, unless: str = "") -> None:
        """Add to the carrier's data of the row; `attempt` has them at once.

        `unless`: a mark that tells that this was written before; what others wrote after it must stand.
        """
        self._kept.update(data)

        async def add(entry: Entry) -> None:
            have = entry.attempt.carrier_data
            if not have.get(unless):
                await entry.set(carrier_data={**have, **data})

        self.change(add)

    async def written(self, limit_s: float) -> bool:
        """Wait until all is written; False after the limit."""
        self._wake.set()
        try:
            async with asyncio.timeout(limit_s):
                while self._changes or self._talk.waiting or self._busy_since is not None:
                    self._turned.clear()
                    await self._turned.wait()
        except TimeoutError:
            return False
        return True

    async def _run(self) -> None:
        while True:
            try:
                await self._turn()
            except DATABASE_AWAY as error:
                if not self._failing:
                    log.warning("the database is away; the call goes on", error=type(error).__name__)
                self._failing = True
                await asyncio.sleep(_TRY_AGAIN_S)
                continue
            except Exception:  # supervision point: the conversation ends by its limit for an absent database
                log.exception("the journal of a call failed")
                await asyncio.sleep(_TRY_AGAIN_S)
                continue
            if self._failing:
                self._failing = False
                log.info("the database is back")
            self._turned.set()
            try:
                async with asyncio.timeout(_TURN_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _turn(self) -> None:
        self._wake.clear()
        now = self._ledger.clock.monotonic()
        self._stale = self._stale or now >= self._look_at
        if not self._stale and not self._changes and not self._talk.waiting:
            return
        self._busy_since = self._busy_since or now
        await self._write()
        if self._stale:
            await self._read()
            self._look_at = self._ledger.clock.monotonic() + _LOOK_EVERY_S
        self._busy_since = None

    async def _write(self) -> None:
        batch, lines = list(self._changes), self._talk.take()
        if not batch and not lines:
            return
        try:
            await self._apply(batch, lines)
        except DATABASE_AWAY:
            self._talk.give_back(lines)
            raise
        except Exception:  # supervision point: one change that cannot be stored must not hold up the others
            log.warning("changes of a call are stored one by one", count=len(batch), exc_info=True)
            await self._write_singly(batch, lines)
            return
        for _ in batch:
            self._changes.popleft()
        self._forget_kept()

    async def _write_singly(self, batch: list[Change], lines: Lines) -> None:
        self._talk.give_back(lines)
        for change in batch:
            await self._apply_or_drop([change], {})
            self._changes.popleft()
        self._forget_kept()
        await self._apply_or_drop([], self._talk.take())

    async def _apply_or_drop(self, batch: list[Change], lines: Lines) -> None:
        try:
            await self._apply(batch, lines)
        except DATABASE_AWAY:
            self._talk.give_back(lines)
            raise
        except Exception:  # supervision point: what can never be stored is logged and left out
            self.dropped += 1
            log.exception("a change of a call cannot be stored")

    async def _apply(self, batch: list[Change], lines: Lines) -> None:
        async with self._ledger.open(self._row.id, SOURCE) as entry:
            for change in batch:
                await change(entry)
            if lines:
                await self._talk.write(entry, lines)
        self._row = entry.attempt
        self._on_news()

    async def _read(self) -> None:
        self._stale = False
        try:
            async with self._ledger.database.read() as conn:
                row = await attempts.get(conn, self._row.id)
                fresh = await events.of_attempt(conn, self._row.id, self._cursor)
        except BaseException:
            self._stale = True
            raise
        self._row = row or self._row
        if fresh:
            self._cursor = fresh[-1][0]
            self._events.extend(event for _, event in fresh)
        self._on_news()

    def _forget_kept(self) -> None:
        if not self._changes:
            self._kept.clear()
