"""G.711 against values of ITU-T G.711's tables, against its own rules on every sample, and against audioop."""

import bisect
import importlib
import itertools
import struct
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from callwright.audio import g711

EVERY_SAMPLE = np.arange(-32768, 32768).astype("<i2")
EVERY_CODE = bytes(range(256))

# ITU-T G.711 (11/88), tables 1a and 2a: character signal and the value at the decoder output, times the scale
# that makes the tables' 13 and 14 bits 16.
MU_LAW = {
    0x80: 8031,
    0x8F: 4191,
    0x90: 3999,
    0x9F: 2079,
    0xAF: 1023,
    0xBF: 495,
    0xCF: 231,
    0xDF: 99,
    0xEF: 33,
}
MU_LAW |= {0xFE: 2, 0xFF: 0, 0x00: -8031, 0x6F: -33, 0x7E: -2}
A_LAW = {
    0xD5: 1,
    0xD4: 3,
    0xC5: 33,
    0xF5: 66,
    0xE5: 132,
    0x95: 264,
    0x85: 528,
    0xB5: 1056,
    0xA5: 2112,
    0xAA: 4032,
}
A_LAW |= {0x55: -1, 0x54: -3, 0x2A: -4032}


def _samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(np.int64)


@pytest.mark.parametrize("code, value", list(MU_LAW.items()))
def test_mu_law_decodes_as_the_table_says(code: int, value: int) -> None:
    assert _samples(g711.ulaw_to_pcm(bytes([code])))[0] == value * 4


@pytest.mark.parametrize("code, value", list(A_LAW.items()))
def test_a_law_decodes_as_the_table_says(code: int, value: int) -> None:
    assert _samples(g711.alaw_to_pcm(bytes([code])))[0] == value * 8


def _edges(first_step: int, ends: tuple[int, ...], start: int) -> list[int]:
    """Decision values: steps double from segment to segment."""
    edges, step = [0, *range(start, ends[0] + 1, first_step)], first_step
    for begin, end in itertools.pairwise(ends):
        step *= 2
        edges += range(begin + step, end + 1, step)
    return edges


MU_EDGES = _edges(2, (31, 95, 223, 479, 991, 2015, 4063, 8159), 1)
A_EDGES = _edges(2, (64, 128, 256, 512, 1024, 2048, 4096), 2)


def test_mu_law_encodes_between_the_decision_values_of_the_table() -> None:
    for value in range(-8192, 8192, 2):  # even 14-bit values: decision values are odd
        number = min(bisect.bisect(MU_EDGES, abs(value)) - 1, 127)
        expected = (0x7F if value < 0 else 0xFF) - number
        assert g711.pcm_to_ulaw(struct.pack("<h", value * 4)) == bytes([expected]), value


def test_a_law_encodes_between_the_decision_values_of_the_table() -> None:
    for sample in range(-32764, 32768, 8):  # half steps of 13 bits: decision values are whole
        number = bisect.bisect(A_EDGES, abs(sample) / 8) - 1
        expected = (number | (0 if sample < 0 else 0x80)) ^ 0x55  # even bits are inverted
        assert g711.pcm_to_alaw(struct.pack("<h", sample)) == bytes([expected]), sample


@pytest.mark.parametrize(
    "encode, decode", [(g711.pcm_to_ulaw, g711.ulaw_to_pcm), (g711.pcm_to_alaw, g711.alaw_to_pcm)]
)
def test_decoding_and_encoding_again_keeps_every_code(
    encode: Callable[[bytes], bytes], decode: Callable[[bytes], bytes]
) -> None:
    again = encode(decode(EVERY_CODE))
    assert {(code, other) for code, other in enumerate(again) if code != other} <= {
        (0x7F, 0xFF)
    }  # negative zero


def test_recoding_equals_decoding_and_encoding() -> None:
    assert g711.ulaw_to_alaw(EVERY_CODE) == g711.pcm_to_alaw(g711.ulaw_to_pcm(EVERY_CODE))
    assert g711.alaw_to_ulaw(EVERY_CODE) == g711.pcm_to_ulaw(g711.alaw_to_pcm(EVERY_CODE))


def test_audioop_agrees_on_every_value() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            audioop = importlib.import_module("audioop")
        except ImportError:
            pytest.skip("this Python has no audioop")
    pcm = EVERY_SAMPLE.tobytes()
    assert g711.pcm_to_ulaw(pcm) == audioop.lin2ulaw(pcm, 2)
    assert g711.pcm_to_alaw(pcm) == audioop.lin2alaw(pcm, 2)
    assert g711.ulaw_to_pcm(EVERY_CODE) == audioop.ulaw2lin(EVERY_CODE, 2)
    assert g711.alaw_to_pcm(EVERY_CODE) == audioop.alaw2lin(EVERY_CODE, 2)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        g711.pcm_to_ulaw(b"\0\0\0")
