"""A client's websocket as the platform holds it: whole text messages in, messages and closes out."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

import picows

_CLOSE_WAIT_S: Final = 2.0
_LARGEST_MESSAGE: Final = 16 * 1024 * 1024
_TEXT: Final = picows.WSMsgType.TEXT


class Handler(Protocol):
    """What is done with a connection."""

    def received(self, payload: bytes, *, is_text: bool) -> None:
        """A whole message of the client; none comes after the platform has begun to close."""
        ...

    def unheard(self, payload: bytes) -> None:
        """A whole message that came after the platform has begun to close."""
        ...

    def client_closed(self, code: int, reason: str) -> None:
        """The client sent a close frame before the platform did."""
        ...

    def gone(self) -> None:
        """The connection is over, in whatever way."""
        ...


class Connection(picows.WSListener):
    """One websocket; `handle` makes its handler when the handshake is done, `open_ones` holds it while it is open."""

    def __init__(self, handle: Callable[["Connection"], Handler], open_ones: set["Connection"]) -> None:
        self._handle = handle
        self._open_ones = open_ones
        self._handler: Handler | None = None
        self._transport: picows.WSTransport | None = None
        self._parts = bytearray()
        self.closing = False
        """Whether a close frame was sent or received, or the connection broke."""
        self.gone = asyncio.Event()
        """Set when the connection is over."""

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Called by picows after the handshake."""
        self._transport = transport
        self._open_ones.add(self)
        self._handler = self._handle(self)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Called by picows for each frame."""
        kind, handler = frame.msg_type, self._handler
        if kind is picows.WSMsgType.CLOSE:
            self._on_close(transport, frame)
        elif handler is None:
            return
        elif kind is picows.WSMsgType.BINARY:
            self._whole(handler, frame.get_payload_as_bytes(), is_text=False)
        elif kind in {_TEXT, picows.WSMsgType.CONTINUATION}:
            self._parts += frame.get_payload_as_memoryview()
            if len(self._parts) > _LARGEST_MESSAGE:
                self.close(1009, "message too big")
            elif frame.fin:
                payload = bytes(self._parts)
                self._parts.clear()
                self._whole(handler, payload, is_text=True)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """Called by picows when the connection is gone."""
        self.closing = True
        self._open_ones.discard(self)
        self.gone.set()
        if self._handler is not None:
            self._handler.gone()

    def send(self, message: bytes) -> None:
        """Send a text message, unless it is too late."""
        if self._transport is not None and not self.closing:
            self._transport.send(_TEXT, message)

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, and hang up if the client does not answer within 2 s."""
        if self._transport is None or self.closing:
            return
        self.closing = True
        self._transport.send_close(cast("picows.WSCloseCode", code), reason.encode()[:123])
        asyncio.get_running_loop().call_later(_CLOSE_WAIT_S, self._transport.disconnect)

    def abort(self) -> None:
        """Break the connection without a close frame."""
        if self._transport is not None:
            self.closing = True
            self._transport.underlying_transport.abort()

    def _whole(self, handler: Handler, payload: bytes, *, is_text: bool) -> None:
        if self.closing:
            handler.unheard(payload)
        else:
            handler.received(payload, is_text=is_text)

    def _on_close(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if not self.closing and self._handler is not None:
            self.closing = True
            code = int(cast("int", frame.get_close_code()))
            reason = bytes(frame.get_close_message() or b"").decode(errors="replace")
            self._handler.client_closed(code, reason)
            transport.send_close(cast("picows.WSCloseCode", code))
        transport.disconnect()
