"""The two far ends of a call in the tests, on real sockets: a carrier that calls us, and an agent that we call."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_connect,
    ws_create_server,
)

from tests.media.protocols import agent_event, person_audio


async def until(condition: Callable[[], Any], timeout_s: float = 5.0) -> None:
    """Wait until something holds; fails with TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.002)


class Peer(WSListener):
    """A far end that keeps all it gets, with the time of each message."""

    def __init__(self) -> None:
        self.transport: WSTransport | None = None
        self.binary: list[bytes] = []
        self.text: list[bytes] = []
        self.times: list[float] = []
        self.closed: tuple[int, str] | None = None
        self.gone = asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            self.closed = (int(frame.get_close_code()), frame.get_close_reason())
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.BINARY:
            self.times.append(asyncio.get_running_loop().time())
            self.binary.append(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.TEXT:
            self.text.append(frame.get_payload_as_bytes())
            self.took_text(self.text[-1])

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.gone.set()

    def took_text(self, message: bytes) -> None:
        """For sub-classes."""

    def send_text(self, message: bytes | dict[str, Any]) -> None:
        assert self.transport is not None
        self.transport.send(
            WSMsgType.TEXT, message if isinstance(message, bytes) else json.dumps(message).encode()
        )

    def send_binary(self, payload: bytes) -> None:
        assert self.transport is not None
        self.transport.send(WSMsgType.BINARY, payload)

    def drop(self) -> None:
        """Break the connection without a word."""
        assert self.transport is not None
        self.transport.disconnect(graceful=False)

    async def hang_up(self) -> None:
        """Close in the ordinary way."""
        assert self.transport is not None
        self.transport.send_close(WSCloseCode.OK, "bye")
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self.gone.wait()
        self.transport.disconnect(graceful=False)


async def carrier_peer(url: str, token: str | None = None, audio: str = "pcm_16000") -> Peer:
    """Connect as a carrier, and introduce the stream if a token is given."""
    peer = Peer()
    await ws_connect(lambda: peer, url)
    if token is not None:
        peer.send_text({"event": "connected", "format": audio, "token": token})
    return peer


class AgentPeer(Peer):
    """One conversation at the agent's far end; `heard` is the person's audio in order."""

    def __init__(self, request: WSUpgradeRequest, metadata: bytes | None) -> None:
        super().__init__()
        self.path = request.path.decode()
        self.heard: list[bytes] = []
        self.messages: list[dict[str, Any]] = []
        self._metadata = metadata

    def took_text(self, message: bytes) -> None:
        if message.startswith(b'{"user_audio_chunk"'):
            self.heard.append(person_audio(message))
            return
        self.messages.append(json.loads(message))
        if self.messages[-1]["type"] == "initiation" and self._metadata is not None:
            self.send_text(self._metadata)


class AgentServer:
    """The agent's platform: one AgentPeer for each conversation, found by the path of its URL."""

    def __init__(self, audio: str = "pcm_16000", *, ready: bool = True) -> None:
        self.peers: dict[str, AgentPeer] = {}
        self.url = ""
        self._metadata = agent_event("metadata", input=audio) if ready else None

    async def __aenter__(self) -> Self:
        self._server = await ws_create_server(self._listen, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for peer in self.peers.values():
            if not peer.gone.is_set() and peer.transport is not None:
                peer.drop()
        self._server.close()
        await self._server.wait_closed()

    async def peer(self, path: str) -> AgentPeer:
        """The conversation of this path, once it is open."""
        await until(lambda: path in self.peers and self.peers[path].messages)
        return self.peers[path]

    def _listen(self, request: WSUpgradeRequest) -> AgentPeer:
        peer = AgentPeer(request, self._metadata)
        self.peers[peer.path] = peer
        return peer
