"""One side of a recording on the event loop: audio since the last flush, in step with the clock."""

from callwright.domain.audio import AudioFormat

_GAP_S = 0.040
_SETTLE_S = 0.25


class Track:
    """Pieces in order, and where they fell behind the clock.

    A gap may be followed by a late burst that fills it, so silence is only put there when the track is still
    behind at the flush. What lies in the future (sent ahead to a carrier that buffers) waits for a later flush.
    """

    __slots__ = ("_gaps", "_pieces", "_seconds_per_byte", "_silence", "_start", "_total", "_until", "rate_hz",
                 "sample_bytes", "size")  # fmt: skip

    def __init__(self, audio: AudioFormat, start: float) -> None:
        self.rate_hz = audio.rate_hz
        self.sample_bytes = audio.sample_bytes
        self.size = 0
        self._silence = audio.silence
        self._seconds_per_byte = 1 / audio.bytes_per_second
        self._start = start
        self._pieces: list[bytes] = []
        self._gaps: list[tuple[int, float, float]] = []
        self._total = 0
        self._until = start + _GAP_S

    @property
    def end(self) -> int:
        """Bytes since the start, flushed or not."""
        return self._total + self.size

    def add(self, payload: bytes, at: float) -> None:
        """Append a piece that is heard from `at` on."""
        if at > self._until:
            self._gaps.append((len(self._pieces), at, at - self._until + _GAP_S))
            self._until = at + _GAP_S
        self._pieces.append(payload)
        size = len(payload)
        self.size += size
        self._until += size * self._seconds_per_byte

    def cut(self, size: int) -> None:
        """Take back the last `size` bytes, as far as they were not flushed yet."""
        while size > 0 and self._pieces:
            last = self._pieces.pop()
            kept = max(len(last) - size, 0)
            size -= len(last) - kept
            self.size -= len(last) - kept
            self._until -= (len(last) - kept) * self._seconds_per_byte
            if kept:
                self._pieces.append(last[:kept])
        self._gaps = [gap for gap in self._gaps if gap[0] <= len(self._pieces)]

    def unsettled(self, now: float) -> bool:
        """Whether a gap is so new that a late burst may still fill it."""
        return bool(self._gaps) and now - self._gaps[-1][1] < _SETTLE_S

    def fill(self, target: int, tolerance_s: float = _GAP_S) -> None:
        """Put silence where audio is missing, when the track is further behind `target` bytes than tolerated."""
        missing = target - self.end
        if missing * self._seconds_per_byte > tolerance_s:
            self._insert(missing - missing % self.sample_bytes)
        self._gaps = []

    def take(self, end: int) -> bytes:
        """Everything up to `end` bytes since the start, which must not be more than there is."""
        whole = b"".join(self._pieces)
        size = end - self._total
        self._pieces = [whole[size:]] if size < len(whole) else []
        self._total, self.size = end, len(whole) - size
        self._until = self._start + self.end * self._seconds_per_byte + _GAP_S
        return whole[:size]

    def _insert(self, missing: int) -> None:
        shift = 0
        for index, _, seconds in self._gaps:
            size = min(int(seconds / self._seconds_per_byte), missing)
            size -= size % self.sample_bytes
            if size > 0:
                self._pieces.insert(index + shift, self._silence(size))
                shift += 1
                missing -= size
                self.size += size
        if missing > 0:
            self._pieces.append(self._silence(missing))
            self.size += missing
