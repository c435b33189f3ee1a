"""Collects the facts for the gate, in the transaction that acts on its decision."""

from datetime import datetime
from zoneinfo import ZoneInfo

from callwright.calls.directory import Directory
from callwright.calls.ledger import Entry
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt
from callwright.domain.gate import Decision, GateFacts, Verdict, decide
from callwright.domain.hours import CallingHours
from callwright.domain.outcome import EndReason
from callwright.domain.phone import time_zones
from callwright.domain.states import IN_FLIGHT, Signal
from callwright.ports.clock import Clock
from callwright.storage import attempts, holds, suppressions
from callwright.storage.database import Database

LOCK = "gate"
"""The named lock of whoever commits an intent to dial, or changes what all of them have to see."""


class Gatekeeper:
    """Decides whether a person may be dialled now; there is no way around it."""

    def __init__(
        self, database: Database, clock: Clock, directory: Directory, *, hours: str, max_concurrent_calls: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._directory = directory
        self._hours = CallingHours.parse(hours)
        self._max_concurrent_calls = max_concurrent_calls
        self._closed = False

    def close(self) -> None:
        """This process stops: from now on it commits no intent to dial."""
        self._closed = True

    async def admit(self, entry: Entry, agent: AgentDefinition, dial_slot: datetime | None = None) -> bool:
        """Decide, store decision and reasons, and defer or end a call that may not go on.

        `dial_slot` is the moment of the carrier's rate that the call has reserved.
        """
        await self._database.lock(entry.conn, LOCK)
        decision = decide(await self._facts(entry, agent, dial_slot))
        await entry.note(
            "gate",
            verdict=str(decision.verdict),
            until=decision.until.isoformat() if decision.until else None,
            reasons=[
                {"rule": reason.rule, "verdict": str(reason.verdict), "detail": reason.detail}
                for reason in decision.reasons
            ],
        )
        if decision.verdict is Verdict.ALLOW:
            return True
        await self._turn_away(entry, decision)
        return False

    async def _turn_away(self, entry: Entry, decision: Decision) -> None:
        if decision.verdict is Verdict.DEFER:
            await entry.move(Signal.DEFER, not_before=decision.until, round=entry.attempt.round + 1)
            return
        detail = "; ".join(reason.detail for reason in decision.reasons if reason.verdict is Verdict.REFUSE)
        await entry.move(Signal.REFUSE, end_reason=EndReason.NOT_ALLOWED, end_detail=detail)

    async def _held(self, entry: Entry) -> str | None:
        if self._closed:
            return "this process stops"
        hold = await holds.find(entry.conn, holds.DIALING)
        return hold.reason if hold is not None else None

    async def _facts(self, entry: Entry, agent: AgentDefinition, dial_slot: datetime | None) -> GateFacts:
        conn, attempt = entry.conn, entry.attempt
        now = self._clock.now()
        suppression = await suppressions.find(conn, attempt.phone, now)
        in_progress = await attempts.count_in_progress(conn)
        own = (CallingHours.parse(agent.calling_hours),) if agent.calling_hours else ()
        return GateFacts(
            now=now,
            phone=attempt.phone,
            zones=_zones(attempt, agent),
            hours=(self._hours, *own),
            suppressed=suppression.reason if suppression is not None else None,
            caller_id=agent.caller_id,
            owned_caller_ids=self._directory.carrier(attempt.carrier).owned_numbers(),
            in_flight_call=await attempts.in_flight(conn, attempt.phone, but=attempt.id),
            calls_in_progress=in_progress - (attempt.state in IN_FLIGHT),
            max_concurrent_calls=self._max_concurrent_calls,
            waiting=now - attempt.created_at,
            held=await self._held(entry),
            dial_slot=dial_slot,
        )


def _zones(attempt: Attempt, agent: AgentDefinition) -> tuple[ZoneInfo, ...]:
    """The zones of the number; the agent's zone narrows them to one of theirs, or stands in for none."""
    zones = time_zones(attempt.phone)
    if agent.time_zone is None:
        return zones
    own = ZoneInfo(agent.time_zone)
    return (own,) if own in zones or not zones else (*zones, own)
