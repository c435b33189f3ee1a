"""A steady playout, its pacer and a call's streams on a simulated clock, so that time is exact and free."""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from callwright.domain.audio import PCM_16K
from callwright.media.counts import AudioCounts
from callwright.media.metrics import MediaMetrics
from callwright.media.pacer import TICK_S, Pacer
from callwright.media.playout import FRAME_S, LISTEN_EVERY, Playout

FRAME = PCM_16K.frame_bytes
SILENCE = bytes(FRAME)
_START = 1000.0


def speech(number: int) -> bytes:
    """A loud frame that carries its number."""
    return number.to_bytes(4, "little") + b"\x10\x40" * (FRAME // 2 - 2)


def number_of(frame: bytes) -> int:
    """The number of a frame of speech."""
    return int.from_bytes(frame[:4], "little")


@dataclass
class Writer:
    """A carrier's socket that keeps what is written and when."""

    clock: Callable[[], float]
    marks: bool = False
    paused: bool = False
    sent: list[tuple[float, bytes]] = field(default_factory=list)
    cleared: int = 0
    asked: list[str] = field(default_factory=list)

    def audio_writer(self) -> Callable[[bytes], None]:
        return lambda payload: self.sent.append((self.clock(), payload))

    def send_clear(self) -> None:
        self.cleared += 1

    def send_mark(self, name: str) -> bool:
        if self.marks:
            self.asked.append(name)
        return self.marks

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.sent]

    @property
    def gaps_ms(self) -> list[float]:
        return [(later - earlier) * 1000 for earlier, later in itertools.pairwise(self.times)]

    @property
    def spoken(self) -> list[tuple[float, int]]:
        """Time and number of the frames of speech."""
        return [(at, number_of(frame)) for at, frame in self.sent if frame.strip(b"\0")]


class Stage:
    """Runs events in order of time. In a freeze nothing runs; what should have, runs at its end."""

    def __init__(self, kind: Callable[..., Playout], *, marks: bool = False) -> None:
        self.now = _START
        self.counts = AudioCounts()
        self.first_frames = 0
        self.pacer = Pacer(lambda: self.now, MediaMetrics(CollectorRegistry()))
        self.playout = kind(PCM_16K, 60.0, self.counts, self._first, lambda: self.now)
        self.writer = Writer(lambda: self.now, marks)
        self.arrived: dict[int, float] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._freezes: list[tuple[float, float]] = []

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """Something that happens so many seconds after the start."""
        heapq.heappush(self._events, (_START + seconds, next(self._order), act))

    def join(self) -> None:
        """The carrier's socket is there, now."""
        self.playout.attach(self.writer, self.now)
        self.pacer.add(self.playout)

    def inbound(
        self, seconds: float, *, phase: float = 0.0, every: float = FRAME_S, jitter: float = 0.0
    ) -> None:
        """The person's frames for so long."""
        dice = random.Random(3)
        for index in range(int(seconds / every)):
            at = phase + index * every + (dice.uniform(-jitter, jitter) if jitter else 0.0)
            self.at(max(at, 0.0), lambda fifth=index % LISTEN_EVERY == 0: self._person(fifth))  # type: ignore[misc]  # a default binds the loop's variable

    def say(self, at: float, *frames: bytes) -> None:
        """A chunk of agent audio arrives; speech in it is remembered with its time."""

        def push() -> None:
            for frame in frames:
                if frame.strip(b"\0"):
                    self.arrived.setdefault(number_of(frame), self.now)
            self.playout.push(b"".join(frames))

        self.at(at, push)

    def freeze(self, at: float, seconds: float) -> None:
        """The process stands still."""
        self._freezes.append((_START + at, _START + at + seconds))

    def run(self, seconds: float) -> None:
        """Play everything up to so many seconds after the start."""
        for tick in range(int(seconds / TICK_S)):
            self.at(tick * TICK_S, lambda: self.pacer.run(self.now))
        end = _START + seconds
        while self._events and self._events[0][0] <= end:
            at, _, act = heapq.heappop(self._events)
            for begins, ends in self._freezes:
                if begins <= at < ends:
                    at = ends
            self.now = max(self.now, at)
            act()
        self.now = end
        self.pacer.close()

    def delays_ms(self, since: float = 0.0) -> list[float]:
        """From the arrival of each frame of speech to its leaving, for those that arrived since a moment."""
        return [
            (at - self.arrived[number]) * 1000
            for at, number in self.writer.spoken
            if self.arrived[number] >= _START + since
        ]

    def _person(self, fifth: bool) -> None:
        """What a bridge does for the playout when a frame of the person arrives."""
        if fifth:
            self.playout.follow(self.now)
        if self.now >= self.playout.wants_at:
            self.playout.inbound(self.now)

    def _first(self) -> None:
        self.first_frames += 1
