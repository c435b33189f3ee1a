"""Hands the person over to a human, and remembers whether that is under way."""

import asyncio
from typing import Any

from callwright.calls.ledger import Ledger
from callwright.calls.tracking import handle_of
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt
from callwright.media.bridge import Bridge
from callwright.ports.carrier import Carrier

HANDED_OVER = "handed_over"
"""The mark in `carrier_data` while the person is with, or on the way to, a human."""

_GOODBYE_S = 8.0
_TRANSFER_S = 10.0


class Handover:
    """The transfer of one call; while it is under way a missing media socket is no fault."""

    def __init__(self, ledger: Ledger, carrier: Carrier, agent: AgentDefinition) -> None:
        self._ledger = ledger
        self._carrier = carrier
        self._agent = agent
        self._under_way = False

    @property
    def possible(self) -> bool:
        """Whether the agent names a human and the carrier can transfer."""
        return self._agent.handover_number is not None and self._carrier.capabilities.transfer

    @property
    def under_way(self) -> bool:
        """Whether the person is with, or on the way to, a human."""
        return self._under_way

    async def start(self, attempt: Attempt, bridge: Bridge) -> dict[str, Any]:
        """Hear the agent out, then transfer; returns data to keep. Raises VendorError or TimeoutError."""
        await asyncio.wait({asyncio.ensure_future(bridge.drained())}, timeout=_GOODBYE_S)
        self._under_way = True
        async with self._ledger.open(attempt.id, "conversation") as entry:
            await entry.note("handover", number=self._agent.handover_number)
            await entry.set(carrier_data={**entry.attempt.carrier_data, HANDED_OVER: True})
        async with asyncio.timeout(_TRANSFER_S):
            handle = handle_of(attempt, self._agent.caller_id)
            return await self._carrier.transfer(handle, self._agent.handover_number or "", None)

    def failed(self) -> None:
        """No human took the call."""
        self._under_way = False
