"""Whole conversations over real sockets, in real audio: nobody gets words except from what arrived."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from callwright.domain.audio import PCM_8K, ULAW_8K
from callwright.domain.events import Speaker
from callwright.integrations.elevenlabs.conftest import Call, Talk
from callwright.integrations.elevenlabs.simulator import Conversation, ElevenLabsSimulator
from callwright.integrations.elevenlabs.voice_agents import ElevenLabsVoiceAgents
from callwright.ports.voice_agent import (
    AgentClosed,
    AgentFailed,
    AgentFault,
    AgentHangsUp,
    AgentInterrupted,
    AgentReady,
    ConversationResult,
    Hearing,
    ResultState,
    Said,
    SpeechLevel,
    ToolCalled,
)
from callwright.simulation.faults import Fault, FaultKind

Eventually = Callable[..., Awaitable[None]]

COOPERATIVE = {
    "replies": [
        {"when": "budget", "say": "About 1200 euros."},
        {"when": "call back", "say": "Yes, of course."},
    ],
    "hang_up_when": None,
}


async def results(agents: ElevenLabsVoiceAgents, call: Call) -> ConversationResult:
    """Ask until the analysis is done."""
    assert call.ready is not None
    async with asyncio.timeout(10):
        while True:
            found = await agents.result(call.ready.conversation_id)
            if found.state is not ResultState.PENDING:
                return found
            await asyncio.sleep(0.02)


def record(simulator: ElevenLabsSimulator, call: Call) -> Conversation:
    """The platform's own record of a call."""
    assert call.ready is not None
    return simulator.conversations[call.ready.conversation_id]


def lines(call: Call, speaker: Speaker) -> list[str]:
    """What one side said, with corrections in place."""
    said = {event.key: event for event in call.of(Said)}
    return [event.text for event in said.values() if event.speaker is speaker]


async def test_questions_are_asked_and_answers_come_back(
    talk: Talk, simulator: ElevenLabsSimulator, agents: ElevenLabsVoiceAgents
) -> None:
    call = await talk(COOPERATIVE)
    assert await call.finished() == AgentClosed("the agent ended the call")
    assert call.of(AgentHangsUp) == [AgentHangsUp("the agent ended the call")]

    spoken = [
        "Hello Ann, this is Ada.",
        "What is your budget?",
        "Thank you. May we call back?",
        "Thank you. Thank you Ann, goodbye.",
    ]
    answered = ["Yes.", "About 1200 euros.", "Yes, of course."]
    heard = call.person.report()
    assert (heard.texts, heard.faults, heard.incomplete) == (spoken, 0, 0), "also the goodbye is played out"
    assert lines(call, Speaker.AGENT) == spoken
    assert lines(call, Speaker.PERSON) == answered
    assert call.of(Hearing)
    assert {event.score for event in call.of(SpeechLevel)} == {0.95, 0.05}

    found = await results(agents, call)
    conversation = record(simulator, call)
    assert conversation.hearing is not None
    assert conversation.hearing.texts == ["Hello?", *answered]
    assert (conversation.hearing.faults, conversation.hearing.incomplete) == (0, 0)
    assert conversation.pings > 10
    assert conversation.pongs in {conversation.pings, conversation.pings - 1}

    assert found.state is ResultState.READY
    assert found.collected == {"budget": 1200.0, "callback": True}
    assert [line.text for line in found.transcript if line.speaker is Speaker.PERSON] == answered
    assert found.successful is True
    assert found.cost["credits"] > 0
    assert simulator.traffic.violations == []
    await agents.delete(found.conversation_id)
    assert (await agents.result(found.conversation_id)).state is ResultState.GONE


async def test_an_interruption_stops_the_agent_and_corrects_what_it_said(
    talk: Talk, simulator: ElevenLabsSimulator, agents: ElevenLabsVoiceAgents, eventually: Eventually
) -> None:
    question = "What is your budget for the coming year, if I may ask you that?"
    simulator.agents["agent_demo"].platform_settings["data_collection"]["budget"]["description"] = question
    script = {"interrupts": [{"say": "300 euros.", "after_ms": 500, "when": "What"}], "hang_up_when": None}
    call = await talk(script)
    await eventually(lambda: call.of(AgentInterrupted), within_s=15)
    await eventually(lambda: "300 euros." in lines(call, Speaker.PERSON))
    call.hang_up()
    await call.finished()
    found = await results(agents, call)
    (correction,) = [event for event in call.of(Said) if event.interrupted]
    assert question.startswith(correction.text)
    assert correction.text != question
    conversation = record(simulator, call)
    assert conversation.interruptions == 1
    assert [line.message for line in conversation.transcript if line.interrupted] == [correction.text]
    assert call.person.report().faults == 0, "a chunk that came late was not played"
    assert found.collected == {"budget": 300.0, "callback": None}
    assert simulator.traffic.violations == []


@pytest.mark.parametrize("name", ["ulaw_8000", "pcm_8000", "pcm_24000"])
async def test_audio_in_every_format_is_understood(
    talk: Talk, simulator: ElevenLabsSimulator, eventually: Eventually, name: str
) -> None:
    config = simulator.agents["agent_demo"].conversation_config
    config["asr"]["user_input_audio_format"] = config["tts"]["agent_output_audio_format"] = name
    call = await talk()
    await eventually(lambda: "Yes." in lines(call, Speaker.PERSON), within_s=10)
    assert call.ready is not None
    assert str(call.ready.input) == str(call.ready.output) == name
    assert call.person.report().texts == ["Hello Ann, this is Ada."]
    assert call.person.report().faults == 0
    assert simulator.traffic.violations == []


async def test_the_two_directions_may_differ_and_the_metadata_count(
    talk: Talk, simulator: ElevenLabsSimulator
) -> None:
    simulator.agents["agent_demo"].conversation_config["asr"]["user_input_audio_format"] = "ulaw_8000"
    await _ready(mixed := await talk())
    simulator.faults.add(Fault("socket", FaultKind.CUSTOM, detail="format_pcm_8000"))
    await _ready(other := await talk())
    assert mixed.ready is not None
    assert (mixed.ready.input, str(mixed.ready.output)) == (ULAW_8K, "pcm_16000")
    assert other.ready is not None
    assert (other.ready.input, other.ready.output) == (PCM_8K, PCM_8K)


async def _ready(call: Call) -> None:
    async with asyncio.timeout(5):
        while call.ready is None:
            await asyncio.sleep(0.005)


async def test_a_person_who_wants_a_human_gets_one_or_an_excuse(
    talk: Talk, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    call = await talk({"otherwise": "Let me talk to a human.", "hang_up_when": None})
    await eventually(lambda: call.of(ToolCalled), within_s=15)
    (tool,) = call.of(ToolCalled)
    assert (tool.name, tool.parameters) == ("transfer_to_human", {"reason": "Let me talk to a human."})
    assert lines(call, Speaker.AGENT)[-1] == "One moment please, I am connecting you."
    call.answer_tools("nobody is there", is_error=True)
    await eventually(lambda: lines(call, Speaker.AGENT)[-1] == "I am sorry, nobody is available right now.")
    (line,) = [line for line in record(simulator, call).transcript if line.tool_calls]
    assert line.tool_results[0]["result_value"] == "nobody is there"
    assert simulator.traffic.violations == []


async def test_a_tool_of_our_own_is_called_and_answered(
    talk: Talk, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    call = await talk({"manner": "silent"})
    await eventually(lambda: call.of(Said))
    assert call.ready is not None
    identifier = simulator.call_tool(call.ready.conversation_id, "free_slots", {"day": "mon"})
    await eventually(lambda: call.of(ToolCalled))
    assert call.of(ToolCalled) == [ToolCalled(str(identifier), "free_slots", {"day": "mon"})]
    call.answer_tools('["10:00"]')
    await eventually(lambda: any(line.tool_results for line in record(simulator, call).transcript))
    assert simulator.traffic.violations == []


async def test_a_changed_variable_reaches_the_agent_in_mid_call(
    talk: Talk, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    call = await talk({"replies": [{"when": "Ada", "say": "I am not interested."}]})
    questions = simulator.agents["agent_demo"].platform_settings["data_collection"]
    questions.clear()
    await eventually(lambda: call.of(Said))
    call.send(call.protocol.context_update("first_name: Bea", "first_name"))
    await eventually(lambda: record(simulator, call).updates)
    assert record(simulator, call).updates == [{"text": "first_name: Bea", "context_id": "first_name"}]
    assert record(simulator, call).variables["first_name"] == "Bea"


async def test_silence_is_asked_about_and_then_ended(talk: Talk, simulator: ElevenLabsSimulator) -> None:
    simulator.agents["agent_demo"].conversation_config["turn"]["turn_timeout"] = 0.3
    call = await talk({"manner": "silent"})
    assert isinstance(await call.finished(), AgentClosed)
    asked = lines(call, Speaker.AGENT)
    assert asked[1:] == ["Are you still there?", "Are you still there?", "I cannot hear you. Goodbye."]


async def test_unknown_and_malformed_messages_do_no_harm(
    talk: Talk, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    simulator.faults.add(Fault("socket", FaultKind.CUSTOM, detail="unknown_messages"))
    simulator.faults.add(Fault("socket", FaultKind.CUSTOM, detail="malformed_messages"))
    first, second = await talk(), await talk()
    for call in (first, second):
        await eventually(lambda call=call: "Yes." in lines(call, Speaker.PERSON), within_s=10)
    assert first.rejected == []
    assert set(second.rejected) == {"malformed"}
    assert simulator.traffic.violations == []


async def test_a_person_who_hangs_up_leaves_what_was_said(
    talk: Talk, simulator: ElevenLabsSimulator, agents: ElevenLabsVoiceAgents
) -> None:
    call = await talk({"manner": "hangs_up_at_once", "hang_up_delay_ms": 600})
    await call.finished()
    found = await results(agents, call)
    conversation = record(simulator, call)
    assert (conversation.closed_by, conversation.termination_reason) == ("client", "User ended conversation")
    (line,) = conversation.transcript
    assert line.interrupted
    assert "Hello Ann, this is Ada.".startswith(str(line.message))
    assert (found.state, found.collected) == (ResultState.READY, {"budget": None, "callback": None})


@pytest.mark.parametrize(
    "detail, fault, words",
    [
        ("refuse_3000_quota", AgentFault.QUOTA, "before anybody spoke: 3000: [quota_exceeded]"),
        ("refuse_3000_unknown", AgentFault.REFUSED, "ELEVENLABS_BASE_URL"),
        ("close_1002_mid", AgentFault.OPERATIONAL, "1002 llm_timeout"),
        ("error_flat_mid", AgentFault.QUOTA, "1002: received 1002"),
        ("drop_mid", AgentFault.LOST, "the connection broke"),
    ],
)
async def test_failures_are_told_apart(
    talk: Talk, simulator: ElevenLabsSimulator, detail: str, fault: AgentFault, words: str
) -> None:
    simulator.faults.add(Fault("socket", FaultKind.CUSTOM, detail=detail, seconds=0.5))
    verdict = await (await talk()).finished(10)
    assert isinstance(verdict, AgentFailed)
    assert verdict.fault is fault
    assert words in verdict.detail


async def test_a_missing_variable_and_a_forbidden_override(
    talk: Talk, simulator: ElevenLabsSimulator, agents: ElevenLabsVoiceAgents
) -> None:
    flags = simulator.agents["agent_demo"].platform_settings["overrides"]["conversation_config_override"]
    flags["tts"]["voice_id"] = False
    verdict = await (await talk(voice_id="v1")).finished(5)
    assert isinstance(verdict, AgentFailed)
    assert verdict.fault is AgentFault.BAD_INPUT
    assert "Override for field 'voice_id' is not allowed" in verdict.detail
    simulator.agents["agent_demo"].conversation_config["agent"]["first_message"] = "Hi {{nick}}"
    verdict = await (await talk()).finished(5)
    assert verdict == AgentFailed(
        AgentFault.BAD_INPUT, "1008 missing_dynamic_variable: Missing required dynamic variables: nick"
    )
    failed = list(simulator.conversations.values())[-1]
    found = await agents.result(failed.conversation_id)
    assert found.state is ResultState.FAILED
    assert found.failure.startswith("1008 call_initialization_error: Missing required")


async def test_overrides_take_effect(talk: Talk, eventually: Eventually) -> None:
    call = await talk(first_message="Good day {{first_name}}.")
    await eventually(lambda: call.of(Said))
    assert call.of(Said)[0].text == "Good day Ann."


async def test_a_ticket_is_good_once(talk: Talk, simulator: ElevenLabsSimulator) -> None:
    call = await talk()
    again = Call(call.protocol, call.person)
    await again.connect()
    verdict = await again.finished(5)
    assert isinstance(verdict, AgentFailed)
    assert verdict.fault is AgentFault.REFUSED


async def test_results_that_come_late_or_never(
    talk: Talk, simulator: ElevenLabsSimulator, agents: ElevenLabsVoiceAgents, eventually: Eventually
) -> None:
    simulator.faults.add(Fault("socket", FaultKind.CUSTOM, detail="results_stuck"))
    simulator.faults.add(Fault("socket", FaultKind.CUSTOM, detail="results_404_first", data={"times": 2}))
    stuck, hidden = await talk(), await talk()
    await _ready(stuck)
    await _ready(hidden)
    for call in (stuck, hidden):
        call.hang_up()
        await call.finished()
    await eventually(lambda: record(simulator, hidden).status == "done")
    assert hidden.ready is not None
    states = [(await agents.result(hidden.ready.conversation_id)).state for _ in range(3)]
    assert states == [ResultState.GONE, ResultState.GONE, ResultState.READY]
    assert stuck.ready is not None
    assert (await agents.result(stuck.ready.conversation_id)).state is ResultState.PENDING


async def test_many_conversations_at_once_keep_apart(
    talk: Talk, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    calls = [await talk({"otherwise": f"Number {number}."}) for number in range(8)]
    for number, call in enumerate(calls):
        await eventually(
            lambda call=call, number=number: f"Number {number}." in lines(call, Speaker.PERSON), within_s=15
        )
    assert [call.person.report().faults for call in calls] == [0] * 8
    assert len({replace(event, input=PCM_8K) for call in calls for event in call.of(AgentReady)}) == 8
    assert simulator.traffic.violations == []
