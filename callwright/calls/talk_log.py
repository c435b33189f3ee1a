"""The transcript of a running call: kept for a second, then stored, so that a crash loses little."""

import structlog
from sqlalchemy.exc import SQLAlchemyError

from callwright.calls.ledger import Ledger
from callwright.domain.events import CallEvent, TranscriptLine
from callwright.ports.voice_agent import Said
from callwright.storage import events, transcripts

log = structlog.get_logger(__name__)

_MOST_LINES = 2000


class TalkLog:
    """Collects utterances of one call and writes them in batches; at most 2,000 lines are kept."""

    def __init__(self, ledger: Ledger, attempt_id: str) -> None:
        self._ledger = ledger
        self._attempt_id = attempt_id
        self._waiting: dict[str, TranscriptLine] = {}
        self._started_at: dict[str, int] = {}
        self.dropped = 0

    def add(self, said: Said, at_ms: int) -> None:
        """Note an utterance at milliseconds from the answer; a correction keeps the time of the first."""
        known = said.key in self._started_at
        if not known and len(self._started_at) >= _MOST_LINES:
            self.dropped += 1
            return
        at_ms = self._started_at.setdefault(said.key, at_ms)
        self._waiting[said.key] = TranscriptLine(said.key, said.speaker, said.text, at_ms, said.interrupted)

    async def try_flush(self) -> None:
        """`flush` in mid-call: a database that is away for a moment must not end a conversation."""
        try:
            await self.flush()
        except SQLAlchemyError as error:
            log.warning(
                "the transcript is stored later", call_id=self._attempt_id, error=type(error).__name__
            )

    async def flush(self) -> None:
        """Store what came since the last flush; it is kept for the next one when the database fails."""
        if not self._waiting:
            return
        lines, self._waiting = self._waiting, {}
        shown = [
            {
                "speaker": str(line.speaker),
                "text": line.text,
                "at_ms": line.at_ms,
                "interrupted": line.interrupted,
            }
            for line in lines.values()
        ]
        try:
            async with self._ledger.database.write() as conn:
                await transcripts.put(conn, self._attempt_id, list(lines.values()))
                now = self._ledger.clock.now()
                event = CallEvent("transcript", now, "conversation", {"lines": shown})
                await events.append(conn, self._attempt_id, event)
            self._ledger.tell()
        except BaseException:
            self._waiting = {**lines, **self._waiting}
            raise
