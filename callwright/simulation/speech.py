"""Synthesised speech that carries its own text: a voice below 1.15 kHz, the in-band code above it.

The voice is espeak-ng where it is on the PATH, tones shaped like syllables where it is not; words are understood
from the code alone, so both do. Audio is PCM16 mono, peaks at about -6 dBFS.
"""

import asyncio
import binascii
import logging
import shutil
import subprocess
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callwright.audio.inband import BLOCK_MS, blocks_needed, encode, split_text
from callwright.audio.inband.modulate import SPEECH_TOP_HZ
from callwright.audio.wav import NotWav, parse_wav

MS_PER_CHARACTER: Final = 65
"""How long a character takes to say, in milliseconds, where the voice or the code does not need longer."""

SYNTHESIS_LIMIT_S: Final = 10.0
"""Longest run of the synthesiser, in seconds, before tones take its place."""

CACHE_BYTES: Final = 32 << 20

_PIECE_BYTES = 1500  # of text: 98 seconds at 65 ms each, within one utterance of 1024 blocks
_VOICE_PEAK = 0.32
_ROLL_OFF_HZ = 100
_SYLLABLE_MS = 190
_TONE_RATE = 8000

_log = logging.getLogger(__name__)

Floats = NDArray[np.float32]


class Speaker:
    """Says texts and remembers the latest of them, up to `cache_bytes`; may be used by several threads."""

    def __init__(self, espeak: str | None, cache_bytes: int = CACHE_BYTES) -> None:
        self._espeak = espeak
        self._cache_bytes = cache_bytes
        self._cache: OrderedDict[tuple[str, int, str], bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    @classmethod
    def found(cls) -> "Speaker":
        """With espeak-ng if this machine has it."""
        return cls(shutil.which("espeak-ng"))

    def say(self, text: str, rate_hz: int, voice: str = "en") -> bytes:
        """PCM16 of `text` at 8, 16, 24, 32 or 48 kHz, in whole blocks of 100 ms; empty for an empty text.

        `voice` is a voice of espeak-ng (`en-us`, `de`, `en+f3`). Raises ValueError for a text with NUL in it.
        """
        key = (text, rate_hz, voice)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        pieces = [self._piece(piece, rate_hz, voice) for piece in split_text(text, _PIECE_BYTES)]
        pcm = b"".join(pieces)
        with self._lock:
            if key not in self._cache and len(pcm) <= self._cache_bytes:
                self._cache[key] = pcm
                self._size += len(pcm)
            while self._size > self._cache_bytes:
                self._size -= len(self._cache.popitem(last=False)[1])
        return pcm

    def _piece(self, text: str, rate_hz: int, voice: str) -> bytes:
        sound, sound_rate = self._voice(text, voice)
        spoken = _band_limited(sound, sound_rate, rate_hz)
        code = encode(text, rate_hz, max(MS_PER_CHARACTER * len(text), len(spoken) * 1000 // rate_hz))
        spoken = spoken[: len(code)]
        loudest = float(np.abs(spoken).max(initial=0))
        if loudest > 0:
            code[: len(spoken)] += spoken * (_VOICE_PEAK / loudest)
        return (code * 32767).astype("<i2").tobytes()

    def _voice(self, text: str, voice: str) -> tuple[Floats, int]:
        """The bare voice and its rate in Hz."""
        if self._espeak is not None:
            command = [self._espeak, "-v", voice, "--stdin", "--stdout"]
            try:
                done = subprocess.run(  # noqa: S603  # the program found on the PATH; the text goes by stdin
                    command, input=text.encode(), capture_output=True, timeout=SYNTHESIS_LIMIT_S, check=True
                )
                wav = parse_wav(done.stdout)
                return np.frombuffer(wav.pcm, "<i2").astype(np.float32), wav.rate_hz
            except (OSError, subprocess.SubprocessError, NotWav) as error:
                _log.warning("espeak-ng failed, tones are spoken instead: %s", error)
        return syllables(text, voice), _TONE_RATE


def syllables(text: str, voice: str = "en") -> Floats:
    """Tones at 8 kHz that rise and fall like syllables, the same for the same text and voice."""
    length = max(MS_PER_CHARACTER * len(text), blocks_needed(text) * BLOCK_MS) * _TONE_RATE // 1000
    size = _SYLLABLE_MS * _TONE_RATE // 1000
    count = -(-length // size)
    shape = np.resize(np.frombuffer(text.encode() or b" ", np.uint8)[::3], count).astype(np.int64)
    first_formant = 300 + 25 * (shape % 16)[:, None]
    second_formant = 850 + 40 * (shape // 16 % 8)[:, None]
    pitch = 95 + binascii.crc32(voice.encode()) % 90 + 3.0 * (shape % 7)
    phase = 2 * np.pi * np.cumsum(np.repeat(pitch, size)).reshape(count, size) / _TONE_RATE
    envelope = np.sin(np.pi * np.arange(size) / size) ** 2 * (shape != ord(" "))[:, None]
    sound = np.zeros((count, size))
    for harmonic in range(1, 12):
        frequency = harmonic * pitch[:, None]
        weight = 1 / (1 + ((frequency - first_formant) / 120) ** 2)
        weight += 0.4 / (1 + ((frequency - second_formant) / 150) ** 2)
        sound += weight * np.sin(harmonic * phase)
    return np.asarray((sound * envelope).ravel()[:length], np.float32)


def _band_limited(sound: Floats, src_hz: int, dst_hz: int) -> Floats:
    """The whole sound at another rate, and nothing of it above `SPEECH_TOP_HZ`."""
    common = int(np.gcd(src_hz, dst_hz))
    units = -(-len(sound) // (src_hz // common))
    size, wanted = units * (src_hz // common), units * (dst_hz // common)
    if units == 0:
        return np.zeros(0, np.float32)
    spectrum = np.fft.rfft(sound, size)
    top = int(SPEECH_TOP_HZ * size / src_hz)
    edge = max(int(_ROLL_OFF_HZ * size / src_hz), 1)
    spectrum[top:] = 0
    spectrum[max(top - edge, 0) : top] *= np.linspace(1, 0, min(edge, top))
    return np.asarray(np.fft.irfft(spectrum[: wanted // 2 + 1], wanted), np.float32)


_SPEAKER = Speaker.found()


def say(text: str, rate_hz: int, voice: str = "en") -> bytes:
    """As `Speaker.say`, with the speaker this process shares; takes about 20 ms per new sentence."""
    return _SPEAKER.say(text, rate_hz, voice)


async def say_async(text: str, rate_hz: int, voice: str = "en") -> bytes:
    """As `say`, in a thread; raises TimeoutError after three times the synthesiser's limit."""
    async with asyncio.timeout(3 * SYNTHESIS_LIMIT_S):
        return await asyncio.to_thread(_SPEAKER.say, text, rate_hz, voice)


async def prepare(texts: Iterable[str], rate_hz: int, voice: str = "en") -> None:
    """Say all `texts` in a thread, so that `say` has them at hand."""
    for text in texts:
        await say_async(text, rate_hz, voice)
