"""Conversion of a stream whose pieces may end anywhere."""

from callwright.audio.convert import Converter, converter
from callwright.domain.audio import AudioFormat, Encoding


def converter_between(src: AudioFormat, dst: AudioFormat) -> Converter | None:
    """A converter of one direction of one call that keeps half a sample for the next piece, as an agent may cut
    its audio anywhere; None when the formats are the same. Raises ValueError for rates that cannot be converted.
    """
    convert = converter(src, dst)
    if convert is None or src.encoding is not Encoding.PCM16:
        return convert
    rest = b""

    def run(payload: bytes) -> bytes:
        nonlocal rest
        if rest or len(payload) % 2:
            payload = rest + payload
            whole = len(payload) // 2 * 2
            rest = payload[whole:]
            payload = payload[:whole]
        return convert(payload)

    return run
