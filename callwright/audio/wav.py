"""PCM16 WAV files, written so that a killed process loses nothing but the header's lengths.

Format: Microsoft "Multimedia Programming Interface and Data Specifications 1.0", RIFF WAVE, 44-byte header.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

HEADER_BYTES = 44
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_PCM = 1
_MAX_DATA = 0xFFFFFFFF - HEADER_BYTES


class NotWav(ValueError):
    """The file is no PCM16 WAV file; the message says why."""


@dataclass(frozen=True, slots=True)
class Wav:
    """A whole WAV file: rate in Hz, 1 or 2 channels, PCM16 with the channels interleaved."""

    rate_hz: int
    channels: int
    pcm: bytes

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return len(self.pcm) / (2 * self.channels * self.rate_hz)

    def channel(self, number: int) -> bytes:
        """PCM16 of one channel, counted from 0."""
        return np.frombuffer(self.pcm, "<i2")[number :: self.channels].tobytes()


def header(rate_hz: int, channels: int, data_bytes: int) -> bytes:
    """The 44 bytes before `data_bytes` of samples; longer than 4 GB is written as the longest possible."""
    block = 2 * channels
    size = min(data_bytes, _MAX_DATA)
    riff = (b"RIFF", HEADER_BYTES - 8 + size, b"WAVE")
    fmt = (b"fmt ", 16, _PCM, channels, rate_hz, rate_hz * block, block, 16)
    return _HEADER.pack(*riff, *fmt, b"data", size)


def interleave(left: bytes, right: bytes) -> bytes:
    """Stereo PCM16 of two channels of equal length; raises ValueError when they differ."""
    stereo = np.empty((len(left) // 2, 2), "<i2")
    stereo[:, 0] = np.frombuffer(left, "<i2")
    stereo[:, 1] = np.frombuffer(right, "<i2")
    return stereo.tobytes()


class WavWriter:
    """Writes a WAV file piece by piece; every `write` reaches the kernel, so a kill loses only lengths."""

    def __init__(self, path: Path, rate_hz: int, channels: int = 1) -> None:
        if channels not in (1, 2):
            raise ValueError(f"{channels} channels: a WAV file here has 1 or 2")
        self.path = path
        self._rate_hz, self._channels = rate_hz, channels
        self._size = 0
        self._file = path.open("wb", buffering=0)
        self._put(header(rate_hz, channels, 0))

    def write(self, pcm: bytes) -> None:
        """Append whole samples of all channels; raises ValueError for torn ones, OSError when the disk is full."""
        if len(pcm) % (2 * self._channels):
            raise ValueError(f"{len(pcm)} bytes are no whole samples of {self._channels} channels")
        self._put(pcm)
        self._size += len(pcm)

    @property
    def seconds(self) -> float:
        """How much has been written."""
        return self._size / (2 * self._channels * self._rate_hz)

    def close(self) -> None:
        """Write the true lengths and close; closing twice does nothing."""
        if self._file.closed:
            return
        try:
            self._file.seek(0)
            self._put(header(self._rate_hz, self._channels, self._size))
        finally:
            self._file.close()

    def _put(self, data: bytes) -> None:
        """Write everything: an unbuffered write may take less than it was given."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_wav(path: Path, rate_hz: int, pcm: bytes, channels: int = 1) -> None:
    """Write a whole file at once."""
    with WavWriter(path, rate_hz, channels) as writer:
        writer.write(pcm)


def read_wav(path: Path) -> Wav:
    """Read a PCM16 WAV file, even one that was never closed; raises NotWav."""
    return parse_wav(path.read_bytes())


def parse_wav(content: bytes) -> Wav:
    """As `read_wav`, of bytes; data of length zero or beyond the end is taken to reach the end."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise NotWav("no RIFF WAVE header")
    position, rate_hz, channels = 12, 0, 0
    while position + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, position)
        position += 8
        if name == b"fmt ":
            kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", content, position)
            if kind != _PCM or bits != 16 or channels not in (1, 2):
                raise NotWav(f"format {kind}, {bits} bits, {channels} channels: only PCM16 mono or stereo")
        elif name == b"data" and channels:
            end = position + size if 0 < size <= len(content) - position else len(content)
            whole = (end - position) // (2 * channels) * 2 * channels
            return Wav(rate_hz, channels, content[position : position + whole])
        position += size + size % 2
    raise NotWav("no samples")


def is_closed(path: Path) -> bool:
    """Whether `WavWriter` has closed a file with samples in it: until then its header tells no lengths."""
    with path.open("rb") as file:
        start = file.read(HEADER_BYTES)
        data = file.seek(0, 2) - HEADER_BYTES
    return data > 0 and start[36:] == struct.pack("<4sI", b"data", min(data, _MAX_DATA))


def repair(path: Path) -> bool:
    """Mend the lengths in the header of a file that `WavWriter` never closed; True when it was needed.

    A sample that was cut in two by the end is cut off. Raises NotWav for any other kind of file.
    """
    with path.open("r+b") as file:
        start = file.read(HEADER_BYTES)
        if len(start) < HEADER_BYTES or start[:4] != b"RIFF" or start[36:40] != b"data":
            raise NotWav(f"{path.name} does not begin with a plain 44-byte header")
        channels, rate_hz = struct.unpack_from("<HI", start, 22)
        if channels not in (1, 2):
            raise NotWav(f"{path.name} has {channels} channels")
        data = file.seek(0, 2) - HEADER_BYTES
        whole = data // (2 * channels) * 2 * channels
        mended = header(rate_hz, channels, whole)
        if mended == start and whole == data:
            return False
        file.truncate(HEADER_BYTES + whole)
        file.seek(0)
        file.write(mended)
        return True
