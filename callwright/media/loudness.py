"""Cheap tests of how loud a piece of audio is, for any encoding."""

from collections.abc import Callable

from callwright.audio import g711
from callwright.audio.levels import SILENCE_PEAK, is_silent, peak
from callwright.domain.audio import AudioFormat, Encoding

SOUND_PEAK = 256
"""Peak from which a piece counts as sound: -42 dBFS, above the noise of a telephone line, below any speech."""

_DECODE = {Encoding.ULAW: g711.ulaw_to_pcm, Encoding.ALAW: g711.alaw_to_pcm}
_QUIET_HIGH_BYTES = b"\x00\xff"


def silence_test(audio: AudioFormat) -> Callable[[bytes], bool]:
    """Function that tells whether a payload of this format stays below -54 dBFS; a torn sample is left out."""
    if audio.encoding is Encoding.PCM16:
        return _is_silent_pcm
    quiet = _codes_below(audio.encoding, SILENCE_PEAK)
    return lambda payload: not payload.translate(None, quiet)


def sound_test(audio: AudioFormat) -> Callable[[bytes], bool]:
    """Function that tells whether a payload of this format reaches -42 dBFS; a third of a microsecond for 20 ms."""
    if audio.encoding is Encoding.PCM16:
        return _is_loud_pcm
    quiet = _codes_below(audio.encoding, SOUND_PEAK)
    return lambda payload: bool(payload.translate(None, quiet))


def _codes_below(encoding: Encoding, limit: int) -> bytes:
    decode = _DECODE[encoding]
    return bytes(code for code in range(256) if peak(decode(bytes([code]))) < limit)


def _is_silent_pcm(payload: bytes) -> bool:
    return is_silent(payload[:-1] if len(payload) % 2 else payload)


def _is_loud_pcm(payload: bytes) -> bool:
    """A sample below 256 has a high byte of 0 or -1, and deleting bytes runs at the speed of memory."""
    return bool(payload[1::2].translate(None, _QUIET_HIGH_BYTES))
