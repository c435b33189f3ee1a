"""What one conversation sends to its client, numbered, filtered by the agent's `client_events`, and recorded."""

from callwright.integrations.elevenlabs.simulator.connection import Connection
from callwright.integrations.elevenlabs.simulator.platform import Platform
from callwright.integrations.elevenlabs.simulator.shapes import encode
from callwright.integrations.elevenlabs.simulator.state import Conversation, Json


class Output:
    """The way to the client of one conversation."""

    def __init__(self, platform: Platform, conversation: Conversation, connection: Connection) -> None:
        self._platform = platform
        self._conversation = conversation
        self._connection = connection
        self._events = 0
        self.listed: frozenset[str] = frozenset()
        """The events that the agent's configuration lets through."""

    def next_event(self) -> int:
        """The next number of the conversation's events."""
        self._events += 1
        return self._events

    def send(self, kind: str, member: str, data: Json) -> bool:
        """Send an event if it is listed; answers whether it is."""
        if kind in self.listed:
            self.message({"type": kind, member: data})
        return kind in self.listed

    def send_audio(self, event_id: int, payload: bytes) -> None:
        """Send a piece of the agent's speech; only the first is recorded, cut short."""
        if "audio" not in self.listed:
            return
        if self._conversation.audio_out == 0:
            self.record("out", _audio_message(event_id, payload[:6]))
        self._conversation.audio_out += len(payload)
        self._connection.send(_audio_message(event_id, payload))

    def message(self, message: Json) -> None:
        """Send a message, whatever is listed."""
        payload = encode(message)
        self.record("out", payload)
        self._connection.send(payload)

    def raw(self, payload: bytes) -> None:
        """Send bytes that need not be a message, unrecorded."""
        self._connection.send(payload)

    def error(self, code: int, error_type: str, message: str) -> None:
        """Say why the conversation is about to be closed."""
        event: Json = {"code": code, "message": message, "error_type": error_type, "reason": message}
        self.message({"type": "error", "error_event": {**event, "debug_message": None, "details": {}}})

    def record(self, direction: str, payload: bytes) -> None:
        """Keep a message for assertions."""
        self._platform.record(direction, payload, self._conversation.conversation_id)


def _audio_message(event_id: int, payload: bytes) -> bytes:
    return encode({"type": "audio", "audio_event": {"audio_base_64": payload, "event_id": event_id}})
