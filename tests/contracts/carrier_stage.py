"""A carrier on its stage: calls to people, the events that come back, and our end of media sockets."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from callwright.audio.convert import converter
from callwright.domain.audio import FRAME_MS, AudioFormat, Encoding
from callwright.domain.errors import WebhookRejected
from callwright.domain.events import CarrierEvent, CarrierEventKind, Leg
from callwright.ports.carrier import (
    CallHandle,
    Carrier,
    CarrierCall,
    CarrierCallState,
    DialOrder,
    MediaEvent,
    MediaOrder,
    MediaProtocol,
    MediaStarted,
)
from callwright.ports.webhook import WebhookRequest
from callwright.registry import IntegrationSpec, Role
from callwright.simulation import speech
from callwright.simulation.people import Person, Phonebook
from callwright.simulation.recogniser import Recogniser
from callwright.simulation.world import World
from tests.contracts.leaks import Leaks
from tests.contracts.stage import SLOT, Stage, world_options

CALLER_ID = "+447700900001"
TALKER, BUSY, ABSENT, REJECTS, HASTY, SILENT, MACHINE, HUMAN, LATE = (
    f"+4477009002{number:02d}" for number in range(1, 10)
)
GREETING, QUESTION, ANSWER = "Hello?", "What is the weather like?", "It rains."
PEOPLE: dict[str, dict[str, Any]] = {
    TALKER: {
        "answer_after_ms": 200,
        "greeting": GREETING,
        "replies": [{"when": "weather", "say": ANSWER, "digits": "5"}],
        "hang_up_when": None,
    },
    BUSY: {"manner": "busy"},
    ABSENT: {"manner": "no_answer"},
    REJECTS: {"manner": "rejects"},
    HASTY: {"manner": "hangs_up_at_once", "answer_after_ms": 200},
    SILENT: {"manner": "silent", "answer_after_ms": 200, "patience_s": 600},
    MACHINE: {"manner": "voicemail", "answer_after_ms": 200, "greeting": "Please leave a message."},
    HUMAN: {"manner": "silent", "answer_after_ms": 200, "patience_s": 600},
    LATE: {"manner": "silent", "answer_after_ms": 60_000},
}
TOKEN = "one-time-token-of-the-contract-0123456789"
_LIMIT_S = 15.0


class CarrierStage(Stage):
    """As Stage, with the carrier's events in the order of their arrival."""

    def __init__(self, spec: IntegrationSpec, leaks: Leaks) -> None:
        options = world_options(call_signs=(CALLER_ID, "+447700900002"))
        super().__init__(spec, Role.CARRIER, World(people=PEOPLE, options=options), leaks)
        self.known_secrets.add(TOKEN)
        self.events: list[CarrierEvent] = []
        self.sockets: list[OurEnd] = []

    @property
    def carrier(self) -> Carrier:
        """The adapter."""
        carrier: Carrier = self.port
        return carrier

    def order(self, phone: str, attempt_id: str = "attempt-1", **changed: Any) -> DialOrder:
        """An order to call somebody."""
        return replace(DialOrder(attempt_id, phone, CALLER_ID, ring_s=30, longest_call_s=120), **changed)

    async def dial(self, phone: str, attempt_id: str = "attempt-1", **changed: Any) -> CallHandle:
        """Call somebody; the handle that the core would have."""
        receipt = await self.carrier.dial(self.order(phone, attempt_id, **changed))
        assert receipt.carrier_call_id, "the receipt has no id of the call"
        return CallHandle(
            attempt_id, receipt.carrier_call_id, phone, CALLER_ID, answered=False, data=receipt.data
        )

    async def dial_and_answer(self, phone: str, **changed: Any) -> CallHandle:
        """Call somebody who answers, and wait for it; what events say is to be kept is kept."""
        call = await self.dial(phone, **changed)
        await self.event(CarrierEventKind.ANSWERED)
        data = dict(call.data)
        for event in self.events:
            data |= event.data.get("keep", {})
        return replace(call, answered=True, data=data)

    async def event(self, kind: CarrierEventKind, leg: Leg = Leg.PERSON) -> CarrierEvent:
        """The first event of a kind, once it is there."""
        await self.until(lambda: self._first(kind, leg), f"event {kind.value} of the {leg.value}'s leg")
        found = self._first(kind, leg)
        assert found is not None
        return found

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something is so."""
        try:
            async with asyncio.timeout(_LIMIT_S):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            told = [f"{event.kind.value} ({event.leg.value})" for event in self.events]
            raise AssertionError(
                f"{self.spec.name}: no {what} within {_LIMIT_S:g} s; events: {told}, refused: {self.doorway.refused}"
            ) from None

    async def ended(self, call: CallHandle) -> CarrierCall:
        """The carrier's own word on a call, once it says that the call is over."""
        async with asyncio.timeout(_LIMIT_S):
            while True:
                found = await self.carrier.status(call)
                if found is not None and found.state is CarrierCallState.ENDED:
                    return found
                await asyncio.sleep(0.05)

    async def attach(self, call: CallHandle) -> "tuple[CallHandle, OurEnd]":
        """Have the carrier open a media socket; the handle with what came of it, and our end."""
        known = len(self.sockets)
        data = await self.carrier.attach_media(call, MediaOrder(TOKEN, SLOT, longest_call_s=120))
        await self.until(lambda: len(self.sockets) > known, "media socket")
        socket = self.sockets[-1]
        await self.until(lambda: socket.started or socket.rejected, "introduction of the media socket")
        assert not socket.rejected, (
            f"{self.spec.name}: its own protocol refuses the socket: {socket.rejected}"
        )
        return replace(call, data={**call.data, **data}), socket

    def dialled(self, phone: str) -> int:
        """How often a number was really called."""
        return Phonebook.of(self.world).called(phone)

    def person(self, phone: str) -> Person:
        """Whoever answered the latest call to a number."""
        return Phonebook.of(self.world).calls(phone)[-1]

    def _first(self, kind: CarrierEventKind, leg: Leg) -> CarrierEvent | None:
        return next((event for event in self.events if event.kind is kind and event.leg is leg), None)

    async def _take(self, request: WebhookRequest) -> None:
        self.events += self.carrier.webhook(request)

    def _admit(self, path: str) -> "OurEnd":
        self.sockets.append(OurEnd(self.carrier.media_protocol(path)))
        return self.sockets[-1]

    async def close(self) -> None:
        """Stop everything, our ends of sockets first."""
        for socket in self.sockets:
            socket.hang_up()
        await super().close()


class OurEnd(WSListener):
    """Our end of a media socket: a frame leaves every 20 ms, silence when there is nothing to say."""

    def __init__(self, protocol: MediaProtocol) -> None:
        self.protocol = protocol
        self.messages: list[tuple[bool, bytes]] = []
        """Every message as it came, and whether it was text."""
        self.started: MediaStarted | None = None
        self.events: list[MediaEvent] = []
        self.audio_at: int | None = None
        """Position of the first message with audio."""
        self.rejected = ""
        self.closed = False
        self._mouth = bytearray()
        self._recogniser: Recogniser | None = None
        self._transport: WSTransport | None = None
        self._pacing: asyncio.Task[None] | None = None

    @property
    def understood(self) -> list[str]:
        """What the other side said, as far as it arrived whole."""
        return self._recogniser.report().texts if self._recogniser is not None else []

    @property
    def faults(self) -> int:
        """How much of what arrived was lost, doubled or out of order."""
        return self._recogniser.report().faults if self._recogniser is not None else 0

    def say(self, text: str) -> None:
        """Say something in the stream's format."""
        assert self.started is not None
        wire = self.started.format
        pcm = AudioFormat(Encoding.PCM16, wire.rate_hz)
        spoken = speech.say(text, wire.rate_hz)
        convert = converter(pcm, wire)
        self._mouth += spoken if convert is None else convert(spoken)

    def hang_up(self) -> None:
        """Close the socket from our side."""
        if self._pacing is not None:
            self._pacing.cancel()
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.disconnect(graceful=False)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closed = True
        if self._pacing is not None:
            self._pacing.cancel()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            self._take(frame.msg_type is WSMsgType.TEXT, frame.get_payload_as_bytes())

    def _take(self, is_text: bool, payload: bytes) -> None:
        self.messages.append((is_text, payload))
        try:
            event = self.protocol.receive(is_text, payload)
        except WebhookRejected as error:
            self.rejected = str(error)
            self.hang_up()
            return
        if isinstance(event, bytes):
            self._hear(event)
        elif isinstance(event, MediaStarted):
            self.started = event
            self._recogniser = Recogniser(event.format.rate_hz)
            self._pacing = asyncio.get_running_loop().create_task(self._pace(event.format))
        elif event is not None:
            self.events.append(event)

    def _hear(self, payload: bytes) -> None:
        assert self.started is not None, "audio before the introduction"
        if self.audio_at is None:
            self.audio_at = len(self.messages) - 1
        wire = self.started.format
        convert = converter(wire, AudioFormat(Encoding.PCM16, wire.rate_hz))
        assert self._recogniser is not None
        self._recogniser.feed(payload if convert is None else convert(payload))

    async def _pace(self, wire: AudioFormat) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        kind = WSMsgType.TEXT if self.protocol.text_frames else WSMsgType.BINARY
        size = wire.frame_bytes
        assert self._transport is not None
        while not self._transport.is_disconnected:
            frame = bytes(self._mouth[:size])
            del self._mouth[:size]
            message = self.protocol.audio_message(frame + wire.silence(size - len(frame)))
            self._transport.send(kind, message)
            due += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due - loop.time()))
