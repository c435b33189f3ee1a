"""The `dial` workflow: read the record, pass the gate, get a ticket, commit the intent, dial. Never twice."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from callwright.calls.agents import AgentBook
from callwright.calls.directory import Directory
from callwright.calls.gatekeeper import Gatekeeper
from callwright.calls.ledger import Entry, Ledger, TimerKind
from callwright.calls.preparing import conversation_start, prepare
from callwright.calls.results import suppress
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt
from callwright.domain.errors import (
    CallwrightError,
    InvalidInput,
    NotFound,
    VendorAmbiguous,
    VendorAuthFailed,
    VendorBusy,
    VendorError,
    VendorQuotaExceeded,
    VendorRefused,
    VendorUnreachable,
    in_words,
)
from callwright.domain.gate import NEAR_SLOT
from callwright.domain.outcome import EndReason
from callwright.domain.states import CallState, Signal
from callwright.ports.carrier import DialOrder, DialReceipt
from callwright.ports.storage import CounterStore
from callwright.ports.workflows import Workflows

log = structlog.get_logger(__name__)

_Step = Callable[[Attempt], Awaitable[bool]]
"""What a step does with the call as it is when it begins; it returns whether to go on."""

SOURCE = "dial"
MOST_FAILURES = 30
"""With pauses that grow to five minutes: about two hours and a quarter of a vendor that is away."""

_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 300.0
_PREPARE_LIMIT_S = 120.0
_DIAL_LIMIT_S = 40.0
_SLOT_LIFE = timedelta(seconds=60)
_FRESH_INTENT = timedelta(seconds=10)
"""A process that was frozen for longer between intent and request must not dial: others may have given it up."""

_ANSWER_SLACK_S = 30.0
_BEFORE_THE_CALL = (CallState.QUEUED, CallState.PREPARING, CallState.DIALING)
EXPIRES_AT = "expires_at"
"""The moment until which the agent's ticket can be used, ISO 8601, in `agent_ticket`."""

_FIRST_ASK_S = 6.0
_FIRST_RECONCILE_S = 2.0
_RECORD_FRESH = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class DialRules:
    """What the workflow needs to know of this process."""

    process_id: str
    region: str | None


class Dialer:
    """Runs the workflow; every step looks at the row first, so a repeated step does no harm."""

    def __init__(
        self,
        ledger: Ledger,
        directory: Directory,
        agents: AgentBook,
        gatekeeper: Gatekeeper,
        workflows: Workflows,
        counters: CounterStore,
        rules: DialRules,
    ) -> None:
        self._ledger = ledger
        self._directory = directory
        self._agents = agents
        self._gatekeeper = gatekeeper
        self._workflows = workflows
        self._counters = counters
        self._rules = rules

    async def run(self, attempt_id: str) -> None:
        """The workflow of one round. A step whose round is over, or whose call has moved on, changes nothing."""
        number = await self._workflows.step("record", partial(self._guarded, self._record, attempt_id, None))
        steps: tuple[tuple[str, _Step], ...] = (
            ("gate", self._gate),
            ("ticket", self._ticket),
            ("dial", self._dial),
        )
        for name, step in steps:
            if number is None:
                return
            number = await self._workflows.step(name, partial(self._guarded, step, attempt_id, number))

    async def _guarded(self, step: _Step, attempt_id: str, number: int | None) -> int | None:
        """The round's number while it goes on, None when the workflow is over.

        Should the database refuse even the note of a fault, the workflow fails; a timer or the sweeper goes on.
        """
        with structlog.contextvars.bound_contextvars(call_id=attempt_id):
            try:
                attempt = await self._ledger.get(attempt_id)
                if number is None:
                    number = attempt.round
                goes_on = attempt.round == number and await step(attempt)
                return number if goes_on else None
            except Exception as error:  # supervision point: a fault in one call must not strand its row
                log.exception("a step of dialling failed")
                async with self._ledger.open(attempt_id, SOURCE) as entry:
                    if entry.attempt.round == number:
                        await self._fault(entry, in_words(error))
                return None

    @asynccontextmanager
    async def _round(self, attempt: Attempt, *states: CallState) -> AsyncIterator[Entry | None]:
        """The call, locked; None when its round is over or it is in none of the states."""
        async with self._ledger.open(attempt.id, SOURCE) as entry:
            current = entry.attempt
            yield entry if current.round == attempt.round and current.state in states else None

    async def _record(self, attempt: Attempt) -> bool:
        if attempt.state is not CallState.QUEUED:
            return attempt.state is CallState.PREPARING
        if self._is_fresh(attempt):
            return True
        agent = await self._agents.of(attempt)
        try:
            prepared = await prepare(attempt, agent, self._directory, self._rules.region)
        except VendorAuthFailed as error:
            return await self._postpone(attempt, error, EndReason.PREPARATION_FAILED)
        except (InvalidInput, NotFound, VendorRefused) as error:
            reason = EndReason.INVALID_NUMBER if _about_phone(error) else EndReason.PREPARATION_FAILED
            return await self._end(attempt, reason, str(error))
        except VendorError as error:
            return await self._postpone(attempt, error, EndReason.PREPARATION_FAILED)
        async with self._round(attempt, CallState.QUEUED) as entry:
            if entry is None:
                return False
            await entry.set(
                phone=prepared.phone, variables=prepared.variables, record_read_at=self._ledger.clock.now()
            )
            await entry.note("prepared", phone=prepared.phone)
            if prepared.opted_out:
                await suppress(entry, reason="marked in the CRM", source="crm")
        return True

    async def _gate(self, attempt: Attempt) -> bool:
        agent = await self._agents.of(attempt)
        async with self._round(attempt, CallState.QUEUED, CallState.PREPARING) as entry:
            if entry is None:
                return False
            if entry.attempt.state is CallState.PREPARING:
                return True
            if not await self._gatekeeper.admit(entry, agent):
                return False
            await entry.move(Signal.START, owner=self._rules.process_id)
            await entry.timer(TimerKind.PREPARE_LIMIT, _PREPARE_LIMIT_S)
        return True

    async def _ticket(self, attempt: Attempt) -> bool:
        if attempt.state is not CallState.PREPARING:
            return attempt.state is CallState.DIALING
        agent = await self._agents.of(attempt)
        try:
            ticket = await self._directory.voice_agents(attempt.engine).prepare(
                conversation_start(attempt, agent)
            )
        except VendorAuthFailed as error:
            return await self._postpone(attempt, error, EndReason.AGENT_FAILED)
        except (NotFound, VendorRefused) as error:
            return await self._end(attempt, EndReason.AGENT_FAILED, str(error))
        except VendorError as error:
            return await self._postpone(attempt, error, EndReason.AGENT_FAILED)
        async with self._round(attempt, CallState.PREPARING) as entry:
            if entry is None:
                return False
            await entry.set(
                conversation_id=ticket.conversation_id,
                agent_ticket={**ticket.data, EXPIRES_AT: ticket.expires_at.isoformat()},
            )
            await entry.note("ticket", conversation_id=ticket.conversation_id)
        return True

    async def _dial(self, attempt: Attempt) -> bool:
        agent = await self._agents.of(attempt)
        carrier = self._directory.carrier(attempt.carrier)
        slot = await self._reserve(attempt) if attempt.state is CallState.PREPARING else None
        order = await self._commit_intent(attempt, agent, slot)
        if order is None:
            return False
        if not await self._is_fresh_intent(attempt.id):
            late = VendorUnreachable(attempt.carrier, "this process stood still before it could dial")
            return await self._postpone(attempt, late, EndReason.CARRIER_ERROR)
        try:
            async with asyncio.timeout(_DIAL_LIMIT_S):
                receipt = await carrier.dial(order)
        except (VendorAmbiguous, TimeoutError) as error:
            return await self._lose(attempt, str(error) or "no answer in time")
        except (VendorBusy, VendorUnreachable, VendorAuthFailed) as error:
            reason = EndReason.RATE_LIMITED if isinstance(error, VendorBusy) else EndReason.CARRIER_ERROR
            return await self._postpone(attempt, error, reason)
        except VendorQuotaExceeded as error:
            return await self._end(attempt, EndReason.INSUFFICIENT_FUNDS, str(error))
        except VendorError as error:
            return await self._end(attempt, EndReason.CARRIER_ERROR, str(error))
        return await self._accept(attempt.id, receipt)

    async def _reserve(self, attempt: Attempt) -> datetime:
        """The carrier's next dial slot, or the one that the call has kept; a near one is waited for."""
        now = self._ledger.clock.now()
        slot = attempt.dial_slot_at
        if slot is None or now - slot > _SLOT_LIFE:
            rate = self._directory.carrier(attempt.carrier).capabilities.dials_per_second
            slot = now + timedelta(seconds=await self._counters.reserve(f"{attempt.carrier}:dial", rate))
        if now < slot <= now + NEAR_SLOT:
            await asyncio.sleep((slot - now).total_seconds())
        return slot

    async def _commit_intent(
        self, attempt: Attempt, agent: AgentDefinition, slot: datetime | None
    ) -> DialOrder | None:
        """Commit that we are about to dial. None when we must not, or may have dialled already."""
        async with self._round(attempt, CallState.PREPARING, CallState.DIALING) as entry:
            if entry is None:
                return None
            if entry.attempt.state is CallState.DIALING:
                await entry.move(Signal.LOSE)
                await entry.timer(TimerKind.RECONCILE, _FIRST_RECONCILE_S)
                return None
            if self._ticket_runs_out(entry.attempt, agent):
                await self._fault(entry, "the agent's ticket runs out before the call could be answered")
                return None
            if slot is not None and slot > entry.now() + NEAR_SLOT:
                await entry.set(dial_slot_at=slot)
            if not await self._gatekeeper.admit(entry, agent, slot):
                return None
            await entry.cancel(TimerKind.PREPARE_LIMIT)
            await entry.move(
                Signal.INTEND,
                owner=self._rules.process_id,
                media_token=secrets.token_urlsafe(24),
                dialed_at=self._ledger.clock.now(),
                dial_slot_at=None,
            )
            await entry.timer(TimerKind.RECONCILE, _DIAL_LIMIT_S + 5)
            phone = entry.attempt.phone
        return DialOrder(
            attempt_id=attempt.id,
            phone=phone,
            caller_id=agent.caller_id,
            ring_s=agent.limits.ring_s,
            longest_call_s=agent.limits.longest_call_s,
            detect_machine=agent.machine_detection.enabled,
            record=agent.carrier_recording,
        )

    async def _accept(self, attempt_id: str, receipt: DialReceipt) -> bool:
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            data = {**entry.attempt.carrier_data, **receipt.data}
            known = {"carrier_call_id": receipt.carrier_call_id, "carrier_data": data, "failures": 0}
            if not await entry.move(Signal.ACCEPT, **known):
                await entry.set(**known)
            await entry.cancel(TimerKind.RECONCILE)
            if entry.attempt.state in {CallState.PLACED, CallState.RINGING}:
                await entry.timer(TimerKind.ASK, 0.0 if entry.attempt.hang_up_requested else _FIRST_ASK_S)
        return True

    async def _lose(self, attempt: Attempt, detail: str) -> bool:
        async with self._ledger.open(attempt.id, SOURCE) as entry:
            await entry.note("dial.ambiguous", detail=detail)
            if entry.attempt.state is CallState.DIALING:
                await entry.move(Signal.LOSE)
                await entry.timer(TimerKind.RECONCILE, _FIRST_RECONCILE_S)
        return False

    async def _postpone(self, attempt: Attempt, error: VendorError, give_up_as: EndReason) -> bool:
        """Try again later after a definite failure without effect, at most 30 times."""
        async with self._round(attempt, *_BEFORE_THE_CALL, CallState.UNKNOWN) as entry:
            if entry is None:
                return False
            failures = entry.attempt.failures + 1
            if failures >= MOST_FAILURES or entry.attempt.state is CallState.UNKNOWN:
                await self._give_up(entry, give_up_as, f"{error} (tried {failures} times)")
                return False
            await entry.set(failures=failures)
            await self._defer(entry, max(_pause_s(failures), error.retry_after_s or 0.0), str(error))
        return False

    async def _fault(self, entry: Entry, detail: str) -> None:
        """A fault of ours: before the intent try again, after it find out what happened."""
        await entry.note("fault", detail=detail)
        if entry.attempt.state is CallState.DIALING:
            await entry.move(Signal.LOSE)
            await entry.timer(TimerKind.RECONCILE, _FIRST_RECONCILE_S)
        elif entry.attempt.state in {CallState.QUEUED, CallState.PREPARING}:
            failures = entry.attempt.failures + 1
            if failures >= MOST_FAILURES:
                await self._give_up(entry, EndReason.PREPARATION_FAILED, detail)
                return
            await entry.set(failures=failures)
            await self._defer(entry, _pause_s(failures), detail)

    async def unstick(self, attempt_id: str, number: int) -> None:
        """The workflow of this round is over, and the call still waits for it: its last fault was not noted."""
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            if entry.attempt.state is CallState.QUEUED and entry.attempt.round == number:
                await self._fault(entry, "a round of dialling ended without a trace")

    async def prepare_again(self, attempt_id: str) -> None:
        """A preparation came neither to a dial nor to an end in time: it counts as a failure and begins anew."""
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            if entry.attempt.state is CallState.PREPARING:
                await self._fault(entry, "the preparation took too long")

    async def _defer(self, entry: Entry, wait_s: float, why: str) -> None:
        until = self._ledger.clock.now() + timedelta(seconds=wait_s)
        await entry.note("deferred", why=why, until=until.isoformat())
        await entry.cancel(TimerKind.PREPARE_LIMIT, TimerKind.RECONCILE)
        await entry.move(Signal.DEFER, not_before=until, round=entry.attempt.round + 1)

    async def _end(self, attempt: Attempt, reason: EndReason, detail: str) -> bool:
        async with self._round(attempt, *_BEFORE_THE_CALL, CallState.UNKNOWN) as entry:
            if entry is not None:
                await self._give_up(entry, reason, detail)
        return False

    async def _give_up(self, entry: Entry, reason: EndReason, detail: str) -> None:
        sent = entry.attempt.state in {CallState.DIALING, CallState.UNKNOWN}
        signal = Signal.FAIL if sent else Signal.REFUSE
        await entry.move(signal, end_reason=reason, end_detail=detail)

    async def _is_fresh_intent(self, attempt_id: str) -> bool:
        """Whether the intent was committed just now: read anew, so that the answer is as old as the reading."""
        current = await self._ledger.get(attempt_id)
        committed = current.dialed_at
        if current.state is not CallState.DIALING or committed is None:
            return False
        return self._ledger.clock.now() - committed < _FRESH_INTENT

    def _is_fresh(self, attempt: Attempt) -> bool:
        read_at = attempt.record_read_at
        return read_at is not None and self._ledger.clock.now() - read_at < _RECORD_FRESH

    def _ticket_runs_out(self, attempt: Attempt, agent: AgentDefinition) -> bool:
        expires_at = attempt.agent_ticket.get(EXPIRES_AT)
        needed = timedelta(seconds=agent.limits.ring_s + _ANSWER_SLACK_S)
        return expires_at is None or datetime.fromisoformat(expires_at) - self._ledger.clock.now() < needed


def _pause_s(failures: int) -> float:
    """Seconds until the next try after so many failures."""
    return float(min(_FIRST_PAUSE_S * 2 ** min(failures - 1, 16), _LONGEST_PAUSE_S))


def _about_phone(error: CallwrightError) -> bool:
    return isinstance(error, InvalidInput) and any(problem.where == "phone" for problem in error.problems)
