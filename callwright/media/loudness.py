"""Whether a piece of audio is silent, for any encoding."""

from collections.abc import Callable

from callwright.audio import g711
from callwright.audio.levels import SILENCE_PEAK, is_silent, peak
from callwright.domain.audio import AudioFormat, Encoding

_DECODE = {Encoding.ULAW: g711.ulaw_to_pcm, Encoding.ALAW: g711.alaw_to_pcm}


def _quiet_codes(encoding: Encoding) -> bytes:
    decode = _DECODE[encoding]
    return bytes(code for code in range(256) if peak(decode(bytes([code]))) < SILENCE_PEAK)


_QUIET = {encoding: _quiet_codes(encoding) for encoding in _DECODE}


def silence_test(audio: AudioFormat) -> Callable[[bytes], bool]:
    """Function that tells whether a payload of this format stays below -54 dBFS; a torn sample is left out."""
    if audio.encoding is Encoding.PCM16:
        return _is_silent_pcm
    quiet = _QUIET[audio.encoding]
    return lambda payload: not payload.translate(None, quiet)


def _is_silent_pcm(payload: bytes) -> bool:
    return is_silent(payload[:-1] if len(payload) % 2 else payload)
