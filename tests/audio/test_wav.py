"""WAV files against the standard library's reader, and after the writing process is killed."""

import signal
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from callwright.audio.wav import (
    HEADER_BYTES,
    NotWav,
    WavWriter,
    header,
    interleave,
    is_closed,
    parse_wav,
    read_wav,
    repair,
    write_wav,
)

PCM = bytes(range(256)) * 8

KILLED = """
import sys, time
from pathlib import Path
from callwright.audio.wav import WavWriter
writer = WavWriter(Path(sys.argv[1]), 8000, channels=2)
for _ in range(50):
    writer.write(bytes(range(256)) * 5)
print("written", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("rate_hz, channels", [(8000, 1), (16000, 2), (24000, 1)])
def test_another_reader_finds_what_was_written(tmp_path: Path, rate_hz: int, channels: int) -> None:
    path = tmp_path / "a.wav"
    with WavWriter(path, rate_hz, channels) as writer:
        for start in range(0, len(PCM), 64):
            writer.write(PCM[start : start + 64])
        assert writer.seconds == pytest.approx(len(PCM) / 2 / channels / rate_hz)
    with wave.open(str(path), "rb") as other:
        assert (other.getframerate(), other.getnchannels(), other.getsampwidth()) == (rate_hz, channels, 2)
        assert other.readframes(1 << 20) == PCM
    assert not repair(path)


def test_what_another_writer_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as other:
        other.setnchannels(2)
        other.setsampwidth(2)
        other.setframerate(8000)
        other.writeframes(PCM)
    wav = read_wav(path)
    assert (wav.rate_hz, wav.channels, wav.pcm) == (8000, 2, PCM)
    assert wav.seconds == len(PCM) / 4 / 8000


def test_a_killed_writer_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "killed.wav"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    expected = bytes(range(256)) * 250
    assert read_wav(path).pcm == expected
    assert repair(path)
    with wave.open(str(path), "rb") as other:
        assert other.readframes(1 << 20) == expected
    assert not repair(path)


def test_repair_cuts_half_a_sample_off(tmp_path: Path) -> None:
    path = tmp_path / "torn.wav"
    path.write_bytes(header(8000, 2, 0) + PCM + b"\1\2\3")
    assert read_wav(path).pcm == PCM
    assert repair(path)
    assert path.stat().st_size == HEADER_BYTES + len(PCM)
    assert read_wav(path).pcm == PCM


def test_channels_are_interleaved_and_told_apart(tmp_path: Path) -> None:
    left, right = b"\1\0\2\0", b"\3\0\4\0"
    stereo = interleave(left, right)
    assert stereo == b"\1\0\3\0\2\0\4\0"
    write_wav(tmp_path / "a.wav", 8000, stereo, channels=2)
    wav = read_wav(tmp_path / "a.wav")
    assert (wav.channel(0), wav.channel(1)) == (left, right)
    with pytest.raises(ValueError, match="broadcast"):
        interleave(left, right + right)


def test_a_file_is_closed_when_its_header_tells_the_lengths(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with WavWriter(path, 8000) as writer:
        assert not is_closed(path)
        writer.write(PCM)
        assert not is_closed(path)
    assert is_closed(path)
    path.write_bytes(b"RIFF")
    assert not is_closed(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF",
        b"RIFF\0\0\0\0WAVE",
        b"ID3" + bytes(60),
        header(8000, 1, 0)[:36],
        header(8000, 3, 4) + PCM,
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(NotWav):
        parse_wav(content)
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(NotWav):
        repair(path)


def test_torn_samples_and_odd_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="channels"):
        WavWriter(tmp_path / "a.wav", 8000, 3)
    with WavWriter(tmp_path / "b.wav", 8000, 2) as writer, pytest.raises(ValueError, match="whole samples"):
        writer.write(b"\0\0")
    writer.close()
