"""The `dial` workflow: read the record, pass the gate, get a ticket, commit the intent, dial. Never twice."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
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
from callwright.domain.agent import AgentDefinition, OnMachine
from callwright.domain.attempt import Attempt
from callwright.domain.errors import (
    CallwrightError,
    InvalidInput,
    NotFound,
    VendorAmbiguous,
    VendorBusy,
    VendorError,
    VendorQuotaExceeded,
    VendorRefused,
    VendorUnreachable,
)
from callwright.domain.outcome import EndReason
from callwright.domain.states import CallState, Signal
from callwright.ports.carrier import DialOrder, DialReceipt
from callwright.ports.storage import CounterStore
from callwright.ports.workflows import Workflows

log = structlog.get_logger(__name__)

_Step = Callable[[str], Awaitable[bool]]

SOURCE = "dial"
MOST_FAILURES = 6
_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 300.0
_PREPARE_LIMIT_S = 120.0
_LONGEST_RATE_WAIT_S = 3.0
_DIAL_LIMIT_S = 40.0
_SLOT_LIFE_S = 60.0
DIAL_SLOT = "dial_slot"
"""The moment of the carrier's rate that a deferred call has reserved, in `carrier_data`."""

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
        """The workflow. Its steps return whether to go on."""
        steps: tuple[tuple[str, _Step], ...] = (
            ("record", self._record),
            ("gate", self._gate),
            ("ticket", self._ticket),
            ("dial", self._dial),
        )
        for name, step in steps:
            if not await self._workflows.step(name, partial(self._guarded, step, attempt_id)):
                return

    async def _guarded(self, step: _Step, attempt_id: str) -> bool:
        with structlog.contextvars.bound_contextvars(call_id=attempt_id):
            try:
                return await step(attempt_id)
            except Exception as error:  # supervision point: a fault in one call must not strand its row
                log.exception("a step of dialling failed")
                async with self._ledger.open(attempt_id, SOURCE) as entry:
                    await self._fault(entry, f"{type(error).__name__}: {error}")
                return False

    async def _record(self, attempt_id: str) -> bool:
        attempt = await self._ledger.get(attempt_id)
        if attempt.state is not CallState.QUEUED:
            return attempt.state is CallState.PREPARING
        if self._is_fresh(attempt):
            return True
        agent = await self._agents.of(attempt)
        try:
            prepared = await prepare(attempt, agent, self._directory, self._rules.region)
        except (InvalidInput, NotFound, VendorRefused) as error:
            reason = EndReason.INVALID_NUMBER if _about_phone(error) else EndReason.PREPARATION_FAILED
            return await self._end(attempt_id, reason, str(error))
        except VendorError as error:
            return await self._postpone(attempt_id, error, EndReason.PREPARATION_FAILED)
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            if entry.attempt.state is not CallState.QUEUED:
                return False
            read_at = self._ledger.clock.now().isoformat()
            await entry.set(
                phone=prepared.phone,
                variables=prepared.variables,
                crm_detail={**entry.attempt.crm_detail, "read_at": read_at},
            )
            await entry.note("prepared", phone=prepared.phone)
            if prepared.opted_out:
                await suppress(entry, reason="marked in the CRM", source="crm")
        return True

    async def _gate(self, attempt_id: str) -> bool:
        agent = await self._agents.of(await self._ledger.get(attempt_id))
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            if entry.attempt.state is CallState.PREPARING:
                return True
            if entry.attempt.state is not CallState.QUEUED or not await self._gatekeeper.admit(entry, agent):
                return False
            await entry.move(Signal.START, owner=self._rules.process_id)
            await entry.timer(TimerKind.PREPARE_LIMIT, _PREPARE_LIMIT_S)
        return True

    async def _ticket(self, attempt_id: str) -> bool:
        attempt = await self._ledger.get(attempt_id)
        if attempt.state is not CallState.PREPARING:
            return attempt.state is CallState.DIALING
        agent = await self._agents.of(attempt)
        try:
            ticket = await self._directory.voice_agents(attempt.engine).prepare(
                conversation_start(attempt, agent)
            )
        except (NotFound, VendorRefused) as error:
            return await self._end(attempt_id, EndReason.AGENT_FAILED, str(error))
        except VendorError as error:
            return await self._postpone(attempt_id, error, EndReason.AGENT_FAILED)
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            if entry.attempt.state is not CallState.PREPARING:
                return False
            await entry.set(
                conversation_id=ticket.conversation_id,
                agent_ticket={**ticket.data, "expires_at": ticket.expires_at.isoformat()},
            )
            await entry.note("ticket", conversation_id=ticket.conversation_id)
        return True

    async def _dial(self, attempt_id: str) -> bool:
        attempt = await self._ledger.get(attempt_id)
        agent = await self._agents.of(attempt)
        carrier = self._directory.carrier(attempt.carrier)
        if attempt.state is CallState.PREPARING and not await self._wait_for_rate(attempt):
            return False
        order = await self._commit_intent(attempt_id, agent)
        if order is None:
            return False
        try:
            async with asyncio.timeout(_DIAL_LIMIT_S):
                receipt = await carrier.dial(order)
        except (VendorAmbiguous, TimeoutError) as error:
            return await self._lose(attempt_id, str(error) or "no answer in time")
        except (VendorBusy, VendorUnreachable) as error:
            reason = EndReason.RATE_LIMITED if isinstance(error, VendorBusy) else EndReason.CARRIER_ERROR
            return await self._postpone(attempt_id, error, reason)
        except VendorQuotaExceeded as error:
            return await self._end(attempt_id, EndReason.INSUFFICIENT_FUNDS, str(error))
        except VendorError as error:
            return await self._end(attempt_id, EndReason.CARRIER_ERROR, str(error))
        return await self._accept(attempt_id, receipt)

    async def _wait_for_rate(self, attempt: Attempt) -> bool:
        """Wait for the carrier's next dial slot; for a far one the call is deferred, and keeps it."""
        now = self._ledger.clock.now()
        kept = attempt.carrier_data.get(DIAL_SLOT)
        wait = (datetime.fromisoformat(kept) - now).total_seconds() if kept else -_SLOT_LIFE_S
        if wait <= -_SLOT_LIFE_S:
            rate = self._directory.carrier(attempt.carrier).capabilities.dials_per_second
            wait = await self._counters.reserve(f"{attempt.carrier}:dial", rate)
        if wait > _LONGEST_RATE_WAIT_S:
            async with self._ledger.open(attempt.id, SOURCE) as entry:
                slot = (now + timedelta(seconds=wait)).isoformat()
                await entry.set(carrier_data={**entry.attempt.carrier_data, DIAL_SLOT: slot})
                await self._defer(entry, wait, "the carrier's dial rate")
            return False
        wait = max(wait, 0.0)
        await asyncio.sleep(wait)
        return True

    async def _commit_intent(self, attempt_id: str, agent: AgentDefinition) -> DialOrder | None:
        """Commit that we are about to dial. None when we must not, or may have dialled already."""
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            attempt = entry.attempt
            if attempt.state is CallState.DIALING:
                await entry.move(Signal.LOSE)
                await entry.timer(TimerKind.RECONCILE, _FIRST_RECONCILE_S)
                return None
            if attempt.state is not CallState.PREPARING or not await self._gatekeeper.admit(entry, agent):
                return None
            await entry.cancel(TimerKind.PREPARE_LIMIT)
            await entry.move(
                Signal.INTEND,
                owner=self._rules.process_id,
                media_token=secrets.token_urlsafe(24),
                dialed_at=self._ledger.clock.now(),
            )
            await entry.timer(TimerKind.RECONCILE, _DIAL_LIMIT_S + 5)
        detection = agent.machine_detection
        return DialOrder(
            attempt_id=attempt_id,
            phone=attempt.phone,
            caller_id=agent.caller_id,
            ring_s=agent.limits.ring_s,
            longest_call_s=agent.limits.longest_call_s,
            detect_machine=detection.enabled and detection.on_machine is OnMachine.HANG_UP,
        )

    async def _accept(self, attempt_id: str, receipt: DialReceipt) -> bool:
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            data = {**entry.attempt.carrier_data, **receipt.data}
            known = {"carrier_call_id": receipt.carrier_call_id, "carrier_data": data}
            if not await entry.move(Signal.ACCEPT, **known):
                await entry.set(**known)
            await entry.cancel(TimerKind.RECONCILE)
            if entry.attempt.state in {CallState.PLACED, CallState.RINGING}:
                await entry.timer(TimerKind.ASK, 0.0 if entry.attempt.hang_up_requested else _FIRST_ASK_S)
        return True

    async def _lose(self, attempt_id: str, detail: str) -> bool:
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            await entry.note("dial.ambiguous", detail=detail)
            if entry.attempt.state is CallState.DIALING:
                await entry.move(Signal.LOSE)
                await entry.timer(TimerKind.RECONCILE, _FIRST_RECONCILE_S)
        return False

    async def _postpone(self, attempt_id: str, error: VendorError, give_up_as: EndReason) -> bool:
        """Try again later after a definite failure without effect, at most six times."""
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            failures = entry.attempt.failures + 1
            if entry.attempt.state not in {CallState.QUEUED, CallState.PREPARING, CallState.DIALING}:
                return False
            if failures >= MOST_FAILURES:
                await self._give_up(entry, give_up_as, f"{error} (tried {failures} times)")
                return False
            await entry.set(failures=failures)
            pause = min(_FIRST_PAUSE_S * 2 ** (failures - 1), _LONGEST_PAUSE_S)
            await self._defer(entry, max(pause, error.retry_after_s or 0.0), str(error))
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
            await self._defer(entry, _FIRST_PAUSE_S * 2 ** (failures - 1), detail)

    async def _defer(self, entry: Entry, wait_s: float, why: str) -> None:
        until = self._ledger.clock.now() + timedelta(seconds=wait_s)
        await entry.note("deferred", why=why, until=until.isoformat())
        await entry.cancel(TimerKind.PREPARE_LIMIT, TimerKind.RECONCILE)
        await entry.move(Signal.DEFER, not_before=until, round=entry.attempt.round + 1)

    async def _end(self, attempt_id: str, reason: EndReason, detail: str) -> bool:
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            if entry.attempt.state in {CallState.QUEUED, CallState.PREPARING, CallState.DIALING}:
                await self._give_up(entry, reason, detail)
        return False

    async def _give_up(self, entry: Entry, reason: EndReason, detail: str) -> None:
        signal = Signal.FAIL if entry.attempt.state is CallState.DIALING else Signal.REFUSE
        await entry.move(signal, end_reason=reason, end_detail=detail)

    def _is_fresh(self, attempt: Attempt) -> bool:
        read_at = attempt.crm_detail.get("read_at")
        if read_at is None:
            return False
        return self._ledger.clock.now() - datetime.fromisoformat(read_at) < _RECORD_FRESH


def _about_phone(error: CallwrightError) -> bool:
    return isinstance(error, InvalidInput) and any(problem.where == "phone" for problem in error.problems)
