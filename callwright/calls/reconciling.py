"""Finds out from the carrier what became of a call: after an ambiguous dial, and when webhooks stay away."""

import asyncio
from datetime import timedelta

import structlog

from callwright.calls.agents import AgentBook
from callwright.calls.directory import Directory
from callwright.calls.ledger import Entry, Ledger, TimerKind
from callwright.calls.tracking import apply_call, handle_of
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt
from callwright.domain.errors import VendorError
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import LIVE, CallState, Signal
from callwright.ports.carrier import CallHandle, Carrier, CarrierCall, CarrierCallState, HangUpCause
from callwright.storage import events

log = structlog.get_logger(__name__)

SOURCE = "reconcile"
_LOOKED = "reconcile"
_SEARCH_BEFORE = timedelta(seconds=60)
_EMPTY_UNTIL_S = 30.0
_EMPTY_ANSWERS = 3
_LATE_LEG_AGAIN_S = 10.0
_LATE_LEG_SLACK_S = 600.0
_SAY_LIMIT_S = 5.0
_APOLOGY_HEARD_S = 6.0
_ASK_EVERY_S = 6.0
_RING_SLACK_S = 10.0
_FORCE_END_AFTER_S = 120.0
_PAUSES_S = (2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0)
_UNREACHABLE_PAUSE_S = 30.0
_WAITING = frozenset({CallState.PLACED, CallState.RINGING})


class Reconciler:
    """Answers the timers of calls whose state only the carrier knows."""

    def __init__(self, ledger: Ledger, directory: Directory, agents: AgentBook) -> None:
        self._ledger = ledger
        self._directory = directory
        self._agents = agents

    async def resolve_unknown(self, attempt_id: str) -> None:
        """After an ambiguous dial: look for the call by our id, number and time. Never dials."""
        attempt = await self._ledger.get(attempt_id)
        if attempt.state not in {CallState.DIALING, CallState.UNKNOWN} or attempt.dialed_at is None:
            return
        agent = await self._agents.of(attempt)
        carrier = self._directory.carrier(attempt.carrier)
        try:
            call = await carrier.find(attempt.id, attempt.phone, attempt.dialed_at - _SEARCH_BEFORE)
        except VendorError as error:
            await self._note_unreachable(attempt, error, TimerKind.RECONCILE)
            return
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            if entry.attempt.state not in {CallState.DIALING, CallState.UNKNOWN}:
                return
            age = (entry.now() - attempt.dialed_at).total_seconds()
            await entry.note(_LOOKED, found=call is not None, after_s=round(age, 1))
            if call is not None:
                await apply_call(entry, call, agent.limits.longest_call_s)
            elif age > agent.limits.ring_s + _EMPTY_UNTIL_S and await self._often_empty(entry):
                detail = "the carrier never answered the dial and knows no such call"
                await entry.move(Signal.FAIL, end_reason=EndReason.DIAL_UNKNOWN, end_detail=detail)
            else:
                await entry.move(Signal.LOSE)
                await entry.timer(TimerKind.RECONCILE, _next_pause(age))

    async def _often_empty(self, entry: Entry) -> bool:
        """Whether the carrier did not know the call three times: its list may lag behind its dial."""
        history = await events.history(entry.conn, entry.attempt.id)
        return sum(event.kind == _LOOKED and not event.data["found"] for event in history) >= _EMPTY_ANSWERS

    async def ask(self, attempt_id: str) -> None:
        """No webhook in time: ask for the call, and end what rings too long or was asked to stop."""
        attempt = await self._ledger.get(attempt_id)
        if attempt.state not in _WAITING:
            return
        agent = await self._agents.of(attempt)
        try:
            if attempt.hang_up_requested and attempt.carrier_call_id is not None:
                await self._cancel(attempt, agent)
            call = await self._ask_carrier(attempt, agent)
            if self._rings_too_long(attempt, agent) and _rings(call):
                await self._cancel(attempt, agent)
        except VendorError as error:
            await self._note_unreachable(attempt, error, TimerKind.ASK)
            return
        await self._settle(attempt, agent, call)

    async def _cancel(self, attempt: Attempt, agent: AgentDefinition) -> None:
        handle = handle_of(attempt, agent.caller_id)
        await self._directory.carrier(attempt.carrier).hang_up(handle, HangUpCause.CANCELED)

    async def end_late_leg(self, attempt_id: str) -> None:
        """A leg of a call that is over here: apologise if somebody answered, hang it up, and see that it ended."""
        attempt = await self._ledger.get(attempt_id)
        if attempt.state not in {CallState.ENDED, CallState.DONE} or attempt.carrier_call_id is None:
            return
        agent = await self._agents.of(attempt)
        carrier = self._directory.carrier(attempt.carrier)
        handle = handle_of(attempt, agent.caller_id)
        try:
            call = await carrier.status(handle)
            if call is not None and call.state is CarrierCallState.ANSWERED and carrier.capabilities.say:
                await self._apologise(carrier, handle, agent)
            if not _is_over(call):
                await carrier.hang_up(handle, HangUpCause.NORMAL)
        except VendorError as error:
            call = None
            log.warning("a late leg was not ended", call_id=attempt.id, error=str(error))
            async with self._ledger.open(attempt_id, SOURCE) as entry:
                await entry.note("carrier.unreachable", detail=str(error))
                await self._look_again(entry, agent, max(_LATE_LEG_AGAIN_S, error.retry_after_s or 0.0))
            return
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            await entry.note("late_leg", over=_is_over(call))
            if not _is_over(call):
                await self._look_again(entry, agent, _LATE_LEG_AGAIN_S)

    async def _apologise(self, carrier: Carrier, handle: CallHandle, agent: AgentDefinition) -> None:
        """Best effort: the leg is hung up whether or not the apology could be spoken."""
        try:
            async with asyncio.timeout(_SAY_LIMIT_S):
                await carrier.say(handle, agent.apology, agent.language)
        except (VendorError, TimeoutError) as error:
            log.warning("the apology was not spoken", call_id=handle.attempt_id, error=str(error))
            return
        await asyncio.sleep(_APOLOGY_HEARD_S)

    async def _look_again(self, entry: Entry, agent: AgentDefinition, pause_s: float) -> None:
        """Until the carrier's own limit must have ended the leg."""
        began = entry.attempt.dialed_at or entry.attempt.created_at
        age = (entry.now() - began).total_seconds()
        if age < agent.limits.ring_s + agent.limits.longest_call_s + _LATE_LEG_SLACK_S:
            await entry.timer(TimerKind.LATE_LEG, pause_s)

    async def end_longest(self, attempt_id: str) -> None:
        """A call that outlived its limit, and whoever should have ended it: ask, hang up, and record its end."""
        attempt = await self._ledger.get(attempt_id)
        if attempt.state not in LIVE:
            return
        agent = await self._agents.of(attempt)
        handle = handle_of(attempt, agent.caller_id)
        try:
            await self._directory.carrier(attempt.carrier).hang_up(handle, HangUpCause.NORMAL)
            call = await self._ask_carrier(attempt, agent)
        except VendorError as error:
            await self._note_unreachable(attempt, error, TimerKind.LONGEST_CALL)
            return
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            if entry.attempt.state not in LIVE:
                return
            if call is not None and _is_over(call):
                await apply_call(entry, call, agent.limits.longest_call_s)
            else:
                asked_for = entry.attempt.hang_up_requested
                by, why = (
                    (HangUpBy.API, "hung up by the API") if asked_for else (HangUpBy.LIMIT, "longest call")
                )
                await entry.move(
                    Signal.END,
                    end_reason=entry.attempt.end_reason or EndReason.COMPLETED,
                    hang_up_by=entry.attempt.hang_up_by or by,
                    end_detail=entry.attempt.end_detail or why,
                )
                await entry.timer(TimerKind.LATE_LEG, _LATE_LEG_AGAIN_S)

    async def refresh(self, attempt: Attempt) -> CarrierCall | None:
        """Ask the carrier for a call and apply its answer; raises VendorError when it cannot be asked."""
        agent = await self._agents.of(attempt)
        call = await self._ask_carrier(attempt, agent)
        if call is not None:
            async with self._ledger.open(attempt.id, SOURCE) as entry:
                await apply_call(entry, call, agent.limits.longest_call_s)
        return call

    async def _ask_carrier(self, attempt: Attempt, agent: AgentDefinition) -> CarrierCall | None:
        carrier = self._directory.carrier(attempt.carrier)
        if attempt.carrier_call_id is None:
            since = (attempt.dialed_at or attempt.created_at) - _SEARCH_BEFORE
            return await carrier.find(attempt.id, attempt.phone, since)
        return await carrier.status(handle_of(attempt, agent.caller_id))

    async def _settle(self, attempt: Attempt, agent: AgentDefinition, call: CarrierCall | None) -> None:
        async with self._ledger.open(attempt.id, SOURCE) as entry:
            if entry.attempt.state not in _WAITING:
                return
            if call is not None:
                if entry.attempt.hang_up_requested and entry.attempt.end_reason is None:
                    by = entry.attempt.hang_up_by or HangUpBy.API
                    await entry.set(end_reason=EndReason.CANCELED, hang_up_by=by)
                await apply_call(entry, call, agent.limits.longest_call_s)
            if entry.attempt.state not in _WAITING:
                return
            age = (entry.now() - (attempt.dialed_at or attempt.created_at)).total_seconds()
            if age > agent.limits.ring_s + _FORCE_END_AFTER_S:
                detail = "the carrier did not tell how the call ended"
                reason = EndReason.NO_ANSWER if call is not None else EndReason.CARRIER_ERROR
                await entry.move(Signal.END, end_reason=entry.attempt.end_reason or reason, end_detail=detail)
            else:
                await entry.timer(TimerKind.ASK, _ASK_EVERY_S)

    def _rings_too_long(self, attempt: Attempt, agent: AgentDefinition) -> bool:
        started = attempt.dialed_at or attempt.created_at
        age = (self._ledger.clock.now() - started).total_seconds()
        return age > agent.limits.ring_s + _RING_SLACK_S

    async def _note_unreachable(self, attempt: Attempt, error: VendorError, kind: TimerKind) -> None:
        """The number stays locked, visibly, until the carrier can be asked."""
        log.warning("the carrier cannot be asked", call_id=attempt.id, error=str(error))
        async with self._ledger.open(attempt.id, SOURCE) as entry:
            await entry.note("carrier.unreachable", detail=str(error))
            await entry.timer(kind, max(_UNREACHABLE_PAUSE_S, error.retry_after_s or 0.0))


def _rings(call: CarrierCall | None) -> bool:
    return call is not None and call.state in {CarrierCallState.PLACED, CarrierCallState.RINGING}


def _is_over(call: CarrierCall | None) -> bool:
    return call is None or call.state is CarrierCallState.ENDED


def _next_pause(age_s: float) -> float:
    return next((pause for pause in _PAUSES_S if pause * 2 >= age_s), _PAUSES_S[-1])
