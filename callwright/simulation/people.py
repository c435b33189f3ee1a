"""Scripted people at the far end of phone lines, driven by the carrier simulator's 20 ms clock alone."""

import random
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from callwright.simulation import speech
from callwright.simulation.person_script import (
    Interruption,
    Manner,
    PersonScript,
    Reply,
    RingOutcome,
    RingPlan,
    matches,
)
from callwright.simulation.recogniser import (
    Event,
    HearingReport,
    Partial,
    Recogniser,
    SpeechStarted,
    Utterance,
)
from callwright.simulation.world import World

__all__ = ["FRAME_MS", "Manner", "Person", "PersonScript", "Phonebook", "RingOutcome", "RingPlan"]

FRAME_MS: Final = 20

_DIGIT_EVERY_MS = 250
_BEEP_HZ = 1000
_BEEP_PEAK = 10_000
_CALLS_KEPT = 20
_GREETS = frozenset({Manner.ANSWERS, Manner.VOICEMAIL})
_LISTENS = frozenset({Manner.ANSWERS, Manner.SILENT})


class Person:
    """One person on one call.

    A carrier's simulator rings, answers, and then every 20 ms takes a frame of what the person says and gives one of
    what the line delivers; both are PCM16 at the rate given to `answer`. Whoever hangs up ends it.
    """

    def __init__(self, e164: str, script: PersonScript, rng: random.Random) -> None:
        self.e164 = e164
        self.script = script
        self.said: list[str] = []
        """What the person has begun to say, in order."""
        self.pressed = ""
        """The digits pressed up to now."""
        self._random = rng
        self._rate_hz = 0
        self._on_line = False
        self._now = 0
        self._quiet_since = 0
        self._recogniser: Recogniser | None = None
        self._understood: list[str] = []
        self._partial: Partial | None = None
        self._turn_at: float | None = None
        self._hang_up_at: float | None = None
        self._record_until: float | None = None
        self._greeted = False
        self._replies = 0
        self._used: dict[Reply | Interruption, int] = {}
        self._speech: dict[str, bytes] = {}
        self._mouth = b""
        self._spoken = 0
        self._digits: deque[str] = deque()
        self._next_digit_at = 0
        self._tell_hang_up: Callable[[], None] = _ignore
        self._tell_digit: Callable[[str], None] = _ignore_digit

    @property
    def is_machine(self) -> bool:
        """Whether a machine answers."""
        return self.script.manner is Manner.VOICEMAIL

    @property
    def on_line(self) -> bool:
        """Whether the call was answered and nobody has hung up yet."""
        return self._on_line

    @property
    def speaking(self) -> bool:
        """Whether the person is saying something now."""
        return self._spoken < len(self._mouth)

    def ring(self) -> RingPlan:
        """What the line does when this number is called."""
        return self.script.ring()

    async def prepare(self, rate_hz: int) -> None:
        """Synthesise in a thread all that the person may say, so that `speak_frame` never waits for it."""
        await speech.prepare(self.script.texts(), rate_hz, self.script.voice)

    def answer(
        self,
        rate_hz: int,
        on_hang_up: Callable[[], None] | None = None,
        on_dtmf: Callable[[str], None] | None = None,
    ) -> None:
        """Pick up: audio is PCM16 at `rate_hz`. The callbacks come from within `speak_frame`.

        Raises ValueError when this person does not answer or has answered before.
        """
        if self.ring().outcome is not RingOutcome.ANSWERED or self._recogniser is not None:
            raise ValueError(f"{self.e164} ({self.script.manner}) does not answer this call")
        voice = self.script.voice
        self._speech = {text: speech.say(text, rate_hz, voice) for text in self.script.texts()}
        self._rate_hz = rate_hz
        self._recogniser = Recogniser(rate_hz)
        self._tell_hang_up = on_hang_up or _ignore
        self._tell_digit = on_dtmf or _ignore_digit
        self._on_line = True
        if self.script.manner is Manner.HANGS_UP_AT_ONCE:
            self._hang_up_at = self.script.hang_up_delay_ms

    def speak_frame(self) -> bytes:
        """The next 20 ms of the person's voice; silence when there is nothing to say or nobody on the line."""
        size = self._rate_hz * FRAME_MS // 1000 * 2
        if self._on_line:
            self._now += FRAME_MS
            self._act()
        frame = self._mouth[self._spoken : self._spoken + size]
        self._spoken += len(frame)
        return frame.ljust(size, b"\0")

    def hear_frame(self, pcm: bytes) -> None:
        """The next 20 ms that the line delivers; raises ValueError for a torn sample."""
        if self._recogniser is None or not self._on_line:
            return
        for event in self._recogniser.feed(pcm):
            self._perceive(event)
        if self._partial is not None and self.script.manner is Manner.ANSWERS:
            self._interrupt(self._partial, self._recogniser.now_ms)

    def hung_up(self) -> None:
        """The other side, or the carrier, has ended the call."""
        if self._on_line:
            self._leave()

    def report(self) -> HearingReport:
        """What the person heard and how well it arrived."""
        return HearingReport((), (), 0.0) if self._recogniser is None else self._recogniser.report()

    def _act(self) -> None:
        """Do what is due at this tick."""
        assert self._recogniser is not None
        if self.speaking or self._recogniser.sounding:
            self._quiet_since = self._now
        if self._digits and self._now >= self._next_digit_at:
            self.pressed += self._digits[0]
            self._next_digit_at = self._now + _DIGIT_EVERY_MS
            self._tell_digit(self._digits.popleft())
        if not self.speaking:
            self._greet()
        if self.speaking:
            if self._hang_up_at is not None:
                self._hang_up_at = self._now + self.script.hang_up_delay_ms
        elif self._turn_at is not None and self._now >= self._turn_at and not self._recogniser.sounding:
            self._reply()
        if self._has_enough():
            self._leave()
            self._tell_hang_up()

    def _has_enough(self) -> bool:
        if self._now - self._quiet_since >= self.script.patience_s * 1000:
            return True
        if self._record_until is not None and self._now >= self._record_until:
            return True
        return self._hang_up_at is not None and self._now >= self._hang_up_at and not self._digits

    def _greet(self) -> None:
        """Say the greeting when it is time; a voicemail adds the beep and records from then on."""
        if self._greeted or self._now < self.script.greeting_after_ms:
            return
        self._greeted = True
        if self.script.manner not in _GREETS:
            return
        if self.script.greeting:
            self._say(self.script.greeting)
        if self.is_machine:
            self._mouth += _beep(self._rate_hz, self.script.beep_ms)
            length_ms = len(self._mouth) * 500 / self._rate_hz
            self._record_until = self._now + length_ms + self.script.record_s * 1000

    def _perceive(self, event: Event) -> None:
        match event:
            case SpeechStarted():
                self._turn_at = None
            case Partial():
                self._partial = event
            case Utterance():
                self._partial = None
                if self.script.manner in _LISTENS and (event.complete or not self.speaking):
                    self._understood.append(event.text)
                    jitter = self._random.uniform(0, self.script.think_jitter_ms)
                    self._turn_at = self._now + self.script.think_ms + jitter

    def _interrupt(self, partial: Partial, now_ms: float) -> None:
        """Speak up in the middle of what the other side says, if the script has it so."""
        for item in self.script.interrupts:
            due = now_ms - partial.start_ms >= item.after_ms and matches(item.when, partial.text)
            if due and item not in self._used and not self.speaking:
                self._used[item] = 1
                self._say(item.say)

    def _reply(self) -> None:
        """Answer all that was understood since the last reply."""
        text = " ".join(self._understood)
        self._understood.clear()
        self._turn_at = None
        leaving = self.script.hang_up_when is not None and matches(self.script.hang_up_when, text)
        if self.script.manner is Manner.ANSWERS:
            reply = self._choose(text)
            if reply is not None:
                self._use(reply)
            elif self.script.otherwise and not leaving:
                self._use(Reply("", self.script.otherwise))
            leaving = leaving or self._replies == self.script.hang_up_after
        if leaving:
            self._hang_up_at = self._now + self.script.hang_up_delay_ms

    def _choose(self, text: str) -> Reply | None:
        for reply in self.script.replies:
            exhausted = reply.times is not None and self._used.get(reply, 0) >= reply.times
            if not exhausted and matches(reply.when, text):
                return reply
        return None

    def _use(self, reply: Reply) -> None:
        self._used[reply] = self._used.get(reply, 0) + 1
        self._replies += 1
        if reply.say:
            self._say(reply.say)
        self._digits.extend(reply.digits)
        self._next_digit_at = self._now + _DIGIT_EVERY_MS

    def _say(self, text: str) -> None:
        self.said.append(text)
        self._mouth = self._speech[text]
        self._spoken = 0

    def _leave(self) -> None:
        assert self._recogniser is not None
        self._on_line = False
        self._mouth, self._spoken, self._speech = b"", 0, {}
        self._digits.clear()
        self._recogniser.finish()


def _beep(rate_hz: int, length_ms: int) -> bytes:
    """The tone after which a voicemail records."""
    time = np.arange(rate_hz * length_ms // 1000) / rate_hz
    return np.asarray(_BEEP_PEAK * np.sin(2 * np.pi * _BEEP_HZ * time), "<i2").tobytes()


def _ignore() -> None:
    """Nobody wants to know that the person hung up."""


def _ignore_digit(digit: str) -> None:
    """Nobody wants to know the digit."""


class Phonebook:
    """Who answers which number, for every carrier of a world.

    `people` are raw scripts by E.164, read anew for every call. A script is a mapping, or a list of mappings for the
    first, second, ... call, of which the last stands for all later ones. Numbers without a script are answered by
    `*`, or else by a person who says yes to everything.
    """

    def __init__(
        self,
        people: Mapping[str, Mapping[str, Any] | Sequence[Mapping[str, Any]]] | None = None,
        seed: int = 0,
    ) -> None:
        self._people = people if people is not None else {}
        self._seed = seed
        self._counts: Counter[str] = Counter()
        self._calls: dict[str, deque[Person]] = {}

    @classmethod
    def of(cls, world: World) -> "Phonebook":
        """The one phonebook of a world, made on first use."""
        book = world.notes.setdefault("phonebook", cls(world.people, world.options.seed))
        assert isinstance(book, cls)
        return book

    def person(self, e164: str) -> Person:
        """Somebody for one new call to `e164`, with a state of their own; raises ValueError for a bad script."""
        script = self.script(e164)
        person = Person(e164, script, random.Random(f"{self._seed} {e164} {self._counts[e164]}"))
        self._counts[e164] += 1
        self._calls.setdefault(e164, deque(maxlen=_CALLS_KEPT)).append(person)
        return person

    def called(self, e164: str) -> int:
        """How often `person` was asked for this number."""
        return self._counts[e164]

    def calls(self, e164: str) -> list[Person]:
        """The persons of the latest 20 calls to a number, oldest first."""
        return list(self._calls.get(e164, ()))

    def validate(self) -> None:
        """Read every script; raises ValueError that names the number of the first bad one."""
        for e164, raw in self._people.items():
            for script in [raw] if isinstance(raw, Mapping) else raw:
                try:
                    PersonScript.from_dict(script)
                except ValueError as error:
                    raise ValueError(f"{e164}: {error}") from error

    def script(self, e164: str) -> PersonScript:
        """The script for the next call to a number; raises ValueError when it is not valid."""
        raw = self._people.get(e164, self._people.get("*", {}))
        if not isinstance(raw, Mapping):
            raw = raw[min(self._counts[e164], len(raw) - 1)]
        return PersonScript.from_dict(raw)
