"""The in-band code through every kind of line, and against sounds that are no code."""

import itertools
import time
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callwright.audio.convert import converter
from callwright.audio.inband import MAX_TEXT_BYTES, Heard, Listener, blocks_needed, encode, split_text
from callwright.audio.inband.block import Block, blocks_of, from_symbols, to_symbols
from callwright.domain.audio import AudioFormat

TEXT = "Hello Zoë, your order of 12 boxes costs 340 €. Is that right?"

LINES = {
    "8 kHz": ("pcm_8000",),
    "16 kHz": ("pcm_16000",),
    "24 kHz": ("pcm_24000",),
    "mu-law": ("pcm_8000", "ulaw_8000", "pcm_8000"),
    "A-law": ("pcm_8000", "alaw_8000", "pcm_8000"),
    "16-8-16 kHz": ("pcm_16000", "pcm_8000", "pcm_16000"),
    "8-16-8 kHz": ("pcm_8000", "pcm_16000", "pcm_8000"),
    "24 kHz over mu-law": ("pcm_24000", "ulaw_8000", "pcm_24000"),
    "16 kHz over mu-law to 24 kHz": ("pcm_16000", "ulaw_8000", "pcm_24000"),
    "four conversions": ("pcm_24000", "ulaw_8000", "pcm_16000", "alaw_8000", "pcm_24000"),
    "eight conversions": (
        "pcm_24000",
        "pcm_8000",
        "pcm_16000",
        "ulaw_8000",
        "pcm_48000",
        "alaw_8000",
        "pcm_16000",
    ),
}


def pcm(text: str, rate_hz: int, at_least_ms: int = 0, gain: float = 1.0) -> bytes:
    return (encode(text, rate_hz, at_least_ms) * 32767 * gain).astype("<i2").tobytes()


def through(line: Iterable[str], audio: bytes) -> tuple[bytes, int]:
    formats = [AudioFormat.parse(name) for name in line]
    for src, dst in itertools.pairwise(formats):
        convert = converter(src, dst)
        assert convert is not None
        audio = convert(audio)
    return audio, formats[-1].rate_hz


def listen(audio: bytes, rate_hz: int, chunk: int = 0) -> list[Heard]:
    listener = Listener(rate_hz)
    size = chunk or len(audio)
    heard = [
        item for start in range(0, len(audio), size) for item in listener.feed(audio[start : start + size])
    ]
    return heard + listener.finish()


def understood(heard: list[Heard]) -> list[tuple[str, bool]]:
    return [(item.text, item.clean) for item in heard]


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
@pytest.mark.parametrize("gain", [1.0, 0.15])
def test_text_survives_the_line(line: tuple[str, ...], gain: float) -> None:
    rate_hz = AudioFormat.parse(line[0]).rate_hz
    audio = bytes(2 * 37) + pcm(TEXT, rate_hz, gain=gain) + bytes(rate_hz)
    heard = listen(*through(line, audio))
    assert understood(heard) == [(TEXT, True)]
    assert heard[0].ranges == ((0, heard[0].total - 1),)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
@pytest.mark.parametrize("chunk", [2, 74, 320, 642, 3200, 100_000])
def test_any_chunking_gives_the_same(rate_hz: int, chunk: int) -> None:
    text = "Yes, of course." if chunk == 2 else TEXT
    audio = bytes(2 * 501) + pcm(text, rate_hz) + bytes(rate_hz)
    assert listen(audio, rate_hz, chunk) == listen(audio, rate_hz)
    assert understood(listen(audio, rate_hz, chunk)) == [(text, True)]


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000, 48000])
def test_times_are_exact_at_any_offset(rate_hz: int) -> None:
    for offset in range(0, rate_hz // 10, rate_hz // 170):
        (heard,) = listen(bytes(2 * offset) + pcm("Well, yes.", rate_hz), rate_hz)
        assert heard.clean
        assert heard.start_ms == pytest.approx(offset * 1000 / rate_hz, abs=0.3)
        assert heard.end_ms - heard.start_ms == pytest.approx(400, abs=0.3)


@settings(max_examples=25, deadline=None)
@given(
    text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=120),
    at_least_ms=st.integers(0, 3000),
    offset=st.integers(0, 900),
)
def test_any_text_comes_back(text: str, at_least_ms: int, offset: int) -> None:
    audio = bytes(2 * offset) + pcm(text, 8000, at_least_ms) + bytes(4000)
    assert understood(listen(audio, 8000)) == [(text, True)]


@settings(max_examples=100, deadline=None)
@given(
    st.builds(
        Block,
        utterance=st.integers(0, 4095),
        index=st.integers(0, 511),
        total=st.integers(512, 1024),
        text=st.binary(max_size=3).filter(lambda text: b"\0" not in text),
    )
)
def test_blocks_come_back_and_single_errors_are_seen(block: Block) -> None:
    symbols = to_symbols(block)
    assert from_symbols(symbols) == block
    for place in np.ndindex(symbols.shape):
        damaged = symbols.copy()
        damaged[place] ^= 1 + place[0] % 3
        assert from_symbols(damaged) is None


def test_adjacent_frames_never_fit_in_each_others_place() -> None:
    blocks = [to_symbols(block) for block in blocks_of("\N{BLACK STAR}" * 300)]
    for symbols in blocks:
        for first in (0, 2, 4):
            swapped = symbols.copy()
            swapped[[first, first + 1, first + 2, first + 3]] = symbols[
                [first + 2, first + 3, first, first + 1]
            ]
            assert from_symbols(swapped) is None


def test_the_longest_text_takes_1024_blocks() -> None:
    text = "0123456789abcdef" * (MAX_TEXT_BYTES // 16)
    assert blocks_needed(text) == 1024
    assert understood(listen(pcm(text, 8000), 8000, 32_000)) == [(text, True)]
    with pytest.raises(ValueError, match="do not fit"):
        encode(text + "!", 8000)


def test_long_texts_are_cut_after_sentences_or_words_or_anywhere() -> None:
    assert split_text("") == []
    assert split_text("One. Two? Three", 10) == ["One. Two? ", "Three"]
    assert split_text("alpha beta gamma", 11) == ["alpha beta ", "gamma"]
    assert split_text("äöüäöü", 5) == ["äö", "üä", "öü"]
    assert "".join(split_text(TEXT * 20, 100)) == TEXT * 20


def test_a_text_spread_over_more_time_is_heard_in_proportion() -> None:
    audio = pcm("0123456789", 8000, at_least_ms=2000)
    assert len(audio) == 2 * 8000 * 2
    (heard,) = listen(audio[: len(audio) // 2], 8000)
    assert (heard.text, heard.complete, heard.total) == ("01234", False, 20)


@pytest.mark.parametrize("cut_ms", range(0, 2100, 130))
def test_interruption_leaves_exactly_the_heard_prefix(cut_ms: int) -> None:
    text = "This sentence is going to be interrupted somewhere."
    audio = pcm(text, 16000)[: 32 * cut_ms]
    heard = listen(audio + bytes(32_000), 16000, 640)
    blocks = min(cut_ms // 100, blocks_needed(text))
    whole = blocks_needed(text) * 100 <= cut_ms
    if blocks == 0:
        assert heard == []
        return
    (only,) = heard
    assert only.ranges == ((0, blocks - 1),)
    assert only.text == text[: blocks * len(text) // blocks_needed(text)]
    assert (only.complete, only.gaps, only.faults) == (whole, (), ())
    assert only.end_ms == pytest.approx(blocks * 100, abs=0.3)


def test_a_cut_is_known_300_ms_after_it_and_an_end_at_once() -> None:
    audio = pcm(TEXT, 8000)
    for part, latest_ms in ((audio[: 16 * 900], 380), (audio, 80)):
        listener, end_ms, position = Listener(8000), len(part) / 16, 0
        stream = part + bytes(16_000)
        while not listener.feed(stream[position : position + 320]):
            position += 320
        assert position / 16 - end_ms <= latest_ms


def test_what_is_understood_grows_with_the_audio() -> None:
    listener, audio = Listener(8000), pcm(TEXT, 8000)
    seen: list[str] = []
    for start in range(0, len(audio) - 3200, 320):
        listener.feed(audio[start : start + 320])
        if (now := listener.so_far()) is not None and (not seen or seen[-1] != now.text):
            seen.append(now.text)
    assert len(seen) >= blocks_needed(TEXT) - 3
    assert all(TEXT.startswith(text) for text in seen)


@pytest.mark.parametrize("pause", [0, 1, 700, 8000])
def test_utterances_in_a_row_are_told_apart(pause: int) -> None:
    texts = ["First of all.", "Second of all.", "Second of all.", "And third."]
    audio = b"".join(pcm(text, 8000) + bytes(2 * pause) for text in texts)
    assert understood(listen(audio, 8000, 320)) == [(text, True) for text in texts]


def test_the_same_text_begun_again_after_a_cut_is_a_new_utterance() -> None:
    audio = pcm(TEXT, 8000)
    heard = listen(audio[: 16 * 450] + bytes(3200) + audio, 8000, 320)
    assert understood(heard) == [
        (TEXT[: 4 * len(TEXT.encode()) // blocks_needed(TEXT) - 1], False),
        (TEXT, True),
    ]


def noise(seed: int, level: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, 8000 * 10)


def music(seed: int) -> np.ndarray:
    """Ten seconds of chords of decaying notes with harmonics, four a second."""
    rng = np.random.default_rng(seed)
    t = np.arange(2000) / 8000
    bars = []
    for _ in range(40):
        notes = 220 * 2 ** (rng.integers(0, 48, 4) / 12)
        bars.append(
            sum(np.sin(2 * np.pi * note * k * t) / k for note in notes for k in (1, 2, 3)) * np.exp(-4 * t)
        )
    return 3000 * np.concatenate(bars)


def dial_tones() -> np.ndarray:
    t = np.arange(8000 * 5) / 8000
    low, high = np.repeat([697, 770, 852, 941, 697], 8000), np.repeat([1209, 1336, 1477, 1633, 1633], 8000)
    return 8000 * (np.sin(2 * np.pi * low * t) + np.sin(2 * np.pi * high * t))


def sweeps() -> np.ndarray:
    t = np.arange(8000) / 8000
    return np.concatenate(
        [9000 * np.sin(2 * np.pi * (1400 * t + 950 * t * t * speed)) for speed in (1, 5, 20, -1)]
    )


STRANGE = {f"noise {level}": noise(level, level) for level in (5, 300, 3000, 12_000)}
STRANGE |= {"music 1": music(1), "music 2": music(2), "DTMF": dial_tones(), "sweeps": sweeps()}
STRANGE |= {"clicks": np.where(np.arange(80_000) % 799 < 2, 20_000, 0)}


@pytest.mark.parametrize("sound", STRANGE.values(), ids=STRANGE.keys())
def test_other_sounds_carry_no_words(sound: np.ndarray) -> None:
    assert listen(sound.clip(-32768, 32767).astype("<i2").tobytes(), 8000, 320) == []


@pytest.mark.parametrize("level", [20, 100])
def test_a_noisy_line_is_understood(level: float) -> None:
    audio = np.frombuffer(bytes(2000) + pcm(TEXT, 8000) + bytes(4000), "<i2")
    noisy = audio + np.random.default_rng(1).normal(0, level, len(audio))
    assert understood(listen(noisy.clip(-32768, 32767).astype("<i2").tobytes(), 8000)) == [(TEXT, True)]


def test_listening_is_cheap() -> None:
    audio, quiet = pcm(TEXT, 16000), bytes(64_000)
    speaking = min(_ms_per_100_ms(audio) for _ in range(5))
    silence = min(_ms_per_100_ms(quiet) for _ in range(5))
    assert speaking < 1.0  # about 0.15 on an idle core
    assert silence < 0.15  # about 0.015


def _ms_per_100_ms(audio: bytes) -> float:
    listener = Listener(16000)
    begin = time.perf_counter()
    for start in range(0, len(audio), 640):
        listener.feed(audio[start : start + 640])
    return (time.perf_counter() - begin) * 1000 / (len(audio) / 3200)


def test_silence_of_a_long_call_keeps_time() -> None:
    listener = Listener(8000)
    for _ in range(500):
        assert listener.feed(bytes(320)) == []
    (heard,) = listener.feed(pcm("Are you there?", 8000) + bytes(3200))
    assert heard.start_ms == pytest.approx(10_000, abs=0.3)
    assert heard.clean


def test_rates_that_cannot_carry_the_code_are_refused() -> None:
    for rate_hz in (4000, 11025):
        with pytest.raises(ValueError, match="code needs a rate"):
            encode("Hello", rate_hz)
    with pytest.raises(ValueError, match="NUL"):
        encode("a\0b", 8000)
    assert len(encode("", 8000)) == 0
