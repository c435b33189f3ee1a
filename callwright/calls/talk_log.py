"""The transcript of a running call: kept for a second, then stored, so that a crash loses little."""

import hashlib

from callwright.calls.ledger import Entry
from callwright.domain.events import TranscriptLine
from callwright.ports.voice_agent import Said
from callwright.storage import transcripts

_MOST_LINES = 2000

Lines = dict[str, TranscriptLine]


class TalkLog:
    """Collects utterances of one call, to be written in batches; at most 2,000 lines are kept."""

    def __init__(self) -> None:
        self._waiting: Lines = {}
        self._started_at: dict[str, int] = {}
        self.dropped = 0

    @property
    def waiting(self) -> bool:
        """Whether there is something to write."""
        return bool(self._waiting)

    def add(self, said: Said, at_ms: int) -> bool:
        """Note an utterance at milliseconds from the answer; whether it is a new one.

        A correction keeps the time of the first.
        """
        fresh = said.key not in self._started_at
        if fresh and len(self._started_at) >= _MOST_LINES:
            self.dropped += 1
            return True
        at_ms = self._started_at.setdefault(said.key, at_ms)
        self._waiting[said.key] = TranscriptLine(said.key, said.speaker, said.text, at_ms, said.interrupted)
        return fresh

    def take(self) -> Lines:
        """What came since the last time, to be written; give it back if that fails."""
        lines, self._waiting = self._waiting, {}
        return lines

    def give_back(self, lines: Lines) -> None:
        """These were not written; what came meanwhile is newer."""
        self._waiting = {**lines, **self._waiting}

    async def write(self, entry: Entry, lines: Lines) -> None:
        """Store lines and tell them in the log; to do it again changes nothing."""
        await transcripts.put(entry.conn, entry.attempt.id, list(lines.values()))
        shown = [
            {
                "speaker": str(line.speaker),
                "text": line.text,
                "at_ms": line.at_ms,
                "interrupted": line.interrupted,
            }
            for line in lines.values()
        ]
        digest = hashlib.sha256(repr(list(lines.values())).encode()).hexdigest()[:16]
        await entry.note("transcript", dedup_key=f"talk:{digest}", lines=shown)
