"""The floor: picows and uvloop and nothing else. No pacing, no silence, no tokens, no recording, no limits."""

import argparse
import asyncio
import binascii
import json
import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect, ws_create_server

from bench.relay.wire import decode_agent

_INITIATION = b'{"type":"conversation_initiation_client_data","dynamic_variables":{}}'


class AgentSide(WSListener):
    """The socket to the agent."""

    def __init__(self, carrier: WSTransport) -> None:
        self._carrier = carrier

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, _INITIATION)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            message = decode_agent(frame.get_payload_as_memoryview())
            if message.audio_event is not None:
                self._carrier.send(WSMsgType.BINARY, message.audio_event.audio_base_64)
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


class CarrierSide(WSListener):
    """The carrier's socket."""

    def __init__(self, agent_url: str) -> None:
        self._agent_url = agent_url
        self._agent: WSTransport | None = None
        self._opening: asyncio.Task[None] | None = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            if self._agent is not None:
                audio = binascii.b2a_base64(frame.get_payload_as_memoryview(), newline=False)
                self._agent.send(WSMsgType.TEXT, b'{"user_audio_chunk":"' + audio + b'"}')
        elif frame.msg_type == WSMsgType.TEXT:
            json.loads(frame.get_payload_as_bytes())
            self._opening = asyncio.create_task(self._open(transport))
        else:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._agent is not None:
            self._agent.disconnect()

    async def _open(self, carrier: WSTransport) -> None:
        self._agent, _ = await ws_connect(lambda: AgentSide(carrier), self._agent_url)


async def serve(agent_url: str) -> None:
    """Serve until the input ends."""
    server = await ws_create_server(lambda _: CarrierSide(agent_url), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent-url", required=True)
    parser.add_argument("--calls", type=int, default=0)
    uvloop.run(serve(parser.parse_args().agent_url))
