import numpy as np
import pytest

from callwright.audio.levels import SILENT_DBFS, is_silent, is_zero, peak, rms, rms_dbfs


def test_levels_of_known_signals() -> None:
    square = np.where(np.arange(160) % 2, 16384, -16384).astype("<i2").tobytes()
    assert peak(square) == 16384
    assert rms(square) == pytest.approx(16384)
    assert rms_dbfs(square) == pytest.approx(-6.02, abs=0.01)
    sine = (32767 * np.sin(2 * np.pi * np.arange(800) / 80)).astype("<i2").tobytes()
    assert rms_dbfs(sine) == pytest.approx(-3.01, abs=0.01)


def test_the_most_negative_sample_counts() -> None:
    assert peak(np.array([-32768], "<i2").tobytes()) == 32768


@pytest.mark.parametrize("size", [0, 2, 640, 1 << 14, (1 << 14) + 2])
def test_digital_silence(size: int) -> None:
    assert is_zero(bytes(size))
    assert peak(bytes(size)) == 0
    assert rms_dbfs(bytes(size)) == SILENT_DBFS
    assert is_silent(bytes(size))


@pytest.mark.parametrize("size", [2, 640, (1 << 14) + 2])
def test_one_bit_is_not_digital_silence(size: int) -> None:
    assert not is_zero(bytes(size - 1) + b"\1")


def test_the_threshold_is_a_peak() -> None:
    frame = np.array([0, 63, -63], "<i2").tobytes()
    assert is_silent(frame)
    assert not is_silent(frame, 63)
