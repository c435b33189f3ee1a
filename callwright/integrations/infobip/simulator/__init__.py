"""Infobip's side of the wire: the Calls and Subscriptions APIs, their events, and media sockets, on loopback."""

from callwright.integrations.infobip.simulator.vendor import InfobipSimulator

__all__ = ["InfobipSimulator"]
