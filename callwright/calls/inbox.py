"""Webhooks are stored first and applied afterwards, in order; a crash in between loses nothing."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import structlog

from callwright.calls import results
from callwright.calls.agents import AgentBook
from callwright.calls.ledger import Ledger, TimerKind
from callwright.calls.tracking import apply_event
from callwright.domain.attempt import Attempt
from callwright.domain.errors import in_words
from callwright.domain.events import CarrierEvent
from callwright.domain.states import CallState, Signal
from callwright.ports.voice_agent import ConversationResult
from callwright.storage import attempts, inbox

log = structlog.get_logger(__name__)

_CARRIER, _ENGINE = "carrier", "engine"
_BATCH = 50
_LEASE_S = 30.0
_MOST_TRIES = 8
_PAUSE_S = 2.0


class Inbox:
    """Stores what vendors send, and applies it to calls."""

    def __init__(self, ledger: Ledger, agents: AgentBook, process_id: str) -> None:
        self._ledger = ledger
        self._agents = agents
        self._process_id = process_id
        self._turn = asyncio.Lock()

    async def store_events(self, carrier: str, events: list[CarrierEvent]) -> int:
        """Store a carrier's events; returns how many were new."""
        return await self._store(f"{_CARRIER}:{carrier}", [(event.dedup_key, event) for event in events])

    async def store_results(self, engine: str, found: list[ConversationResult]) -> int:
        """Store an agent platform's results; returns how many were new."""
        keyed = [(f"{result.conversation_id}:{result.state}", result) for result in found]
        return await self._store(f"{_ENGINE}:{engine}", keyed)

    async def apply_pending(self) -> int:
        """Apply what is waiting, oldest first; returns how many were applied."""
        async with self._turn:
            now = self._ledger.clock.now()
            async with self._ledger.database.write() as conn:
                items = await inbox.pending(conn, now, _BATCH, self._process_id, _LEASE_S)
            for item in items:
                await self._apply(item)
            return len(items)

    async def _store(self, source: str, keyed: list[tuple[str, Any]]) -> int:
        now = self._ledger.clock.now()
        fresh = 0
        async with self._ledger.database.write() as conn:
            for key, content in keyed:
                fresh += await inbox.store(conn, source, key, msgspec.to_builtins(content), now)
        return fresh

    async def _apply(self, item: inbox.InboxItem) -> None:
        kind, _, name = item.source.partition(":")
        try:
            if kind == _CARRIER:
                known = await self._apply_event(name, msgspec.convert(item.payload, CarrierEvent))
            else:
                known = await self._apply_result(name, msgspec.convert(item.payload, ConversationResult))
        except Exception as error:  # supervision point: one bad item must not hold up the others
            log.exception("a stored webhook could not be applied", source=item.source)
            await self._later(item, in_words(error))
            return
        if known is None:
            await self._later(item, inbox.NO_SUCH_CALL)
            return
        async with self._ledger.database.write() as conn:
            await inbox.applied(conn, item.id, self._ledger.clock.now(), known)

    async def _later(self, item: inbox.InboxItem, why: str) -> None:
        now = self._ledger.clock.now()
        async with self._ledger.database.write() as conn:
            if item.tries >= _MOST_TRIES:
                await inbox.park(conn, item.id, why)
                log.warning("a webhook for no call of ours is set aside", source=item.source, why=why)
            else:
                await inbox.retry_later(conn, item.id, now + timedelta(seconds=_PAUSE_S * item.tries), why)

    async def _apply_event(self, carrier: str, event: CarrierEvent) -> str | None:
        """The id of the call that it was applied to, None if there is none."""
        attempt = await self._find(carrier, event)
        if attempt is None:
            return None
        agent = await self._agents.of(attempt)
        async with self._ledger.open(attempt.id, f"webhook:{carrier}") as entry:
            await apply_event(entry, event, agent.limits.longest_call_s)
        return attempt.id

    async def _find(self, carrier: str, event: CarrierEvent) -> Attempt | None:
        async with self._ledger.database.read() as conn:
            if event.attempt_id is not None:
                found = await attempts.get(conn, event.attempt_id)
                return found if found is not None and found.carrier == carrier else None
            for call_id in (event.person_call_id, event.carrier_call_id):
                found = await attempts.by_carrier_call(conn, carrier, call_id) if call_id else None
                if found is not None:
                    return found
        return None

    async def _apply_result(self, engine: str, result: ConversationResult) -> str | None:
        async with self._ledger.database.read() as conn:
            attempt = await attempts.by_conversation(conn, engine, result.conversation_id)
        if attempt is None:
            return None
        agent = await self._agents.of(attempt)
        async with self._ledger.open(attempt.id, f"webhook:{engine}") as entry:
            stored = await results.store(entry, agent, result)
            if stored and entry.attempt.state is CallState.DONE:
                await entry.move(Signal.REOPEN)
            if stored and entry.attempt.state is CallState.ENDED:
                # A round that is under way sees them at its end; the next one starts now instead of later.
                await entry.timer(TimerKind.FINISH, 0)
        return attempt.id
