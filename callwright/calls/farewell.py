"""Ends a person's leg with care: an apology where one is due, a hang-up that is tried again, and a look at the end."""

import asyncio

import structlog

from callwright.calls.directory import Directory
from callwright.calls.ledger import Ledger, TimerKind
from callwright.calls.reconciling import Reconciler
from callwright.calls.tracking import handle_of
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt
from callwright.domain.errors import VendorError
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import LIVE
from callwright.ports.carrier import HangUpCause

log = structlog.get_logger(__name__)

_SAY_LIMIT_S = 5.0
_SPEAKING_S_PER_CHARACTER = 0.075
_LONGEST_APOLOGY_S = 12.0
_HANG_UP_PAUSES_S = (0.3, 1.0, 2.0)
_END_WAIT_S = 4.0
_LOOK_EVERY_S = 0.1
_HUNG_UP_WITHIN_S = 50.0


class Farewell:
    """Says why a call ends, then makes sure that it does."""

    def __init__(self, ledger: Ledger, directory: Directory, reconciler: Reconciler) -> None:
        self._ledger = ledger
        self._directory = directory
        self._reconciler = reconciler

    async def note(self, attempt_id: str, reason: EndReason, by: HangUpBy, detail: str) -> None:
        """Record why the call is about to end; the first reason stands. A timer hangs up if we do not come to it."""
        async with self._ledger.open(attempt_id, "conversation") as entry:
            if entry.attempt.state in LIVE and entry.attempt.end_reason is None:
                await entry.set(end_reason=reason, hang_up_by=by, end_detail=detail)
            if entry.attempt.state in LIVE:
                await entry.timer(TimerKind.LONGEST_CALL, _HUNG_UP_WITHIN_S)

    async def apologise(self, attempt: Attempt, agent: AgentDefinition) -> bool:
        """Speak the apology with the carrier's voice, and wait until it was heard; False when that is not to be had."""
        carrier = self._directory.carrier(attempt.carrier)
        if not carrier.capabilities.say:
            return False
        try:
            async with asyncio.timeout(_SAY_LIMIT_S):
                await carrier.say(handle_of(attempt, agent.caller_id), agent.apology, agent.language)
        except (VendorError, TimeoutError) as error:
            log.warning("the apology was not spoken", call_id=attempt.id, error=str(error))
            return False
        length = min(len(agent.apology) * _SPEAKING_S_PER_CHARACTER, _LONGEST_APOLOGY_S)
        await self._until_over(attempt.id, length)
        return True

    async def hang_up(self, attempt: Attempt, agent: AgentDefinition, cause: HangUpCause) -> None:
        """Hang up; when neither the carrier confirms nor a webhook comes, a timer goes on trying."""
        attempt = await self._ledger.get(attempt.id)
        carrier = self._directory.carrier(attempt.carrier)
        for pause in (*_HANG_UP_PAUSES_S, None):
            if attempt.state not in LIVE:
                return
            try:
                await carrier.hang_up(handle_of(attempt, agent.caller_id), cause)
                break
            except VendorError as error:
                log.warning("the carrier did not hang up", call_id=attempt.id, error=str(error))
            if pause is None:
                break
            await asyncio.sleep(pause)
            attempt = await self._ledger.get(attempt.id)
        if await self._until_over(attempt.id, _END_WAIT_S):
            return
        await self.look(attempt)
        async with self._ledger.open(attempt.id, "conversation") as entry:
            if entry.attempt.state in LIVE:
                await entry.timer(TimerKind.LONGEST_CALL, 5)

    async def look(self, attempt: Attempt) -> None:
        """Apply what the carrier says about a call, when it can be asked."""
        try:
            async with asyncio.timeout(_SAY_LIMIT_S):
                await self._reconciler.refresh(attempt)
        except (VendorError, TimeoutError) as error:
            log.warning("the carrier cannot be asked", call_id=attempt.id, error=str(error))

    async def is_up(self, attempt: Attempt) -> bool:
        """Whether the person's leg is up, by asking the carrier too: its webhook may lag behind its socket."""
        if (await self._ledger.get(attempt.id)).state in LIVE:
            await self.look(attempt)
        return (await self._ledger.get(attempt.id)).state in LIVE

    async def _until_over(self, attempt_id: str, limit_s: float) -> bool:
        """Wait for the call to be over here; False after the limit."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit_s
        while (await self._ledger.get(attempt_id)).state in LIVE:
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(_LOOK_EVERY_S)
        return True
