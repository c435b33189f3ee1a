"""A platform of hosted agents on its stage, and a conversation that joins an agent with a scripted person."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from picows.picows import WSCloseHandshake

from callwright.audio.convert import Converter, converter
from callwright.domain.agent import AgentDefinition, parse_agent
from callwright.domain.audio import FRAME_MS, AudioFormat, Encoding
from callwright.domain.errors import WebhookRejected
from callwright.domain.events import Speaker
from callwright.ports.voice_agent import (
    AgentAudio,
    AgentClosed,
    AgentEvent,
    AgentFailed,
    AgentInterrupted,
    AgentProtocol,
    AgentReady,
    AgentTicket,
    ConversationResult,
    ConversationStart,
    Reply,
    ResultState,
    Said,
    VoiceAgents,
)
from callwright.ports.webhook import WebhookRequest
from callwright.registry import IntegrationSpec, Role
from callwright.simulation.people import Person, PersonScript
from callwright.simulation.world import AgentPlan, PlannedQuestion, World
from tests.contracts.leaks import Leaks
from tests.contracts.stage import Stage, world_options

PHONE = "+447700900123"
VARIABLES = {"first_name": "Ann"}
GREETING = "Hello {{first_name}}, this is Ada."
FIRST_MESSAGE = "Hello Ann, this is Ada."
BUDGET, CALL_BACK = "What is your budget for this year, if I may ask you?", "May we call back?"
PLAN = AgentPlan(
    GREETING,
    (PlannedQuestion("budget", BUDGET, "number"), PlannedQuestion("callback", CALL_BACK, "boolean")),
    "Thank you {{first_name}}, goodbye.",
)
COOPERATIVE = {
    "replies": [
        {"when": "budget", "say": "About 1200 euros."},
        {"when": "call back", "say": "Yes, of course."},
    ],
    "hang_up_when": None,
}
_LIMIT_S = 30.0


class AgentsStage(Stage):
    """As Stage, with conversations and the results that webhooks brought."""

    def __init__(self, spec: IntegrationSpec, leaks: Leaks) -> None:
        options = world_options(agent_thinks_s=0.1, analysis_s=4.0, ping_every_s=0.3)
        super().__init__(spec, Role.VOICE_AGENTS, World(options=options, agent=PLAN), leaks)
        self.results: list[ConversationResult] = []
        self._talks: list[Talk] = []

    @property
    def agents(self) -> VoiceAgents:
        """The adapter."""
        agents: VoiceAgents = self.port
        return agents

    def definition(self, **engine: Any) -> AgentDefinition:
        """An agent on the platform's agent of the demo."""
        own = {"platform": self.spec.name, **self.sample("demo").get("engine"), **engine}
        return parse_agent(
            {
                "name": "contract",
                "carrier": "any",
                "caller_id": "+447700900001",
                "engine": own,
                "variables": [{"name": "first_name"}],
                "collect": [{"name": "budget", "type": "number"}, {"name": "callback", "type": "boolean"}],
            }
        )

    def start(self, attempt_id: str = "attempt-1") -> ConversationStart:
        """What a conversation starts with."""
        return ConversationStart(attempt_id, self.definition(), VARIABLES, PHONE)

    async def prepare(self, attempt_id: str = "attempt-1") -> AgentTicket:
        """A ticket, whose content is secret from now on."""
        ticket = await self.agents.prepare(self.start(attempt_id))
        self.known_secrets |= {text for text in ticket.data.values() if isinstance(text, str)}
        return ticket

    async def talk(self, script: dict[str, Any] | None = None) -> "Talk":
        """Open a conversation with a person of a script."""
        ticket = await self.prepare()
        person = Person(PHONE, PersonScript.from_dict(script or {}), random.Random(1))
        talk = Talk(self.agents.open(ticket, self.start()), person)
        self._talks.append(talk)
        await talk.connect()
        await self.until(lambda: talk.ready or talk.verdict, "answer of the platform")
        assert talk.ready is not None, f"{self.spec.name}: the conversation did not open: {talk.verdict}"
        return talk

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something is so."""
        try:
            async with asyncio.timeout(_LIMIT_S):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            told = [type(event).__name__ for talk in self._talks for event in talk.events]
            raise AssertionError(
                f"{self.spec.name}: no {what} within {_LIMIT_S:g} s; events: {told[-30:]}"
            ) from None

    async def final_result(self, conversation_id: str) -> tuple[ConversationResult, set[ResultState]]:
        """The results once they are there, and the states in which they were before."""
        before: set[ResultState] = set()
        async with asyncio.timeout(_LIMIT_S):
            while True:
                found = await self.agents.result(conversation_id)
                if found.state not in {ResultState.PENDING, ResultState.GONE}:
                    return found, before
                before.add(found.state)
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Stop everything, conversations first."""
        for talk in self._talks:
            talk.hang_up()
        await super().close()

    async def _take(self, request: WebhookRequest) -> None:
        await self.agents.load_secrets()
        self.results += self.agents.webhook(request)


class Talk(WSListener):
    """What a bridge does, in the simplest way: frames of a person to the agent, and the agent's audio back."""

    def __init__(self, protocol: AgentProtocol, person: Person) -> None:
        self.protocol = protocol
        self.person = person
        self.messages: list[tuple[bool, bytes]] = []
        """Every message as it came, and whether it was text."""
        self.events: list[AgentEvent] = []
        """Everything but audio, in order."""
        self.early: list[AgentEvent] = []
        """What came before the conversation was open; should be nothing that is heard."""
        self.rejected: list[str] = []
        self.ready: AgentReady | None = None
        self.audio_at: int | None = None
        self.verdict: AgentFailed | AgentClosed | None = None
        self._kind = WSMsgType.TEXT if protocol.text_frames else WSMsgType.BINARY
        self._agents_voice = bytearray()
        self._transport: WSTransport | None = None
        self._pacing: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Open the socket that the protocol names."""
        url, headers = self.protocol.connection()
        async with asyncio.timeout(5):
            await ws_connect(lambda: self, url, extra_headers=dict(headers))

    def send(self, message: bytes) -> None:
        """Send a message of the protocol."""
        assert self._transport is not None
        self._transport.send(self._kind, message)

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of a kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def said(self, speaker: Speaker) -> list[str]:
        """What one side said, with corrections in place."""
        lines = {event.key: event for event in self.of(Said)}
        return [line.text for line in lines.values() if line.speaker is speaker]

    def hang_up(self) -> None:
        """Close in the ordinary way."""
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send_close(WSCloseCode.OK, b"")
            self._transport.disconnect()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        for message in self.protocol.opening():
            self.send(message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._pacing is not None:
            self._pacing.cancel()
        handshake: WSCloseHandshake | None = transport.close_handshake
        said = handshake.recv if handshake is not None else None
        code = int(said.code) if said is not None else None  # type: ignore[call-overload]  # an int, not an Enum
        self.verdict = self.protocol.closed(code, (said.reason or "") if said is not None else "")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            self._take(frame.msg_type is WSMsgType.TEXT, frame.get_payload_as_bytes())

    def _take(self, is_text: bool, payload: bytes) -> None:
        self.messages.append((is_text, payload))
        try:
            found = self.protocol.receive(is_text, payload)
        except WebhookRejected as error:
            self.rejected.append(str(error))
            return
        events = [] if found is None else list(found) if isinstance(found, list | tuple) else [found]
        for event in events:
            self._act(event)

    def _act(self, event: Any) -> None:
        if isinstance(event, Reply):
            self.send(event.message)
            return
        if isinstance(event, AgentReady):
            self.ready = event
            self.person.answer(event.input.rate_hz, self.hang_up)
            self._pacing = asyncio.get_running_loop().create_task(self._pace(event))
        elif self.ready is None:
            self.early.append(event)
        if isinstance(event, AgentAudio):
            self.audio_at = len(self.messages) - 1 if self.audio_at is None else self.audio_at
            self._agents_voice += event.payload
            return
        self.events.append(event)
        if isinstance(event, AgentInterrupted):
            self._agents_voice.clear()

    async def _pace(self, ready: AgentReady) -> None:
        """Every 20 ms a frame of the person to the agent and one of the agent to the person."""
        loop = asyncio.get_running_loop()
        to_agent = _convert(AudioFormat(Encoding.PCM16, ready.input.rate_hz), ready.input)
        to_person = _convert(ready.output, AudioFormat(Encoding.PCM16, ready.input.rate_hz))
        size = ready.output.frame_bytes
        due = loop.time()
        while True:
            self.send(self.protocol.audio_message(to_agent(self.person.speak_frame())))
            frame = bytes(self._agents_voice[:size])
            del self._agents_voice[:size]
            self.person.hear_frame(to_person(frame + ready.output.silence(size - len(frame))))
            due += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due - loop.time()))


def _convert(src: AudioFormat, dst: AudioFormat) -> Converter:
    return converter(src, dst) or (lambda payload: payload)
