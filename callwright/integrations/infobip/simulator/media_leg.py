"""The platform's end of one media socket: it connects to us, speaks first, and plays what it gets to the person."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from callwright.audio.convert import Converter, converter
from callwright.domain.audio import AudioFormat, Encoding
from callwright.integrations.infobip.simulator import socket_faults
from callwright.simulation.faults import Fault, FaultKind, Faults
from callwright.simulation.traffic import Exchange, Traffic

_MOST_BUFFERED = 10
_PREFILL = 5
_LARGEST_TEXT = 4096


@dataclass(slots=True)
class MediaRules:
    """What the platform tolerates, in milliseconds, and what is kept for assertions.

    A gap between two of our frames above `gap_ms` is counted, above `drop_ms` the socket is dropped; the first
    frame may take `first_frame_ms`. `keep_audio` keeps every payload of both directions, in order.
    """

    gap_ms: float = 60.0
    drop_ms: float = 1000.0
    first_frame_ms: float = 10_000.0
    keep_audio: bool = False


@dataclass(slots=True)
class MediaCounts:
    """What passed over one socket. `underruns` are frames of silence played because ours came late."""

    sent: int = 0
    received: int = 0
    played: int = 0
    gaps: int = 0
    longest_gap_ms: float = 0.0
    underruns: int = 0
    overflows: int = 0
    wrong_sizes: int = 0
    clears: int = 0
    cleared_frames: int = 0
    held_back: int = 0
    sent_audio: list[bytes] = field(default_factory=list)
    received_audio: list[bytes] = field(default_factory=list)


class MediaLeg(WSListener):
    """One websocket, at `wire_hz` on the wire and `line_hz` towards the telephone.

    `on_closed` is called once, with whether our side closed it, and a close code; texts of both sides and broken
    rules are on record in `traffic`.
    """

    def __init__(
        self,
        hello: dict[str, Any],
        rules: MediaRules,
        faults: Faults,
        on_closed: Callable[[str], None],
        traffic: Traffic,
    ) -> None:
        self.counts = MediaCounts()
        self.hello = hello
        self.close_code: int | None = None
        self.muted = False
        self.opening: Callable[[], None] | None = None
        self.texts: list[Any] = []
        wire_hz = int(str(hello["content-type"]).rpartition("=")[2])
        self._format = AudioFormat(Encoding.PCM16, wire_hz)
        self._frame_bytes = self._format.frame_bytes
        self._rules = rules
        self._faults = faults
        self._on_closed: Callable[[str], None] | None = on_closed
        self._traffic = traffic
        self._violation = traffic.violation
        self._transport: WSTransport | None = None
        self._to_wire: Converter | None = None
        self._from_wire: Converter | None = None
        self._buffer: deque[bytes] = deque()
        self._filling = True
        self._paused = False
        self._last_at = 0.0
        self._ending = "CHILD_ENDPOINT"
        self._later: asyncio.TimerHandle | None = None

    def set_line_rate(self, line_hz: int) -> None:
        """The telephone's sample rate, where it differs from the wire's."""
        line = AudioFormat(Encoding.PCM16, line_hz)
        self._to_wire, self._from_wire = converter(line, self._format), converter(self._format, line)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Introduce the call."""
        self._transport = transport
        self._last_at = time.monotonic()
        if self.opening is not None:
            self.opening()
        else:
            self.send_text(json.dumps(self.hello))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take audio into the jitter buffer; obey control messages."""
        if frame.msg_type is WSMsgType.BINARY:
            self._audio(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.TEXT:
            self._text(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.CLOSE:
            self.close_code = int(frame.get_close_code().value)
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Tell once that the socket is gone."""
        if self._later is not None:
            self._later.cancel()
        if self._on_closed is not None:
            tell, self._on_closed = self._on_closed, None
            tell(self._ending)

    def pause_writing(self) -> None:
        """Our side reads too slowly: live audio is not kept for it."""
        self._paused = True

    def resume_writing(self) -> None:
        """Our side has caught up."""
        self._paused = False

    def send(self, frame: bytes) -> None:
        """Give our side 20 ms of the telephone's audio, and watch that it keeps sending."""
        if self._watch() or self._transport is None or self.muted:
            return
        if self._paused:
            self.counts.held_back += 1
            return
        payload = self._to_wire(frame) if self._to_wire is not None else frame
        fault = self._faults.draw("frame to us", FaultKind.LOSE, FaultKind.REPEAT)
        copies = 1 if fault is None else 0 if fault.kind is FaultKind.LOSE else 2
        for _ in range(copies):
            self._transport.send(WSMsgType.BINARY, payload)
            self.counts.sent += 1
            if self._rules.keep_audio:
                self.counts.sent_audio.append(payload)

    def take(self) -> bytes | None:
        """20 ms for the telephone: what has arrived, in order; None (silence) when it has not."""
        if self._filling and len(self._buffer) < _PREFILL:
            return None
        if not self._buffer:
            self.counts.underruns += 1
            self._filling = True
            return None
        self._filling = False
        self.counts.played += 1
        frame = self._buffer.popleft()
        return self._from_wire(frame) if self._from_wire is not None else frame

    def send_text(self, text: str) -> None:
        """Send a text frame."""
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send(WSMsgType.TEXT, text.encode())
            self._record("out", text.encode())

    def send_binary(self, payload: bytes) -> None:
        """Send a binary frame of any size, for faults."""
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send(WSMsgType.BINARY, payload)

    def press(self, digit: str) -> None:
        """The person pressed a key."""
        self.send_text(json.dumps({"event": "websocket:dtmf", "digit": digit, "duration": 250}))

    def close(self, ending: str = "PLATFORM") -> None:
        """Close from the platform's side."""
        self._ending = ending
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()

    def cut(self) -> None:
        """Break the connection without a word."""
        self._ending = "PLATFORM"
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def arrange(self, fault: Fault | None) -> None:
        """Let a fault happen to this open socket later."""
        self._later = socket_faults.later(fault, self)

    async def wait_closed(self) -> None:
        """Wait until the socket is gone."""
        if self._transport is not None:
            async with asyncio.timeout(2.0):
                await self._transport.wait_disconnected()

    def _audio(self, payload: bytes) -> None:
        now = time.monotonic()
        if self.counts.received:
            gap_ms = (now - self._last_at) * 1000
            self.counts.longest_gap_ms = max(self.counts.longest_gap_ms, gap_ms)
            self.counts.gaps += gap_ms > self._rules.gap_ms
        self._last_at = now
        self.counts.received += 1
        if len(payload) != self._frame_bytes:
            self.counts.wrong_sizes += 1
            self._violation(f"a frame of {len(payload)} bytes, not {self._frame_bytes}")
            return
        if self._rules.keep_audio:
            self.counts.received_audio.append(payload)
        if self._faults.draw("frame from us", FaultKind.LOSE) is not None:
            return
        self._buffer.append(payload)
        if len(self._buffer) > _MOST_BUFFERED:
            self._buffer.popleft()
            self.counts.overflows += 1

    def _record(self, direction: str, payload: bytes) -> Any:
        """Keep a text frame; what it says, or the text itself, cut short, where it is no JSON."""
        try:
            body = json.loads(payload[:_LARGEST_TEXT])
        except ValueError:
            body = payload[:_LARGEST_TEXT].decode(errors="replace")
        named = (body.get("event") or body.get("action")) if isinstance(body, dict) else None
        shown = {**body, "ws_token": "***"} if isinstance(body, dict) and "ws_token" in body else body
        forged = direction == "out" and not named
        row = Exchange(direction, "ws", str(named or "malformed"), shown, time.time(), forged=forged)
        self._traffic.record(row)
        return body

    def _text(self, payload: bytes) -> None:
        message = self._record("in", payload)
        if isinstance(message, str):
            self._violation("a text frame that is not JSON")
            return
        if message != {"action": "clear"}:
            self._violation(f"a text frame that the platform does not know: {str(message)[:100]}")
            return
        self.texts.append(message)
        self.counts.clears += 1
        self.counts.cleared_frames += len(self._buffer)
        self._buffer.clear()
        self._filling = True

    def _watch(self) -> bool:
        """Drop the socket when our side has gone silent; True when it is gone."""
        if self._transport is None or self._transport.is_disconnected:
            return True
        quiet_ms = (time.monotonic() - self._last_at) * 1000
        limit_ms = self._rules.drop_ms if self.counts.received else self._rules.first_frame_ms
        if quiet_ms <= limit_ms:
            return False
        self._violation(f"no frame for {quiet_ms:.0f} ms: the socket was dropped")
        self.cut()
        return True
