"""Platforms of voice agents: tickets, whole conversations in real audio, results, and tidying up."""

import json
from datetime import UTC, datetime

from callwright.domain.errors import VendorAmbiguous, VendorBusy, VendorRefused, VendorUnreachable
from callwright.domain.events import Speaker
from callwright.ports.voice_agent import (
    AgentClosed,
    AgentFailed,
    AgentHangsUp,
    AgentInterrupted,
    ResultState,
    Said,
    ToolCalled,
)
from callwright.simulation.faults import Fault, FaultKind
from tests.contracts.agents_stage import BUDGET, CALL_BACK, COOPERATIVE, FIRST_MESSAGE, AgentsStage, Talk

UNKNOWN = "conversation-that-never-was"
OFTEN = 20


def opened(agents: AgentsStage) -> int:
    """How many websocket messages the platform got."""
    return sum(item.kind == "ws" and item.direction == "in" for item in agents.simulator.traffic.exchanges)


async def test_a_ticket_is_got_without_opening_anything(agents: AgentsStage) -> None:
    await agents.set_up()
    ticket = await agents.prepare()
    assert ticket.expires_at > datetime.now(UTC)
    assert json.loads(json.dumps(ticket.data)) == ticket.data, "the ticket is stored as JSON"
    assert ticket.conversation_id is None or ticket.conversation_id
    assert opened(agents) == 0, "a platform that is opened begins to speak"
    assert agents.agents.problems(agents.definition()) == []


async def test_nobody_is_called_without_quota(agents: AgentsStage) -> None:
    await agents.set_up()
    for row in agents.sample().get("no_quota"):
        agents.fault(Fault(kind=FaultKind.STATUS, times=OFTEN, **row))
    error = await agents.failure(agents.agents.prepare(agents.start()))
    assert isinstance(error, VendorRefused)
    assert error.vendor == agents.spec.name


async def test_what_a_failed_preparation_means(agents: AgentsStage) -> None:
    await agents.set_up()
    for fault, kinds in (
        (Fault("", FaultKind.STATUS, OFTEN, status=400), (VendorRefused,)),
        (Fault("", FaultKind.STATUS, OFTEN, status=401), (VendorRefused,)),
        (Fault("", FaultKind.STATUS, OFTEN, status=404), (VendorRefused,)),
        (Fault("", FaultKind.STATUS, OFTEN, status=429, headers={"Retry-After": "70"}), (VendorBusy,)),
        (Fault("", FaultKind.STATUS, OFTEN, status=500), (VendorAmbiguous, VendorUnreachable)),
        (Fault("", FaultKind.STATUS, OFTEN, status=200, body="<html>"), (VendorAmbiguous, VendorUnreachable)),
        (Fault("", FaultKind.DROP_BEFORE, OFTEN), (VendorAmbiguous, VendorUnreachable)),
    ):
        agents.fault(fault)
        error = await agents.failure(agents.another().prepare(agents.start()))
        assert isinstance(error, kinds), f"{fault.kind} {fault.status}: {error!r}"
        if isinstance(error, VendorBusy):
            assert error.retry_after_s == 70
        agents.simulator.faults.clear()
    assert opened(agents) == 0


async def test_questions_are_asked_and_answers_come_back(agents: AgentsStage) -> None:
    await agents.set_up()
    talk = await agents.talk(COOPERATIVE)
    ready = talk.ready
    assert ready is not None
    assert {str(ready.input), str(ready.output)} <= set(agents.spec.audio_formats)
    await agents.until(lambda: talk.verdict, "end of the conversation")

    assert talk.early == [], "something was heard before the conversation was open"
    assert isinstance(talk.verdict, AgentClosed)
    assert len(talk.of(AgentHangsUp)) == 1, "the agent ends the call by itself, told once"
    heard = talk.person.report()
    assert (heard.texts[0], heard.faults, heard.incomplete) == (FIRST_MESSAGE, 0, 0)
    assert talk.said(Speaker.AGENT) == heard.texts, "what the agent says is what it is heard to say"
    assert talk.said(Speaker.PERSON)[-1] == "Yes, of course."
    assert talk.rejected == []

    found, _ = await agents.final_result(ready.conversation_id)
    assert (found.state, found.conversation_id) == (ResultState.READY, ready.conversation_id)
    assert found.collected == {"budget": 1200.0, "callback": True}
    assert len(found.transcript) == len(found.transcript_ms)
    lines = [line.text for line in found.transcript if line.speaker is Speaker.PERSON]
    assert lines == talk.said(Speaker.PERSON)
    await agents.until(lambda: agents.results, "results by webhook")
    assert agents.results == [found], "the webhook brings what polling brings"
    agents.assert_no_violations()


async def test_results_are_pending_before_they_are_ready(agents: AgentsStage) -> None:
    await agents.set_up()
    talk = await agents.talk({"manner": "silent"})
    assert talk.ready is not None
    await agents.until(lambda: talk.of(Said), "first word of the agent")
    talk.hang_up()
    await agents.until(lambda: talk.verdict, "end of the conversation")
    found, before = await agents.final_result(talk.ready.conversation_id)
    assert ResultState.PENDING in before, "nothing else tells that results are still to come"
    assert found.state is ResultState.READY
    assert set(found.collected) == {"budget", "callback"}
    assert set(found.collected.values()) == {None}, "what was not found is None"


async def test_the_person_may_interrupt(agents: AgentsStage) -> None:
    await agents.set_up()
    interrupts = [{"say": "300 euros.", "after_ms": 500, "when": "What"}]
    talk = await agents.talk({"interrupts": interrupts, "hang_up_when": None})
    await agents.until(lambda: talk.of(AgentInterrupted), "interruption")
    await agents.until(lambda: CALL_BACK in " ".join(talk.person.report().texts), "next question")
    assert BUDGET not in talk.said(Speaker.AGENT), "what was not said is corrected"
    assert talk.person.report().faults == 0, "speech that was interrupted was played later"


async def test_a_tool_is_called_and_its_answer_taken(agents: AgentsStage) -> None:
    await agents.set_up()
    talk = await agents.talk({"otherwise": "Let me talk to a human.", "hang_up_when": None})
    await agents.until(lambda: talk.of(ToolCalled), "tool call")
    (call,) = talk.of(ToolCalled)
    assert (call.name, call.tool_call_id != "") == ("transfer_to_human", True)
    before = len(talk.said(Speaker.AGENT))
    talk.send(talk.protocol.tool_result(call.tool_call_id, "nobody is there", is_error=True))
    await agents.until(lambda: len(talk.said(Speaker.AGENT)) > before, "word about the tool's answer")
    agents.assert_no_violations()


async def test_the_agent_is_told_something_in_mid_call(agents: AgentsStage) -> None:
    await agents.set_up()
    talk = await agents.talk({"manner": "silent"})
    update = talk.protocol.context_update("first_name: Bea", "first_name")
    sent = opened(agents)
    if update is not None:
        talk.send(update)
        await agents.until(lambda: opened(agents) > sent, "context update at the platform")
    assert talk.verdict is None
    agents.assert_no_violations()


async def test_what_the_platform_does_not_know_is_gone(agents: AgentsStage) -> None:
    await agents.set_up()
    assert (await agents.agents.result(UNKNOWN)).state is ResultState.GONE
    await agents.agents.delete(UNKNOWN)


async def test_a_conversation_is_deleted_once_and_again_without_harm(agents: AgentsStage) -> None:
    await agents.set_up()
    talk = await ended(agents)
    assert talk.ready is not None
    conversation = talk.ready.conversation_id
    await agents.final_result(conversation)
    await agents.agents.delete(conversation)
    assert (await agents.agents.result(conversation)).state is ResultState.GONE
    await agents.agents.delete(conversation)


async def test_a_conversation_that_cannot_be_had_fails_with_its_reason(agents: AgentsStage) -> None:
    await agents.set_up()
    first, second = await agents.prepare(), await agents.prepare()
    assert first.data != second.data, "a ticket admits one conversation"
    protocol = agents.agents.open(first, agents.start())
    assert isinstance(protocol.closed(None, ""), AgentFailed)


async def test_errors_do_not_repeat_the_secrets_that_a_vendor_tells(agents: AgentsStage) -> None:
    await agents.set_up()
    body = {"detail": " ".join(sorted(agents.credentials()))}
    for status in (400, 401, 500):
        agents.fault(Fault("", FaultKind.STATUS, OFTEN, status=status, body=body))
        await agents.failure(agents.another().prepare(agents.start()))
        await agents.failure(agents.agents.result("conv_1"))
        await agents.failure(agents.agents.delete("conv_1"))
        agents.simulator.faults.clear()


async def ended(agents: AgentsStage) -> Talk:
    """A short conversation that is over."""
    talk = await agents.talk({"manner": "silent"})
    await agents.until(lambda: talk.of(Said), "first word of the agent")
    talk.hang_up()
    await agents.until(lambda: talk.verdict, "end of the conversation")
    return talk
