"""Our media plane as the process under test, with the real protocols of one carrier and one agent platform."""

import argparse
import asyncio
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from callwright.domain.errors import NotFound
from callwright.integrations.elevenlabs.session import ElevenLabsSession
from callwright.integrations.infobip.media import InfobipMedia
from callwright.media.bridge import Bridge
from callwright.media.plane import ExpectedSocket, MediaPlane
from callwright.media.recording import RecordingStore
from callwright.media.server import WebServer
from callwright.ports.clock import SystemClock
from callwright.ports.voice_agent import AgentClosed, AgentEvent, AgentFailed, AgentReady, AgentTicket

_WAIT_S = 120.0


class _Carrier:
    """As much of a carrier as the media plane asks for."""

    def media_protocol(self, path: str) -> InfobipMedia:
        return InfobipMedia()


class _Session(ElevenLabsSession):
    """The platform's session, whose opening message needs no agent definition here."""

    def __init__(self, url: str) -> None:
        super().__init__(AgentTicket(None, datetime.now(UTC), {"signed_url": url}), None)  # type: ignore[arg-type]  # no agent is needed

    def opening(self) -> tuple[bytes, ...]:
        return (b'{"type":"conversation_initiation_client_data","dynamic_variables":{}}',)


class Call:
    """Waits for its carrier, opens its agent, and ends when either is gone."""

    def __init__(self, plane: MediaPlane, recordings: RecordingStore | None) -> None:
        self._plane = plane
        self._recordings = recordings
        self._bridge: Bridge | None = None

    async def run(self, expected: ExpectedSocket, url: str, number: int) -> None:
        carrier = await expected.socket(_WAIT_S)
        agent = await self._plane.open_agent(_Session(url))
        recording = self._recordings.create(f"call-{number}") if self._recordings is not None else None
        self._bridge = self._plane.bridge(agent, self, carrier=carrier, recording=recording)

    def agent_ready(self, ready: AgentReady) -> None:
        pass

    def first_agent_frame(self) -> None:
        pass

    def agent_event(self, event: AgentEvent) -> None:
        pass

    def agent_ended(self, ended: AgentFailed | AgentClosed) -> None:
        self._close()

    def person_pressed(self, digit: str) -> None:
        pass

    def carrier_lost(self, code: int | None, reason: str) -> None:
        self._close()

    def refused(self, reason: str) -> None:
        pass

    def _close(self) -> None:
        if self._bridge is not None:
            self._bridge.close()


async def _app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _carriers(name: str) -> Any:
    if name != "infobip":
        raise NotFound(name)
    return _Carrier()


async def serve(agent_url: str, calls: int, record: bool) -> None:
    """Serve until the input ends."""
    clock = SystemClock()
    plane = MediaPlane(clock, _carriers)
    folder = Path(tempfile.mkdtemp(prefix="bench-relay-")) if record else None
    recordings = RecordingStore(folder, clock.monotonic, plane.metrics) if folder is not None else None
    server = WebServer(_app, plane, lifespan="off")
    await server.start()
    waiting = [
        asyncio.create_task(Call(plane, recordings).run(plane.expect(f"token-{number}"), agent_url, number))
        for number in range(calls)
    ]
    print(json.dumps({"port": server.port}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in waiting:
        task.cancel()
    await server.stop(1)
    if recordings is not None:
        await recordings.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent-url", required=True)
    parser.add_argument("--calls", type=int, default=0)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    uvloop.run(serve(options.agent_url, options.calls, options.record))
