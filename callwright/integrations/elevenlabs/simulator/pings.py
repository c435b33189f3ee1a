"""The platform's pings, which measure the way there and back."""

from typing import Final

ANSWER_WITHIN_S: Final = 5.0


class Pings:
    """When the next ping is due, and which are unanswered. Times are those of the event loop, in seconds."""

    def __init__(self, every_s: float, now: float) -> None:
        self._every_s = every_s
        self._next_at = now + every_s
        self._sent: dict[int, float] = {}
        self.latest_ms: int | None = None

    def due(self, now: float) -> bool:
        """Whether it is time; the next one is then planned."""
        if now < self._next_at:
            return False
        self._next_at = now + self._every_s
        return True

    def sent(self, event_id: int, now: float) -> None:
        """A ping has left."""
        self._sent[event_id] = now

    def answered(self, event_id: int, now: float) -> bool:
        """A pong has come; False when there was no such ping, or it was answered before."""
        began = self._sent.pop(event_id, None)
        if began is None:
            return False
        self.latest_ms = round((now - began) * 1000)
        return True

    def overdue(self, now: float) -> list[int]:
        """Pings that nobody answered in time, each told once."""
        late = [event_id for event_id, began in self._sent.items() if now - began > ANSWER_WITHIN_S]
        for event_id in late:
            del self._sent[event_id]
        return late
