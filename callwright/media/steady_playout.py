"""The agent's audio for a carrier that does not buffer: one frame each 20 ms, without end."""

import asyncio
from collections.abc import Callable

from callwright.domain.audio import FRAME_MS, AudioFormat
from callwright.media.counts import AudioCounts
from callwright.media.playout import FRAME_S, LISTEN_EVERY, CarrierWriter, Playout


class SteadyPlayout(Playout):
    """Exactly one frame each 20 ms, silence when idle, for a carrier that plays what it gets at once.

    `due` is the moment by which the next frame has to be there. A frame leaves when an inbound frame arrives at
    about that time, so that the carrier's clock is ours; the pacer only fills in. Live agent audio may leave up to
    30 ms before it is due, which is what keeps the added delay near zero whatever the phase of the two streams.
    Time lost in a stall is not made up by a burst: the schedule starts again, and the delay that remains is worked
    off by leaving out silent frames.
    """

    _EARLY_S = 0.030
    _INBOUND_S = 0.008
    _GRACE_S = 0.004
    _RESTART_S = 0.025
    _SPEECH_GAP_S = 0.036
    _SILENCE_GAP_S = 0.025
    _WINDOW = 50

    def __init__(
        self,
        audio: AudioFormat,
        queue_s: float,
        counts: AudioCounts,
        is_silent: Callable[[bytes], bool],
        on_spoken: Callable[[], None],
    ) -> None:
        super().__init__(audio, queue_s, counts, is_silent, on_spoken)
        self._silence = audio.silence(audio.frame_bytes)
        self._due = 0.0
        self._speaking = False
        self._spoken = 0
        self._stored_at = 0.0
        self._window_left = self._WINDOW
        self._window_low = 0
        self._window_bytes = 0
        self._excess = 0

    def attach(self, writer: CarrierWriter, now: float) -> None:
        """Start with a frame at once."""
        self._writer = writer
        self._due = now
        self._restart_window()
        self._next(now)

    def push(self, chunk: bytes, now: float) -> None:
        """Live audio leaves at once where the schedule allows it, all else when it is due."""
        self._window_bytes += len(chunk)
        queue = self._queue
        if queue.size or self._writer is None or self._due - now > self._EARLY_S:
            self._store(chunk)
            self._stored_at = now
        elif len(chunk) == self._frame_bytes:
            self._window_low = 0
            self._speak(chunk, now)
        else:
            self._store(chunk)
            self._stored_at = now
            if len(chunk) > self._frame_bytes:
                self._next(now)

    def inbound(self, now: float) -> None:
        """Send what is due, and follow the carrier's clock by a tenth of the difference."""
        ahead = self._due - now
        if ahead > self._INBOUND_S or self._writer is None:
            return
        if self._queue.size >= self._frame_bytes or not self._speaking or now >= self.deadline:
            self._next(now)
            if ahead > -FRAME_S:
                self._due -= ahead * 0.1

    def tick(self, now: float) -> None:
        """The inbound frame that should have come is missing."""
        if self._writer is not None:
            self._next(now)

    def interrupt(self, now: float) -> float:
        """Drop the queue; frames that left cannot be taken back, but the carrier is told."""
        dropped = self._queue.clear()
        self._excess = 0
        self._restart_window()
        if self._writer is not None:
            self._writer.send_clear()
        self.release()
        return self.format.ms_for_bytes(dropped)

    def played_ms(self, now: float) -> float:
        """Frames sent, times 20."""
        return self._spoken * FRAME_MS

    def drained(self, now: float) -> asyncio.Future[None]:
        """Done one frame after the last frame of speech left."""
        future = self._wait()
        if not self._queue.size and now - self.spoken_at >= FRAME_S:
            self.release()
        return future

    def _next(self, now: float) -> None:
        queue = self._queue
        if queue.size < self._frame_bytes and (not queue.size or now - self._stored_at < FRAME_S):
            self._fill(now)
            return
        frame = queue.take(self._frame_bytes)
        if self._excess:
            frame = self._catch_up(frame)
        if len(frame) < self._frame_bytes:
            frame += self.format.silence(self._frame_bytes - len(frame))
        self._window_low = min(self._window_low, queue.size)
        self._window_left -= 1
        if not self._window_left:
            self._judge_window()
        self._speak(frame, now)

    def _speak(self, frame: bytes, now: float) -> None:
        writer = self._writer
        assert writer is not None
        if writer.paused:
            self._counts.dropped_carrier_slow += 1
        else:
            writer.send_audio(frame)
            self._counts.spoken += 1
        self._spoken += 1
        if not self._spoken % LISTEN_EVERY and not self._is_silent(frame):
            self.loud_at = now
        self._speaking = True
        self.spoken_at = now
        if self._on_spoken is not None:
            self._heard(now)
        if self.tap is not None:
            self.tap.agent(frame, now)
        self._advance(now, self._SPEECH_GAP_S)

    def _fill(self, now: float) -> None:
        writer = self._writer
        assert writer is not None
        if not writer.paused:
            writer.send_audio(self._silence)
            self._counts.filled += 1
        self._speaking = False
        if self.tap is not None:
            self.tap.agent(self._silence, now)
        self._advance(now, self._SILENCE_GAP_S)
        self._excess = 0
        self._restart_window()
        if self._waiting and not self._queue.size:
            self.release()

    def _advance(self, now: float, gap: float) -> None:
        due = self._due + FRAME_S
        if now - due > self._RESTART_S - FRAME_S:
            due = now + FRAME_S
            self._counts.late += 1
            self._restart_window()
        self._due = due
        self.deadline = min(now + gap, due + self._GRACE_S)

    def _restart_window(self) -> None:
        self._window_left = self._WINDOW
        self._window_low = self._queue.size
        self._window_bytes = 0

    def _judge_window(self) -> None:
        """A second in which audio came at the speed of speech and yet some always waited: that is a delay.

        An agent that sends whole sentences ahead of time is not late, so it is left alone.
        """
        second = self._WINDOW * self._frame_bytes
        if 0.8 * second <= self._window_bytes <= 1.2 * second and self._window_low >= self._frame_bytes:
            self._excess = self._window_low // self._frame_bytes
        else:
            self._excess = 0
        self._restart_window()

    def _catch_up(self, frame: bytes) -> bytes:
        """Leave out silent frames while more waits; speech is never left out."""
        while self._excess and self._queue.size >= self._frame_bytes and self._is_silent(frame):
            self._excess -= 1
            self._counts.dropped_silence += 1
            frame = self._queue.take(self._frame_bytes)
        return frame
