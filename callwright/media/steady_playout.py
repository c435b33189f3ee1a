"""The agent's audio for a carrier that does not buffer: one frame each 20 ms, without end."""

import asyncio
from collections.abc import Callable

from callwright.domain.audio import FRAME_MS, AudioFormat
from callwright.media.counts import AudioCounts
from callwright.media.playout import FRAME_S, LISTEN_EVERY, CarrierWriter, Playout

_HALF_S = FRAME_S / 2
_GAIN = 0.3
_EARLY_S = 0.035
_INBOUND_S = 0.006
_APART_S = 0.015
_GRACE_S = 0.004
_LATE_S = 0.025
_SPEECH_GAP_S = 0.036
_SILENCE_GAP_S = 0.025
_WINDOW = 20
_LIVE_WINDOWS = 2
_MOST_EXCESS = 50


class SteadyPlayout(Playout):
    """Exactly one frame each 20 ms, silence when idle, for a carrier that plays what it gets at once.

    `due` is the moment by which the next frame has to be there. A frame leaves when an inbound frame arrives at
    about that time, so that the carrier's clock is ours; the pacer only fills in. Live agent audio may leave up to
    35 ms before it is due, which is what keeps the added delay near zero whatever the phase of the two streams.
    Time lost in a stall is not made up by a burst: the schedule starts again, and the delay that remains is worked
    off by leaving out silent frames.
    """

    def __init__(
        self,
        audio: AudioFormat,
        queue_s: float,
        counts: AudioCounts,
        on_spoken: Callable[[], None],
        monotonic: Callable[[], float],
    ) -> None:
        super().__init__(audio, queue_s, counts, on_spoken, monotonic)
        self._silence = audio.silence(audio.frame_bytes)
        self._due = 0.0
        self._gain = 1.0
        self._speaking = False
        self._pushed_at = 0.0
        self._window_left = _WINDOW
        self._window_low = 0
        self._window_bytes = 0
        self._live_windows = 0
        self._excess = 0
        self._early = _EARLY_S

    def attach(self, writer: CarrierWriter, now: float) -> None:
        """Start with a frame at once."""
        super().attach(writer, now)
        self._due = now
        self._gain = 1.0
        self._restart_window()
        self._next(now)

    def push(self, chunk: bytes) -> None:
        """Live audio leaves at once where the schedule allows it, all else when it is due."""
        now = self._monotonic()
        apart, self._pushed_at = now - self._pushed_at, now
        self._window_bytes += len(chunk)
        if self._queue.size or self._due - now > self._early or self._writer is None:
            self._keep(chunk, apart)
        elif len(chunk) == self._frame_bytes:
            self._window_low = 0
            self._speak(chunk, now)
        else:
            self._keep(chunk, apart)
            if len(chunk) > self._frame_bytes:
                self._next(now)

    def inbound(self, now: float) -> None:
        """Send what is due; live speech has until the deadline before silence takes its place."""
        self._next(now)

    def follow(self, now: float) -> None:
        """Move the schedule's phase towards the carrier's: the first time at once, then by a third."""
        self._due -= ((self._due - now + _HALF_S) % FRAME_S - _HALF_S) * self._gain
        self._gain = _GAIN

    def tick(self, now: float) -> None:
        """The inbound frame that should have come is missing."""
        if self._writer is not None:
            self._next(now)

    def interrupt(self, now: float) -> float:
        """Drop the queue; frames that left cannot be taken back, but the carrier is told."""
        dropped = self._queue.clear()
        self._settle()
        self._restart_window()
        if self._writer is not None:
            self._writer.send_clear()
        self.release()
        return self.format.ms_for_bytes(dropped)

    def played_ms(self, now: float) -> float:
        """Frames sent, times 20."""
        return self._counts.spoken * FRAME_MS

    def drained(self, now: float) -> asyncio.Future[None]:
        """Done one frame after the last frame of speech left."""
        future = self._wait()
        if not self._queue.size and now - self.spoken_at >= FRAME_S:
            self.release()
        return future

    def _keep(self, chunk: bytes, apart: float) -> None:
        """Queue a chunk; where nothing waited it leaves as soon as the schedule allows it.

        A live frame that comes too early shows that the carrier holds more audio than it should, as after a stall
        of the agent: if it is silent it is left out.
        """
        alone = not self._queue.size and self._writer is not None
        if alone and len(chunk) == self._frame_bytes and apart > _APART_S and self._is_silent(chunk):
            self._counts.dropped_silence += 1
            return
        self._store(chunk)
        if self._writer is not None and self._queue.size >= self._frame_bytes:
            if alone:
                self.wants_at = self._deadlines[self._slot] = self._due - self._early
            else:
                self.wants_at = min(self.wants_at, self._due - _INBOUND_S)

    def _next(self, now: float) -> None:
        queue = self._queue
        if queue.size < self._frame_bytes and (not queue.size or now - self._pushed_at < FRAME_S):
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
        counts = self._counts
        if self._writer.paused:  # type: ignore[union-attr]  # callers made sure that there is one
            counts.dropped_carrier_slow += 1
        else:
            self._write(frame)
            counts.spoken += 1
        if not counts.spoken % LISTEN_EVERY and self._is_loud(frame):
            self.loud_at = now
        if self._on_spoken is not None:
            self._heard(now)
        if self.tap is not None:
            self.tap.agent(frame, now)
        due = self._due
        due = due + FRAME_S if now - due <= _LATE_S else self._restart(now)
        self._speaking = True
        self.spoken_at = now
        self._due = due
        deadline = due + _GRACE_S
        latest = now + _SPEECH_GAP_S
        deadline = min(deadline, latest)
        self._deadlines[self._slot] = deadline
        self.wants_at = deadline if self._queue.size < self._frame_bytes else due - _INBOUND_S

    def _fill(self, now: float) -> None:
        if self._writer.paused:  # type: ignore[union-attr]  # callers made sure that there is one
            self._counts.dropped_carrier_slow += 1
        else:
            self._write(self._silence)
            self._counts.filled += 1
        if self.tap is not None:
            self.tap.agent(self._silence, now)
        self._settle()
        self._restart_window()
        self._due = self._due + FRAME_S if now - self._due <= _LATE_S else self._restart(now)
        self._speaking = False
        self._deadlines[self._slot] = min(self._due + _GRACE_S, now + _SILENCE_GAP_S)
        self.wants_at = self._due - _INBOUND_S
        if self._waiting and not self._queue.size:
            self.release()

    def _restart(self, now: float) -> float:
        """After a stall: the next frame is due in 20 ms, and time lost amid live speech is won back in its pauses.

        Until then no frame leaves early, or the delay would move into the carrier's buffer. Live means that next to
        nothing waited: an agent that sends whole sentences ahead of time is not late.
        """
        self._counts.late += 1
        if self._speaking and self._queue.size <= 2 * self._frame_bytes:
            self._excess = min(self._excess + int((now - self._due) / FRAME_S + 0.5), _MOST_EXCESS)
            self._early = _INBOUND_S
        return now + FRAME_S

    def _settle(self) -> None:
        """No time is to be won back any more, so live frames may leave early again."""
        self._excess = 0
        self._early = _EARLY_S

    def _restart_window(self) -> None:
        self._window_left = _WINDOW
        self._window_low = self._queue.size
        self._window_bytes = 0
        self._live_windows = 0

    def _judge_window(self) -> None:
        """Most of a second in which audio came at the speed of speech and yet some always waited: a delay.

        It is what a stall of the agent's side leaves behind.
        """
        expected = _WINDOW * self._frame_bytes
        live = (
            0.75 * expected <= self._window_bytes <= 1.25 * expected and self._window_low >= self._frame_bytes
        )
        windows, low = self._live_windows + 1 if live else 0, self._window_low
        self._restart_window()
        self._live_windows = windows
        if windows >= _LIVE_WINDOWS:
            self._excess = min(low // self._frame_bytes, _MOST_EXCESS)

    def _catch_up(self, frame: bytes) -> bytes:
        """Leave out silent frames while more waits; speech is never left out."""
        queue = self._queue
        while self._excess and self._is_silent(frame):
            if queue.size < self._frame_bytes:
                self._settle()
                break
            self._excess -= 1
            self._counts.dropped_silence += 1
            frame = queue.take(self._frame_bytes)
        if not self._excess:
            self._settle()
        return frame
