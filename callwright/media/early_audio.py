"""Agent audio that came before the carrier's socket."""

from callwright.domain.audio import FRAME_MS, PCM_16K
from callwright.media.counts import AudioCounts


class EarlyAudio:
    """Pieces in the agent's format, in order, for at most `limit_s` of speech; what comes later is dropped.

    `bytes_per_second` is that of the agent's format once it is known.
    """

    def __init__(self, limit_s: float, counts: AudioCounts) -> None:
        self.bytes_per_second = PCM_16K.bytes_per_second
        self._limit_s = limit_s
        self._counts = counts
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def ms(self) -> float:
        """How long it plays."""
        return self._size * 1000 / self.bytes_per_second

    def add(self, payload: bytes) -> None:
        """Keep a piece, or drop and count it."""
        if self._size + len(payload) > self._limit_s * self.bytes_per_second:
            frame = self.bytes_per_second * FRAME_MS // 1000
            self._counts.dropped_queue_full += -(-len(payload) // frame)
            return
        self._pieces.append(payload)
        self._size += len(payload)

    def take(self) -> list[bytes]:
        """All pieces; nothing is kept."""
        pieces, self._pieces, self._size = self._pieces, [], 0
        return pieces

    def clear(self) -> float:
        """Drop everything; answers how many milliseconds that was."""
        ms = self.ms
        self.take()
        return ms
