"""Recordings: two tracks that stay in step, whatever the network and the disk do."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from callwright.audio.wav import Wav, read_wav
from callwright.domain.audio import PCM_8K, PCM_16K, ULAW_8K, AudioFormat
from callwright.media.metrics import MediaMetrics
from callwright.media.recording import Recording, RecordingStore
from tests.media.peers import until
from tests.media.protocols import agent_audio
from tests.media.test_relay import noise
from tests.media.world import World

TONE = b"\x00\x10"


class Studio:
    """A store on a clock that the test moves."""

    def __init__(self, folder: Path, **options: int) -> None:
        self.now = 100.0
        self.registry = CollectorRegistry()
        self.store = RecordingStore(folder, lambda: self.now, MediaMetrics(self.registry), **options)

    def begin(self, audio: AudioFormat = PCM_16K) -> Recording:
        recording = self.store.create("call")
        recording.begin(audio, self.now)
        return recording

    def wait(self, recording: Recording, seconds: float) -> None:
        """Time passes; the recording is flushed each second."""
        end = self.now + seconds
        while self.now < end - 1e-9:
            step = min(1.0, end - self.now)
            self.now += step
            recording.flush(self.now)


@pytest.fixture
async def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def frame(audio: AudioFormat, value: bytes = TONE) -> bytes:
    return (value * audio.frame_bytes)[: audio.frame_bytes]


def sound(pcm: bytes, rate_hz: int) -> list[tuple[float, float]]:
    """Stretches that are not silent, from and to, in seconds."""
    loud = np.concatenate([[0], np.frombuffer(pcm, "<i2") != 0, [0]]).astype(int)
    edges = np.flatnonzero(np.diff(loud)) / rate_hz
    return [(float(start), float(end)) for start, end in edges.reshape(-1, 2)]


def feed(
    studio: Studio, recording: Recording, seconds: float, *, agent: bool = True, person: bool = True
) -> None:
    """Both sides' frames, each in its time."""
    for index in range(round(seconds * 50)):
        if agent:
            recording.agent(frame(PCM_16K), studio.now)
        if person:
            recording.person(frame(PCM_16K), studio.now)
        studio.now += 0.02
        if index % 50 == 49:
            recording.flush(studio.now)


async def saved(studio: Studio, recording: Recording) -> Wav:
    path = await recording.saved()
    assert path is not None
    await studio.store.close()
    return read_wav(path)


async def test_both_tracks_are_written_as_they_were(studio: Studio) -> None:
    recording = studio.begin()
    left, right = noise(1, 120), noise(2, 120)
    for mine, theirs in zip(left, right, strict=True):
        recording.agent(mine, studio.now)
        recording.person(theirs, studio.now)
        studio.now += 0.02
        recording.flush(studio.now)
    wav = await saved(studio, recording)
    assert (wav.rate_hz, wav.channels) == (16_000, 2)
    assert wav.channel(0) == b"".join(left)
    assert wav.channel(1) == b"".join(right)


async def test_lost_frames_leave_silence_where_they_are_missing(studio: Studio) -> None:
    recording = studio.begin()
    feed(studio, recording, 1.0)
    feed(studio, recording, 0.5, person=False)
    feed(studio, recording, 2.0)
    wav = await saved(studio, recording)
    assert sound(wav.channel(0), 16_000) == [(0.0, pytest.approx(3.5))]
    (first, second) = sound(wav.channel(1), 16_000)
    assert first[1] == pytest.approx(1.0, abs=0.04)
    assert second[0] == pytest.approx(1.5, abs=0.04)


async def test_a_late_burst_leaves_no_silence(studio: Studio) -> None:
    """The person's frames that waited in a socket are whole; nothing is put between them."""
    recording = studio.begin()
    feed(studio, recording, 0.9)
    waiting = 0
    for _ in range(10):
        recording.agent(frame(PCM_16K), studio.now)
        waiting += 1
        studio.now += 0.02
    for _ in range(waiting):
        recording.person(frame(PCM_16K), studio.now)
    recording.flush(studio.now)
    feed(studio, recording, 2.0)
    wav = await saved(studio, recording)
    assert sound(wav.channel(1), 16_000) == [(0.0, pytest.approx(3.1))]


async def test_a_stall_of_the_process_keeps_both_in_step(studio: Studio) -> None:
    recording = studio.begin()
    feed(studio, recording, 1.0)
    studio.now += 0.2
    for _ in range(10):
        recording.person(frame(PCM_16K), studio.now)
    feed(studio, recording, 1.0)
    wav = await saved(studio, recording)
    first, second = sound(wav.channel(0), 16_000)
    assert (first[1], second[0]) == (pytest.approx(1.0, abs=0.04), pytest.approx(1.2, abs=0.04))
    assert sound(wav.channel(1), 16_000) == [(0.0, pytest.approx(2.2))]


async def test_a_carrier_that_is_away_leaves_silence_on_both_tracks(studio: Studio) -> None:
    recording = studio.begin()
    feed(studio, recording, 1.0)
    studio.wait(recording, 3.0)
    recording.begin(PCM_16K, studio.now)
    feed(studio, recording, 1.0)
    wav = await saved(studio, recording)
    for channel in (0, 1):
        (_, end), (start, _) = sound(wav.channel(channel), 16_000)
        assert (end, start) == (pytest.approx(1.0, abs=0.05), pytest.approx(4.0, abs=0.05))


async def test_a_carrier_that_comes_back_with_another_format_is_converted(studio: Studio) -> None:
    recording = studio.begin()
    feed(studio, recording, 1.0)
    recording.begin(PCM_8K, studio.now)
    for _ in range(50):
        recording.agent(frame(PCM_8K), studio.now)
        recording.person(frame(PCM_8K), studio.now)
        studio.now += 0.02
    wav = await saved(studio, recording)
    assert wav.rate_hz == 16_000
    assert wav.seconds == pytest.approx(2.0, abs=0.05)


async def test_telephone_codecs_are_written_as_pcm(studio: Studio) -> None:
    recording = studio.begin(ULAW_8K)
    for _ in range(60):
        recording.agent(b"\x80" * 160, studio.now)
        recording.person(b"\xff" * 160, studio.now)
        studio.now += 0.02
    wav = await saved(studio, recording)
    assert wav.rate_hz == 8000
    assert set(np.frombuffer(wav.channel(0), "<i2").tolist()) == {32124}
    assert set(np.frombuffer(wav.channel(1), "<i2").tolist()) == {0}


async def test_speech_that_was_taken_back_is_not_in_the_recording(studio: Studio) -> None:
    """Sent ahead to a carrier that buffers, and cleared before it was heard."""
    recording = studio.begin()
    at = studio.now
    for index in range(65):
        recording.agent(frame(PCM_16K), at + index * 0.02)
    for _ in range(50):
        recording.person(frame(PCM_16K), studio.now)
        studio.now += 0.02
    recording.flush(studio.now)
    recording.cut(PCM_16K.bytes_for_ms(300))
    feed(studio, recording, 1.0, agent=False)
    wav = await saved(studio, recording)
    assert sound(wav.channel(0), 16_000) == [(0.0, pytest.approx(1.0, abs=0.02))]


async def test_a_disk_that_is_too_slow_costs_audio_but_no_memory(tmp_path: Path) -> None:
    studio = Studio(tmp_path, pending_bytes=100_000)
    recording = studio.begin()
    studio.store._written -= 10_000_000
    feed(studio, recording, 3.0)
    dropped = studio.registry.get_sample_value(
        "callwright_media_dropped_frames_total", {"reason": "recording"}
    )
    assert dropped is not None
    assert dropped >= 280
    await recording.saved()
    await studio.store.close()


async def test_a_folder_that_cannot_be_written_ends_in_no_recording(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    studio = Studio(tmp_path / "file" / "recordings")
    recording = studio.begin()
    feed(studio, recording, 1.5)
    assert await recording.saved() is None
    await studio.store.close()


async def test_names_are_plain_and_never_taken_twice(studio: Studio) -> None:
    for wrong in ("../call", "a/b", ".hidden", ""):
        with pytest.raises(ValueError, match="plain"):
            studio.store.create(wrong)
    recording = studio.begin()
    feed(studio, recording, 0.1)
    await recording.saved()
    assert studio.store.create("call").path.name == "call-2.wav"
    await studio.store.close()


async def test_a_call_is_recorded_as_it_was_heard(tmp_path: Path) -> None:
    async with World() as world:
        store = RecordingStore(tmp_path, world.clock.monotonic, world.metrics)
        recording = store.create("whole")
        call = await world.call(recording)
        await until(lambda: call.watcher.ready)
        speech, person = noise(1, 60), noise(2, 60)
        call.agent.send_text(agent_audio(b"".join(speech)))
        for piece in person:
            call.carrier.send_binary(piece)
            await asyncio.sleep(0.02)
        await asyncio.wait_for(call.bridge.drained(), 5)
        call.bridge.close()
        path = await recording.saved()
        await store.close()
        assert path is not None
        wav = read_wav(path)
        # A process that the machine holds up leaves silence between frames, on both sides.
        for channel, sent in enumerate((speech, person)):
            assert wav.channel(channel).replace(bytes(2), b"") == b"".join(sent).replace(bytes(2), b"")


async def test_a_killed_process_leaves_a_file_that_can_be_mended(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.media.test_recording import Studio, feed
async def main():
    studio = Studio(Path({str(tmp_path)!r}))
    recording = studio.begin()
    feed(studio, recording, 3.0)
    while studio.store._written < 3 * 64000 - 6400:
        await asyncio.sleep(0.01)
    print("written", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    child = await asyncio.to_thread(
        lambda: subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    )
    assert child.stdout is not None
    assert await asyncio.to_thread(child.stdout.readline) == "written\n"
    os.kill(child.pid, signal.SIGKILL)
    await asyncio.to_thread(child.communicate)
    shutil.copy(tmp_path / "call.wav", tmp_path / "copy.wav")
    assert read_wav(tmp_path / "copy.wav").seconds == pytest.approx(3.0, abs=0.1)
    foreign = (tmp_path / "call.wav").read_bytes() + b"LIST\x04\0\0\0INFO"
    (tmp_path / "call-carrier.wav").write_bytes(foreign)
    studio = Studio(tmp_path)
    assert studio.store.mend() == 2
    assert (tmp_path / "call-carrier.wav").read_bytes() == foreign, "what a carrier recorded is left alone"
    assert read_wav(tmp_path / "call.wav").seconds == pytest.approx(3.0, abs=0.1)
    assert studio.store.mend() == 0
