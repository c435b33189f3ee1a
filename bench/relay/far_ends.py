"""The two far ends, each in a process of its own: `agents` serves conversations, `carriers` calls the relay.

Both speak without end, 3 s of speech and 0.6 s of silence in turn, one frame each 20 ms; the sockets' phases are
spread. Some carriers talk to the agents directly: what their frames take is what they would take without a relay.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_connect, ws_create_server

from bench.relay import wire
from bench.relay.listening import Ear, Window, around_stall, summary

_TICK_S = 0.001
_OWN_STALL_S = 0.3


class Mouth:
    """Sends one stream's frames at their time, started by the clock of all streams."""

    def __init__(self, send: Callable[[bytes], None], start: float, offset: int) -> None:
        self._send = send
        self._position = offset
        self._number = 0
        self.next = start

    def speak(self) -> None:
        """Send the frame that is due; after a stall of our own of more than 0.3 s the rest of it is skipped."""
        if time.monotonic() - self.next > _OWN_STALL_S:
            self.next = time.monotonic()
        frame, self._number = wire.frame_for(self._position, self._number)
        self._position += 1
        self.next += wire.FRAME_S
        self._send(frame)


class Clock:
    """Paces all mouths of a process from one task."""

    def __init__(self) -> None:
        self.mouths: set[Mouth] = set()

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            now = time.monotonic()
            for mouth in list(self.mouths):
                if mouth.next <= now:
                    mouth.speak()
            await asyncio.sleep(_TICK_S)


class Agent(WSListener):
    """One conversation at the platform; a silent one says a single frame."""

    def __init__(self, platform: "Platform", direct: bool, silent: bool) -> None:
        self._platform = platform
        self._silent = silent
        self.ear = Ear(platform.window)
        self._mouth: Mouth | None = None
        (platform.direct if direct else platform.ears).append(self.ear)

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, wire.METADATA)
        start = time.monotonic() + random.random() * wire.FRAME_S
        offset = random.randrange(150)
        self._mouth = Mouth(
            lambda frame: transport.send(WSMsgType.TEXT, wire.agent_message(frame)), start, offset
        )
        if not self._silent:
            self._platform.clock.mouths.add(self._mouth)
        else:
            self._mouth.speak()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        chunk = wire.decode_person(frame.get_payload_as_memoryview()).user_audio_chunk
        if chunk is not None:
            self.ear.hear(chunk)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._mouth is not None:
            self._platform.clock.mouths.discard(self._mouth)


class Platform:
    """The agents' platform; tells its port, then its figures when its input ends."""

    def __init__(self) -> None:
        self.window = Window()
        self.clock = Clock()
        self.ears: list[Ear] = []
        self.direct: list[Ear] = []

    def listen(self, request: WSUpgradeRequest) -> Agent:
        return Agent(self, b"direct" in request.path, b"silent" in request.path)

    async def run(self) -> None:
        server = await ws_create_server(self.listen, "127.0.0.1", 0)
        tell({"port": server.sockets[0].getsockname()[1]})
        ticking = asyncio.create_task(self.clock.run())
        stalled_at = await orders(self.window)
        ticking.cancel()
        figures = {"relayed": summary(self.ears), "direct": summary(self.direct)}
        if stalled_at is not None:
            figures["stall"] = around_stall(self.ears, stalled_at, 4.5)
        tell(figures)


class CarrierSocket(WSListener):
    """A carrier's socket at the relay."""

    def __init__(self, ear: Ear) -> None:
        self.ear = ear
        self.first = asyncio.Event()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            payload = frame.get_payload_as_bytes()
            self.ear.hear(payload)
            if not self.first.is_set() and wire.read(payload) is not None:
                self.first.set()


class DirectSocket(WSListener):
    """A person's client that talks to the agent without a relay."""

    def __init__(self, ear: Ear) -> None:
        self.ear = ear

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            message = wire.decode_agent(frame.get_payload_as_memoryview())
            if message.audio_event is not None:
                self.ear.hear(message.audio_event.audio_base_64)


class Carriers:
    """Places calls at the relay and speaks."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._relay = f"ws://127.0.0.1:{options.relay}/media/infobip/secret"
        self._agents = f"ws://127.0.0.1:{options.agents}"
        self._options = options
        self.window = Window()
        self.clock = Clock()
        self.ears: list[Ear] = []
        self.direct: list[Ear] = []
        self._transports: list[WSTransport] = []

    async def run(self) -> None:
        ticking = asyncio.create_task(self.clock.run())
        if self._options.sequential:
            await self._start_in_turn()
        else:
            await self._start_all()
        tell({"started": self._options.calls})
        stalled_at = await orders(self.window)
        ticking.cancel()
        for transport in self._transports:
            transport.disconnect(graceful=False)
        figures = {"relayed": summary(self.ears), "direct": summary(self.direct)}
        if stalled_at is not None:
            figures["stall"] = around_stall(self.ears, stalled_at, 4.5)
        tell(figures)

    async def _start_all(self) -> None:
        firsts = []
        for number in range(self._options.calls):
            socket = await self._connect(number)
            firsts.append(socket.first)
            await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            for first in firsts:
                await first.wait()
        for _ in range(self._options.direct):
            await self._talk_directly()

    async def _talk_directly(self) -> None:
        ear = Ear(self.window)
        transport, _ = await ws_connect(lambda: DirectSocket(ear), f"{self._agents}/direct")
        self._transports.append(transport)
        self.direct.append(ear)
        self._speak(lambda frame: transport.send(WSMsgType.TEXT, wire.person_message(frame)))

    async def _start_in_turn(self) -> None:
        """One call after the other, each until its first frame of speech arrived; nothing more is sent."""
        for number in range(self._options.calls):
            socket = await self._connect(number, speaks=False)
            async with asyncio.timeout(10):
                await socket.first.wait()

    async def _connect(self, number: int, *, speaks: bool = True) -> CarrierSocket:
        ear = Ear(self.window)
        socket = CarrierSocket(ear)
        transport, _ = await ws_connect(lambda: socket, self._relay)
        transport.send(WSMsgType.TEXT, wire.connected(f"token-{self._options.first + number}"))
        self._transports.append(transport)
        self.ears.append(ear)
        if speaks:
            self._speak(lambda frame: transport.send(WSMsgType.BINARY, frame))
        else:
            transport.send(WSMsgType.BINARY, wire.SILENCE)
        return socket

    def _speak(self, send: Callable[[bytes], None]) -> None:
        start = time.monotonic() + random.random() * wire.FRAME_S
        self.clock.mouths.add(Mouth(send, start, random.randrange(150)))


def tell(figures: dict[str, Any]) -> None:
    """One line of JSON for whoever started us."""
    print(json.dumps(figures), flush=True)


async def orders(window: Window) -> float | None:
    """Follow the lines of our input until it ends: a window to measure, or the moment of a stall."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    stalled_at = None
    while line := await reader.readline():
        order = json.loads(line)
        window.start, window.end = order.get("start", window.start), order.get("end", window.end)
        stalled_at = order.get("stalled_at", stalled_at)
    return stalled_at


def main() -> None:
    """Be one of the two far ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["agents", "carriers"])
    for name in ("relay", "agents", "calls", "first", "direct"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--sequential", action="store_true")
    options = parser.parse_args()
    uvloop.run(Platform().run() if options.role == "agents" else Carriers(options).run())


if __name__ == "__main__":
    main()
