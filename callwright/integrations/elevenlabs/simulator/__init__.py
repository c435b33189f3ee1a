"""The platform's side of the wire: REST, agent websockets, conversations held in real audio, webhooks.

Custom faults at `socket <agent id>` (when a client connects) or `variable <name>=<value>` (when a conversation has
this variable) are listed in `mischief`. HTTP faults are named by verb and path, webhooks `webhook <type>`; there the
detail `before_done` of a custom fault posts the results while GET still says `processing`.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import picows

from callwright.integrations.elevenlabs.simulator import agents
from callwright.integrations.elevenlabs.simulator.admission import admit
from callwright.integrations.elevenlabs.simulator.connection import Connection, Handler
from callwright.integrations.elevenlabs.simulator.mischief import Mischief
from callwright.integrations.elevenlabs.simulator.platform import Platform
from callwright.integrations.elevenlabs.simulator.rest import RestApi
from callwright.integrations.elevenlabs.simulator.session import RefusedSession, Session
from callwright.integrations.elevenlabs.simulator.state import Account, Agent, Conversation, Store, Webhook
from callwright.simulation.faults import FaultKind, Faults
from callwright.simulation.server import SimulatorServer
from callwright.simulation.traffic import Traffic
from callwright.simulation.world import World

__all__ = ["Account", "Agent", "Conversation", "ElevenLabsSimulator", "Webhook"]

_SOCKET_PATH = "/v1/convai/conversation"
_CLOSE_WITHIN_S = 2.0


class ElevenLabsSimulator:
    """The platform on two loopback ports: HTTP, and the websockets that signed URLs point to."""

    name = "elevenlabs"

    def __init__(self, world: World) -> None:
        folder = world.options.traffic_folder
        self.faults = Faults(world.options.seed)
        self.traffic = Traffic(self.name, folder / f"{self.name}.jsonl" if folder else None)
        self._store = Store(world)
        self._platform = Platform(self._store, self.faults, self.traffic)
        self._api = RestApi(self._store, self.traffic)
        self._http = SimulatorServer(self._api.app(), self.faults, self.traffic)
        self._sockets: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        config, settings = agents.demo_configuration(world.agent)
        now = self._store.unix()
        self.add_agent(Agent(agents.DEMO_AGENT, "Demo", config, settings, [], now, now))

    @property
    def account(self) -> Account:
        """The workspace's key and credits."""
        return self._store.account

    @property
    def agents(self) -> Mapping[str, Agent]:
        """Agents by id; `agent_demo` is the world's."""
        return self._store.agents

    @property
    def conversations(self) -> Mapping[str, Conversation]:
        """Conversations by id, oldest first, with what was understood and how well it was heard."""
        return self._store.conversations

    @property
    def webhooks(self) -> Mapping[str, Webhook]:
        """The workspace's webhooks by id."""
        return self._store.webhooks

    def add_agent(self, agent: Agent) -> Agent:
        """Have one more agent, as if it had been made in the dashboard."""
        self._store.agents[agent.agent_id] = agent
        return agent

    def remove_agent(self, agent_id: str) -> None:
        """Have an agent no more."""
        del self._store.agents[agent_id]

    async def start(self) -> None:
        """Listen on free loopback ports."""
        self._sockets = await picows.ws_create_server(self._accept, "127.0.0.1", 0)
        host, port = self._sockets.sockets[0].getsockname()[:2]
        self._api.socket_url = f"ws://{host}:{port}"
        await self._http.start()

    async def stop(self) -> None:
        """Close every socket and task within a few seconds."""
        if self._sockets is not None:
            self._sockets.close()
            connections = list(self._connections)
            for connection in connections:
                connection.abort()
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN_S):
                    await asyncio.gather(*(connection.gone.wait() for connection in connections))
                    await self._sockets.wait_closed()
            self._sockets = None
        await self._platform.close()
        await self._http.stop()
        self.traffic.close()

    def environment(self) -> dict[str, str]:
        """The settings with which our adapter talks to this simulator."""
        return {
            "ELEVENLABS_API_KEY": self._store.account.api_key,
            "ELEVENLABS_BASE_URL": self._http.base_url,
        }

    def call_tool(self, conversation_id: str, name: str, parameters: dict[str, Any]) -> str | None:
        """Let the agent of a running conversation call a client tool; answers the call's id."""
        return self._platform.running[conversation_id].call_tool(name, parameters)

    def _accept(self, request: picows.WSUpgradeRequest) -> Any:
        """A listener for an upgrade request; None is answered with 404."""
        target = request.path.decode()
        url = urlsplit(target)
        known = url.path == _SOCKET_PATH
        headers = {name.lower(): value for name, value in request.headers.items()}
        self._platform.upgrade(target, headers, 101 if known else 404)
        if not known:
            return None
        query = dict(parse_qsl(url.query))
        listener = Connection(lambda connection: self._handle(connection, query), self._connections)
        return _with_subprotocol(request, listener)

    def _handle(self, connection: Connection, query: dict[str, str]) -> Handler:
        found = admit(self._store, query)
        trouble = Mischief(None)
        if found.agent is not None:
            where = f"socket {found.agent.agent_id}"
            trouble = Mischief(self.faults.draw(where, FaultKind.CUSTOM))
        refusal = found.refusal or trouble.refusal
        if refusal is not None:
            return RefusedSession(self._platform, connection, found.conversation, refusal)
        assert found.agent is not None
        assert found.conversation is not None
        return Session(self._platform, connection, found.agent, found.conversation, trouble)


def _with_subprotocol(request: picows.WSUpgradeRequest, listener: Connection) -> Any:
    """The listener; with the subprotocol `convai` confirmed, if the client offers it."""
    offered = request.headers.get("sec-websocket-protocol", "")
    if "convai" not in [item.strip() for item in offered.split(",")]:
        return listener
    headers = {"Sec-WebSocket-Protocol": "convai"}
    response = picows.WSUpgradeResponse.create_101_response(extra_headers=headers)
    return picows.WSUpgradeResponseWithListener(response, listener)
