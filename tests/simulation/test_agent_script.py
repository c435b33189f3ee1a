import pytest

from callwright.simulation import agent_script
from callwright.simulation.agent_script import AgentScript, Question, ToolCall, Value, extract

QUESTIONS = [
    Question("interested", "Are you interested, {{name}}?", "boolean"),
    Question("boxes", "How many boxes?", "integer"),
    Question("colour", "Red, blue or dark blue?", "string", ("red", "blue", "dark blue")),
    Question("note", "Anything else?", "string"),
]


def script() -> AgentScript:
    return AgentScript("Hello {{name}}{{unknown}}!", QUESTIONS, "Goodbye {{name}}.", {"name": "Ann"})


def test_it_asks_one_question_after_another_and_ends() -> None:
    agent = script()
    assert agent.opening() == "Hello Ann!"
    says = [
        agent.heard(text, complete=True)
        for text in ("Hello?", "Yes, I am.", "About 12.", "Dark blue", "No, thanks")
    ]
    assert [turn.say for turn in says] == [
        "Are you interested, Ann?",
        "Thank you. How many boxes?",
        "Thank you. Red, blue or dark blue?",
        "Thank you. Anything else?",
        "Thank you. Goodbye Ann.",
    ]
    assert [turn.end_call for turn in says] == [False, False, False, False, True]
    assert agent.collected() == {"interested": True, "boxes": 12, "colour": "dark blue", "note": "No, thanks"}
    assert agent.summary().startswith("4 of 4 questions were answered: interested = True, boxes = 12")
    assert agent.heard("Bye", complete=True) == agent_script.Turn(end_call=True)


def test_it_asks_again_twice_and_then_goes_on() -> None:
    agent = script()
    agent.heard("Hello?", complete=True)
    agent.heard("Yes", complete=True)
    for text in ("Some.", ""):
        turn = agent.heard(text, complete=True)
        assert turn.say == f"{agent_script.NOT_UNDERSTOOD} How many boxes?"
    assert agent.heard("Many.", complete=True).say == "Never mind. Red, blue or dark blue?"
    assert agent.collected()["boxes"] is None


def test_a_damaged_text_is_asked_for_again_but_a_number_is_taken() -> None:
    agent = script()
    for text, complete in (("Hello?", True), ("yes", False), (" … twelve, no 14", False), ("blue", True)):
        turn = agent.heard(text, complete=complete)
    assert agent.collected()["boxes"] == 14
    turn = agent.heard("Please ring at the … ", complete=False)
    assert turn.say is not None
    assert turn.say.startswith(agent_script.NOT_UNDERSTOOD)


@pytest.mark.parametrize("text", ["Sorry?", "What?", "Could you repeat that?", "Say it again please"])
def test_asking_back_is_no_answer(text: str) -> None:
    agent = AgentScript("Hi", [Question("note", "Anything?")], "Bye.", {})
    agent.heard("Hello", complete=True)
    assert not agent.heard(text, complete=True).end_call
    assert agent.collected() == {"note": None}


@pytest.mark.parametrize(
    "text",
    [
        "Do not call me again!",
        "Please don't call me",
        "stop calling",
        "Take me off your list",
        "Remove my number.",
    ],
)
def test_opting_out_ends_the_call_at_any_time(text: str) -> None:
    agent = script()
    agent.heard("Hello?", complete=True)
    turn = agent.heard(text, complete=True)
    assert (turn.say, turn.end_call) == (agent_script.OPTED_OUT, True)
    assert agent.opted_out
    assert "does not want to be called again" in agent.summary()


@pytest.mark.parametrize(
    "text", ["I want to speak to a human", "Can I talk with a real person", "transfer me to someone"]
)
def test_a_wish_for_a_human_calls_the_tool_and_the_script_goes_on(text: str) -> None:
    agent = script()
    agent.heard("Hello?", complete=True)
    turn = agent.heard(text, complete=True)
    assert turn.tool == ToolCall("transfer_to_human", {"reason": text})
    assert not turn.end_call
    assert agent.wants_human
    assert agent.heard("Yes", complete=True).say == "Thank you. How many boxes?"


def test_who_is_not_interested_is_left_in_peace() -> None:
    agent = script()
    agent.heard("Hello?", complete=True)
    assert agent.heard("I'm not interested.", complete=True).end_call


def test_words_cut_off_by_a_greeting_are_said_again_once() -> None:
    agent = script()
    agent.opening()
    agent.interrupted()
    assert agent.heard("Hello?", complete=True).say == "Hello Ann!"
    assert agent.heard("Hello?", complete=True).say == "Are you interested, Ann?"


def test_silence_is_asked_into_twice() -> None:
    agent = script()
    turns = [agent.silence() for _ in range(3)]
    assert [turn.end_call for turn in turns] == [False, False, True]
    assert agent.silence().say is None


def test_variables_may_change_on_the_way() -> None:
    agent = script()
    agent.update_variables({"name": "Bob"})
    assert agent.heard("Hello?", complete=True).say == "Are you interested, Bob?"


def test_without_questions_it_says_goodbye() -> None:
    turn = AgentScript("Hi", [], "Goodbye.", {}).heard("Hello", complete=True)
    assert turn == agent_script.Turn("Goodbye.", end_call=True)


@pytest.mark.parametrize(
    "kind, text, value",
    [
        ("boolean", "Yes please", True),
        ("boolean", "Of course not", False),
        ("boolean", "I do not", False),
        ("boolean", "No, yes I mean", False),
        ("boolean", "Perhaps", None),
        ("integer", "It is 1,200 boxes", 1200),
        ("integer", "minus one", None),
        ("integer", "-3 degrees", -3),
        ("integer", "2.5", None),
        ("integer", "room B12", None),
        ("number", "About 2.5.", 2.5),
        ("number", "7", 7.0),
        ("number", "none", None),
        ("string", "  Green. ", "Green."),
        ("string", "", None),
    ],
)
def test_values_are_found_in_words(kind: str, text: str, value: Value | None) -> None:
    assert extract(Question("x", "?", kind), text) == value


def test_choices_are_whole_words_and_the_longest_counts() -> None:
    question = Question("x", "?", "string", ("Red", "Blue", "Dark blue"))
    assert extract(question, "dark BLUE, not red") == "Dark blue"
    assert extract(question, "I am bored") is None


def test_an_unknown_type_is_an_error() -> None:
    with pytest.raises(ValueError, match="has type date"):
        extract(Question("x", "?", "date"), "tomorrow")
