"""Platforms of voice agents: whose webhooks are believed, and that results come by them."""

from dataclasses import replace

import pytest

from callwright.domain.errors import WebhookRejected
from callwright.ports.voice_agent import ResultState
from callwright.ports.webhook import WebhookRequest
from callwright.simulation.faults import Fault, FaultKind
from tests.contracts import forgery
from tests.contracts.agents_stage import AgentsStage
from tests.contracts.test_voice_agents import ended


async def arrivals(agents: AgentsStage) -> list[WebhookRequest]:
    """Genuine webhooks about a short conversation."""
    await agents.set_up()
    await ended(agents)
    await agents.until(lambda: agents.results, "results by webhook")
    assert not agents.doorway.refused, "genuine webhooks are refused"
    return list(agents.doorway.arrived)


async def test_the_webhook_brings_results(agents: AgentsStage) -> None:
    await arrivals(agents)
    (pushed,) = agents.results
    assert pushed.state is ResultState.READY
    polled, _ = await agents.final_result(pushed.conversation_id)
    assert pushed.collected == polled.collected


async def test_a_webhook_without_proof_is_refused(agents: AgentsStage) -> None:
    for request in await arrivals(agents):
        for forge in forgery.ALL:
            refuse(agents, forge(request), forge.__name__)
        refuse(agents, replace(request, body=request.body + b" "), "a longer body")
        refuse(agents, replace(request, body=request.body.replace(b"0", b"1")), "another body")


async def test_a_malformed_body_is_refused_and_never_breaks_anything(agents: AgentsStage) -> None:
    request = (await arrivals(agents))[0]
    for body in (b"", b"{", b"null", b"7", b"[null]", b"\xff\xfe"):
        refuse(agents, replace(request, body=body), repr(body))


async def test_repeats_are_known_by_their_conversation(agents: AgentsStage) -> None:
    await agents.set_up()
    agents.fault(Fault("webhook ", FaultKind.REPEAT, times=50))
    await ended(agents)
    await agents.until(lambda: len(agents.results) > 1, "second copy of the results")
    assert len({result.conversation_id for result in agents.results}) == 1
    assert agents.results[0] == agents.results[1]


async def test_another_process_believes_the_same_webhooks(agents: AgentsStage) -> None:
    for request in await arrivals(agents):
        other = agents.another()
        await other.load_secrets()
        assert other.webhook(request) == agents.agents.webhook(request)


def refuse(agents: AgentsStage, request: WebhookRequest, what: str) -> None:
    """Expect that a webhook is refused, with a word by which refusals are counted."""
    with pytest.raises(WebhookRejected) as caught:
        pytest.fail(f"{what} was taken: {agents.agents.webhook(request)}")
    assert caught.value.reason
