"""Stereo recordings of calls: left the agent as it was played, right the person as it was received."""

import asyncio
import itertools
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from callwright.audio.convert import Converter, converter
from callwright.audio.wav import NotWav, WavWriter, interleave, is_closed, repair
from callwright.domain.audio import AudioFormat, Encoding
from callwright.media.conversion import converter_between
from callwright.media.metrics import MediaMetrics
from callwright.media.track import Track

_TURN_S = 0.1
_TURNS = 10
_STOP_S = 10.0
_MOST_AHEAD_S = 2.0

logger = logging.getLogger(__name__)


def finished(path: Path) -> bool:
    """Whether a recording is there to its end, so that a player can tell its length. Blocks."""
    return path.is_file() and is_closed(path)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What the writer thread gets: one second of both tracks, or the order to close."""

    file: "_File"
    left: bytes
    right: bytes
    last: bool = False


class _File:
    """The writer thread's side of a recording. After the first error nothing more is written."""

    def __init__(self, path: Path, audio: AudioFormat) -> None:
        self.path = path
        self.done: Future[Path | None] = Future()
        self._audio = audio
        self._decode: Converter | None = converter(audio, AudioFormat(Encoding.PCM16, audio.rate_hz))
        self._writer: WavWriter | None = None
        self.fault = ""

    def take(self, piece: _Piece) -> None:
        """Write a piece; the first opens the file, the last closes it."""
        try:
            if not self.fault:
                self._write(piece)
        except OSError as error:
            self.fault = f"{type(error).__name__}: {error.strerror}"
            logger.warning("Recording cannot be written", extra={"file": self.path.name, "error": str(error)})
        if piece.last:
            self._close()

    def _write(self, piece: _Piece) -> None:
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = WavWriter(self.path, self._audio.rate_hz, 2)
        left, right = piece.left, piece.right
        if self._decode is not None:
            left, right = self._decode(left), self._decode(right)
        if left:
            self._writer.write(interleave(left, right))

    def _close(self) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
        except OSError as error:
            self.fault = f"{type(error).__name__}: {error.strerror}"
            logger.warning("Recording cannot be closed", extra={"file": self.path.name, "error": str(error)})
        self.done.set_result(None if self.fault or self._writer is None else self.path)


class Recording:
    """One call's recording, fed on the event loop. Nothing is written before `begin`."""

    def __init__(self, store: "RecordingStore", path: Path) -> None:
        self.path = path
        self._store = store
        self._file: _File | None = None
        self._format: AudioFormat | None = None
        self._start = 0.0
        self._agent: Track | None = None
        self._person: Track | None = None
        self._convert: Converter | None = None
        self._closed = False
        self._postponed = False

    @property
    def fault(self) -> str:
        """What has kept the file from being written, such as a full disk; empty as long as all is well."""
        return "" if self._file is None else self._file.fault

    def begin(self, audio: AudioFormat, at: float) -> None:
        """The carrier joined with this format; the first one decides the file's rate."""
        if self._format is None:
            self._format, self._start = audio, at
            self._agent, self._person = Track(audio, at), Track(audio, at)
            self._file = _File(self.path, audio)
            self._store.opened(self)
        self._convert = converter_between(audio, self._format)

    def agent(self, payload: bytes, at: float) -> None:
        """A piece of agent audio or silence that the person hears from `at` on (seconds, media clock)."""
        if self._agent is not None:
            self._agent.add(payload if self._convert is None else self._convert(payload), at)

    def person(self, payload: bytes, at: float) -> None:
        """A piece of the person's audio that arrived at `at`."""
        if self._person is not None:
            self._person.add(payload if self._convert is None else self._convert(payload), at)

    def cut(self, size: int) -> None:
        """The last `size` bytes of agent audio were taken back before they were heard."""
        if self._agent is not None:
            self._agent.cut(size)

    def flush(self, now: float) -> None:
        """Give what was heard until now to the writer."""
        agent, person = self._agent, self._person
        if agent is None or person is None or self._file is None:
            return
        if not self._postponed and (agent.unsettled(now) or person.unsettled(now)):
            self._postponed = True
            return
        self._postponed = False
        target = int((now - self._start) * agent.rate_hz) * agent.sample_bytes
        agent.fill(target)
        person.fill(target)
        end = min(agent.end, person.end)
        if end - target < _MOST_AHEAD_S * agent.rate_hz * agent.sample_bytes:
            end = min(end, target)
        self._store.submit(_Piece(self._file, agent.take(end), person.take(end)))

    def close(self) -> None:
        """Write the rest and finish the file; closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        agent, person, file = self._agent, self._person, self._file
        self._store.forget(self)
        if agent is not None and person is not None and file is not None:
            end = max(agent.end, person.end)
            agent.fill(end, 0.0)
            person.fill(end, 0.0)
            self._store.submit(_Piece(file, agent.take(end), person.take(end), last=True))
        self._agent = self._person = None

    async def saved(self, timeout_s: float = 10.0) -> Path | None:
        """The finished file; None when nothing was recorded or the disk refused. Raises TimeoutError."""
        self.close()
        if self._file is None:
            return None
        return await asyncio.wait_for(asyncio.wrap_future(self._file.done), timeout_s)


class RecordingStore:
    """A folder of recordings and the one thread that writes them.

    Each recording is flushed once a second, a tenth of them at a time. When the disk falls behind by more than
    `pending_bytes` the audio that comes is dropped and counted.
    """

    def __init__(
        self,
        folder: Path,
        monotonic: Callable[[], float],
        metrics: MediaMetrics,
        pending_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self.folder = folder
        self._monotonic = monotonic
        self._metrics = metrics
        self._pending_bytes = pending_bytes
        self._open: list[Recording] = []
        self._pieces: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._submitted = 0
        self._written = 0
        self._thread: threading.Thread | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._turn = 0

    def create(self, name: str) -> Recording:
        """A recording to be kept as `name`.wav, or `name`-2.wav and so on when that exists.

        Raises ValueError for a name that is no plain file name.
        """
        if not name or Path(name).name != name or name.startswith("."):
            raise ValueError(f"{name!r} is not a plain file name")
        candidates = (f"{name}.wav" if n == 1 else f"{name}-{n}.wav" for n in itertools.count(1))
        return Recording(
            self, next(path for path in map(self.folder.joinpath, candidates) if not path.exists())
        )

    def mend(self) -> int:
        """Repair files that a killed process left open; answers how many. Blocks: call it in a thread.

        What a carrier recorded (`<call id>-carrier.wav`) was written whole, and not by us.
        """
        mended = 0
        for path in sorted(set(self.folder.glob("*.wav")) - set(self.folder.glob("*-carrier.wav"))):
            try:
                mended += repair(path)
            except (NotWav, OSError) as error:
                logger.warning("Not a recording of ours", extra={"file": path.name, "error": str(error)})
        return mended

    def opened(self, recording: Recording) -> None:
        """A recording begins; used by Recording only."""
        self._open.append(recording)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="recordings", daemon=True)
            self._thread.start()
        if self._timer is None:
            self._arm()

    def forget(self, recording: Recording) -> None:
        """A recording ends; used by Recording only."""
        if recording in self._open:
            self._open.remove(recording)

    def submit(self, piece: _Piece) -> None:
        """Hand a piece to the writer, or drop its audio when the disk is too slow; used by Recording only."""
        size = len(piece.left) + len(piece.right)
        if self._submitted - self._written > self._pending_bytes:
            self._metrics.dropped.labels("recording").inc(size // 640)
            if not piece.last:
                return
            piece, size = _Piece(piece.file, b"", b"", last=True), 0
        self._submitted += size
        self._pieces.put(piece)

    async def close(self) -> None:
        """Finish all recordings and end the thread, within 10 s."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for recording in list(self._open):
            recording.close()
        thread, self._thread = self._thread, None
        if thread is not None:
            self._pieces.put(None)
            await asyncio.to_thread(thread.join, _STOP_S)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_TURN_S, self._flush_some)

    def _flush_some(self) -> None:
        self._turn += 1
        now = self._monotonic()
        for recording in self._open[self._turn % _TURNS :: _TURNS]:
            recording.flush(now)
        self._timer = None
        if self._open:
            self._arm()

    def _write(self) -> None:
        while (piece := self._pieces.get()) is not None:
            piece.file.take(piece)
            self._written += len(piece.left) + len(piece.right)
