"""The post-call webhook from the simulated platform to the adapter: signed, repeated, early, lost, forged."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from callwright.domain.errors import WebhookRejected
from callwright.integrations.elevenlabs.conftest import Build, Talk
from callwright.integrations.elevenlabs.simulator import ElevenLabsSimulator
from callwright.integrations.elevenlabs.voice_agents import ElevenLabsVoiceAgents
from callwright.ports.operations import Health, SetupPlan
from callwright.ports.voice_agent import ConversationResult, ResultState
from callwright.ports.webhook import WebhookRequest
from callwright.simulation.faults import Fault, FaultKind, Faults
from callwright.simulation.server import SimulatorServer
from callwright.simulation.traffic import Traffic

Eventually = Callable[..., Awaitable[None]]
WEBHOOK = "webhook post_call_transcription"


class Mailbox:
    """Where the platform's webhooks arrive; hands them to the adapter as the API does."""

    def __init__(self, agents: ElevenLabsVoiceAgents) -> None:
        self.agents = agents
        self.base_url = ""
        self.results: list[ConversationResult] = []
        self.refused: list[str] = []
        self.status = 200

    async def receive(self, request: Request) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = request.url.path.removeprefix("/webhooks/elevenlabs/")
        arrived = WebhookRequest("POST", path, dict(request.query_params), headers, await request.body())
        await self.agents.load_secrets()
        try:
            self.results += self.agents.webhook(arrived)
        except WebhookRejected as error:
            self.refused.append(error.reason)
            return Response(status_code=401)
        return Response(status_code=self.status)


@pytest.fixture
async def mailbox(agents: ElevenLabsVoiceAgents) -> AsyncIterator[Mailbox]:
    mailbox = Mailbox(agents)
    route = Route("/webhooks/elevenlabs/post-call", mailbox.receive, methods=["POST"])
    server = SimulatorServer(Starlette(routes=[route]), Faults(), Traffic("mailbox"))
    await server.start()
    mailbox.base_url = server.base_url
    await agents.setup(SetupPlan(server.base_url, "", "main", ("agent_demo",), apply=True))
    yield mailbox
    await server.stop()


async def converse(talk: Talk) -> str:
    """A conversation that ends as soon as it has begun; answers its id."""
    call = await talk()
    async with asyncio.timeout(5):
        while call.ready is None:
            await asyncio.sleep(0.005)
    call.hang_up()
    await call.finished()
    return call.ready.conversation_id


async def test_results_arrive_and_are_those_that_are_read(
    talk: Talk, mailbox: Mailbox, agents: ElevenLabsVoiceAgents, eventually: Eventually
) -> None:
    conversation_id = await converse(talk)
    await eventually(lambda: mailbox.results)
    assert mailbox.results == [await agents.result(conversation_id)]
    assert mailbox.results[0].state is ResultState.READY


async def test_results_arrive_twice(
    talk: Talk, mailbox: Mailbox, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    simulator.faults.add(Fault(WEBHOOK, FaultKind.REPEAT))
    await converse(talk)
    await eventually(lambda: len(mailbox.results) == 2)
    assert mailbox.results[0] == mailbox.results[1]


async def test_results_arrive_before_they_can_be_read(
    talk: Talk,
    mailbox: Mailbox,
    simulator: ElevenLabsSimulator,
    agents: ElevenLabsVoiceAgents,
    eventually: Eventually,
) -> None:
    simulator.faults.add(Fault(WEBHOOK, FaultKind.CUSTOM, detail="before_done"))
    simulator.faults.add(Fault("socket", FaultKind.CUSTOM, detail="results_stuck"))
    conversation_id = await converse(talk)
    await eventually(lambda: mailbox.results)
    assert mailbox.results[0].state is ResultState.READY
    assert (await agents.result(conversation_id)).state is ResultState.PENDING


async def test_forged_results_are_refused(
    talk: Talk, mailbox: Mailbox, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    simulator.faults.add(Fault(WEBHOOK, FaultKind.CORRUPT))
    await converse(talk)
    await eventually(lambda: mailbox.refused)
    assert (mailbox.refused, mailbox.results) == (["bad_signature"], [])


async def test_results_that_get_lost_can_still_be_read(
    talk: Talk,
    mailbox: Mailbox,
    simulator: ElevenLabsSimulator,
    agents: ElevenLabsVoiceAgents,
    eventually: Eventually,
) -> None:
    simulator.faults.add(Fault(WEBHOOK, FaultKind.LOSE))
    conversation_id = await converse(talk)
    await eventually(lambda: simulator.traffic.named("post_call_transcription"))
    assert mailbox.results == []
    assert (await agents.result(conversation_id)).state is ResultState.READY


async def test_a_webhook_that_we_could_not_take_is_repeated(
    talk: Talk, mailbox: Mailbox, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    mailbox.status = 503
    await converse(talk)
    await eventually(lambda: len(simulator.traffic.named("post_call_transcription")) == 2)
    assert [item.status for item in simulator.traffic.named("post_call_transcription")] == [503, 503]
    assert mailbox.results[0] == mailbox.results[1]


async def test_a_failed_delivery_is_a_line_of_check(
    talk: Talk, mailbox: Mailbox, simulator: ElevenLabsSimulator, build: Build, eventually: Eventually
) -> None:
    (hook,) = simulator.webhooks.values()
    hook.retry = False
    mailbox.status = 500
    await converse(talk)
    await eventually(lambda: simulator.traffic.named("post_call_transcription"))
    (line,) = [line for line in await build(mailbox.base_url).check() if line.name == "webhook"]
    assert line.health is Health.WARNING
    assert line.detail.endswith("its latest failed delivery got 500")
