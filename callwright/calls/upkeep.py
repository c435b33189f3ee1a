"""What keeps a long-lived installation in order: calls whose workflow failed without a trace, and old data."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.calls.dialing import Dialer
from callwright.calls.finishing import FINISH, Finisher, workflow_of
from callwright.calls.ledger import Ledger, TimerKind
from callwright.domain.states import CallState
from callwright.ports.workflows import Workflows
from callwright.storage import attempts, idempotency, inbox, processes, suppressions, transcripts

log = structlog.get_logger(__name__)

_BATCH = 100
_PURGE_BATCH = 1000
_PURGE_CALLS = 50
_PURGE_PAUSE_S = 0.05
_KEEP = timedelta(days=1)
_KEEP_INBOX = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Started:
    """A queued call whose dial workflow was started, and the round that it was started for."""

    attempt_id: str
    number: int


class Upkeep:
    """Looks after what no timer looks after."""

    def __init__(
        self,
        ledger: Ledger,
        workflows: Workflows,
        dialer: Dialer,
        finisher: Finisher,
        *,
        keep_transcripts_days: int,
    ) -> None:
        """`keep_transcripts_days`: days after a call for which its words are kept; 0: for ever."""
        self._ledger = ledger
        self._workflows = workflows
        self._dialer = dialer
        self._finisher = finisher
        self._keep_transcripts_days = keep_transcripts_days

    async def mend(self, started: Mapping[str, Started]) -> None:
        """Move on calls that wait for a workflow that is over.

        Such a workflow met a fault whose note the database refused too. `started` are the dial workflows, by id, of
        calls that are still queued.
        """
        for workflow_id, call in list(started.items()):
            if await self._workflows.is_over(workflow_id):
                await self._dialer.unstick(call.attempt_id, call.number)
        async with self._ledger.database.read() as conn:
            ended = await attempts.without_timer(conn, CallState.ENDED, TimerKind.FINISH, _BATCH)
        for attempt in ended:
            workflow_id = workflow_of(attempt)
            fresh = await self._workflows.start(FINISH, workflow_id, attempt.id)
            if not fresh and await self._workflows.is_over(workflow_id):
                log.warning("a round of finishing ended without a trace", call_id=attempt.id)
                await self._finisher.unstick(attempt.id, attempt.finish_round)

    async def prepare_again(self, attempt_id: str) -> None:
        """The timer of a preparation that came neither to a dial nor to an end."""
        await self._dialer.prepare_again(attempt_id)

    async def purge(self) -> None:
        """Forget what nobody will ask for again, in short transactions: calls that run write in between."""
        await self._workflows.purge(_KEEP.total_seconds())
        now = self._ledger.clock.now()
        day_ago = now - _KEEP
        received = now - _KEEP_INBOX
        if self._keep_transcripts_days:
            spoken = now - timedelta(days=self._keep_transcripts_days)
            received = max(received, spoken)
            await self._repeat(lambda conn: transcripts.purge(conn, spoken, _PURGE_CALLS), _PURGE_CALLS)
        await self._repeat(lambda conn: inbox.purge(conn, received, _PURGE_BATCH), _PURGE_BATCH)
        await self._repeat(lambda conn: idempotency.purge(conn, now, _PURGE_BATCH), _PURGE_BATCH)
        await self._repeat(lambda conn: suppressions.purge(conn, day_ago, _PURGE_BATCH), _PURGE_BATCH)
        async with self._ledger.database.write() as conn:
            await processes.purge(conn, day_ago)

    async def _repeat(self, purge: Callable[[AsyncConnection], Awaitable[int]], batch: int) -> None:
        """Purge until there was less than a whole batch, each in a transaction of its own."""
        while True:
            async with self._ledger.database.write() as conn:
                purged = await purge(conn)
            if purged < batch:
                return
            await asyncio.sleep(_PURGE_PAUSE_S)
