"""How loud a frame of PCM16 is (signed 16-bit little-endian, mono)."""

import math

import numpy as np

FULL_SCALE = 32768
"""The sample value that is 0 dBFS."""

SILENCE_PEAK = 64
"""Peak below which a frame counts as silent: -54 dBFS, above G.711's idle noise and below any speech."""

SILENT_DBFS = -120.0
"""What `rms_dbfs` answers for digital silence."""

_ZEROS = bytes(1 << 14)


def is_zero(frame: bytes) -> bool:
    """Whether every byte of `frame` is zero; one memory comparison for frames up to 16 kB."""
    if len(frame) <= len(_ZEROS):
        return _ZEROS.startswith(frame)
    return not any(frame)


def peak(frame: bytes) -> int:
    """Largest absolute sample value, 0 to 32768."""
    if is_zero(frame):
        return 0
    samples = np.frombuffer(frame, "<i2")
    return max(int(samples.max()), -int(samples.min()))


def rms(frame: bytes) -> float:
    """Root mean square of the sample values, 0 to 32768."""
    if is_zero(frame):
        return 0.0
    samples = np.frombuffer(frame, "<i2").astype(np.float32)
    return math.sqrt(float(samples @ samples) / len(samples))


def rms_dbfs(frame: bytes) -> float:
    """Level in dB below full scale; a full-scale square wave is 0, digital silence is -120."""
    value = rms(frame)
    return max(20 * math.log10(value / FULL_SCALE), SILENT_DBFS) if value > 0 else SILENT_DBFS


def is_silent(frame: bytes, threshold: int = SILENCE_PEAK) -> bool:
    """Whether no sample reaches `threshold`."""
    return peak(frame) < threshold
