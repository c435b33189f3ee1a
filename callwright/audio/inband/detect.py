"""Finds blocks in 8 kHz audio: filter, search for the chirp, read the tones. Knows nothing of utterances.

Work is done every 40 ms by one FFT: it filters away the speech and correlates with the chirp. Silence costs nothing.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callwright.audio.inband import modulate
from callwright.audio.inband.block import DATA_SYMBOLS, GROUPS, TONES_PER_GROUP, Block, from_symbols

RATE_HZ: Final = 8000
SYMBOL: Final = RATE_HZ * modulate.SYMBOL_MS // 1000
SYNC: Final = RATE_HZ * modulate.SYNC_MS // 1000
BLOCK: Final = SYNC + DATA_SYMBOLS * SYMBOL
"""Samples of one block."""

FRAME: Final = RATE_HZ * 20 // 1000
"""Samples of a 20 ms frame, the unit in which lines lose and repeat audio."""

_HOP = 320
_FFT = 640  # a hop, and before it the reach of the filter (94) and the chirp (159)
_TAPS = 95
_FILTER_DELAY = (_TAPS - 1) // 2
_EDGE_HZ = (modulate.SPEECH_TOP_HZ + modulate.CODE_LOW_HZ) / 2
_QUIET = 40  # peak of a hop, of 32768, below which no code can be read
_SYNC_THRESHOLD = 0.6  # noise reaches 0.12 times its deviation from zero; a clean chirp is above 0.95
_MERGE = 16  # samples: peaks closer than 2 ms are one chirp
_KEPT = 1600  # a block with a frame before and behind it, and two hops
_WHOLE_CHIRP = 0.96  # a chirp that fits worse has lost 3 ms; clean ones stay above 0.98
_WHOLE_SYMBOL = 0.77  # a symbol this much weaker than the mean has lost 3 ms; clean ones stay above 0.81
_SAME = 0.9  # correlation of 3 ms that were repeated; different parts of the code stay below 0.83
_SAME_SAMPLES = 24
_INBAND_LOUD = 1e4  # mean square, of 32768 squared
_INBAND_FLOOR = 400.0  # mean square that counts as present even where there is less: silence fits no chirp
_QUIET_HOPS = 4  # so many quiet hops empty the filter

Floats = NDArray[np.float32]
Complex = NDArray[np.complex64]


@dataclass(frozen=True, slots=True)
class Detection:
    """A block, the sample at which it began, whether a part of it is missing, and whether an utterance's first or
    last frame was heard twice.
    """

    block: Block
    start: int
    doubled: bool = False
    clipped: bool = False


@lru_cache(maxsize=1)
def _filters() -> tuple[Complex, Complex, float]:
    """Spectra of the high-pass and of its successor, the analytic chirp; and the chirp's energy."""
    n = np.arange(_TAPS) - _FILTER_DELAY
    cutoff = 2 * _EDGE_HZ / RATE_HZ
    highpass = ((n == 0) - cutoff * np.sinc(cutoff * n)) * np.kaiser(_TAPS, 5.0)
    chirp = modulate.chirp(RATE_HZ).astype(np.float64)
    spectrum = 2 * np.conj(np.fft.rfft(chirp, _FFT))
    return (
        np.fft.rfft(highpass, _FFT).astype(np.complex64),
        spectrum.astype(np.complex64),
        float(chirp @ chirp),
    )


@lru_cache(maxsize=1)
def _tone_matrix() -> Floats:
    """Cosine and sine of every tone over one symbol, shape (80, 40)."""
    frequency = modulate.CODE_LOW_HZ + modulate.TONE_STEP_HZ * np.arange(modulate.TONES)
    angle = 2 * np.pi * np.outer(np.arange(SYMBOL), frequency) / RATE_HZ
    return np.concatenate([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


class BlockDetector:
    """Streaming search for blocks in one direction of one call."""

    def __init__(self) -> None:
        self.position = 0
        """Samples searched so far."""
        self.loud_until = 0
        """Sample behind the last that was loud in the code's band."""
        self._highpass, self._chirp, self._chirp_energy = _filters()
        self._segment = np.zeros(_FFT, np.float32)
        self._fill = _FFT - _HOP
        self._filtered = np.zeros(_KEPT, np.float32)
        self._peaks: list[tuple[int, float]] = []
        self._quiet_hops = _QUIET_HOPS

    def feed(self, samples: NDArray[np.int16]) -> list[Detection]:
        """Take any number of samples at 8 kHz; answers the blocks that are whole now."""
        found: list[Detection] = []
        taken = 0
        while taken < len(samples):
            part = samples[taken : taken + _FFT - self._fill]
            self._segment[self._fill : self._fill + len(part)] = part
            self._fill += len(part)
            taken += len(part)
            if self._fill == _FFT:
                found += self._hop()
        return found

    def flush(self) -> list[Detection]:
        """Read what is left, as if silence followed."""
        return self.feed(np.zeros(2 * _HOP + BLOCK + FRAME - (self._fill - (_FFT - _HOP)), np.int16))

    def _hop(self) -> list[Detection]:
        fresh = self._segment[_FFT - _HOP :]
        quiet = max(float(fresh.max()), -float(fresh.min())) < _QUIET
        if quiet and self._quiet_hops >= _QUIET_HOPS and not self._peaks:
            self.position += _HOP
            self._filtered[:] = 0
        else:
            self._search(self._segment)
        self._quiet_hops = self._quiet_hops + 1 if quiet else 0
        self._segment[: _FFT - _HOP] = self._segment[_HOP:]
        self._fill = _FFT - _HOP
        return self._read_peaks()

    def _search(self, segment: Floats) -> None:
        """Filter the newest hop and note where chirps begin in it."""
        spectrum = np.fft.rfft(segment) * self._highpass
        filtered = np.fft.irfft(spectrum)
        spectrum *= self._chirp
        match = np.abs(np.fft.ifft(spectrum, _FFT))[_HOP + 1 - SYNC : _FFT + 1 - SYNC]
        energy = np.cumsum(filtered * filtered)
        window = energy[_HOP:] - energy[_HOP - SYNC : -SYNC]
        self._filtered = np.concatenate([self._filtered[_HOP:], filtered[_HOP:]])
        start = self.position + 1 - SYNC
        self.position += _HOP
        if energy[-1] - energy[_HOP] > _INBAND_LOUD * _HOP:
            self.loud_until = self.position
        fit = match / np.sqrt(np.maximum(window, _INBAND_FLOOR * SYNC) * self._chirp_energy)
        for offset in np.flatnonzero(fit > _SYNC_THRESHOLD):
            self._note(start + int(offset), float(fit[offset]))

    def _note(self, start: int, fit: float) -> None:
        if self._peaks and start - self._peaks[-1][0] <= _MERGE:
            if fit > self._peaks[-1][1]:
                self._peaks[-1] = (start, fit)
        else:
            self._peaks.append((start, fit))

    def _read_peaks(self) -> list[Detection]:
        """Read the blocks whose last sample, and a frame behind it, has arrived."""
        found: list[Detection] = []
        while self._peaks and self._peaks[0][0] + BLOCK <= self.position:
            start, fit = self._peaks[0]
            begin = start - self.position + _KEPT
            amplitudes = self._amplitudes(begin)
            block = from_symbols(amplitudes.argmax(axis=2).astype(np.uint8))
            if block is not None and block.index == block.total - 1 and start + BLOCK + FRAME > self.position:
                break
            del self._peaks[0]
            if block is not None:
                found.append(self._detection(block, begin, start, fit, amplitudes))
        return found

    def _amplitudes(self, begin: int) -> Floats:
        """Squared amplitude of each tone in each symbol, shape (8, 5, 4)."""
        symbols = self._filtered[begin + SYNC : begin + BLOCK].reshape(DATA_SYMBOLS, SYMBOL)
        parts = symbols @ _tone_matrix()
        parts *= parts
        power = parts[:, : modulate.TONES] + parts[:, modulate.TONES :]
        return power.reshape(DATA_SYMBOLS, GROUPS, TONES_PER_GROUP)

    def _detection(self, block: Block, begin: int, start: int, fit: float, power: Floats) -> Detection:
        doubled = block.index == 0 and self._repeated(begin - FRAME, begin)
        if block.index == block.total - 1:
            doubled = doubled or self._repeated(begin + BLOCK, begin + BLOCK - FRAME)
        strength = np.sqrt(power[:, :3].max(axis=2)).sum(axis=1)  # the upper groups suffer from filters
        clipped = fit < _WHOLE_CHIRP or bool(strength.min() < _WHOLE_SYMBOL * strength.mean())
        return Detection(block, start - _FILTER_DELAY, doubled, clipped)

    def _repeated(self, outside: int, inside: int) -> bool:
        """Whether the frame at `outside`, next to an utterance, repeats 3 ms or more of the one at `inside`."""
        first = np.arange(0, FRAME - _SAME_SAMPLES + 1, _SAME_SAMPLES // 3)
        windows = first[:, None] + np.arange(_SAME_SAMPLES)
        other, own = self._filtered[outside + windows], self._filtered[inside + windows]
        product = (other * own).sum(axis=1)
        loudness, own_loudness = (other * other).sum(axis=1), (own * own).sum(axis=1)
        alike = product > _SAME * np.sqrt(loudness * own_loudness)
        return bool((alike & (loudness > own_loudness / 4) & (own_loudness > 0)).any())
