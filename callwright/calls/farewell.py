"""Ends a person's leg with care: an apology where one is due, a hang-up that is tried again, and a look at the end.

Nothing here needs the database to answer: what a person hears must not depend on it.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from callwright.calls.directory import Directory
from callwright.calls.ledger import Entry, Ledger, TimerKind
from callwright.calls.outage import DATABASE_AWAY, reason_of
from callwright.calls.reconciling import Reconciler
from callwright.calls.tracking import EXPLAINED, handle_of, is_unexplained
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt
from callwright.domain.errors import VendorError
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import LIVE, CallState, Signal
from callwright.media.bridge import Bridge
from callwright.ports.carrier import CarrierCall, HangUpCause

log = structlog.get_logger(__name__)

_ASK_LIMIT_S = 5.0
_SAY_LIMIT_S = 5.0
_SPEAKING_S_PER_CHARACTER = 0.075
_LONGEST_APOLOGY_S = 12.0
_HANG_UP_LIMIT_S = 15.0
_HANG_UP_PAUSES_S = (0.3, 1.0, 2.0)
END_WAIT_S = 4.0
"""How long the end of a leg is waited for that the carrier was asked to end."""

_LOOK_EVERY_S = 0.1
_READ_LIMIT_S = 1.0
_HUNG_UP_WITHIN_S = 50.0

Over = Callable[[], Awaitable[bool]]
"""Whether the person's leg is over, as far as is known here; must be quick, and must not raise."""


async def note_ending(entry: Entry, reason: EndReason, by: HangUpBy, detail: str) -> None:
    """Record why the call is about to end; the first reason stands. A timer hangs up if we do not come to it.

    After an outage of the database the carrier's word that we hung up may have been stored before ours tells why.
    """
    attempt = entry.attempt
    if attempt.state in LIVE and attempt.end_reason is None:
        await entry.set(end_reason=reason, hang_up_by=by, end_detail=detail)
    elif is_unexplained(attempt):
        await entry.set(end_reason=reason, hang_up_by=by, end_detail=detail)
        await entry.note(EXPLAINED, end_reason=str(reason), end_detail=detail)
        if attempt.state is CallState.DONE:
            await entry.move(Signal.REOPEN, finish_failures=0)
        else:
            # A round that is under way may have written what is known to be wrong now: it must not be the last.
            await entry.set(finish_round=attempt.finish_round + 1)
        await entry.timer(TimerKind.FINISH, 0)
    if attempt.state in LIVE:
        await entry.timer(TimerKind.LONGEST_CALL, _HUNG_UP_WITHIN_S)


async def heard_out(bridge: Bridge, limit_s: float, over: Over) -> bool:
    """Wait until what the agent said was heard; False when that takes too long, or the person is gone."""
    if bridge.carrier is None:
        return False
    drained = asyncio.ensure_future(bridge.drained())
    try:
        async with asyncio.timeout(limit_s):
            while not drained.done():
                if await over():
                    return False
                await asyncio.wait({drained}, timeout=_LOOK_EVERY_S)
    except TimeoutError:
        return False
    finally:
        drained.cancel()
    return True


class Farewell:
    """Says why a call ends, then makes sure that it does."""

    def __init__(self, ledger: Ledger, directory: Directory, reconciler: Reconciler) -> None:
        self._ledger = ledger
        self._directory = directory
        self._reconciler = reconciler

    async def apologise(self, attempt: Attempt, agent: AgentDefinition, *, over: Over) -> bool:
        """Speak the apology with the carrier's voice, and wait until it was heard; False when that is not to be had."""
        spoken_s = await self.say(attempt, agent)
        await until(over, spoken_s)
        return spoken_s > 0

    async def say(self, attempt: Attempt, agent: AgentDefinition) -> float:
        """Have the carrier speak the apology; how many seconds that takes from now on, 0 when it is not spoken."""
        carrier = self._directory.carrier(attempt.carrier)
        if not carrier.capabilities.say:
            return 0.0
        handle = handle_of(attempt, agent.caller_id)
        if not await _asked(carrier.say(handle, agent.apology, agent.language), "say", _SAY_LIMIT_S):
            return 0.0
        return min(len(agent.apology) * _SPEAKING_S_PER_CHARACTER, _LONGEST_APOLOGY_S)

    async def end_leg(
        self, attempt: Attempt, agent: AgentDefinition, cause: HangUpCause, *, over: Over
    ) -> bool:
        """Hang up, trying again for a few seconds; whether the end of the leg was told meanwhile."""
        await self.hang_up(attempt, agent, cause, over=over)
        return await until(over, END_WAIT_S)

    async def hang_up(
        self, attempt: Attempt, agent: AgentDefinition, cause: HangUpCause, *, over: Over
    ) -> None:
        """Ask the carrier to hang up, again for a few seconds where it does not take that."""
        carrier = self._directory.carrier(attempt.carrier)
        handle = handle_of(attempt, agent.caller_id)
        for pause in (*_HANG_UP_PAUSES_S, None):
            if await over() or await _asked(carrier.hang_up(handle, cause), "hang up", _HANG_UP_LIMIT_S):
                return
            if pause is not None:
                await asyncio.sleep(pause)

    async def settle(self, attempt: Attempt) -> None:
        """No webhook told the end: ask the carrier; a timer goes on where it does not tell it either."""
        await self.look(attempt)
        try:
            async with self._ledger.open(attempt.id, "conversation") as entry:
                if entry.attempt.state in LIVE:
                    await entry.timer(TimerKind.LONGEST_CALL, 5)
        except DATABASE_AWAY as error:
            log.warning("the end of a call is settled later", call_id=attempt.id, error=type(error).__name__)

    async def look(self, attempt: Attempt) -> None:
        """Apply what the carrier says about a call, when it can be asked."""
        try:
            async with asyncio.timeout(_ASK_LIMIT_S):
                await self._reconciler.refresh(attempt)
        except (VendorError, *DATABASE_AWAY) as error:
            log.warning("the carrier cannot be asked", call_id=attempt.id, error=reason_of(error))

    async def ask(self, attempt: Attempt, agent: AgentDefinition) -> CarrierCall | None:
        """The person's leg as the carrier knows it; None when it cannot be asked, or knows nothing."""
        if attempt.carrier_call_id is None:
            return None
        try:
            async with asyncio.timeout(_ASK_LIMIT_S):
                handle = handle_of(attempt, agent.caller_id)
                return await self._directory.carrier(attempt.carrier).status(handle)
        except (VendorError, TimeoutError) as error:
            log.warning("the carrier cannot be asked", call_id=attempt.id, error=str(error))
            return None

    def row_is_over(self, attempt_id: str) -> Over:
        """Whether the row tells that the leg has ended, for those who have no conversation to ask."""

        async def over() -> bool:
            try:
                async with asyncio.timeout(_READ_LIMIT_S):
                    return (await self._ledger.get(attempt_id)).state not in LIVE
            except DATABASE_AWAY:
                return False

        return over


async def until(over: Over, limit_s: float, *, every_s: float = _LOOK_EVERY_S) -> bool:
    """Wait for the call to be over here, looking as often as that; False after the limit."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    while not await over():
        left = deadline - loop.time()
        if left <= 0:
            return False
        await asyncio.sleep(min(every_s, left))
    return True


async def _asked(request: Awaitable[None], what: str, limit_s: float) -> bool:
    """Whether the carrier took a request. No fault of a request keeps anybody from what has to follow it."""
    try:
        async with asyncio.timeout(limit_s):
            await request
    except (VendorError, TimeoutError) as error:
        log.warning("the carrier did not do what a farewell needs", what=what, error=str(error))
    except Exception:  # supervision point: an adapter's own fault must not leave the person on the line
        log.exception("a request of a farewell failed", what=what)
    else:
        return True
    return False
