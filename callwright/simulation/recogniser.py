"""Speech recognition of the pretend world: it understands the in-band code that truly arrived, nothing else."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from callwright.audio.inband import Heard, Listener
from callwright.audio.levels import rms_dbfs

SPEECH_DBFS: Final = -42.0
"""Level above which 20 ms of audio are sound; speech of `say` lies at about -18."""

STARTS_AFTER_MS: Final = 40
ENDS_AFTER_MS: Final = 300

_WINDOW_MS = 20


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Sound began at `at_ms` of the stream; known 40 ms later."""

    at_ms: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Sound ended at `at_ms` of the stream; known 300 ms later."""

    at_ms: float


@dataclass(frozen=True, slots=True)
class Partial:
    """What is understood so far of the utterance under way, which began at `start_ms`."""

    text: str
    start_ms: float


Utterance = Heard
"""An utterance has ended: whole, or cut short."""

Event = SpeechStarted | SpeechEnded | Partial | Utterance


@dataclass(frozen=True, slots=True)
class HearingReport:
    """All that was heard of one direction of one call; `sounds` are spans in ms that carried no words."""

    utterances: tuple[Utterance, ...]
    sounds: tuple[tuple[float, float], ...]
    heard_ms: float

    @property
    def texts(self) -> list[str]:
        """What was understood, utterance by utterance."""
        return [utterance.text for utterance in self.utterances]

    @property
    def faults(self) -> int:
        """Faults of all utterances together; being cut short is none."""
        return sum(len(utterance.faults) for utterance in self.utterances)

    @property
    def incomplete(self) -> int:
        """How many utterances did not arrive whole."""
        return sum(not utterance.complete for utterance in self.utterances)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "utterances": [asdict(utterance) for utterance in self.utterances],
            "sounds": [list(span) for span in self.sounds],
            "heard_ms": self.heard_ms,
            "faults": self.faults,
            "incomplete": self.incomplete,
        }


class Recogniser:
    """Listens to one direction of one call; fed with PCM16 at `rate_hz`, in chunks of any size."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._listener = Listener(rate_hz)
        self._window_bytes = 2 * rate_hz * _WINDOW_MS // 1000
        self._position = 0
        self._sound_ms = 0.0
        self._started_at: float | None = None
        self._last_sound_ms = 0.0
        self._blocks_reported = 0
        self._blocks_before = 0
        self._utterances: list[Utterance] = []
        self._sounds: list[tuple[float, float]] = []

    @property
    def now_ms(self) -> float:
        """Milliseconds of audio heard."""
        return self._position * 1000 / (2 * self._rate_hz)

    @property
    def sounding(self) -> bool:
        """Whether somebody or something is heard now."""
        return self._started_at is not None

    def feed(self, pcm: bytes) -> list[Event]:
        """Take audio; answers what it brought. Raises ValueError for a torn sample."""
        events: list[Event] = []
        for start in range(0, len(pcm), self._window_bytes):
            events += self._gate(pcm[start : start + self._window_bytes])
        ended = self._listener.feed(pcm)
        if self._listener.blocks_heard > self._blocks_reported:
            self._blocks_reported = self._listener.blocks_heard
            current = self._listener.so_far()
            if current is not None:
                events.append(Partial(current.text, current.start_ms))
        self._utterances += ended
        events += ended
        return events

    def finish(self) -> list[Event]:
        """The stream has ended: answers what was still being said."""
        ended = self._listener.finish()
        self._utterances += ended
        events: list[Event] = [*ended]
        if self._started_at is not None:
            events.append(self._end_sound())
        return events

    def report(self) -> HearingReport:
        """What was heard up to now."""
        return HearingReport(tuple(self._utterances), tuple(self._sounds), self.now_ms)

    def _gate(self, window: bytes) -> list[Event]:
        """The energy gate: sound begins with 40 ms of it and ends with 300 ms without."""
        loud = rms_dbfs(window) > SPEECH_DBFS
        begin = self.now_ms
        self._position += len(window)
        self._sound_ms = self._sound_ms + self.now_ms - begin if loud else 0.0
        if loud:
            self._last_sound_ms = self.now_ms
        if self._started_at is None and self._sound_ms >= STARTS_AFTER_MS:
            self._started_at = self.now_ms - self._sound_ms
            self._blocks_before = self._listener.blocks_heard
            return [SpeechStarted(self._started_at)]
        if self._started_at is not None and self.now_ms - self._last_sound_ms >= ENDS_AFTER_MS:
            return [self._end_sound()]
        return []

    def _end_sound(self) -> SpeechEnded:
        if self._started_at is not None and self._listener.blocks_heard == self._blocks_before:
            self._sounds.append((self._started_at, self._last_sound_ms))
        self._started_at = None
        return SpeechEnded(self._last_sound_ms)
