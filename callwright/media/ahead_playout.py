"""The agent's audio for a carrier that buffers: sent ahead of the person's ear."""

import asyncio
from collections.abc import Callable

from callwright.domain.audio import AudioFormat
from callwright.media.counts import AudioCounts
from callwright.media.pacer import NEVER
from callwright.media.playout import FRAME_S, CarrierWriter, Playout


class AheadPlayout(Playout):
    """Audio sent 200 to 300 ms ahead of the person's ear, for a carrier that plays from a buffer of its own.

    `play_end` is when the carrier will have played all that was sent. After a stall the lead is restored at once.
    """

    _LEAD_S = 0.300
    _REFILL_S = 0.200
    _TAIL_S = 0.060
    _MARK_LIMIT_S = 2.0

    def __init__(
        self,
        audio: AudioFormat,
        queue_s: float,
        counts: AudioCounts,
        on_spoken: Callable[[], None],
        monotonic: Callable[[], float],
    ) -> None:
        super().__init__(audio, queue_s, counts, on_spoken, monotonic)
        self._play_end = 0.0
        self._sent_bytes = 0
        self._mark = 0
        self._marks: dict[str, list[asyncio.Future[None]]] = {}

    def attach(self, writer: CarrierWriter, now: float) -> None:
        """Start with what waits."""
        super().attach(writer, now)
        self._play_end = now
        self.tick(now)

    def detach(self) -> None:
        """As for every playout; marks of a dead socket will not come, so the clock decides."""
        super().detach()
        for futures in self._marks.values():
            self._waiting += futures
        self._marks.clear()

    def push(self, chunk: bytes) -> None:
        """Send at once while the carrier's buffer is low."""
        now = self._monotonic()
        self._store(chunk)
        if self._play_end - now < self._REFILL_S:
            self.tick(now)

    def inbound(self, now: float) -> None:
        """A good moment to refill."""
        self.tick(now)

    def tick(self, now: float) -> None:
        """Refill the carrier's buffer, finish the last torn frame, and tell who waits for the end."""
        writer = self._writer
        if writer is None:
            return
        lead = self._play_end - now
        if self._queue.size and not writer.paused and lead < self._REFILL_S:
            self._send(now, max(lead, 0.0))
        lead = self._play_end - now
        if self._queue.size >= self._frame_bytes:
            deadline = max(self._play_end - self._REFILL_S, now + FRAME_S / 2)
        elif self._queue.size:
            deadline = max(self._play_end - self._TAIL_S, now + FRAME_S / 2)
        elif self._waiting:
            deadline = self._settle(writer, now)
        elif self._marks and now < self._play_end + self._MARK_LIMIT_S:
            deadline = self._play_end + self._MARK_LIMIT_S
        else:
            self.release()
            deadline = NEVER
        self.wants_at = self._deadlines[self._slot] = deadline

    def interrupt(self, now: float) -> float:
        """Drop the queue and what the carrier has not played yet."""
        unheard = self._queue.clear()
        lead = max(self._play_end - now, 0.0)
        if self._writer is not None:
            self._writer.send_clear()
            if lead > 0:
                taken_back = int(lead * self.format.rate_hz) * self.format.sample_bytes
                self._sent_bytes -= taken_back
                unheard += taken_back
                self._play_end = now
                if self.tap is not None:
                    self.tap.cut(taken_back)
        self.release()
        return self.format.ms_for_bytes(unheard)

    def played_ms(self, now: float) -> float:
        """What was sent, less what the carrier still holds."""
        return max(self.format.ms_for_bytes(self._sent_bytes) - max(self._play_end - now, 0.0) * 1000, 0.0)

    def drained(self, now: float) -> asyncio.Future[None]:
        """Done when the carrier returns a mark; by the clock where it has none or it is 2 s late."""
        future = self._wait()
        self.tick(now)
        return future

    def marked(self, name: str) -> None:
        """The carrier played everything before this mark."""
        for future in self._marks.pop(name, ()):
            if not future.done():
                future.set_result(None)

    def release(self) -> None:
        """End every wait, also those for marks."""
        for futures in self._marks.values():
            self._waiting += futures
        self._marks.clear()
        super().release()

    def _send(self, now: float, lead: float) -> None:
        room = int((self._LEAD_S - lead) / FRAME_S) * self._frame_bytes
        whole = min(room, self._queue.size) // self._frame_bytes * self._frame_bytes
        if whole:
            piece = self._queue.take(whole)
        elif lead < self._TAIL_S:
            piece = self._queue.take(self._frame_bytes)
            piece += self.format.silence(self._frame_bytes - len(piece))
        else:
            return
        start = max(self._play_end, now)
        if self._is_loud(piece):
            self.loud_at = start
        self._write(piece)
        self._heard(now)
        self._counts.spoken += len(piece) // self._frame_bytes
        self._sent_bytes += len(piece)
        self._play_end = start + len(piece) / self.format.bytes_per_second
        if self.tap is not None:
            self.tap.agent(piece, start)

    def _settle(self, writer: CarrierWriter, now: float) -> float:
        """All has been sent: hand the waiting over to a mark, or watch the clock; answers when to look again."""
        self._mark += 1
        name = f"callwright-{self._mark}"
        if writer.send_mark(name):
            self._marks[name], self._waiting = self._waiting, []
            return self._play_end + self._MARK_LIMIT_S
        if now < self._play_end:
            return self._play_end
        self.release()
        return NEVER
