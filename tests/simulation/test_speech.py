"""Simulated speech with a stand-in for espeak-ng, with espeak-ng where this machine has it, and with tones."""

import asyncio
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from callwright.audio.inband import Listener
from callwright.audio.inband.modulate import SPEECH_TOP_HZ
from callwright.audio.wav import write_wav
from callwright.simulation import speech
from callwright.simulation.speech import MS_PER_CHARACTER, Speaker, syllables

TEXT = "Good morning, this is a call about your order number 4711."
RATES = (8000, 16000, 24000)


def program(folder: Path, body: str) -> str:
    path = folder / "espeak-ng"
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o755)
    return str(path)


def understood(pcm: bytes, rate_hz: int) -> list[tuple[str, bool]]:
    listener = Listener(rate_hz)
    return [(heard.text, heard.clean) for heard in listener.feed(pcm) + listener.finish()]


def peak_dbfs(pcm: bytes) -> float:
    return float(20 * np.log10(np.abs(np.frombuffer(pcm, "<i2").astype(float)).max() / 32768))


def speakers(folder: Path) -> list[Speaker]:
    voice = np.random.default_rng(1).normal(0, 9000, 22050 * 3).clip(-32768, 32767).astype("<i2").tobytes()
    write_wav(folder / "voice.wav", 22050, voice)
    body = f"import sys; sys.stdout.buffer.write(open({str(folder / 'voice.wav')!r}, 'rb').read())"
    found = [Speaker(None), Speaker(program(folder, body))]
    installed = shutil.which("espeak-ng")
    return [*found, Speaker(installed)] if installed else found


@pytest.mark.parametrize("rate_hz", RATES)
def test_speech_carries_its_text_at_a_sane_level_and_length(tmp_path: Path, rate_hz: int) -> None:
    for speaker in speakers(tmp_path):
        pcm = speaker.say(TEXT, rate_hz)
        assert understood(pcm, rate_hz) == [(TEXT, True)]
        assert -9 < peak_dbfs(pcm) < -4.5
        seconds = len(pcm) / 2 / rate_hz
        assert MS_PER_CHARACTER * len(TEXT) / 1000 <= seconds <= 1.6 * MS_PER_CHARACTER * len(TEXT) / 1000
        assert len(pcm) % (rate_hz // 10 * 2) == 0


@pytest.mark.parametrize("text", ["Hi", "No.", "7", "ありがとうございます。", "Straße " * 300, "x" * 4000])
def test_short_long_and_foreign_texts(text: str) -> None:
    pcm = Speaker(None).say(text, 8000)
    assert "".join(part for part, clean in understood(pcm, 8000) if clean) == text


def test_no_text_is_no_audio() -> None:
    assert Speaker(None).say("", 8000) == b""


def test_the_voice_leaves_the_code_alone(tmp_path: Path) -> None:
    quiet, loud = (speaker.say(TEXT, 16000) for speaker in speakers(tmp_path)[:2])
    for pcm in (quiet, loud):
        voice = np.frombuffer(pcm, "<i2").astype(float)
        power = np.abs(np.fft.rfft(voice)) ** 2
        frequency = np.fft.rfftfreq(len(voice), 1 / 16000)
        between = power[(frequency > SPEECH_TOP_HZ + 20) & (frequency < SPEECH_TOP_HZ + 120)].sum()
        assert between < 0.02 * power[frequency < SPEECH_TOP_HZ].sum()


def test_tones_rise_and_fall_and_differ_by_text_and_voice() -> None:
    sound = syllables(TEXT)
    assert np.array_equal(sound, syllables(TEXT))
    assert not np.array_equal(sound, syllables(TEXT, "de"))
    assert not np.array_equal(sound[:4000], syllables("Something else entirely.")[:4000])
    envelope = np.abs(sound[: len(sound) // 160 * 160]).reshape(-1, 160).max(axis=1)
    assert envelope.min() < 0.1 * envelope.max()


def test_audio_is_the_same_again_and_remembered_within_bounds() -> None:
    speaker = Speaker(None, cache_bytes=200_000)
    first = speaker.say("One sentence.", 8000)
    assert speaker.say("One sentence.", 8000) is first
    for number in range(40):
        speaker.say(f"Sentence number {number}.", 8000)
    assert speaker._size == sum(map(len, speaker._cache.values())) <= 200_000
    again = speaker.say("One sentence.", 8000)
    assert again is not first
    assert again == first


@pytest.mark.parametrize("body", ["raise SystemExit(1)", "print('no wave')", "import time; time.sleep(30)"])
def test_a_failing_synthesiser_is_replaced_by_tones(
    tmp_path: Path, body: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(speech, "SYNTHESIS_LIMIT_S", 0.5)
    assert Speaker(program(tmp_path, body)).say("Hello there.", 8000) == Speaker(None).say(
        "Hello there.", 8000
    )
    assert "tones are spoken instead" in caplog.text


async def test_synthesis_in_a_thread_leaves_the_loop_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Speaker(program(tmp_path, "import time; time.sleep(0.5)"))
    monkeypatch.setattr(speech, "_SPEAKER", slow)
    task = asyncio.create_task(speech.say_async("Hello there.", 8000))
    longest, before = 0.0, time.perf_counter()
    while not task.done():
        await asyncio.sleep(0.005)
        longest, before = max(longest, time.perf_counter() - before), time.perf_counter()
    assert understood(await task, 8000) == [("Hello there.", True)]
    assert longest < 0.3
    begin = time.perf_counter()
    await speech.prepare(["Hello there."], 8000)
    assert time.perf_counter() - begin < 0.3
