"""What the two ways of sending the agent's audio to the carrier share: the queue, and who waits for its end."""

import asyncio
from array import array
from collections.abc import Callable
from typing import Protocol

from callwright.domain.audio import FRAME_MS, AudioFormat
from callwright.media.audio_queue import AudioQueue
from callwright.media.counts import AudioCounts
from callwright.media.loudness import silence_test, sound_test
from callwright.media.pacer import NEVER

FRAME_S = FRAME_MS / 1000
LISTEN_EVERY = 5
"""One frame in so many is measured for loudness."""


def _write_nothing(payload: bytes) -> None:
    """What a playout without a socket writes to."""


class CarrierWriter(Protocol):
    """What a playout needs of a carrier's socket."""

    paused: bool

    def audio_writer(self) -> Callable[[bytes], None]:
        """Function that writes one message of whole frames."""
        ...

    def send_clear(self) -> None:
        """Empty the carrier's buffer, where it has one."""
        ...

    def send_mark(self, name: str) -> bool:
        """Ask to be told when all before was played; False where the carrier has no marks."""
        ...


class PlayedTap(Protocol):
    """Who wants a copy of what the person hears, such as the recording."""

    def agent(self, payload: bytes, at: float) -> None:
        """A piece starts to be heard at `at` (seconds of the media clock)."""
        ...

    def cut(self, size: int) -> None:
        """The last `size` bytes were taken back before they were heard."""
        ...


class Playout:
    """The queue of one call and what both kinds of schedule share.

    From `wants_at` on an arriving frame of the person is a reason to send. `spoken_at`
    is when agent audio last left, `loud_at` when it was last not silent.
    """

    def __init__(
        self,
        audio: AudioFormat,
        queue_s: float,
        counts: AudioCounts,
        on_spoken: Callable[[], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.format = audio
        self.wants_at = NEVER
        self._deadlines, self._slot = array("d", [NEVER]), 0
        self.tap: PlayedTap | None = None
        self.spoken_at = self.loud_at = float("-inf")
        self._queue = AudioQueue(int(queue_s * audio.bytes_per_second))
        self._frame_bytes = audio.frame_bytes
        self._counts = counts
        self._is_silent = silence_test(audio)
        self._is_loud = sound_test(audio)
        self._monotonic = monotonic
        self._on_spoken: Callable[[], None] | None = on_spoken
        self._writer: CarrierWriter | None = None
        self._write: Callable[[bytes], None] = _write_nothing
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def queued_ms(self) -> float:
        """Milliseconds of agent audio that have not left yet."""
        return self.format.ms_for_bytes(self._queue.size)

    def place(self, deadlines: "array[float]", slot: int) -> None:
        """Keep the deadline here from now on; the pacer looks at it."""
        deadlines[slot] = self._deadlines[self._slot]
        self._deadlines, self._slot = deadlines, slot

    def attach(self, writer: CarrierWriter, now: float) -> None:
        """Send to this socket from `now` on."""
        self._writer, self._write = writer, writer.audio_writer()

    def detach(self) -> None:
        """Send nothing until the next `attach`; audio is kept."""
        self._writer, self._write = None, _write_nothing
        self._deadlines[self._slot] = self.wants_at = NEVER

    def limit_queue(self, seconds: float) -> None:
        """Keep at most this much audio from now on."""
        self._queue.limit = int(seconds * self.format.bytes_per_second)

    def push(self, chunk: bytes) -> None:
        """Take agent audio of any length in the carrier's format."""
        raise NotImplementedError

    def inbound(self, now: float) -> None:
        """A frame of the person arrived, not before `wants_at`."""
        raise NotImplementedError

    def follow(self, now: float) -> None:
        """One frame in five of the person, for a playout that keeps to the carrier's clock."""

    def tick(self, now: float) -> None:
        """The deadline passed."""
        raise NotImplementedError

    def interrupt(self, now: float) -> float:
        """Drop what was not heard yet, here and at the carrier; answers how many ms that was."""
        raise NotImplementedError

    def played_ms(self, now: float) -> float:
        """Milliseconds of agent audio that the person has heard."""
        raise NotImplementedError

    def drained(self, now: float) -> asyncio.Future[None]:
        """Done when all audio queued so far was heard, or dropped by an interruption."""
        raise NotImplementedError

    def marked(self, name: str) -> None:
        """The carrier played everything before this mark."""

    def release(self) -> None:
        """End every wait."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _store(self, chunk: bytes) -> None:
        dropped = self._queue.push(chunk)
        if dropped:
            self._counts.dropped_queue_full += -(-dropped // self._frame_bytes)

    def _wait(self) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def _heard(self, now: float) -> None:
        """Agent audio leaves: the first time it is reported."""
        self.spoken_at = now
        if self._on_spoken is not None:
            report, self._on_spoken = self._on_spoken, None
            report()
