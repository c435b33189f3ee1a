"""G.711 mu-law and A-law by table: 256 entries to decode, 65536 to encode (ITU-T G.711, 1988).

Samples between two code words are rounded as the common C reference of Sun Microsystems does it.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_MU_BIAS = 33  # G.711 table 2a: segment edges of the 14-bit magnitude, shifted by the bias
_MU_CLIP = 8158


def _mu_decoder() -> NDArray[np.int16]:
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 0x0F) << 1) + _MU_BIAS << (code >> 4 & 7)) - _MU_BIAS
    return np.asarray(np.where(code & 0x80, -magnitude, magnitude) * 4, np.int16)


def _mu_encoder() -> NDArray[np.uint8]:
    linear = np.arange(65536).astype(np.uint16).view(np.int16).astype(np.int64) >> 2
    magnitude = np.minimum(np.abs(linear), _MU_CLIP) + _MU_BIAS
    segment = np.floor(np.log2(magnitude)).astype(np.int64) - 5
    code = segment << 4 | (magnitude >> segment + 1 & 0x0F)
    return np.asarray(code ^ np.where(linear < 0, 0x7F, 0xFF), np.uint8)


def _a_decoder() -> NDArray[np.int16]:
    code = np.arange(256) ^ 0x55
    segment = code >> 4 & 7
    mantissa = ((code & 0x0F) << 4) + np.where(segment == 0, 8, 0x108)
    magnitude = mantissa << np.maximum(segment - 1, 0)
    return np.asarray(np.where(code & 0x80, magnitude, -magnitude), np.int16)


def _a_encoder() -> NDArray[np.uint8]:
    linear = np.arange(65536).astype(np.uint16).view(np.int16).astype(np.int64) >> 3
    magnitude = np.where(linear < 0, -linear - 1, linear)
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int64) - 4, 0)
    code = segment << 4 | (magnitude >> np.maximum(segment, 1) & 0x0F)
    return np.asarray(code ^ np.where(linear < 0, 0x55, 0xD5), np.uint8)


_MU_DECODE: Final = _mu_decoder()
_MU_ENCODE: Final = _mu_encoder()
_A_DECODE: Final = _a_decoder()
_A_ENCODE: Final = _a_encoder()
_MU_TO_A: Final = _A_ENCODE.take(_MU_DECODE.view(np.uint16)).tobytes()
_A_TO_MU: Final = _MU_ENCODE.take(_A_DECODE.view(np.uint16)).tobytes()


def ulaw_to_pcm(payload: bytes) -> bytes:
    """Decode mu-law to PCM16 of twice the length."""
    return _MU_DECODE.take(np.frombuffer(payload, np.uint8)).tobytes()


def alaw_to_pcm(payload: bytes) -> bytes:
    """Decode A-law to PCM16 of twice the length."""
    return _A_DECODE.take(np.frombuffer(payload, np.uint8)).tobytes()


def pcm_to_ulaw(pcm: bytes) -> bytes:
    """Encode PCM16 to mu-law of half the length; raises ValueError for a torn sample."""
    return _MU_ENCODE.take(np.frombuffer(pcm, "<u2")).tobytes()


def pcm_to_alaw(pcm: bytes) -> bytes:
    """Encode PCM16 to A-law of half the length; raises ValueError for a torn sample."""
    return _A_ENCODE.take(np.frombuffer(pcm, "<u2")).tobytes()


def ulaw_to_alaw(payload: bytes) -> bytes:
    """Recode mu-law as A-law, byte for byte."""
    return payload.translate(_MU_TO_A)


def alaw_to_ulaw(payload: bytes) -> bytes:
    """Recode A-law as mu-law, byte for byte."""
    return payload.translate(_A_TO_MU)
