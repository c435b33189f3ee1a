"""Hands the person over to a human, and tells the conversation when it has to take the person back."""

import asyncio
from enum import StrEnum

import structlog

from callwright.calls.farewell import Over, heard_out
from callwright.calls.journal import Journal
from callwright.calls.ledger import Entry, Ledger, TimerKind
from callwright.calls.outage import DATABASE_AWAY, reason_of
from callwright.calls.tracking import HANDED_OVER, HUMAN_ANSWERED, handle_of, human_left, mark
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt
from callwright.domain.errors import VendorBusy, VendorError, VendorRefused, VendorUnreachable
from callwright.domain.states import LIVE
from callwright.media.bridge import Bridge
from callwright.ports.carrier import Carrier, CarrierCall, CarrierCallState

__all__ = ["HANDED_OVER", "Handover", "settle"]

log = structlog.get_logger(__name__)

SOURCE = "handover"
_GOODBYE_S = 8.0
_MARKED_WITHIN_S = 3.0
_TRANSFER_S = 10.0
_FIRST_LOOK_S = 15.0
_UNCLEAR_S = 2.0
_RINGS_EVERY_S = 5.0
_TALK_EVERY_S = 15.0
_ASK_AGAIN_S = 3.0
_ASK_LIMIT_S = 5.0


class _Stage(StrEnum):
    """Where a handover is: with the agent, being asked for, with the human's phone, on the way back."""

    AGENT = "agent"
    ASKED = "asked"
    HUMAN = "human"
    BACK = "back"


class Handover:
    """The transfer of one call, as its conversation sees it; while it is under way a missing media socket is no fault.

    The mark in the row is the truth: it is written with a timer before the carrier is asked, and taken away by
    whoever finds out from the carrier that no human is there (`settle`), even after this process has died.
    """

    def __init__(self, journal: Journal, carrier: Carrier, agent: AgentDefinition) -> None:
        self._journal = journal
        self._carrier = carrier
        self._agent = agent
        self._stage = _Stage.AGENT

    @property
    def possible(self) -> bool:
        """Whether the agent names a human and the carrier can transfer."""
        return self._agent.handover_number is not None and self._carrier.capabilities.transfer

    @property
    def under_way(self) -> bool:
        """Whether the person is with, or on the way to or from, a human."""
        return self._stage is not _Stage.AGENT

    @property
    def with_human(self) -> bool:
        """Whether the person is with, or on the way to, a human: such a person stays there when we end."""
        return self._stage in {_Stage.ASKED, _Stage.HUMAN}

    @property
    def failed(self) -> bool:
        """Whether it is known that no human is there, and nobody has begun to take the person back."""
        return self._stage is _Stage.HUMAN and not self._journal.attempt.carrier_data.get(HANDED_OVER)

    async def start(self, bridge: Bridge, over: Over) -> bool:
        """Hear the agent out, then transfer; False when that was not even tried."""
        if self._stage is not _Stage.AGENT:
            return False
        self._stage = _Stage.ASKED
        try:
            await heard_out(bridge, _GOODBYE_S, over)
            if not await self._announce():
                self._journal.keep({HANDED_OVER: False})
                self._stage = _Stage.AGENT
                return False
            await self._ask()
        finally:
            if self._stage is _Stage.ASKED:
                self._stage = _Stage.HUMAN
                self._journal.look()
        return True

    def take_back(self) -> None:
        """The conversation goes on with the agent, as soon as the media are joined."""
        self._stage = _Stage.BACK

    def end(self) -> None:
        """The person is with the agent again, or with nobody."""
        self._stage = _Stage.AGENT

    async def has_human(self) -> bool:
        """Ask the carrier; if a human is there after all, the handover stands."""
        try:
            leg = await _ask_for_human(self._carrier, self._journal.attempt, self._agent)
        except (VendorError, TimeoutError) as error:
            log.warning("the carrier cannot be asked for a human", error=reason_of(error))
            return False
        if leg is not None:
            self._journal.keep({HANDED_OVER: True})
            self._journal.change(lambda entry: entry.timer(TimerKind.HANDOVER, _RINGS_EVERY_S))
            self._stage = _Stage.HUMAN
        return leg is not None

    async def _announce(self) -> bool:
        """Leave word of what is about to happen, for whoever has to deal with it should we die."""
        self._journal.note("handover", number=self._agent.handover_number)
        self._journal.keep({HANDED_OVER: True, HUMAN_ANSWERED: False}, unless=HANDED_OVER)
        self._journal.change(lambda entry: entry.timer(TimerKind.HANDOVER, _FIRST_LOOK_S))
        return await self._journal.written(_MARKED_WITHIN_S)

    async def _ask(self) -> None:
        handle = handle_of(self._journal.attempt, self._agent.caller_id)
        try:
            async with asyncio.timeout(_TRANSFER_S):
                number = self._agent.handover_number or ""
                self._journal.keep(await self._carrier.transfer(handle, number, None))
        except (VendorRefused, VendorBusy, VendorUnreachable) as error:
            self._journal.note("handover.failed", detail=str(error))
            self._journal.keep({HANDED_OVER: False})
        except (VendorError, *DATABASE_AWAY) as error:
            self._journal.note("handover.unclear", detail=reason_of(error))
            self._journal.change(lambda entry: entry.timer(TimerKind.HANDOVER, _UNCLEAR_S))


async def settle(ledger: Ledger, carrier: Carrier, attempt: Attempt, agent: AgentDefinition) -> None:
    """Ask the carrier whether a human is there: look again later, or let the person have the agent back.

    Where no conversation is left to take the person back, the call is an orphan then and is cared for as such.
    """
    if not _is_handed_over(attempt):
        return
    try:
        leg = await _ask_for_human(carrier, attempt, agent)
    except (VendorError, TimeoutError) as error:
        log.warning("the carrier cannot be asked for a human", call_id=attempt.id, error=reason_of(error))
        async with ledger.open(attempt.id, SOURCE) as entry:
            await entry.timer(TimerKind.HANDOVER, _ASK_AGAIN_S)
        return
    async with ledger.open(attempt.id, SOURCE) as entry:
        if _is_handed_over(entry.attempt):
            await _apply(entry, leg)


async def _apply(entry: Entry, leg: CarrierCall | None) -> None:
    answered = bool(entry.attempt.carrier_data.get(HUMAN_ANSWERED))
    if leg is None and answered:
        await human_left(entry)
    elif leg is None:
        await mark(entry, **{HANDED_OVER: False})
        await entry.note("handover.failed", detail="no human took the call")
    elif leg.state is CarrierCallState.ANSWERED:
        if not answered:
            await mark(entry, **{HUMAN_ANSWERED: True})
        await entry.timer(TimerKind.HANDOVER, _TALK_EVERY_S)
    else:
        await entry.timer(TimerKind.HANDOVER, _RINGS_EVERY_S)


async def _ask_for_human(carrier: Carrier, attempt: Attempt, agent: AgentDefinition) -> CarrierCall | None:
    async with asyncio.timeout(_ASK_LIMIT_S):
        return await carrier.human_leg(handle_of(attempt, agent.caller_id))


def _is_handed_over(attempt: Attempt) -> bool:
    return attempt.state in LIVE and bool(attempt.carrier_data.get(HANDED_OVER))
