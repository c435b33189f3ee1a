"""Opens a call's two sockets: the agent's, which we connect, and the carrier's, which has to come to us."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from callwright.calls.directory import Directory
from callwright.calls.outage import DATABASE_AWAY, reason_of
from callwright.calls.preparing import conversation_start
from callwright.calls.tracking import handle_of
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt
from callwright.domain.errors import CallwrightError
from callwright.media.agent_leg import AgentLeg
from callwright.media.carrier_leg import CarrierLeg
from callwright.media.plane import MediaPlane
from callwright.ports.carrier import MediaOrder
from callwright.ports.clock import Clock
from callwright.ports.voice_agent import AgentTicket

_AGENT_OPEN_S = 8.0
_SOCKET_COMES_S = 6.0
_ATTACH_S = 6.0
_TRIES = 2


@dataclass(frozen=True, slots=True)
class Door:
    """Where a process's media sockets come in; `slot` names that address at the carrier."""

    plane: MediaPlane
    directory: Directory
    clock: Clock
    slot: str


async def open_agent(door: Door, attempt: Attempt, agent: AgentDefinition) -> AgentLeg:
    """Open the conversation that the ticket admits; raises CallwrightError (AgentUnreachable among them)."""
    data = dict(attempt.agent_ticket)
    expires_at = datetime.fromisoformat(data.pop("expires_at", None) or door.clock.now().isoformat())
    ticket = AgentTicket(attempt.conversation_id, expires_at, data)
    platform = door.directory.voice_agents(attempt.engine)
    protocol = platform.open(ticket, conversation_start(attempt, agent))
    return await door.plane.open_agent(protocol, timeout_s=_AGENT_OPEN_S)


class CarrierJoin:
    """Makes the carrier open its media socket for one call, at most twice in a row."""

    def __init__(
        self,
        door: Door,
        agent: AgentDefinition,
        *,
        current: Callable[[], Attempt],
        keep: Callable[[dict[str, Any]], None],
        failed: Callable[[str], bool],
    ) -> None:
        """`current`: the call's row; `keep`: remembers the carrier's data; `failed`: notes a failed try and tells
        whether another one makes sense.
        """
        self._door = door
        self._agent = agent
        self._current = current
        self._keep = keep
        self._failed = failed
        self._joins = 0

    async def join(self, token: str | None = None) -> CarrierLeg | None:
        """The carrier's leg, or None when it did not come or the call is over."""
        for _ in range(_TRIES):
            try:
                return await self._once(token or secrets.token_urlsafe(24))
            except (CallwrightError, *DATABASE_AWAY) as error:
                token = None
                if not self._failed(reason_of(error)):
                    return None
        return None

    async def _once(self, token: str) -> CarrierLeg:
        attempt = self._current()
        rejoin, self._joins = self._joins > 0, self._joins + 1
        carrier = self._door.directory.carrier(attempt.carrier)
        order = MediaOrder(token, self._door.slot, self._agent.limits.longest_call_s, rejoin=rejoin)
        expected = self._door.plane.expect(token)
        try:
            async with asyncio.timeout(_ATTACH_S):
                data = await carrier.attach_media(handle_of(attempt, self._agent.caller_id), order)
            if data:
                self._keep(data)
            return await expected.socket(_SOCKET_COMES_S)
        except BaseException:
            expected.cancel()
            raise
