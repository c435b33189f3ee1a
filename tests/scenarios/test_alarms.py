"""Timers are answered side by side: neither a slow vendor nor the workflows' database holds up people on the line."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

from callwright.calls.alarms import Alarms
from callwright.calls.ledger import Ledger, TimerKind
from callwright.domain.states import CallState
from callwright.ports.clock import SystemClock
from callwright.ports.workflows import Workflows
from callwright.storage import timers
from callwright.storage.bus import Bus
from callwright.storage.database import Database
from callwright.storage.dbos_engine import ENGINE_FILE
from tests.scenarios.stage import ANSWERS, Stage
from tests.storage.samples import stored

ADA, BOB = "+447700900101", "+447700900102"
MANY = 20
"""More than there is room for in one lane."""


class Timers:
    """Timers that are due, with handlers that never come back."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.begun: list[tuple[str, str]] = []
        handlers = {kind: self._handler(kind) for kind in TimerKind}
        self.alarms = Alarms(ledger, "p", handlers, lambda: None)
        self._carrier: dict[str, str] = {}

    def _handler(self, kind: str) -> Callable[[str], Awaitable[None]]:
        async def answer(attempt_id: str) -> None:
            self.begun.append((self._carrier[attempt_id], kind))
            await asyncio.Event().wait()

        return answer

    async def due(self, carrier: str, kind: TimerKind, count: int) -> None:
        due_at = self.ledger.clock.now() - timedelta(seconds=1)
        for _ in range(count):
            attempt = await stored(self.ledger.database, carrier=carrier)
            self._carrier[attempt.id] = carrier
            async with self.ledger.database.write() as conn:
                await timers.set_timer(conn, attempt.id, kind, due_at)

    async def fire(self) -> None:
        await self.alarms.fire_due()
        await asyncio.sleep(0)


@asynccontextmanager
async def some_timers(database: Database) -> AsyncIterator[Timers]:
    found = Timers(Ledger(database, SystemClock(), Bus(database)))
    try:
        yield found
    finally:
        await found.alarms.stop()


async def test_a_carrier_that_hangs_does_not_hold_up_another(database: Database) -> None:
    async with some_timers(database) as world:
        await world.due("slow", TimerKind.ASK, MANY)
        await world.fire()
        assert world.begun == [("slow", TimerKind.ASK)] * 16
        await world.due("quick", TimerKind.RECONCILE, 1)
        await world.fire()
        assert ("quick", TimerKind.RECONCILE) in world.begun
        assert len(world.begun) == 17, "there is no more room for the slow one"


async def test_late_legs_and_handovers_do_not_delay_a_hang_up(database: Database) -> None:
    async with some_timers(database) as world:
        await world.due("acme", TimerKind.LATE_LEG, MANY)
        await world.due("acme", TimerKind.HANDOVER, MANY)
        await world.fire()
        await world.due("acme", TimerKind.LONGEST_CALL, 1)
        await world.fire()
        assert ("acme", TimerKind.LONGEST_CALL) in world.begun


async def until_over(workflows: Workflows, workflow_id: str) -> None:
    deadline = time.monotonic() + 10
    while not await workflows.is_over(workflow_id):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_who_answers_is_spoken_to_while_no_workflow_can_be_started(tmp_path: Path) -> None:
    """Somebody else holds the lock of the workflows' database."""
    people = {ADA: {**ANSWERS, "answer_after_ms": 3000}, BOB: ANSWERS}
    async with Stage(tmp_path, people) as stage:
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.RINGING)
        await until_over(stage.app.workflows, f"dial-{call_id}-0")
        with closing(sqlite3.connect(tmp_path / ENGINE_FILE, isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            waits = await stage.call(BOB)
            await stage.until(call_id, CallState.TALKING, within_s=12)
            assert (await stage.app.calls.get(waits)).state is CallState.QUEUED
            lock.execute("ROLLBACK")
        await stage.until(waits, CallState.TALKING, CallState.ENDED, CallState.DONE)
