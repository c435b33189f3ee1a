"""A 20 ms frame lost, doubled, swapped or silenced, at every place of an utterance, is seen."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from callwright.audio.convert import converter
from callwright.audio.inband import FaultKind, Heard, Listener, encode
from callwright.audio.inband.block import checksum
from callwright.domain.audio import AudioFormat

TEXT = "Are you at home on Monday?"
BLOCKS = 9

# Route of the audio, and by how many samples the utterance is off the sender's frames.
ROUTES = {
    "8 kHz": (("pcm_8000",), 0),
    "8 kHz, off by 7.6 ms": (("pcm_8000",), 61),
    "24 kHz": (("pcm_24000",), 0),
    "mu-law": (("pcm_8000", "ulaw_8000", "pcm_8000"), 0),
    "16-8-16 kHz": (("pcm_16000", "pcm_8000", "pcm_16000"), 0),
    "16 kHz over mu-law, off by 7.7 ms": (("pcm_16000", "ulaw_8000", "pcm_16000"), 123),
}

Frames = list[bytes]
Damage = Callable[[Frames, int], Frames]

DAMAGES: dict[str, Damage] = {
    "lost": lambda frames, at: frames[:at] + frames[at + 1 :],
    "doubled": lambda frames, at: frames[: at + 1] + frames[at:],
    "swapped": lambda frames, at: [*frames[:at], frames[at + 1], frames[at], *frames[at + 2 :]],
    "silenced": lambda frames, at: [*frames[:at], bytes(len(frames[at])), *frames[at + 1 :]],
}


def frames_of(route: tuple[str, ...], offset: int) -> tuple[Frames, int]:
    formats = [AudioFormat.parse(name) for name in route]
    rate_hz, size = formats[0].rate_hz, formats[0].frame_bytes
    speech = (encode(TEXT, rate_hz) * 32767).astype("<i2").tobytes()
    audio = bytes(5 * size + 2 * offset) + speech + bytes(20 * size)
    frames = [audio[start : start + size] for start in range(0, len(audio) - size + 1, size)]
    for src, dst in itertools.pairwise(formats):
        convert = converter(src, dst)
        assert convert is not None
        frames = [convert(frame) for frame in frames]
    return frames, formats[-1].rate_hz


def listen(frames: Frames, rate_hz: int) -> list[Heard]:
    listener = Listener(rate_hz)
    return [heard for frame in frames for heard in listener.feed(frame)] + listener.finish()


def arrived_whole(heard: list[Heard]) -> bool:
    return [item.text for item in heard] == [TEXT] and heard[0].clean


def places(heard: Heard, count: int, reach: int) -> Iterator[int]:
    """Frames of which the utterance fills 3 ms or more; `reach` is how many frames the damage touches."""
    for at in range(count - 1):
        if min((at + reach) * 20, heard.end_ms) - max(at * 20, heard.start_ms) >= 3:
            yield at


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("route", ROUTES)
def test_damage_of_one_frame_is_seen_wherever_it_is(route: str, damage: str) -> None:
    frames, rate_hz = frames_of(*ROUTES[route])
    whole = listen(frames, rate_hz)
    assert arrived_whole(whole)
    reach = 2 if damage == "swapped" else 1
    tried = list(places(whole[0], len(frames), reach))
    assert len(tried) >= BLOCKS * 5
    unseen = [at for at in tried if arrived_whole(listen(DAMAGES[damage](frames, at), rate_hz))]
    assert unseen == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_words_that_did_not_arrive_are_not_understood(damage: str) -> None:
    frames, rate_hz = frames_of(("pcm_8000",), 0)
    for at in range(5, 5 + BLOCKS * 5):
        for heard in listen(DAMAGES[damage](frames, at), rate_hz):
            for part in heard.text.split(" … "):
                assert part in TEXT


def kinds(heard: Heard) -> set[FaultKind]:
    return {fault.kind for fault in heard.faults}


def test_a_lost_frame_is_a_gap_and_a_slip() -> None:
    frames, rate_hz = frames_of(("pcm_8000",), 0)
    (heard,) = listen(DAMAGES["lost"](frames, 5 + 12), rate_hz)
    assert (heard.ranges, heard.gaps) == (((0, 1), (3, BLOCKS - 1)), ((2, 2),))
    assert kinds(heard) == {FaultKind.MISSING, FaultKind.SLIP}
    assert [f.at_ms for f in heard.faults if f.kind is FaultKind.MISSING] == pytest.approx([300], abs=1)
    slip = next(fault for fault in heard.faults if fault.kind is FaultKind.SLIP)
    assert (slip.block, slip.amount) == (3, -20)
    assert slip.at_ms == pytest.approx(100 + 280, abs=1)
    assert " … " in heard.text


def test_a_frame_doubled_between_blocks_is_a_slip_alone() -> None:
    frames, rate_hz = frames_of(("pcm_8000",), 0)
    (heard,) = listen(DAMAGES["doubled"](frames, 5 + 14), rate_hz)
    assert heard.text == TEXT
    assert heard.complete
    assert [(fault.kind, fault.amount) for fault in heard.faults] == [(FaultKind.SLIP, 20)]


@pytest.mark.parametrize("at", [5, 5 + BLOCKS * 5 - 1])
def test_a_doubled_first_or_last_frame_is_named(at: int) -> None:
    frames, rate_hz = frames_of(("pcm_8000",), 0)
    (heard,) = listen(DAMAGES["doubled"](frames, at), rate_hz)
    assert (heard.text, kinds(heard)) == (TEXT, {FaultKind.DOUBLED})


def test_lost_ends_are_incomplete_or_gaps() -> None:
    frames, rate_hz = frames_of(("pcm_8000",), 0)
    (heard,) = listen(DAMAGES["lost"](frames, 5), rate_hz)
    assert heard.gaps == ((0, 0),)
    (heard,) = listen(DAMAGES["lost"](frames, 5 + BLOCKS * 5 - 1), rate_hz)
    assert (heard.complete, heard.ranges) == (False, ((0, BLOCKS - 2),))


def test_whole_blocks_out_of_order_doubled_or_lost_are_named() -> None:
    frames, rate_hz = frames_of(("pcm_8000",), 0)
    head, block, tail = (
        frames[:5],
        [frames[5 + 5 * i : 10 + 5 * i] for i in range(BLOCKS)],
        frames[5 + 5 * BLOCKS :],
    )

    def arranged(*order: int) -> Heard:
        (heard,) = listen([*head, *(frame for i in order for frame in block[i]), *tail], rate_hz)
        return heard

    swapped = arranged(0, 1, 3, 2, 4, 5, 6, 7, 8)
    assert swapped.text == TEXT
    assert FaultKind.ORDER in kinds(swapped)
    assert kinds(arranged(0, 0, 1, 2, 3, 4, 5, 6, 7, 8)) == {FaultKind.DOUBLED}
    assert kinds(arranged(0, 1, 2, 3, 3, 4, 5, 6, 7, 8)) == {FaultKind.DOUBLED}
    lost = arranged(0, 1, 2, 5, 6, 7, 8)
    assert lost.gaps == ((3, 4),)
    assert FaultKind.MISSING in kinds(lost)


def test_parts_of_two_texts_that_seem_one_are_told_by_the_whole_checksum() -> None:
    names: dict[int, str] = {}
    text = other = ""
    for number in range(100_000):
        text = f"Call {number:05} now."
        other = names.setdefault(checksum(text.encode()), text)
        if other[:6] != text[:6] and other[6:] != text[6:]:
            break
    half = len(encode(text, 8000)) // 2 // 800 * 800
    mixed = (np.concatenate([encode(other, 8000)[:half], encode(text, 8000)[half:]]) * 32767).astype("<i2")
    (heard,) = listen([mixed.tobytes()], 8000)
    assert heard.complete
    assert kinds(heard) == {FaultKind.CHECKSUM}


def test_a_pause_within_an_utterance_is_a_slip() -> None:
    frames, rate_hz = frames_of(("pcm_16000",), 0)
    for at in (10, 12):
        (heard,) = listen([*frames[:at], *[bytes(640)] * 3, *frames[at:]], rate_hz)
        assert any(f.kind is FaultKind.SLIP and f.amount == 60 for f in heard.faults)


@pytest.mark.parametrize("lost_ms", [4, 6, 10, 15])
def test_a_few_lost_milliseconds_are_seen(lost_ms: int) -> None:
    audio = bytes(1600) + (encode(TEXT, 8000) * 32767).astype("<i2").tobytes() + bytes(6400)
    for at_ms in range(100, 100 + BLOCKS * 100 - lost_ms, 9):
        assert not arrived_whole(listen([audio[: 16 * at_ms] + audio[16 * (at_ms + lost_ms) :]], 8000)), at_ms
