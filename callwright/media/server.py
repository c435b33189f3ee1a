"""REST, webhooks and media sockets on one port: uvicorn, whose upgrades of media paths go to picows.

A proxy may reuse a connection for several requests, so the hand-over happens at the upgrade, not at the first bytes.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import uvicorn
from picows import WSAutoPingStrategy, WSUpgradeRequest
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stubs, but used by its own server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from callwright.domain.errors import NotFound, WebhookRejected
from callwright.media.carrier_leg import CarrierLeg
from callwright.media.plane import MediaPlane, TooManySockets

MEDIA_PATH = "/media/"
"""Upgrades below this path are media sockets: /media/<carrier>/<the carrier's own path>."""

_READ_BUFFER = 4096
_HEADER_BYTES = 32 * 1024
_PING_S = 20.0

logger = logging.getLogger(__name__)


class MediaHttpProtocol(HttpToolsProtocol):
    """One connection: uvicorn's own until it asks for a media socket.

    A request whose head is too big, or not there within the limit of the handshake, ends the connection.
    """

    def __init__(
        self,
        plane: MediaPlane,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._plane = plane
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Wait for the first request, within its time limit."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self._plane.limits.handshake_s, self._head_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        super().on_url(url)
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field."""
        super().on_header(name, value)
        self._count_head(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._stop_head_timer()
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand media sockets to picows; every other upgrade stays with uvicorn."""
        if not self._asks_for_media():
            super().handle_websocket_upgrade()
            return
        self.connections.discard(self)
        path = self.url.decode("latin-1")[len(MEDIA_PATH) :].partition("?")[0]
        try:
            leg = self._plane.open_carrier(path)
        except NotFound:
            self._answer(HTTPStatus.NOT_FOUND)
        except WebhookRejected:
            self._answer(HTTPStatus.FORBIDDEN)
        except TooManySockets:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._hand_over(leg)

    def _should_upgrade(self) -> bool:
        return self._asks_for_media() or super()._should_upgrade()

    def _asks_for_media(self) -> bool:
        return self.url.startswith(MEDIA_PATH.encode()) and self._get_upgrade() == b"websocket"

    def _hand_over(self, leg: CarrierLeg) -> None:
        def listen(_: WSUpgradeRequest) -> CarrierLeg:
            return leg

        limits = self._plane.limits
        protocol = WSProtocol(
            None,
            None,
            False,
            listen,
            logging.getLogger("picows.server"),
            True,
            limits.handshake_s,
            False,
            _PING_S,
            _PING_S,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            True,
            limits.carrier_message_bytes,
            None,
            _READ_BUFFER,
        )
        head = [self.scope["method"].encode(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            head += [name, b": ", value, b"\r\n"]
        head.append(b"\r\n")
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        _feed(protocol, b"".join(head))
        if leg.transport is None:
            self._plane.metrics.refused.labels("bad_handshake").inc()
            self._plane.left(leg)

    def _answer(self, status: HTTPStatus) -> None:
        body = status.phrase.encode()
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (status, body, len(body), body)
        )
        self.transport.close()

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > _HEADER_BYTES and not self.transport.is_closing():
            self._plane.metrics.refused.labels("head_too_big").inc()
            self._answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _head_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self._plane.metrics.refused.labels("slow_handshake").inc()
            self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _feed(protocol: Any, data: bytes) -> None:
    """Give bytes to a buffered protocol as a transport would."""
    while data:
        room = protocol.get_buffer(-1)
        size = min(len(room), len(data))
        room[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]


class _Server(uvicorn.Server):
    """uvicorn without its own way to listen: no exit of the process, no signals, ephemeral ports."""

    def __init__(self, config: uvicorn.Config, plane: MediaPlane) -> None:
        super().__init__(config)
        self._plane = plane

    async def listen(self, host: str, port: int, sock: socket.socket | None) -> None:
        """Start the application and accept connections. Raises OSError, RuntimeError."""
        config = self.config
        config.load()
        self.lifespan = config.lifespan_class(config)
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise RuntimeError("the application did not start")
        loop = asyncio.get_running_loop()
        where = {"sock": sock} if sock is not None else {"host": host, "port": port}
        try:
            self.servers = [
                await loop.create_server(
                    self._protocol_factory(), ssl=config.ssl, backlog=config.backlog, **where
                )
            ]
        except OSError:
            await self.lifespan.shutdown()
            raise
        self.started = True

    def _protocol_factory(self) -> Callable[[], asyncio.Protocol]:
        return lambda: MediaHttpProtocol(self._plane, self.config, self.server_state, self.lifespan.state)


class WebServer:
    """Serves an ASGI application and the media plane in the running event loop.

    `port` is the true one after `start`, also when 0 was asked for. `sock` is a listening socket to use instead.
    """

    def __init__(
        self,
        app: Any,
        media: MediaPlane,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        sock: socket.socket | None = None,
        **options: Any,
    ) -> None:
        self.host = host
        self.port = port
        self._media = media
        self._sock = sock
        defaults = {"log_config": None, "access_log": False, "server_header": False}
        self._config = uvicorn.Config(app, host=host, port=port, **(defaults | options))
        self._server = _Server(self._config, media)
        self._ticking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the application and listen. Raises OSError when the port is taken, RuntimeError from the lifespan."""
        await self._server.listen(self.host, self.port, self._sock)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self._ticking = asyncio.create_task(self._server.main_loop(), name="web server")

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Accept nothing new, close media sockets, let requests end; cut what is left when the time is over."""
        if self._ticking is None:
            return
        self._server.should_exit = True
        ticking, self._ticking = self._ticking, None
        await ticking
        for listener in self._server.servers:
            listener.close()
        await self._media.close()
        self._config.timeout_graceful_shutdown = max(int(timeout_s), 1)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s + 1):
                await self._server.shutdown()
