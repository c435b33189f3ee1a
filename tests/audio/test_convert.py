import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from callwright.audio import g711
from callwright.audio.convert import Converter, added_delay_ms, converter
from callwright.domain.audio import AudioFormat, Encoding

FORMATS = [
    AudioFormat.parse(name) for name in ("pcm_8000", "ulaw_8000", "alaw_8000", "pcm_16000", "pcm_24000")
]
FORMATS.append(AudioFormat(Encoding.ULAW, 16000))


ENCODE: dict[Encoding, Converter] = {Encoding.ULAW: g711.pcm_to_ulaw, Encoding.ALAW: g711.pcm_to_alaw}
DECODE: dict[Encoding, Converter] = {Encoding.ULAW: g711.ulaw_to_pcm, Encoding.ALAW: g711.alaw_to_pcm}


def speech_like(rate_hz: int) -> NDArray[np.int16]:
    time = np.arange(rate_hz) / rate_hz
    wave = 8000 * np.sin(2 * np.pi * 440 * time) + 3000 * np.sin(2 * np.pi * 1700 * time)
    return np.asarray(wave, np.int16)


def in_format(samples: NDArray[np.int16], wire: AudioFormat) -> bytes:
    return ENCODE.get(wire.encoding, bytes)(samples.tobytes())


@pytest.mark.parametrize("wire", FORMATS, ids=str)
def test_the_same_format_is_passed_through_untouched(wire: AudioFormat) -> None:
    assert converter(wire, wire) is None


@pytest.mark.parametrize("src, dst", list(itertools.permutations(FORMATS, 2)), ids=str)
def test_every_pair_keeps_time_and_sound(src: AudioFormat, dst: AudioFormat) -> None:
    convert = converter(src, dst)
    assert convert is not None
    payload = in_format(speech_like(src.rate_hz), src)
    frames = [payload[start : start + src.frame_bytes] for start in range(0, len(payload), src.frame_bytes)]
    out = [convert(frame) for frame in frames]
    assert {len(frame) for frame in out} == {dst.frame_bytes}
    heard = np.frombuffer(DECODE.get(dst.encoding, bytes)(b"".join(out)), "<i2").astype(float)
    delay = round(added_delay_ms(src, dst) * dst.rate_hz / 1000)
    expected = speech_like(dst.rate_hz).astype(float)[: len(heard) - delay]
    error = (heard[delay:] - expected)[dst.rate_hz // 20 : -dst.rate_hz // 20]
    assert np.sqrt((error**2).mean()) < 0.04 * np.sqrt((expected**2).mean())


def test_two_converters_share_no_state() -> None:
    src, dst = AudioFormat.parse("pcm_16000"), AudioFormat.parse("pcm_8000")
    first, second = converter(src, dst), converter(src, dst)
    assert first is not None
    assert second is not None
    first(speech_like(16000).tobytes())
    assert not any(second(bytes(640)))


def test_rates_that_cannot_be_converted_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot resample"):
        converter(AudioFormat(Encoding.PCM16, 44100), AudioFormat.parse("pcm_8000"))
