"""The resampler's figures, measured: delay, passband, alias, image, steadiness, chunking, speed."""

import itertools
import time

import numpy as np
import pytest

from callwright.audio.resample import RATES, Resampler

PAIRS = list(itertools.permutations(RATES, 2))
TELEPHONE = [(16000, 8000), (24000, 8000), (32000, 8000), (48000, 8000)]
PEAK = 30_000


def tone(hz: float, rate_hz: int, seconds: float = 0.5) -> bytes:
    wave = PEAK * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)
    return np.asarray(np.rint(wave), "<i2").tobytes()


def level_db(pcm: bytes, rate_hz: int, *, above_hz: float = 0, below_hz: float = 1e9) -> float:
    """Power between two frequencies against that of the full tone, in the settled part."""
    samples = np.frombuffer(pcm, "<i2")[rate_hz // 20 : -rate_hz // 20].astype(float)
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    full = (PEAK / 2) ** 2 * len(samples) ** 2 / 4 * 1.5
    return float(10 * np.log10(power[(frequency >= above_hz) & (frequency <= below_hz)].sum() / full + 1e-20))


@pytest.mark.parametrize("src, dst", PAIRS)
def test_delay_is_at_most_2_ms_at_every_frequency(src: int, dst: int) -> None:
    resampler = Resampler(src, dst)
    impulse = np.zeros(src // 10, "<i2")
    impulse[src // 50] = PEAK
    answer = np.frombuffer(resampler(impulse.tobytes()), "<i2").astype(float)
    spectrum = np.fft.rfft(answer, len(answer))
    frequency = np.fft.rfftfreq(len(answer), 1 / dst)
    band = (frequency > 200) & (frequency < 0.4 * min(src, dst))
    slope = np.polyfit(frequency[band], np.unwrap(np.angle(spectrum))[band], 1)[0]
    delay_ms = (-slope / (2 * np.pi) - 0.02) * 1000
    assert delay_ms == pytest.approx(resampler.delay_ms, abs=0.01)
    assert delay_ms <= 2.01


@pytest.mark.parametrize("src, dst", TELEPHONE)
def test_alias_is_78_db_down_at_every_frequency_above_the_band(src: int, dst: int) -> None:
    for hz in np.arange(dst / 2 + 10, src / 2 - 10, 137):
        assert level_db(Resampler(src, dst)(tone(hz, src)), dst) < -78


@pytest.mark.parametrize("dst, src", TELEPHONE)
def test_all_images_together_are_72_db_down_for_every_tone_of_the_band(src: int, dst: int) -> None:
    for hz in np.arange(200, src / 2 - 10, 97):
        output = Resampler(src, dst)(tone(hz, src))
        assert level_db(output, dst, above_hz=src / 2) < -72


@pytest.mark.parametrize("src, dst", TELEPHONE + [(b, a) for a, b in TELEPHONE])
def test_passband_is_flat_to_3_khz_and_3_db_down_at_3400(src: int, dst: int) -> None:
    for hz in (200, 500, 1000, 2000, 2600, 3000):
        assert abs(level_db(Resampler(src, dst)(tone(hz, src)), dst)) < 0.3
    assert -3 < level_db(Resampler(src, dst)(tone(3400, src)), dst) < -1


@pytest.mark.parametrize("src, dst", PAIRS)
def test_every_20_ms_frame_becomes_a_20_ms_frame(src: int, dst: int) -> None:
    resampler = Resampler(src, dst)
    noise = np.random.default_rng(1).normal(0, 5000, src).astype("<i2").tobytes()
    frame = src // 50 * 2
    sizes = {len(resampler(noise[start : start + frame])) for start in range(0, len(noise), frame)}
    assert sizes == {dst // 50 * 2}


@pytest.mark.parametrize("src, dst", PAIRS)
def test_chunking_changes_nothing_but_rounding(src: int, dst: int) -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 8000, src).clip(-32768, 32767).astype("<i2").tobytes()
    resampler, pieces, start = Resampler(src, dst), [], 0
    while start < len(noise):
        size = 2 * int(rng.integers(0, 500))
        pieces.append(resampler(noise[start : start + size]))
        start += size
        produced = sum(map(len, pieces)) // 2
        assert 0 <= min(start, len(noise)) / 2 * dst / src - produced < 6  # only a ratio's remainder waits
    whole = np.frombuffer(Resampler(src, dst)(noise), "<i2").astype(int)
    parts = np.frombuffer(b"".join(pieces), "<i2").astype(int)
    assert len(whole) == len(parts) == dst
    assert np.abs(whole - parts).max() <= 1


def test_silence_after_speech_rings_out_and_costs_next_to_nothing() -> None:
    resampler, fresh = Resampler(8000, 16000), Resampler(8000, 16000)
    sound = tone(1000, 8000, 0.1)
    together = np.frombuffer(fresh(sound + bytes(3200)), "<i2").astype(int)
    apart = np.frombuffer(
        resampler(sound) + b"".join(resampler(bytes(320)) for _ in range(10)), "<i2"
    ).astype(int)
    assert np.abs(together - apart).max() <= 1
    assert not any(resampler(bytes(320)))


def test_full_scale_is_clipped_not_wrapped() -> None:
    square = np.where(np.arange(8000) // 20 % 2, 32767, -32768).astype("<i2")
    output = np.frombuffer(Resampler(8000, 16000)(square.tobytes()), "<i2").astype(int)
    assert output.max() == 32767
    assert np.abs(np.diff(output)).max() < 50_000


def test_a_frame_takes_microseconds() -> None:
    resampler = Resampler(16000, 8000)
    frame = np.random.default_rng(3).normal(0, 5000, 320).astype("<i2").tobytes()
    best = min(_seconds_for(resampler, frame, 50) for _ in range(20))
    assert best < 60e-6  # about 9 on an idle core


def _seconds_for(resampler: Resampler, frame: bytes, times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        resampler(frame)
    return (time.perf_counter() - begin) / times


@pytest.mark.parametrize("src, dst", [(8000, 8000), (8000, 44100), (11025, 8000)])
def test_other_rates_are_refused(src: int, dst: int) -> None:
    with pytest.raises(ValueError, match="cannot resample"):
        Resampler(src, dst)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="half a sample"):
        Resampler(8000, 16000)(b"\1\2\3")
