"""The shape of audio on a wire: encoding and sample rate, always mono."""

from dataclasses import dataclass
from enum import StrEnum

FRAME_MS = 20
"""Length of one media frame in milliseconds, the same on every leg."""


class Encoding(StrEnum):
    """How one sample is written: signed 16-bit little-endian, or G.711 mu-law or A-law."""

    PCM16 = "pcm"
    ULAW = "ulaw"
    ALAW = "alaw"


_SAMPLE_BYTES = {Encoding.PCM16: 2, Encoding.ULAW: 1, Encoding.ALAW: 1}
_SILENCE_BYTE = {Encoding.PCM16: b"\x00", Encoding.ULAW: b"\xff", Encoding.ALAW: b"\xd5"}


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One mono audio format; `rate_hz` is the sample rate in Hz."""

    encoding: Encoding
    rate_hz: int

    @classmethod
    def parse(cls, name: str) -> "AudioFormat":
        """Read a name such as `pcm_16000` or `ulaw_8000`; raises ValueError when it is not one."""
        encoding, _, rate = name.partition("_")
        if not rate.isdigit():
            raise ValueError(f"{name!r} is not an audio format such as pcm_16000 or ulaw_8000")
        return cls(Encoding(encoding), int(rate))

    def __str__(self) -> str:
        return f"{self.encoding.value}_{self.rate_hz}"

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return _SAMPLE_BYTES[self.encoding]

    @property
    def bytes_per_second(self) -> int:
        """Bytes of one second of audio."""
        return self.rate_hz * self.sample_bytes

    @property
    def frame_bytes(self) -> int:
        """Bytes of one 20 ms frame."""
        return self.bytes_for_ms(FRAME_MS)

    def bytes_for_ms(self, ms: int) -> int:
        """Bytes of `ms` milliseconds of audio, whole samples only."""
        return self.rate_hz * ms // 1000 * self.sample_bytes

    def ms_for_bytes(self, size: int) -> float:
        """Milliseconds that `size` bytes last."""
        return size * 1000 / self.bytes_per_second

    def silence(self, size: int) -> bytes:
        """`size` bytes of silence."""
        return _SILENCE_BYTE[self.encoding] * size


PCM_8K = AudioFormat(Encoding.PCM16, 8000)
PCM_16K = AudioFormat(Encoding.PCM16, 16000)
PCM_24K = AudioFormat(Encoding.PCM16, 24000)
ULAW_8K = AudioFormat(Encoding.ULAW, 8000)
