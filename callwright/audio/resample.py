"""A steady streaming FIR resampler between telephone and speech rates: n ms in, n ms out, every chunk.

The filter is linear-phase and equiripple, so everything is delayed by exactly 16 samples of the lower
rate (2 ms at 8 kHz, 1 ms at 16 kHz). Whole blocks of input become whole blocks of output by one small
matrix, whose left half applies to a block and whose right half to the block before it.
"""

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callwright.audio.levels import is_zero

RATES: Final = (8000, 16000, 24000, 32000, 48000)
"""Sample rates in Hz between which `Resampler` converts."""

DELAY_LOW_SAMPLES: Final = 16
"""Delay of every conversion, in samples of the lower of its two rates."""

_PASSBAND = 0.805  # part of the lower Nyquist band kept flat: up to 3.2 kHz of 8 kHz audio
_STOPBAND_WEIGHT = 150.0  # stopband ripple counts so much more than passband ripple: 0.1 dB against -80 dB
_GRID = 8  # frequencies per coefficient at which the response is held
_ITERATIONS = 20

Floats = NDArray[np.float32]


@cache
def _lowpass(ratio: int) -> NDArray[np.float64]:
    """Linear-phase low-pass at 1/`ratio` of its Nyquist band, by Lawson's reweighted least squares."""
    half = DELAY_LOW_SAMPLES * ratio
    points = half * _GRID
    passband = np.linspace(0, _PASSBAND / ratio, round(points * _PASSBAND / ratio) + _GRID) * np.pi
    stopband = np.linspace(1 / ratio, 1, round(points * (1 - 1 / ratio)) + _GRID) * np.pi
    basis = np.cos(np.outer(np.concatenate([passband, stopband]), np.arange(half + 1)))
    wanted = np.concatenate([np.ones(len(passband)), np.zeros(len(stopband))])
    ripple = np.concatenate([np.ones(len(passband)), np.full(len(stopband), _STOPBAND_WEIGHT)])
    weights = ripple * ripple
    cosines = np.zeros(half + 1)
    for _ in range(_ITERATIONS):
        weighted = basis * weights[:, None]
        cosines = np.linalg.solve(basis.T @ weighted, weighted.T @ wanted)
        error = np.abs(basis @ cosines - wanted) * ripple
        weights *= error / error.max() + 1e-3
        weights /= weights.max()
    side = cosines[1:] / 2
    return np.concatenate([side[::-1], cosines[:1], side])


@cache
def _block_matrix(up: int, down: int) -> Floats:
    """Matrix [this block | the block before], shape (inputs per block, 2 x outputs per block)."""
    taps = _lowpass(max(up, down)) * up
    units = math.ceil(2 * DELAY_LOW_SAMPLES / min(up, down))
    inputs, outputs = units * down, units * up
    tap = np.arange(outputs) * down - np.arange(-inputs, inputs)[:, None] * up
    full = np.where((tap >= 0) & (tap < len(taps)), taps[np.clip(tap, 0, len(taps) - 1)], 0.0)
    return np.concatenate([full[inputs:], full[:inputs]], axis=1).astype(np.float32)


class Resampler:
    """One direction of one call, from `src_hz` to `dst_hz`; both are among `RATES`."""

    def __init__(self, src_hz: int, dst_hz: int) -> None:
        if src_hz not in RATES or dst_hz not in RATES or src_hz == dst_hz:
            raise ValueError(f"cannot resample {src_hz} Hz to {dst_hz} Hz: two of {RATES} are needed")
        common = math.gcd(src_hz, dst_hz)
        self._up, self._down = dst_hz // common, src_hz // common
        self._matrix = _block_matrix(self._up, self._down)
        self._inputs = self._matrix.shape[0]
        self._outputs = self._matrix.shape[1] // 2
        self._history = np.zeros(self._inputs, np.float32)
        self._pending = b""
        self._quiet = True
        self.delay_ms = DELAY_LOW_SAMPLES * 1000 / min(src_hz, dst_hz)

    def __call__(self, pcm: bytes) -> bytes:
        """Convert a chunk of PCM16 of any length; only samples short of a whole ratio wait for the next.

        Raises ValueError for a torn sample.
        """
        if self._pending:
            pcm = self._pending + pcm
            self._pending = b""
        usable = len(pcm) // (2 * self._down) * self._down
        if len(pcm) != 2 * usable:
            pcm = self._cut(pcm, 2 * usable)
        silent = is_zero(pcm)
        if silent and self._quiet:
            return bytes(2 * usable * self._up // self._down)
        rows = -(-usable // self._inputs)
        padded = np.zeros((rows + 1) * self._inputs, np.float32)
        padded[: self._inputs] = self._history
        padded[self._inputs : self._inputs + usable] = np.frombuffer(pcm, "<i2")
        self._history = padded[usable : usable + self._inputs].copy()
        self._quiet = silent and not self._history.any()
        parts = padded.reshape(rows + 1, self._inputs) @ self._matrix
        output = (parts[1:, : self._outputs] + parts[:-1, self._outputs :]).ravel()
        output = output[: usable * self._up // self._down]
        np.rint(output, out=output)
        np.maximum(output, -32768, out=output)
        np.minimum(output, 32767, out=output)
        return output.astype("<i2").tobytes()

    def _cut(self, pcm: bytes, size: int) -> bytes:
        if len(pcm) % 2:
            raise ValueError("PCM16 chunk holds half a sample")
        self._pending = pcm[size:]
        return pcm[:size]
