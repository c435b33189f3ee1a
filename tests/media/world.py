"""A media plane behind a real web server, with an agent's platform, for tests of whole calls."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Self

from prometheus_client import CollectorRegistry

from callwright.domain.errors import NotFound
from callwright.media.bridge import Bridge
from callwright.media.limits import MediaLimits
from callwright.media.metrics import MediaMetrics
from callwright.media.plane import MediaPlane
from callwright.media.recording import Recording
from callwright.media.server import WebServer
from callwright.ports.clock import SystemClock
from callwright.ports.voice_agent import AgentClosed, AgentEvent, AgentFailed, AgentReady
from tests.media.peers import AgentPeer, AgentServer, Peer, carrier_peer
from tests.media.protocols import JsonAgentProtocol, TestCarrier


@dataclass
class Watcher:
    """An observer that keeps all it is told."""

    ready: list[AgentReady] = field(default_factory=list)
    first_frames: int = 0
    events: list[AgentEvent] = field(default_factory=list)
    ended: list[AgentFailed | AgentClosed] = field(default_factory=list)
    digits: list[str] = field(default_factory=list)
    lost: list[tuple[int | None, str]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def agent_ready(self, ready: AgentReady) -> None:
        self.ready.append(ready)

    def first_agent_frame(self) -> None:
        self.first_frames += 1

    def agent_event(self, event: AgentEvent) -> None:
        self.events.append(event)

    def agent_ended(self, ended: AgentFailed | AgentClosed) -> None:
        self.ended.append(ended)

    def person_pressed(self, digit: str) -> None:
        self.digits.append(digit)

    def carrier_lost(self, code: int | None, reason: str) -> None:
        self.lost.append((code, reason))

    def refused(self, reason: str) -> None:
        self.refusals.append(reason)


@dataclass
class Call:
    """One bridged call and its far ends."""

    bridge: Bridge
    carrier: Peer
    agent: AgentPeer
    watcher: Watcher


async def hello(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The application beside the media plane."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


class World:
    """Everything that a call's audio needs; use as an asynchronous context manager."""

    def __init__(
        self,
        *,
        limits: MediaLimits | None = None,
        carrier: TestCarrier | None = None,
        carrier_audio: str = "pcm_16000",
        agent_audio: str = "pcm_16000",
        agent_ready: bool = True,
    ) -> None:
        self.registry = CollectorRegistry()
        self.metrics = MediaMetrics(self.registry)
        self.clock = SystemClock()
        self._carrier = carrier or TestCarrier()
        self.plane = MediaPlane(self.clock, self._find, limits=limits, metrics=self.metrics)
        self.server = WebServer(hello, self.plane, lifespan="on")
        self.agents = AgentServer(agent_audio, ready=agent_ready)
        self.carrier_audio = carrier_audio
        self._calls = 0

    async def __aenter__(self) -> Self:
        await self.agents.__aenter__()
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.stop(1.0)
        await self.agents.__aexit__()

    @property
    def media_url(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}/media/testing/secret"

    def refused(self, reason: str) -> float:
        """How many sockets and messages were refused for this reason."""
        return self.registry.get_sample_value("callwright_media_refused_total", {"reason": reason}) or 0.0

    async def agent_only(self, recording: Recording | None = None) -> tuple[Bridge, AgentPeer, Watcher]:
        """A bridge whose carrier has not come yet."""
        self._calls += 1
        path = f"/conversation/{self._calls}"
        leg = await self.plane.open_agent(JsonAgentProtocol(self.agents.url + path), timeout_s=5)
        watcher = Watcher()
        bridge = self.plane.bridge(leg, watcher, recording=recording)
        return bridge, await self.agents.peer(path), watcher

    async def join(self, bridge: Bridge) -> Peer:
        """Bring a carrier's socket to a bridge."""
        self._calls += 1
        token = f"token-{self._calls}"
        expected = self.plane.expect(token)
        carrier, leg = await asyncio.gather(
            carrier_peer(self.media_url, token, self.carrier_audio), expected.socket(5)
        )
        bridge.replace_carrier(leg)
        return carrier

    async def call(self, recording: Recording | None = None) -> Call:
        """A whole call."""
        bridge, agent, watcher = await self.agent_only(recording)
        return Call(bridge, await self.join(bridge), agent, watcher)

    def _find(self, name: str) -> Any:
        if name != "testing":
            raise NotFound(name)
        return self._carrier
