"""The simulated agent's speech on its way out: in bursts faster than real time, with an estimate of what was played."""

from collections import deque
from typing import Final

from callwright.audio import g711
from callwright.domain.audio import AudioFormat, Encoding
from callwright.simulation import speech

CHUNK_MS: Final = 300
CHUNK_EVERY_S: Final = 0.04
"""A chunk of 300 ms each 40 ms: audio leaves more than seven times faster than it plays."""

SPOKEN_RATES: Final = frozenset({8000, 16000, 24000, 32000, 48000})

_BLIND_MS_PER_CHARACTER: Final = 65

Chunk = tuple[int, bytes]
"""Event number and audio."""


class Mouth:
    """What is being said in one conversation. Times are those of the event loop, in seconds."""

    def __init__(self, output: AudioFormat) -> None:
        self._output = output
        self._chunks: deque[Chunk] = deque()
        self._next_at = self._started_at = 0.0
        self.ends_at = 0.0
        """When the latest utterance will have been played, if it is played as it comes."""

    def speaking(self, now: float) -> bool:
        """Whether, by the platform's own estimate, the agent is being heard."""
        return bool(self._chunks) or now < self.ends_at

    @property
    def all_sent(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._chunks

    def pieces(self, payload: bytes) -> list[bytes]:
        """An utterance cut into chunks."""
        size = self._output.bytes_for_ms(CHUNK_MS)
        return [payload[start : start + size] for start in range(0, len(payload), size)]

    def say(self, chunks: list[Chunk], now: float) -> None:
        """Begin an utterance."""
        self._chunks.extend(chunks)
        self._started_at = self._next_at = now
        length = sum(len(audio) for _, audio in chunks)
        self.ends_at = now + self._output.ms_for_bytes(length) / 1000

    def due(self, now: float) -> list[Chunk]:
        """The chunks that leave now."""
        found = []
        while self._chunks and now >= self._next_at:
            found.append(self._chunks.popleft())
            self._next_at += CHUNK_EVERY_S
        return found

    def stop(self, now: float) -> Chunk | None:
        """Fall silent; answers a chunk that had left already and comes late."""
        late = self._chunks[0] if self._chunks else None
        self._chunks.clear()
        self.ends_at = min(self.ends_at, now)
        return late

    def played(self, text: str, now: float) -> str:
        """The words of the utterance that have been played."""
        length = self.ends_at - self._started_at
        share = (now - self._started_at) / length if length > 0 else 1.0
        return text if share >= 1.0 else text[: int(len(text) * share)].rpartition(" ")[0]


async def voice(text: str, output: AudioFormat) -> bytes:
    """`text` as audio in a wire format; at a rate that the voice does not know, silence of the same length."""
    if not text:
        return b""
    if output.rate_hz not in SPOKEN_RATES:
        return output.silence(output.bytes_for_ms(_BLIND_MS_PER_CHARACTER * len(text)))
    pcm = await speech.say_async(text, output.rate_hz)
    return g711.pcm_to_ulaw(pcm) if output.encoding is Encoding.ULAW else pcm
