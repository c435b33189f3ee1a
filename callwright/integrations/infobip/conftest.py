"""A simulated Infobip, an adapter set up with it, and the address where its events and media sockets come."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from callwright.domain.errors import WebhookRejected
from callwright.domain.events import CarrierEvent, CarrierEventKind, Leg
from callwright.integrations.infobip.carrier import InfobipCarrier
from callwright.integrations.infobip.settings import InfobipSettings
from callwright.integrations.infobip.simulator import InfobipSimulator
from callwright.ports.carrier import (
    CallHandle,
    DialOrder,
    MediaDigit,
    MediaEvent,
    MediaOrder,
    MediaProtocol,
    MediaStarted,
)
from callwright.ports.clock import SystemClock
from callwright.ports.operations import SetupPlan
from callwright.ports.storage import SharedToken
from callwright.ports.webhook import WebhookRequest
from callwright.registry import IntegrationContext
from callwright.simulation.faults import Faults
from callwright.simulation.server import SimulatorServer
from callwright.simulation.traffic import Traffic
from callwright.simulation.world import World, WorldOptions

FIXTURES = Path(__file__).parent / "fixtures"
CALLER_ID = "+447700900001"
ADA, BUSY, SILENT, MACHINE, HUMAN, LATE = (f"+4477009001{number:02d}" for number in range(1, 7))
NOBODY, REJECTS, INVALID, UNREACHABLE, BLOCKED, HASTY = (
    f"+4477009001{number:02d}" for number in range(11, 17)
)
TOKEN = "one-time-token-0123456789"  # noqa: S105  (a secret of the simulated world)
PEOPLE: dict[str, dict[str, Any]] = {
    ADA: {"answer_after_ms": 100, "replies": [{"when": "press", "digits": "7#"}]},
    BUSY: {"manner": "busy"},
    SILENT: {"manner": "silent", "answer_after_ms": 100, "patience_s": 600},
    MACHINE: {"manner": "voicemail", "answer_after_ms": 100, "greeting": "Leave a message."},
    HUMAN: {"answer_after_ms": 20_000, "greeting": "Support here."},
    LATE: {"manner": "silent", "answer_after_ms": 20_000},
    NOBODY: {"manner": "no_answer"},
    REJECTS: {"manner": "rejects"},
    INVALID: {"manner": "invalid"},
    UNREACHABLE: {"manner": "unreachable"},
    BLOCKED: {"manner": "blocked"},
    HASTY: {"manner": "hangs_up_at_once", "answer_after_ms": 100},
}


class NoTokens:
    """A TokenStore that nobody asks."""

    async def get(self, name: str, refresh: Any, *, stale: str | None = None) -> SharedToken:
        """Raises AssertionError: this carrier has no tokens."""
        raise AssertionError(name)


class MemorySecrets:
    """A SecretStore in memory."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str] = {}

    async def read(self, integration: str, key: str) -> str | None:
        """The stored value, or None."""
        return self.values.get((integration, key))

    async def write(self, integration: str, key: str, value: str) -> None:
        """Store or replace a value."""
        self.values[integration, key] = value

    async def delete(self, integration: str, key: str) -> None:
        """Forget a value."""
        self.values.pop((integration, key), None)


class NotedCounters:
    """A CounterStore that limits nothing and remembers what was held back."""

    def __init__(self) -> None:
        self.blocked: list[tuple[str, float]] = []

    async def reserve(self, scope: str, per_second: float, burst: int = 1) -> float:
        """The next slot is now."""
        return 0.0

    async def block(self, scope: str, seconds: float) -> None:
        """Remember it."""
        self.blocked.append((scope, seconds))


class OurSocket(WSListener):
    """Our end of a media socket, as the media plane would serve it: one frame out for each frame in."""

    def __init__(self, protocol: MediaProtocol, carrier_token: str) -> None:
        self.protocol = protocol
        self.started: MediaStarted | None = None
        self.events: list[MediaEvent] = []
        self.heard: list[bytes] = []
        self.to_say: list[bytes] = []
        self.said = 0
        self.answering = True
        self.rejected = ""
        self.transport: WSTransport | None = None
        self.closed = asyncio.Event()
        self._token = carrier_token

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the transport."""
        self.transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The socket is gone."""
        self.closed.set()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Understand a message; answer a frame with a frame."""
        if frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        try:
            event = self.protocol.receive(frame.msg_type is WSMsgType.TEXT, frame.get_payload_as_bytes())
            if isinstance(event, MediaStarted) and event.token != self._token:
                raise WebhookRejected("bad_token")
        except WebhookRejected as error:
            self.rejected = error.reason
            transport.disconnect(graceful=False)
            return
        if isinstance(event, bytes):
            self._audio(transport, event)
        elif isinstance(event, MediaStarted):
            self.started = event
        elif event is not None:
            self.events.append(event)

    @property
    def digits(self) -> str:
        """The keys pressed."""
        return "".join(event.digit for event in self.events if isinstance(event, MediaDigit))

    def say(self, pcm: bytes) -> None:
        """Queue audio for the person, in frames of 20 ms."""
        assert self.started is not None
        size = self.started.format.frame_bytes
        self.to_say += [pcm[at : at + size].ljust(size, b"\0") for at in range(0, len(pcm), size)]

    def _audio(self, transport: WSTransport, payload: bytes) -> None:
        self.heard.append(payload)
        if self.answering:
            frame = self.to_say.pop(0) if self.to_say else bytes(len(payload))
            transport.send(WSMsgType.BINARY, self.protocol.audio_message(frame))
            self.said += 1


@dataclass
class Stage:
    """The simulator, the adapter, and what came to us."""

    simulator: InfobipSimulator
    context: IntegrationContext
    secrets: MemorySecrets
    counters: NotedCounters
    carrier: InfobipCarrier
    public_url: str = ""
    media_url: str = ""
    settings: InfobipSettings | None = None
    events: list[CarrierEvent] = field(default_factory=list)
    requests: list[WebhookRequest] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    sockets: list[OurSocket] = field(default_factory=list)
    wrong_paths: list[str] = field(default_factory=list)
    unable: int = 0

    def plan(self, *, apply: bool = True, slot: str = "one") -> SetupPlan:
        """The set-up that points at this stage."""
        return SetupPlan(self.public_url, self.media_url, slot, apply=apply)

    def kinds(self, leg: Leg = Leg.PERSON) -> list[CarrierEventKind]:
        """Kinds of the events of a leg, in the order of arrival, UNKNOWN left out."""
        found = [event for event in self.events if event.leg is leg]
        return [event.kind for event in found if event.kind is not CarrierEventKind.UNKNOWN]

    def event(self, kind: CarrierEventKind, leg: Leg = Leg.PERSON) -> CarrierEvent:
        """The first event of a kind."""
        return next(event for event in self.events if event.kind is kind and event.leg is leg)

    def has(self, kind: CarrierEventKind, leg: Leg = Leg.PERSON) -> Callable[[], bool]:
        """A condition to wait for."""
        return lambda: kind in self.kinds(leg)

    async def dial(self, phone: str, attempt_id: str = "attempt-1", **options: Any) -> CallHandle:
        """Dial, and answer the handle of the call."""
        order = DialOrder(
            attempt_id=attempt_id,
            phone=phone,
            caller_id=CALLER_ID,
            **{"ring_s": 30, "longest_call_s": 60, **options},
        )
        receipt = await self.carrier.dial(order)
        return CallHandle(
            attempt_id, receipt.carrier_call_id, phone, CALLER_ID, answered=False, data=receipt.data
        )

    def answered(self, call: CallHandle, **data: Any) -> CallHandle:
        """The handle of a call that was answered meanwhile."""
        merged = {**call.data, **data}
        return CallHandle(
            call.attempt_id, call.carrier_call_id, call.phone, call.caller_id, answered=True, data=merged
        )

    def media_order(self, *, rejoin: bool = False) -> MediaOrder:
        """An order for the media socket."""
        return MediaOrder(TOKEN, "one", 60, rejoin)

    async def receive(self, request: Request) -> Response:
        """Our webhook route."""
        arrived = WebhookRequest(
            request.method,
            request.path_params["path"],
            dict(request.query_params),
            {key.lower(): value for key, value in request.headers.items()},
            await request.body(),
        )
        self.requests.append(arrived)
        if self.unable > 0:
            self.unable -= 1
            return Response(status_code=503)
        try:
            self.events += self.carrier.webhook(arrived)
        except WebhookRejected as error:
            self.refused.append(error.reason)
            return Response(status_code=401)
        return Response(status_code=200)

    def admit(self, request: WSUpgradeRequest) -> OurSocket | None:
        """Our media route."""
        path = request.path.decode()
        try:
            protocol = self.carrier.media_protocol(path.removeprefix("/media/infobip/"))
        except WebhookRejected:
            self.wrong_paths.append(path)
            return None
        self.sockets.append(OurSocket(protocol, TOKEN))
        return self.sockets[-1]


def settings_for(simulator: InfobipSimulator, **changed: str) -> InfobipSettings:
    """Settings that talk to a simulator."""
    return InfobipSettings.model_validate({**simulator.environment(), **changed})


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Everything started; the adapter is not set up yet."""
    world = World(people=PEOPLE, options=WorldOptions(speed=10, call_signs=(CALLER_ID, "+447700900002")))
    simulator = InfobipSimulator(world)
    await simulator.start()
    secrets, counters = MemorySecrets(), NotedCounters()
    context = IntegrationContext(SystemClock(), NoTokens(), secrets, counters)
    carrier = InfobipCarrier(settings_for(simulator), context)
    held = Stage(simulator, context, secrets, counters, carrier)
    route = Route("/webhooks/infobip/{path:path}", held.receive, methods=["POST"])
    receiver = SimulatorServer(Starlette(routes=[route]), Faults(), Traffic("us"))
    await receiver.start()
    media = await ws_create_server(held.admit, "127.0.0.1", 0)
    held.public_url = receiver.base_url
    held.media_url = f"ws://127.0.0.1:{media.sockets[0].getsockname()[1]}"
    try:
        yield held
    finally:
        await held.carrier.close()
        media.close()
        await simulator.stop()
        await receiver.stop()


@pytest.fixture
async def ready(stage: Stage) -> Stage:
    """Everything started and set up."""
    await stage.carrier.setup(stage.plan())
    return stage


def fixtures() -> Iterator[tuple[str, Any]]:
    """Every recorded-shape payload, by file name."""
    for path in sorted(FIXTURES.glob("*.json")):
        yield path.stem, json.loads(path.read_text())
