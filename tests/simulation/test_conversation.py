"""A person and the scripted agent hold whole conversations through audio alone: frames in a loop, no event loop."""

from collections.abc import Callable
from typing import Any

import pytest

from callwright.audio.convert import converter
from callwright.domain.audio import PCM_8K, PCM_16K, ULAW_8K
from callwright.simulation import speech
from callwright.simulation.agent_script import AgentScript, Question, ToolCall, Turn
from callwright.simulation.people import Phonebook
from callwright.simulation.recogniser import HearingReport, Recogniser, SpeechStarted, Utterance

NUMBER = "+447700900123"
QUESTIONS = [
    Question("satisfied", "Are you satisfied with your order, {{name}}?", "boolean"),
    Question("boxes", "How many boxes shall we send next month?", "integer"),
    Question("colour", "Which colour would you like, red or blue?", "string", ("red", "blue")),
    Question("note", "Is there anything else we should know?", "string"),
]
REPLIES = [
    {"when": "satisfied", "say": "Yes, very much."},
    {"when": "how many boxes", "say": "Please send 12."},
    {"when": "colour", "say": "Blue, I think."},
    {"when": "anything else", "say": "Ring at the back door."},
]
ANSWERS = {"satisfied": True, "boxes": 12, "colour": "blue", "note": "Ring at the back door."}


class Agent:
    """A hosted agent in small: ears, a mouth that yields when interrupted, and the script between them."""

    def __init__(self) -> None:
        self.script = AgentScript(
            "Hello {{name}}, this is a test call.", QUESTIONS, "Thank you, goodbye.", {"name": "Ann"}
        )
        self.ears = Recogniser(PCM_16K.rate_hz)
        self.tools: list[ToolCall] = []
        self.interrupted = 0
        self.ends = False
        self._mouth = bytes(PCM_16K.bytes_for_ms(1200)) + speech.say(self.script.opening(), PCM_16K.rate_hz)

    def frame(self, heard: bytes) -> bytes:
        for event in self.ears.feed(heard):
            match event:
                case SpeechStarted() if self._mouth:
                    self._mouth = b""
                    self.interrupted += 1
                    self.script.interrupted()
                case Utterance():
                    self._take(self.script.heard(event.text, complete=event.complete))
        said, self._mouth = self._mouth[: PCM_16K.frame_bytes], self._mouth[PCM_16K.frame_bytes :]
        return said.ljust(PCM_16K.frame_bytes, b"\0")

    @property
    def done(self) -> bool:
        return self.ends and not self._mouth

    def _take(self, turn: Turn) -> None:
        self.ends = turn.end_call
        if turn.tool is not None:
            self.tools.append(turn.tool)
        if turn.say:
            self._mouth = bytes(PCM_16K.bytes_for_ms(300)) + speech.say(turn.say, PCM_16K.rate_hz)


class Conversation:
    """A call over a mu-law line; `damage` sees every frame to the person by number and may alter or drop it."""

    def __init__(self, damage: Callable[[int, bytes], bytes] | None = None, **script: Any) -> None:
        self.agent = Agent()
        self.person = Phonebook({NUMBER: {"greeting": None} | script}).person(NUMBER)
        self.hung_up = False
        self.digits = ""
        self.seconds = 0.0
        self._damage = damage
        self.person.answer(PCM_8K.rate_hz, self._note_hang_up, self._note_digit)

    def hold(self, limit_s: int = 120) -> "Conversation":
        steps = [(PCM_16K, ULAW_8K), (ULAW_8K, PCM_8K), (PCM_8K, ULAW_8K), (ULAW_8K, PCM_16K)]
        down, down_line, up_line, up = (converter(src, dst) for src, dst in steps)
        assert down
        assert down_line
        assert up_line
        assert up
        heard = bytes(PCM_16K.frame_bytes)
        for number in range(limit_s * 50):
            said = down_line(down(self.agent.frame(heard)))
            self.person.hear_frame(self._damage(number, said) if self._damage else said)
            heard = up(up_line(self.person.speak_frame()))
            self.seconds = (number + 1) / 50
            if self.hung_up or (self.agent.done and not self.person.on_line):
                break
        self.person.hung_up()
        self.agent.ears.finish()
        return self

    @property
    def heard_by_agent(self) -> HearingReport:
        return self.agent.ears.report()

    def _note_hang_up(self) -> None:
        self.hung_up = True

    def _note_digit(self, digit: str) -> None:
        self.digits += digit


def test_a_whole_conversation_collects_every_answer() -> None:
    call = Conversation(replies=REPLIES).hold()
    assert call.agent.script.collected() == ANSWERS
    assert call.heard_by_agent.texts == call.person.said
    assert call.heard_by_agent.faults == call.person.report().faults == 0
    assert call.person.report().incomplete == call.agent.interrupted == 0
    assert call.person.report().texts[0] == "Hello Ann, this is a test call."
    assert call.person.report().texts[-1] == "Thank you. Thank you, goodbye."
    assert call.hung_up
    assert 20 < call.seconds < 60


def test_the_same_conversation_is_the_same_to_the_frame() -> None:
    first, second = (Conversation(replies=REPLIES, think_jitter_ms=500).hold() for _ in range(2))
    assert first.person.report() == second.person.report()
    assert first.heard_by_agent == second.heard_by_agent


def test_an_answer_is_asked_for_again() -> None:
    replies = [{"when": "how many", "say": "A few.", "times": 1}, *REPLIES]
    call = Conversation(replies=replies).hold()
    assert call.agent.script.collected() == ANSWERS
    assert (
        "Sorry, I did not catch that. How many boxes shall we send next month?" in call.person.report().texts
    )


def test_an_interruption_leaves_the_prefix_and_the_talk_goes_on() -> None:
    call = Conversation(
        replies=REPLIES, interrupts=[{"when": "how many", "after_ms": 900, "say": "Please send 12."}]
    ).hold()
    assert call.agent.interrupted == 1
    assert call.agent.script.collected() == ANSWERS
    (cut,) = [utterance for utterance in call.person.report().utterances if not utterance.complete]
    assert "Thank you. How many boxes shall we send next month?".startswith(cut.text)
    assert 0 < len(cut.text) < 40
    assert (cut.faults, cut.gaps) == ((), ())


def test_opting_out_ends_the_call() -> None:
    call = Conversation(replies=[{"when": "satisfied", "say": "Do not call me again."}]).hold()
    assert call.agent.script.opted_out
    assert call.hung_up
    assert set(call.agent.script.collected().values()) == {None}


def test_asking_for_a_human_calls_the_tool() -> None:
    replies = [{"when": "satisfied", "say": "I want to speak to a human.", "times": 1}]
    call = Conversation(replies=replies, patience_s=5.0).hold()
    assert [tool.name for tool in call.agent.tools] == ["transfer_to_human"]


def test_a_person_who_speaks_at_once_interrupts_the_opening_and_hears_it_again() -> None:
    call = Conversation(replies=REPLIES, greeting="Hello?", greeting_after_ms=1800).hold()
    assert call.agent.interrupted == 1
    assert call.person.report().texts.count("Hello Ann, this is a test call.") == 1
    assert call.agent.script.collected() == ANSWERS


def test_keys_instead_of_words() -> None:
    call = Conversation(replies=[{"when": "how many", "digits": "12#"}, *REPLIES], patience_s=4.0).hold()
    assert call.digits == "12#"


@pytest.mark.parametrize("at_s", [1.3, 2.1, 2.74, 3.1])
def test_one_lost_frame_is_a_misunderstanding_that_shows(at_s: float) -> None:
    def lose(number: int, frame: bytes) -> bytes:
        return b"" if number == int(at_s * 50) else frame

    report = Conversation(lose, replies=REPLIES).hold().person.report()
    damaged = [utterance for utterance in report.utterances if not utterance.clean]
    assert len(damaged) == 1
    assert report.faults >= 1


def test_without_a_line_nobody_understands_anything() -> None:
    call = Conversation(lambda _, frame: bytes(len(frame)), greeting="Hello?", patience_s=4.0).hold(20)
    assert call.person.report().texts == []
    assert call.person.said == ["Hello?"]
