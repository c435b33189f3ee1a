"""Each manner of person, driven frame by frame as a carrier's simulator does."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from callwright.simulation import speech
from callwright.simulation.people import Manner, Person, PersonScript, Phonebook, RingOutcome
from callwright.simulation.recogniser import HearingReport, Recogniser
from callwright.simulation.world import World

NUMBER = "+447700900123"
RATE = 8000
FRAME = RATE // 50 * 2


class Call:
    """One answered call: what the far side says goes in, what the person says and does comes out."""

    def __init__(self, rate_hz: int = RATE, **script: Any) -> None:
        self.person = Phonebook({NUMBER: script}).person(NUMBER)
        self.frame = rate_hz // 50 * 2
        self.rate_hz = rate_hz
        self.ears = Recogniser(rate_hz)
        self.now_ms = 0
        self.hung_up_at: int | None = None
        self.digits: list[tuple[int, str]] = []
        self.person.answer(
            rate_hz, self._note_hang_up, lambda digit: self.digits.append((self.now_ms, digit))
        )

    def _note_hang_up(self) -> None:
        assert self.hung_up_at is None
        self.hung_up_at = self.now_ms

    def run(
        self, pcm: bytes = b"", *, quiet_s: float = 0.0, until: Callable[[], bool] | None = None
    ) -> "Call":
        pcm += bytes(int(quiet_s * 50) * self.frame)
        for start in range(0, len(pcm), self.frame):
            self.now_ms += 20
            self.ears.feed(self.person.speak_frame())
            self.person.hear_frame(pcm[start : start + self.frame].ljust(self.frame, b"\0"))
            if until is not None and until():
                break
        return self

    def say(self, text: str, *, quiet_s: float = 3.0) -> "Call":
        return self.run(speech.say(text, self.rate_hz), quiet_s=quiet_s)

    def report(self) -> HearingReport:
        self.ears.finish()
        return self.ears.report()


@pytest.mark.parametrize(
    "manner, outcome, rings",
    [
        (Manner.ANSWERS, RingOutcome.ANSWERED, True),
        (Manner.SILENT, RingOutcome.ANSWERED, True),
        (Manner.HANGS_UP_AT_ONCE, RingOutcome.ANSWERED, True),
        (Manner.VOICEMAIL, RingOutcome.ANSWERED, True),
        (Manner.NO_ANSWER, RingOutcome.NO_ANSWER, True),
        (Manner.BUSY, RingOutcome.BUSY, False),
        (Manner.REJECTS, RingOutcome.REJECTED, True),
        (Manner.INVALID, RingOutcome.INVALID, False),
        (Manner.UNREACHABLE, RingOutcome.UNREACHABLE, False),
        (Manner.BLOCKED, RingOutcome.BLOCKED, False),
    ],
)
def test_how_it_rings(manner: Manner, outcome: RingOutcome, rings: bool) -> None:
    person = Phonebook({NUMBER: {"manner": str(manner)}}).person(NUMBER)
    plan = person.ring()
    assert (plan.outcome, plan.rings) == (outcome, rings)
    assert plan.after_ms > 0
    assert person.is_machine == (manner is Manner.VOICEMAIL)
    if outcome is not RingOutcome.ANSWERED:
        with pytest.raises(ValueError, match="does not answer"):
            person.answer(RATE)
    timed = Phonebook({NUMBER: {"manner": manner, "answer_after_ms": 40}}).person(NUMBER)
    assert timed.ring().after_ms == 40


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
def test_a_person_greets_hears_and_replies(rate_hz: int) -> None:
    call = Call(rate_hz, replies=[{"when": "how many", "say": "Three boxes."}], otherwise="I see.")
    call.run(quiet_s=1.5).say("This is a call about your order.").say("HOW many boxes do you want?")
    report = call.report()
    assert report.texts == call.person.said == ["Hello?", "I see.", "Three boxes."]
    assert report.faults == report.incomplete == 0
    assert report.utterances[0].start_ms == pytest.approx(300, abs=21)
    assert call.person.report().texts == ["This is a call about your order.", "HOW many boxes do you want?"]


def test_the_first_matching_reply_counts_and_wears_out() -> None:
    replies = [
        {"when": "boxes", "say": "What?", "times": 1},
        {"when": "boxes|bags", "say": "Five."},
    ]
    call = Call(replies=replies, greeting=None)
    call.say("How many boxes?").say("How many boxes?").say("How many boxes?").say("And bags?")
    assert call.person.said == ["What?", "Five.", "Five.", "Five."]


def test_a_pause_within_a_turn_is_waited_for() -> None:
    call = Call(
        greeting=None, replies=[{"when": "one.*two", "say": "Both."}], otherwise="Only one.", think_ms=800
    )
    call.say("Here is one.", quiet_s=0.5).say("And here is two.")
    assert call.person.said == ["Both."]


def test_a_reply_comes_after_thinking() -> None:
    call = Call(greeting=None, think_ms=1000).say("Hello there.", quiet_s=4)
    reply, end = call.report().utterances[0], call.person.report().utterances[0].end_ms
    assert 1000 <= reply.start_ms - end <= 1150


def test_thinking_times_vary_by_seed_alone() -> None:
    def start(seed: int) -> float:
        person = Phonebook({NUMBER: {"greeting": None, "think_jitter_ms": 900}}, seed).person(NUMBER)
        call = Call(greeting=None)
        call.person = person
        person.answer(RATE)
        return call.say("Hello there.", quiet_s=4).report().utterances[0].start_ms

    assert start(1) == start(1)
    assert len({start(seed) for seed in range(4)}) > 1


def test_digits_are_pressed_one_by_one() -> None:
    call = Call(greeting=None, replies=[{"when": "press", "digits": "42#", "say": None}])
    call.say("Please press your code.")
    assert [digit for _, digit in call.digits] == ["4", "2", "#"]
    times = [at for at, _ in call.digits]
    assert {later - earlier for earlier, later in itertools.pairwise(times)} <= {240, 260}
    assert (call.person.pressed, call.person.said) == ("42#", [])


def test_an_interruption_begins_within_the_utterance_once() -> None:
    text = "I would like to tell you about our many wonderful products and all of their features."
    script: dict[str, Any] = {
        "greeting": None,
        "interrupts": [{"say": "Stop, please.", "after_ms": 1500, "when": "wonderful"}],
    }
    call = Call(**script)
    call.say(text, quiet_s=0)
    assert call.person.said == ["Stop, please."]
    begun = call.report().utterances[0].start_ms
    assert 1500 < begun < 65 * len(text)
    assert begun >= 65 * text.index("wonderful")


def test_an_interrupted_utterance_gets_no_reply_but_what_follows_does() -> None:
    call = Call(
        greeting=None, interrupts=[{"say": "Wait a moment, please, I am in the kitchen."}], otherwise="Fine."
    )
    pcm = speech.say("I would like to tell you about our many wonderful products.", RATE)
    call.run(pcm[: 16 * 1500], quiet_s=4)
    assert call.person.said == ["Wait a moment, please, I am in the kitchen."]
    assert not call.person.report().utterances[0].complete
    call.say("Are you back?")
    assert call.person.said[-1] == "Fine."


def test_hanging_up_after_replies_goodbye_or_a_pattern() -> None:
    call = Call(greeting=None, hang_up_after=2).say("One.").say("Two.")
    assert call.hung_up_at is not None
    assert call.person.said == ["Yes.", "Yes."]
    call = Call(greeting=None).say("Thank you and goodbye.")
    assert call.hung_up_at is not None
    assert call.person.said == []
    call = Call(greeting=None, hang_up_when="money", replies=[{"when": "money", "say": "Never!"}]).say(
        "Give me money."
    )
    assert call.hung_up_at is not None
    assert call.person.said == ["Never!"]
    assert call.report().utterances[0].clean


def test_patience_ends_with_silence_and_not_while_somebody_speaks() -> None:
    call = Call(patience_s=3.0).run(quiet_s=6)
    assert call.hung_up_at == pytest.approx(300 + 600 + 3000, abs=700)
    call = Call(patience_s=3.0, greeting=None, otherwise=None)
    call.say("A sentence that takes rather longer than three seconds to say, all in all.", quiet_s=2)
    assert call.hung_up_at is None


def test_hanging_up_at_once() -> None:
    call = Call(manner="hangs_up_at_once", hang_up_delay_ms=200).run(quiet_s=1)
    assert call.hung_up_at == 200
    assert call.report().utterances == ()
    assert not call.person.on_line
    assert call.person.speak_frame() == bytes(FRAME)


def test_a_silent_person_says_nothing_but_hears() -> None:
    call = Call(manner="silent").run(quiet_s=1).say("Is anybody there?").say("Goodbye.")
    assert call.person.said == []
    assert not call.report().sounds
    assert call.person.report().texts == ["Is anybody there?", "Goodbye."]
    assert call.hung_up_at is not None


def test_a_voicemail_greets_beeps_records_and_ends() -> None:
    call = Call(manner="voicemail", record_s=5.0, greeting="Leave a message.").run(quiet_s=2.2)
    message = "This is a message, goodbye."
    call.say(message, quiet_s=6)
    report = call.report()
    assert report.texts == ["Leave a message."]
    assert len(report.sounds) + len(report.utterances) == 1  # the beep follows without a pause
    assert call.person.report().texts == [message]
    assert call.hung_up_at == pytest.approx(300 + report.utterances[0].end_ms - 300 + 500 + 5000, abs=60)


def test_a_voicemail_has_a_greeting_of_its_own() -> None:
    assert "voicemail" in (PersonScript.from_dict({"manner": "voicemail"}).greeting or "")


def test_the_other_side_may_hang_up_at_any_time() -> None:
    call = Call().run(quiet_s=0.5)
    call.person.hung_up()
    call.person.hung_up()
    call.run(quiet_s=1).say("Too late.")
    assert call.hung_up_at is None
    assert call.person.report().texts == []


def test_lost_frames_are_seen_in_the_report() -> None:
    call = Call(greeting=None)
    pcm = speech.say("How many boxes do you want?", RATE)
    call.run(pcm[:6400] + pcm[6720:], quiet_s=2)
    assert call.person.report().faults > 0
    assert call.person.report().incomplete == 1


def test_several_calls_to_one_number_have_states_of_their_own() -> None:
    book = Phonebook({NUMBER: [{"manner": "busy"}, {"greeting": "Hello?", "replies": []}]})
    first, second, third = (book.person(NUMBER) for _ in range(3))
    assert first.ring().outcome is RingOutcome.BUSY
    second.answer(RATE)
    third.answer(RATE)
    for _ in range(20):
        second.speak_frame()
    assert (second.said, third.said) == (["Hello?"], [])
    assert (book.called(NUMBER), book.calls(NUMBER)) == (3, [first, second, third])
    with pytest.raises(ValueError, match="does not answer this call"):
        second.answer(RATE)


def test_unknown_numbers_are_answered_and_a_star_answers_for_them() -> None:
    assert Phonebook().person(NUMBER).ring().outcome is RingOutcome.ANSWERED
    assert Phonebook({"*": {"manner": "invalid"}}).person(NUMBER).ring().outcome is RingOutcome.INVALID


def test_a_phonebook_remembers_a_bounded_number_of_calls() -> None:
    book = Phonebook()
    for _ in range(50):
        book.person(NUMBER)
    assert (book.called(NUMBER), len(book.calls(NUMBER))) == (50, 20)


def test_a_world_has_one_phonebook_that_follows_its_people() -> None:
    world = World(people={NUMBER: {"manner": "busy"}})
    assert Phonebook.of(world) is Phonebook.of(world)
    assert Phonebook.of(world).person(NUMBER).ring().outcome is RingOutcome.BUSY
    world.people[NUMBER] = {"manner": "rejects"}
    assert Phonebook.of(world).person(NUMBER).ring().outcome is RingOutcome.REJECTED


@pytest.mark.parametrize(
    "script",
    [
        {"maner": "busy"},
        {"manner": "angry"},
        {"replies": [{"when": "("}]},
        {"replies": [{"wenn": "x"}]},
        {"interrupts": [{}]},
        {"hang_up_when": "["},
    ],
)
def test_bad_scripts_are_refused(script: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"person's script|Manner"):
        PersonScript.from_dict(script)
    with pytest.raises(ValueError, match=r"^\+447700900123: "):
        Phonebook({"*": {}, NUMBER: [{}, script]}).validate()


async def test_prepared_speech_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    person: Person = Phonebook({NUMBER: {"greeting": "A greeting said once only."}}).person(NUMBER)
    await asyncio.wait_for(person.prepare(RATE), 10)
    monkeypatch.setattr(speech.Speaker, "_piece", None)  # anything not at hand would fail
    person.answer(RATE)
    frames = [person.speak_frame() for _ in range(40)]
    assert np.frombuffer(b"".join(frames), "<i2").any()


def test_frames_before_answering_are_nothing() -> None:
    person = Phonebook().person(NUMBER)
    person.hear_frame(bytes(FRAME))
    person.hung_up()
    assert person.report().heard_ms == 0
    assert not person.on_line
