"""The person's leg of a running conversation: whether it is up, and how it is ended."""

import asyncio
from dataclasses import dataclass

import structlog

from callwright.calls.farewell import Farewell, heard_out, note_ending
from callwright.calls.journal import Journal
from callwright.calls.tracking import apply_call
from callwright.domain.agent import AgentDefinition
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import LIVE
from callwright.media.bridge import Bridge
from callwright.ports.carrier import CarrierCallState, HangUpCause

log = structlog.get_logger(__name__)

_NOTED_WITHIN_S = 0.8
_GOODBYE_S = 15.0
_ON_THE_WAY_S = 0.4
"""What we wrote last is still in the carrier's jitter buffer and on its way to the phone."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a conversation is to end. `apologise`: the person hears why; `drain`: the agent is heard out first; `gone`:
    the person's leg is over already.
    """

    reason: EndReason
    by: HangUpBy
    detail: str = ""
    apologise: bool = False
    drain: bool = False
    gone: bool = False
    cause: HangUpCause = HangUpCause.NORMAL


class PersonLeg:
    """Known by the row as it was last seen and by the carrier when asked; none of this waits for the database."""

    def __init__(self, journal: Journal, farewell: Farewell, agent: AgentDefinition) -> None:
        self._journal = journal
        self._farewell = farewell
        self._agent = agent
        self._ended = False

    @property
    def is_live(self) -> bool:
        """Whether the leg is up, as far as is known here."""
        return not self._ended and self._journal.attempt.state in LIVE

    async def is_over(self) -> bool:
        """The opposite, for those who wait for it."""
        return not self.is_live

    async def is_up(self) -> bool:
        """Whether the leg is up, by asking the carrier too: its webhook may lag behind its socket."""
        if not self.is_live:
            return False
        call = await self._farewell.ask(self._journal.attempt, self._agent)
        if call is None:
            return True
        longest_call_s = self._agent.limits.longest_call_s
        self._journal.change(lambda entry: apply_call(entry, call, longest_call_s))
        self._ended = call.state is CarrierCallState.ENDED
        return not self._ended

    async def part(self, ending: Ending, bridge: Bridge | None) -> None:
        """End the call as decided: hear the agent out, or apologise; then hang up."""
        journal, farewell = self._journal, self._farewell
        journal.change(lambda entry: note_ending(entry, ending.reason, ending.by, ending.detail))
        if ending.drain and bridge is not None:
            if await heard_out(bridge, _GOODBYE_S, self.is_over):
                await asyncio.sleep(_ON_THE_WAY_S)
            else:
                log.warning("the goodbye was not heard to its end")
        if ending.apologise and bridge is not None:
            bridge.hush()
        # The reason has to be there before the carrier tells of the end that we are about to cause.
        await journal.written(_NOTED_WITHIN_S)
        if ending.apologise:
            await farewell.apologise(journal.attempt, self._agent, over=self.is_over)
        await farewell.end_leg(journal.attempt, self._agent, ending.cause, over=self.is_over)

    async def settle(self) -> None:
        """After all was written: see to it that the row learns of the end too."""
        if self._journal.attempt.state in LIVE:
            await self._farewell.settle(self._journal.attempt)
