"""The simulated platform, the adapter on it, and a call that joins the two with a scripted person."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast

import httpx2
import picows
import pytest
import stamina

from callwright.audio import g711
from callwright.domain.agent import AgentDefinition, parse_agent
from callwright.domain.audio import AudioFormat, Encoding
from callwright.domain.errors import WebhookRejected
from callwright.integrations.elevenlabs.session import ElevenLabsSession
from callwright.integrations.elevenlabs.settings import ElevenLabsSettings
from callwright.integrations.elevenlabs.simulator import ElevenLabsSimulator
from callwright.integrations.elevenlabs.voice_agents import ElevenLabsVoiceAgents
from callwright.ports.clock import SystemClock
from callwright.ports.voice_agent import (
    AgentAudio,
    AgentClosed,
    AgentEvent,
    AgentFailed,
    AgentInterrupted,
    AgentReady,
    ConversationStart,
    Reply,
    ToolCalled,
)
from callwright.registry import IntegrationContext
from callwright.simulation.people import Person, PersonScript
from callwright.simulation.world import AgentPlan, PlannedQuestion, World, WorldOptions

FRAME_S = 0.02
E164 = "+447700900123"
GOOD = {"type": "conversation_initiation_client_data", "dynamic_variables": {"first_name": "Ann"}}
SIGNED_URL = "/v1/convai/conversation/get-signed-url"
UNUSED: Any = None
"""Stands for stores that this integration has no use for."""


class Vault:
    """A SecretStore in memory."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str] = {}

    async def read(self, integration: str, key: str) -> str | None:
        """The value, or None."""
        return self.values.get((integration, key))

    async def write(self, integration: str, key: str, value: str) -> None:
        """Keep a value."""
        self.values[integration, key] = value

    async def delete(self, integration: str, key: str) -> None:
        """Forget a value."""
        self.values.pop((integration, key), None)


class Call(picows.WSListener):
    """What a bridge does, in the simplest way: 20 ms frames of a person to the agent, and the agent's audio back."""

    def __init__(self, protocol: ElevenLabsSession, person: Person) -> None:
        self.protocol = protocol
        self.person = person
        self.events: list[AgentEvent] = []
        self.rejected: list[str] = []
        self.ready: AgentReady | None = None
        self.verdict: AgentFailed | AgentClosed | None = None
        self.ended = asyncio.Event()
        self._queue = bytearray()
        self._close: tuple[int | None, str] = (None, "")
        self._transport: picows.WSTransport | None = None
        self._pacing: asyncio.Task[None] | None = None

    async def connect(self) -> "Call":
        """Open the socket; the protocol does the rest."""
        url, headers = self.protocol.connection()
        async with asyncio.timeout(5):
            self._transport, _ = await picows.ws_connect(lambda: self, url, extra_headers=headers)
        return self

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Send the opening."""
        self._transport = transport
        for message in self.protocol.opening():
            self.send(message)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Let the protocol understand, and count what it refuses."""
        if frame.msg_type is picows.WSMsgType.CLOSE:
            self._close = (
                int(cast("int", frame.get_close_code())),
                bytes(frame.get_close_message() or b"").decode(),
            )
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        is_text = frame.msg_type is picows.WSMsgType.TEXT
        try:
            result = self.protocol.receive(is_text, frame.get_payload_as_bytes())
        except WebhookRejected as error:
            self.rejected.append(error.reason)
            return
        if result is not None:
            self.take(result)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """Ask the protocol what the end means."""
        self.verdict = self.protocol.closed(*self._close)
        if self._pacing is not None:
            self._pacing.cancel()
        self.ended.set()

    def take(self, event: AgentEvent) -> None:
        """Do what a bridge does about an event."""
        if isinstance(event, AgentAudio):
            self._queue += event.payload
            return
        self.events.append(event)
        if isinstance(event, AgentInterrupted):
            self._queue.clear()
        elif isinstance(event, Reply):
            self.send(event.message)
        elif isinstance(event, AgentReady):
            self.ready = event
            self.person.answer(event.input.rate_hz, self.hang_up)
            self._pacing = asyncio.create_task(self._pace(event))

    def send(self, message: bytes) -> None:
        """Send one message of the protocol."""
        assert self._transport is not None
        self._transport.send(picows.WSMsgType.TEXT, message)

    def hang_up(self) -> None:
        """Close as a client does when the person has hung up."""
        assert self._transport is not None
        self._transport.send_close(picows.WSCloseCode.OK, b"User ended conversation")
        self._transport.disconnect()

    def answer_tools(self, result: str, *, is_error: bool = False) -> None:
        """Answer every tool call up to now."""
        for event in self.events:
            if isinstance(event, ToolCalled):
                self.send(self.protocol.tool_result(event.tool_call_id, result, is_error))

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of a kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    async def finished(self, within_s: float = 60.0) -> AgentFailed | AgentClosed:
        """What the end meant, once it is there."""
        async with asyncio.timeout(within_s):
            await self.ended.wait()
        assert self.verdict is not None
        return self.verdict

    async def _pace(self, ready: AgentReady) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self.send(self.protocol.audio_message(_to_wire(self.person.speak_frame(), ready.input)))
            size = ready.output.frame_bytes
            frame = bytes(self._queue[:size]).ljust(size, ready.output.silence(1))
            del self._queue[:size]
            self.person.hear_frame(_to_pcm(frame, ready.output))
            due += FRAME_S
            await asyncio.sleep(max(due - loop.time(), 0))


class Client(picows.WSListener):
    """A client that sends what it is told to and keeps what it gets."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.code: int | None = None
        self.reason = ""
        self.gone = asyncio.Event()
        self.transport: picows.WSTransport | None = None

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Keep the transport."""
        self.transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Keep the message, or how the platform closed."""
        if frame.msg_type is picows.WSMsgType.CLOSE:
            self.code = int(cast("int", frame.get_close_code()))
            self.reason = bytes(frame.get_close_message() or b"").decode()
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            self.messages.append(json.loads(frame.get_payload_as_bytes()))

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """Note that it is over."""
        self.gone.set()

    def send(self, message: dict[str, Any] | bytes, kind: picows.WSMsgType = picows.WSMsgType.TEXT) -> None:
        """Send a message, or bytes that need not be one."""
        assert self.transport is not None
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.transport.send(kind, payload)

    def hang_up(self) -> None:
        """Close in the ordinary way."""
        assert self.transport is not None
        self.transport.send_close(picows.WSCloseCode.OK, b"User ended conversation")
        self.transport.disconnect()

    def kinds(self) -> list[str]:
        """The types of the messages that came."""
        return [message["type"] for message in self.messages]

    async def closed(self) -> tuple[int | None, str]:
        """Code and reason, once it is closed."""
        async with asyncio.timeout(5):
            await self.gone.wait()
        return self.code, self.reason


class Customer:
    """Whoever uses the platform, with a key."""

    def __init__(self, simulator: ElevenLabsSimulator) -> None:
        environment = simulator.environment()
        headers = {"xi-api-key": environment["ELEVENLABS_API_KEY"]}
        self.http = httpx2.AsyncClient(
            base_url=environment["ELEVENLABS_BASE_URL"], headers=headers, trust_env=False
        )
        self.clients: list[Client] = []

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Status and decoded body of a request."""
        response = await self.http.request(method, path, **options)
        return response.status_code, response.json() if response.content else None

    async def url(self, agent_id: str = "agent_demo", *, named: bool = True) -> str:
        """A signed URL."""
        params = {"agent_id": agent_id, "include_conversation_id": str(named).lower()}
        _, body = await self.ask("GET", SIGNED_URL, params=params)
        return str(body["signed_url"])

    async def connect(self, url: str) -> Client:
        """Open a socket and say nothing."""
        _, client = await picows.ws_connect(Client, url)
        assert isinstance(client, Client)
        self.clients.append(client)
        return client

    async def talk(self, initiation: dict[str, Any] | None = None) -> Client:
        """Open a conversation."""
        client = await self.connect(await self.url())
        client.send(initiation or GOOD)
        return client

    async def leave(self) -> None:
        """Hang up everywhere."""
        for client in self.clients:
            if not client.gone.is_set():
                client.hang_up()
                await client.closed()
        await self.http.aclose()


def _to_wire(pcm: bytes, wire: AudioFormat) -> bytes:
    return g711.pcm_to_ulaw(pcm) if wire.encoding is Encoding.ULAW else pcm


def _to_pcm(payload: bytes, wire: AudioFormat) -> bytes:
    return g711.ulaw_to_pcm(payload) if wire.encoding is Encoding.ULAW else payload


PLAN = AgentPlan(
    "Hello {{first_name}}, this is Ada.",
    (
        PlannedQuestion("budget", "What is your budget?", "number"),
        PlannedQuestion("callback", "May we call back?", "boolean"),
    ),
    "Thank you {{first_name}}, goodbye.",
)

Build = Callable[..., ElevenLabsVoiceAgents]
Talk = Callable[..., Awaitable[Call]]


@pytest.fixture(autouse=True)
def no_waits_between_repeats() -> Iterator[None]:
    """Requests that are repeated are repeated at once, as often as ever."""
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def world() -> World:
    """A world whose agent thinks fast and asks two questions."""
    options = WorldOptions(agent_thinks_s=0.1, analysis_s=0.1, ping_every_s=0.3)
    return World(options=options, agent=PLAN)


@pytest.fixture
async def simulator(world: World) -> AsyncIterator[ElevenLabsSimulator]:
    """The running platform."""
    simulator = ElevenLabsSimulator(world)
    await simulator.start()
    yield simulator
    await simulator.stop()


@pytest.fixture
def vault() -> Vault:
    """The secret store."""
    return Vault()


@pytest.fixture
async def build(simulator: ElevenLabsSimulator, vault: Vault) -> AsyncIterator[Build]:
    """Makes an adapter on the simulator; settings by their environment names."""
    made: list[ElevenLabsVoiceAgents] = []

    def make(public_url: str = "", **environment: str) -> ElevenLabsVoiceAgents:
        settings = ElevenLabsSettings.model_validate({**simulator.environment(), **environment})
        context = IntegrationContext(SystemClock(), UNUSED, vault, UNUSED, public_url=public_url)
        made.append(ElevenLabsVoiceAgents(settings, context))
        return made[-1]

    yield make
    for agents in made:
        await agents.close()


@pytest.fixture
def agents(build: Build) -> ElevenLabsVoiceAgents:
    """An adapter with nothing but the necessary settings."""
    return build()


def definition(**engine: Any) -> AgentDefinition:
    """An agent's definition, with what `engine` sets."""
    return parse_agent(
        {
            "name": "qualifier",
            "carrier": "any",
            "caller_id": "+447700900001",
            "engine": {"platform": "elevenlabs", "agent_id": "agent_demo", **engine},
            "variables": [{"name": "first_name"}, {"name": "visits", "type": "integer", "default": 0}],
            "collect": [{"name": "budget", "type": "number"}, {"name": "callback", "type": "boolean"}],
        }
    )


@pytest.fixture
def start() -> Callable[..., ConversationStart]:
    """Makes what a conversation starts with; keyword arguments go to the engine."""

    def make(variables: dict[str, Any] | None = None, **engine: Any) -> ConversationStart:
        return ConversationStart("att_1", definition(**engine), variables or {"first_name": "Ann"}, E164)

    return make


@pytest.fixture
async def talk(agents: ElevenLabsVoiceAgents, start: Callable[..., ConversationStart]) -> AsyncIterator[Talk]:
    """Opens a conversation with a person of the given script."""
    calls: list[Call] = []

    async def make(script: dict[str, Any] | None = None, **engine: Any) -> Call:
        beginning = start(**engine)
        ticket = await agents.prepare(beginning)
        person = Person(E164, PersonScript.from_dict(script or {}), random.Random(1))  # noqa: S311  (a person of a test, not a secret)
        call = Call(agents.open(ticket, beginning), person)
        calls.append(await call.connect())
        return call

    yield make
    for call in calls:
        if not call.ended.is_set():
            call.hang_up()
            await call.finished(5)


@pytest.fixture
async def customer(simulator: ElevenLabsSimulator) -> AsyncIterator[Customer]:
    """Whoever uses the platform without our adapter."""
    customer = Customer(simulator)
    yield customer
    await customer.leave()
