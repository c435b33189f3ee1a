import json

import numpy as np
import pytest

from callwright.simulation.recogniser import (
    Event,
    Partial,
    Recogniser,
    SpeechEnded,
    SpeechStarted,
    Utterance,
)
from callwright.simulation.speech import Speaker

SPEAKER = Speaker(None)
TEXT = "I would like three of them, please."


def heard(recogniser: Recogniser, pcm: bytes, chunk: int = 320) -> list[Event]:
    return [event for at in range(0, len(pcm), chunk) for event in recogniser.feed(pcm[at : at + chunk])]


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
@pytest.mark.parametrize("chunk_ms", [5, 20, 250])
def test_an_utterance_from_start_to_end(rate_hz: int, chunk_ms: int) -> None:
    speech = SPEAKER.say(TEXT, rate_hz)
    pcm = bytes(rate_hz) + speech + bytes(rate_hz * 2)
    events = heard(Recogniser(rate_hz), pcm, rate_hz * chunk_ms // 1000 * 2)
    kinds = [type(event) for event in events]
    assert kinds[0] is SpeechStarted
    assert kinds[-2:] == [Utterance, SpeechEnded]
    assert set(kinds[1:-2]) == {Partial}
    started, ended = events[0], events[-1]
    assert isinstance(started, SpeechStarted)
    assert isinstance(ended, SpeechEnded)
    assert started.at_ms == pytest.approx(500, abs=21)
    assert ended.at_ms == pytest.approx(500 + len(speech) / rate_hz * 500, abs=21)
    partials = [event.text for event in events if isinstance(event, Partial)]
    assert all(TEXT.startswith(text) for text in partials)
    assert partials == sorted(partials, key=len)
    utterance = events[-2]
    assert isinstance(utterance, Utterance)
    assert (utterance.text, utterance.complete, utterance.faults) == (TEXT, True, ())


def test_speech_is_noticed_within_60_ms() -> None:
    recogniser = Recogniser(8000)
    heard(recogniser, bytes(8000))
    events = heard(recogniser, SPEAKER.say(TEXT, 8000)[:960])
    assert [type(event) for event in events] == [SpeechStarted]
    assert recogniser.sounding


def test_the_report_tells_everything_and_is_json() -> None:
    recogniser = Recogniser(8000)
    speech = SPEAKER.say(TEXT, 8000)
    beep = (9000 * np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000)).astype("<i2").tobytes()
    lost = speech[:6400] + speech[6720:]
    heard(recogniser, speech + bytes(16_000) + beep + bytes(16_000) + lost + bytes(16_000) + speech[:8000])
    recogniser.finish()
    report = recogniser.report()
    assert [utterance.complete for utterance in report.utterances] == [True, False, False]
    assert report.texts[0] == TEXT
    assert TEXT.startswith(report.texts[2])
    assert report.faults == 2
    assert report.incomplete == 2
    (span,) = report.sounds
    assert span[1] - span[0] == pytest.approx(500, abs=41)
    data = json.loads(json.dumps(report.to_dict()))
    assert data["faults"] == 2
    assert data["utterances"][0]["text"] == TEXT
    assert {fault["kind"] for fault in data["utterances"][1]["faults"]} == {"missing", "slip"}


def test_noise_without_words_is_sound_without_an_utterance() -> None:
    recogniser = Recogniser(8000)
    noise = np.random.default_rng(1).normal(0, 3000, 8000).astype("<i2").tobytes()
    events = heard(recogniser, noise + bytes(8000))
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded]
    assert recogniser.report().utterances == ()
    assert len(recogniser.report().sounds) == 1


def test_silence_and_line_noise_are_nothing() -> None:
    recogniser = Recogniser(8000)
    noise = np.random.default_rng(1).normal(0, 30, 16_000).astype("<i2").tobytes()
    assert heard(recogniser, bytes(16_000) + noise) == []
    assert recogniser.now_ms == 3000
