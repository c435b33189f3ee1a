"""Watches the peers of one call for signs of life."""

import logging

from callwright.media.agent_leg import AgentLeg
from callwright.media.carrier_leg import CarrierLeg
from callwright.media.limits import MediaLimits
from callwright.ports.voice_agent import AgentFault

logger = logging.getLogger(__name__)


class Watch:
    """Counts the seconds for which a peer gave no sign of life or did not read."""

    def __init__(self, limits: MediaLimits) -> None:
        self._limits = limits
        self._carrier: CarrierLeg | None = None
        self._carrier_messages = self._agent_messages = -1
        self._carrier_idle_s = self._agent_idle_s = self._agent_stuck_s = 0

    def look(self, carrier: CarrierLeg | None, agent: AgentLeg) -> None:
        """Called once a second: cut a peer that is dead or stuck, ping an agent that is quiet."""
        limits = self._limits
        if carrier is not None:
            same = carrier is self._carrier and carrier.messages == self._carrier_messages
            self._carrier_idle_s = self._carrier_idle_s + 1 if same else 0
            self._carrier, self._carrier_messages = carrier, carrier.messages
            if self._carrier_idle_s >= limits.carrier_silent_s:
                logger.warning("The carrier's media socket went silent")
                carrier.abort()
        if agent.ended is not None:
            return
        self._agent_idle_s = self._agent_idle_s + 1 if agent.messages == self._agent_messages else 0
        self._agent_messages = agent.messages
        self._agent_stuck_s = self._agent_stuck_s + 1 if agent.paused else 0
        if self._agent_idle_s >= limits.agent_lost_s:
            agent.fail(AgentFault.LOST, "no sign of life")
        elif self._agent_stuck_s >= limits.agent_stuck_s:
            agent.fail(AgentFault.LOST, "does not read what it is sent")
        elif self._agent_idle_s >= limits.agent_ping_s:
            agent.ping()
