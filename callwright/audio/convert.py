"""Conversion between two audio formats, as one function from payload to payload."""

from collections.abc import Callable

from callwright.audio import g711
from callwright.audio.resample import Resampler
from callwright.domain.audio import AudioFormat, Encoding

Converter = Callable[[bytes], bytes]

_DECODE: dict[Encoding, Converter] = {Encoding.ULAW: g711.ulaw_to_pcm, Encoding.ALAW: g711.alaw_to_pcm}
_ENCODE: dict[Encoding, Converter] = {Encoding.ULAW: g711.pcm_to_ulaw, Encoding.ALAW: g711.pcm_to_alaw}
_RECODE: dict[tuple[Encoding, Encoding], Converter] = {
    (Encoding.ULAW, Encoding.ALAW): g711.ulaw_to_alaw,
    (Encoding.ALAW, Encoding.ULAW): g711.alaw_to_ulaw,
}


def converter(src: AudioFormat, dst: AudioFormat) -> Converter | None:
    """Function that turns payloads of `src` into payloads of `dst`; None when they are the same.

    Where the rates differ the function keeps a filter's state: make one for each direction of each call.
    Raises ValueError for a pair of rates that cannot be converted.
    """
    if src == dst:
        return None
    if src.rate_hz == dst.rate_hz and (src.encoding, dst.encoding) in _RECODE:
        return _RECODE[src.encoding, dst.encoding]
    steps = [_DECODE[src.encoding]] if src.encoding in _DECODE else []
    if src.rate_hz != dst.rate_hz:
        steps.append(Resampler(src.rate_hz, dst.rate_hz))
    if dst.encoding in _ENCODE:
        steps.append(_ENCODE[dst.encoding])
    return _chain(steps)


def added_delay_ms(src: AudioFormat, dst: AudioFormat) -> float:
    """Delay in ms that converting `src` to `dst` adds: that of the resampling filter, or nothing."""
    return 0.0 if src.rate_hz == dst.rate_hz else Resampler(src.rate_hz, dst.rate_hz).delay_ms


def _chain(steps: list[Converter]) -> Converter:
    if len(steps) == 1:
        return steps[0]
    if len(steps) == 2:
        first, second = steps
        return lambda payload: second(first(payload))
    first, second, third = steps
    return lambda payload: third(second(first(payload)))
