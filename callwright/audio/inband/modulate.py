"""Turns text into the code's audio, at any rate whose milliseconds are whole samples."""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callwright.audio.inband.block import GROUPS, TONES_PER_GROUP, blocks_of, to_symbols

CODE_LOW_HZ: Final = 1400
"""Lowest tone; nothing else may sound above `SPEECH_TOP_HZ`."""

SPEECH_TOP_HZ: Final = 1150
"""Speech mixed with the code ends here, so that the listener's filter can tell them apart."""

SYMBOL_MS: Final = 10
SYNC_MS: Final = 20
TONE_STEP_HZ: Final = 100
TONES: Final = GROUPS * TONES_PER_GROUP
_CHIRP_TOP_HZ = CODE_LOW_HZ + TONE_STEP_HZ * (TONES - 1)

TONE_LEVEL: Final = 0.045
"""Amplitude of one tone as part of full scale; five sound at once, peaks stay below 0.225."""

CHIRP_LEVEL: Final = 0.13

Floats = NDArray[np.float32]


def _fade(samples: NDArray[np.float64], edge: int) -> Floats:
    """Round both ends off over `edge` samples, so that symbols do not click."""
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    samples[..., :edge] *= ramp
    samples[..., -edge:] *= ramp[::-1]
    return samples.astype(np.float32)


@lru_cache(maxsize=8)
def chirp(rate_hz: int) -> Floats:
    """The 20 ms sweep that begins every block, rising through the whole band."""
    time = (np.arange(rate_hz * SYNC_MS // 1000) + 0.5) / rate_hz
    slope = (_CHIRP_TOP_HZ - CODE_LOW_HZ) / (SYNC_MS / 1000)
    wave = CHIRP_LEVEL * np.sin(2 * np.pi * (CODE_LOW_HZ * time + slope * time * time / 2))
    return _fade(wave, rate_hz // 1000)


@lru_cache(maxsize=8)
def tones(rate_hz: int) -> Floats:
    """One symbol of every tone, shape (20, samples of 10 ms); quadratic phases keep their sum's peaks low."""
    number = np.arange(TONES)[:, None]
    time = np.arange(rate_hz * SYMBOL_MS // 1000) / rate_hz
    frequency = CODE_LOW_HZ + TONE_STEP_HZ * number
    wave = TONE_LEVEL * np.sin(2 * np.pi * frequency * time + np.pi * number * number / TONES)
    return _fade(wave, rate_hz // 2000)


def encode(text: str, rate_hz: int, at_least_ms: int = 0) -> Floats:
    """The code of one utterance, as parts of full scale: whole 100 ms blocks, at least `at_least_ms` long.

    Raises ValueError for a text that does not fit, or a rate that is no multiple of 2 kHz of at least 8 kHz.
    """
    if rate_hz < 8000 or rate_hz % 2000:
        raise ValueError(f"the code needs a rate of 8 kHz or more in steps of 2 kHz, not {rate_hz} Hz")
    blocks = blocks_of(text, -(-at_least_ms // 100))
    if not blocks:
        return np.zeros(0, np.float32)
    chosen = np.stack([to_symbols(block) for block in blocks]) + np.arange(0, TONES, TONES_PER_GROUP)
    sounds = tones(rate_hz)[chosen].sum(axis=2, dtype=np.float32).reshape(len(blocks), -1)
    starts = np.broadcast_to(chirp(rate_hz), (len(blocks), len(chirp(rate_hz))))
    return np.concatenate([starts, sounds], axis=1).ravel()
