"""Rows that the tests of this folder start from."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from callwright.domain.attempt import Attempt
from callwright.domain.states import CallState
from callwright.ports.clock import SystemClock
from callwright.storage import attempts
from callwright.storage.database import Database

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
PHONE = "+447700900123"


class SetClock(SystemClock):
    """A wall clock that stands still until it is moved."""

    def __init__(self, moment: datetime = NOON) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def move(self, seconds: float) -> datetime:
        self.moment += timedelta(seconds=seconds)
        return self.moment


def an_attempt(**changes: Any) -> Attempt:
    attempt = Attempt(
        id=f"call_{uuid.uuid4().hex}",
        agent_name="survey",
        agent_version=1,
        carrier="acme",
        engine="talker",
        state=CallState.QUEUED,
        revision=1,
        source="api",
        created_at=NOON,
        not_before=NOON,
        phone=PHONE,
    )
    return replace(attempt, **changes)


async def stored(database: Database, **changes: Any) -> Attempt:
    attempt = an_attempt(**changes)
    async with database.write() as conn:
        await attempts.insert(conn, attempt)
    return attempt
