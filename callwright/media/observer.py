"""Who follows a conversation, and what a bridge tells."""

from typing import Protocol

from callwright.ports.voice_agent import AgentClosed, AgentEvent, AgentFailed, AgentReady


class Observer(Protocol):
    """Who follows a conversation. Called on the event loop: must not block and must not raise."""

    def agent_ready(self, ready: AgentReady) -> None:
        """The conversation is open at the agent's side."""
        ...

    def first_agent_frame(self) -> None:
        """The first frame of the agent's speech was written to the carrier."""
        ...

    def agent_event(self, event: AgentEvent) -> None:
        """Said, Hearing, SpeechLevel, ToolCalled or AgentHangsUp."""
        ...

    def agent_ended(self, ended: AgentFailed | AgentClosed) -> None:
        """The agent's side is over; told once."""
        ...

    def person_pressed(self, digit: str) -> None:
        """The person pressed a key."""
        ...

    def carrier_lost(self, code: int | None, reason: str) -> None:
        """The carrier's socket ended without us; agent audio is held for a new one."""
        ...

    def refused(self, reason: str) -> None:
        """A message of the carrier broke the protocol; its socket was closed and counts as lost."""
        ...
