"""A person's telephone on a call: every 20 ms it speaks into the dialog and hears what comes out of it."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from callwright.audio.wav import header, interleave
from callwright.domain.audio import FRAME_MS, AudioFormat, Encoding
from callwright.simulation.person_script import RingPlan
from callwright.simulation.recogniser import HearingReport

_PIPE_FRAMES = 10


class Callee(Protocol):
    """Who answers a telephone; simulation.people.Person is one, a benchmark may bring a cheaper one."""

    @property
    def is_machine(self) -> bool:
        """Whether a machine answers."""
        ...

    @property
    def speaking(self) -> bool:
        """Whether something is being said now."""
        ...

    def ring(self) -> RingPlan:
        """What the line does when it is called."""
        ...

    async def prepare(self, rate_hz: int) -> None:
        """Get ready to answer."""
        ...

    def answer(
        self,
        rate_hz: int,
        on_hang_up: Callable[[], None] | None = None,
        on_dtmf: Callable[[str], None] | None = None,
    ) -> None:
        """Pick up."""
        ...

    def speak_frame(self) -> bytes:
        """The next 20 ms of voice."""
        ...

    def hear_frame(self, pcm: bytes) -> None:
        """The next 20 ms that the line delivers."""
        ...

    def hung_up(self) -> None:
        """The other side has ended the call."""
        ...

    def report(self) -> HearingReport:
        """What was heard."""
        ...


class Party(Protocol):
    """The other side of a dialog."""

    def send(self, frame: bytes) -> None:
        """Take 20 ms of this telephone's voice."""
        ...

    def take(self) -> bytes | None:
        """20 ms for this telephone, None for silence."""
        ...


class Prompt:
    """A text that the platform speaks; `over` is told how much was played, in ms, and whether all of it."""

    def __init__(self, pcm: bytes, over: Callable[[float, bool], None]) -> None:
        self.pcm = pcm
        self.position = 0
        self.over = over


class Line:
    """One answered telephone. `silent_s` counts the time in which nothing at all was connected to it."""

    def __init__(self, person: Callee, rate_hz: int, *, recorded: bool, stereo: bool) -> None:
        self.person = person
        self.rate_hz = rate_hz
        self.party: Party | None = None
        self.silent_s = 0.0
        self.on_frame: Callable[[], None] | None = None
        self._audio = AudioFormat(Encoding.PCM16, rate_hz)
        self._silence = self._audio.silence(self._audio.frame_bytes)
        self._prompt: Prompt | None = None
        self._recorded: tuple[list[bytes], list[bytes]] | None = ([], []) if recorded else None
        self._stereo = stereo
        self._over = False

    def tick(self, due: float) -> None:
        """20 ms pass."""
        spoken = self.person.speak_frame()
        if self._over:
            return
        if self.party is not None:
            self.party.send(spoken)
        heard = self._hear()
        self.person.hear_frame(heard)
        if self._recorded is not None:
            self._recorded[0].append(spoken)
            self._recorded[1].append(heard)
        if self.on_frame is not None:
            self.on_frame()

    def say(self, prompt: Prompt) -> None:
        """Speak to the person; a prompt that is being spoken is cut short."""
        self._end_prompt(played_completely=False)
        self._prompt = prompt

    def close(self) -> None:
        """The call is over."""
        self._over = True
        self._end_prompt(played_completely=False)
        self.party = None
        self.person.hung_up()

    def recording(self) -> bytes | None:
        """A WAV file, stereo (the person left, what was heard right) or both in one; None when nothing was recorded."""
        if self._recorded is None:
            return None
        left, right = (b"".join(side) for side in self._recorded)
        if not self._stereo:
            both = _mixed(left, right)
            return header(self.rate_hz, 1, len(both)) + both
        stereo = interleave(left, right)
        return header(self.rate_hz, 2, len(stereo)) + stereo

    def _hear(self) -> bytes:
        arrived = self.party.take() if self.party is not None else None
        prompt = self._prompt
        if prompt is not None:
            frame = prompt.pcm[prompt.position : prompt.position + len(self._silence)]
            prompt.position += len(frame)
            if prompt.position >= len(prompt.pcm):
                self._end_prompt(played_completely=True)
            return frame.ljust(len(self._silence), b"\0")
        if self.party is None:
            self.silent_s += FRAME_MS / 1000
        if arrived is None:
            return self._silence
        return arrived[: len(self._silence)].ljust(len(self._silence), b"\0")

    def _end_prompt(self, *, played_completely: bool) -> None:
        if self._prompt is not None:
            prompt, self._prompt = self._prompt, None
            prompt.over(self._audio.ms_for_bytes(prompt.position), played_completely)


def _mixed(left: bytes, right: bytes) -> bytes:
    """Both sides in one channel."""
    both = np.frombuffer(left, "<i2").astype(np.int32) + np.frombuffer(right, "<i2")
    mixed: bytes = np.clip(both, -32768, 32767).astype("<i2").tobytes()
    return mixed


class Pipe:
    """Joins two telephones: what one sends the other takes, through at most 200 ms."""

    def __init__(self) -> None:
        self.other: Pipe | None = None
        self._frames: deque[bytes] = deque(maxlen=_PIPE_FRAMES)

    @classmethod
    def pair(cls) -> tuple["Pipe", "Pipe"]:
        """Both ends."""
        left, right = cls(), cls()
        left.other, right.other = right, left
        return left, right

    def send(self, frame: bytes) -> None:
        """Give the other end a frame."""
        if self.other is not None:
            self.other.deliver(frame)

    def deliver(self, frame: bytes) -> None:
        """Get a frame from the other end."""
        self._frames.append(frame)

    def take(self) -> bytes | None:
        """The next frame, None for silence."""
        return self._frames.popleft() if self._frames else None
