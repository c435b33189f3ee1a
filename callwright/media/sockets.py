"""What both websockets of a call share."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import cast

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport
from picows.picows import WSCloseHandshake

from callwright.media.limits import MediaLimits
from callwright.media.metrics import MediaMetrics

TEXT = WSMsgType.TEXT
BINARY = WSMsgType.BINARY

logger = logging.getLogger(__name__)


def ignore(*_: object) -> None:
    """What a socket that is over does with whatever still comes."""


def close_number(code: WSCloseCode) -> int:
    """The close code as a number: picows declares a plain Enum, yet it is an int, also for private codes."""
    return int(code)  # type: ignore[call-overload, no-any-return]  # the stub is wrong, see above


def message_writer(
    transport: WSTransport, kind: WSMsgType, wrap: Callable[[bytes], bytes]
) -> Callable[[bytes], None]:
    """Function that writes a payload as one message: what every frame goes through, kept short."""
    send = transport.send

    def write(payload: bytes) -> None:
        send(kind, wrap(payload))

    return write


class MediaSocket(WSListener):
    """What both legs share: whole messages, control frames, a slow peer, and an end that is told once.

    `paused` is True while the peer reads too slowly; `messages` counts what came, for the watch over dead peers.
    """

    leg = "media"

    def __init__(self, limits: MediaLimits, metrics: MediaMetrics, message_bytes: int) -> None:
        self.transport: WSTransport | None = None
        self.paused = False
        self.messages = 0
        self.closing = False
        self._limits = limits
        self._metrics = metrics
        self._message_bytes = message_bytes
        self._parts: list[bytes] | None = None
        self._parts_size = 0
        self._parts_text = False
        self._abort_timer: asyncio.TimerHandle | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done; small kernel buffers keep a slow peer's audio from becoming minutes old."""
        self.transport = transport
        tcp = transport.underlying_transport
        tcp.set_write_buffer_limits(self._limits.write_buffer_bytes)
        tcp.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.send_buffer_bytes
        )
        self._metrics.sockets.labels(self.leg).inc()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Hand a whole message on."""
        kind = frame.msg_type
        try:
            if frame.payload_size > self._message_bytes:
                self._too_big()  # picows has sent its close frame, yet hands over what arrives before the end
            elif (kind is BINARY or kind is TEXT) and frame.fin:
                self.messages += 1
                self._take(kind is TEXT, frame.get_payload_as_bytes())
            else:
                self._take_rarity(transport, frame, kind)
        except Exception:
            # Supervision point: a fault in one call ends that call, told and logged once, not frame by frame.
            logger.exception("Handling a message of a media socket failed", extra={"leg": self.leg})
            self._fault()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Tell the end once, with the code and reason of the peer's close frame if there was one."""
        self._metrics.sockets.labels(self.leg).dec()
        if self._abort_timer is not None:
            self._abort_timer.cancel()
            self._abort_timer = None
        handshake = cast("WSCloseHandshake | None", transport.close_handshake)  # None until one side closes
        if handshake is None:
            self._over(None, "")
            return
        if handshake.sent is not None and handshake.sent.code == WSCloseCode.MESSAGE_TOO_BIG:
            self._too_big()
        said = handshake.recv
        self._over(
            close_number(said.code) if said is not None else None,
            (said.reason or "") if said is not None else "",
        )

    def pause_writing(self) -> None:
        """The peer reads too slowly."""
        self.paused = True

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self.paused = False

    def close(self, code: WSCloseCode = WSCloseCode.OK, reason: str = "") -> None:
        """Close in the ordinary way; cut when the peer does not answer within a second."""
        if self.closing:
            return
        self.closing = True
        transport = self.transport
        if transport is None or transport.is_disconnected:
            return
        transport.send_close(code, reason.encode()[:120])
        self._abort_timer = asyncio.get_running_loop().call_later(self._limits.close_s, self.abort)

    def abort(self) -> None:
        """Cut the connection."""
        self.closing = True
        if self.transport is not None:
            self.transport.disconnect(graceful=False)

    def ping(self) -> None:
        """Ask the peer for a sign of life; its answer counts as a message."""
        if self.transport is not None and not self.closing:
            self.transport.send_ping()

    def _take(self, is_text: bool, payload: bytes) -> None:
        raise NotImplementedError

    def _over(self, code: int | None, reason: str) -> None:
        raise NotImplementedError

    def _too_big(self) -> None:
        raise NotImplementedError

    def _fault(self) -> None:
        raise NotImplementedError

    def _take_rarity(self, transport: WSTransport, frame: WSFrame, kind: WSMsgType) -> None:
        """Close, pong, and messages in several frames, which are joined up to the limit."""
        self.messages += 1
        if kind is WSMsgType.CLOSE:
            if not self.closing:
                self.closing = True
                transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        if kind not in {TEXT, BINARY, WSMsgType.CONTINUATION}:
            return
        if self._parts is None or kind is not WSMsgType.CONTINUATION:
            self._parts, self._parts_size, self._parts_text = [], 0, kind is TEXT
        self._parts_size += frame.payload_size
        if self._parts_size > self._message_bytes:
            self._parts = None
            self._too_big()
            return
        self._parts.append(frame.get_payload_as_bytes())
        if frame.fin:
            whole, self._parts = b"".join(self._parts), None
            self._take(self._parts_text, whole)
