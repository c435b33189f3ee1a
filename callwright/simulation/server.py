"""Serves a simulator's HTTP side on loopback in the running event loop, with faults and a record of traffic."""

import asyncio
import json
import time
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callwright.simulation.faults import Fault, FaultKind, Faults
from callwright.simulation.traffic import Exchange, Traffic, parameters

_START_TIMEOUT_S = 10.0
_GRACE_S = 0.5
_POLL_S = 0.003
_LARGEST_BODY = 8 * 1024 * 1024
_HANG_LIMIT_S = 120.0
_HTTP_FAULTS = (
    FaultKind.STATUS,
    FaultKind.DELAY,
    FaultKind.HANG,
    FaultKind.DROP_BEFORE,
    FaultKind.DROP_AFTER,
)


class SimulatorServer:
    """One ASGI application on 127.0.0.1; port 0 takes a free one."""

    def __init__(self, app: ASGIApp, faults: Faults, traffic: Traffic, port: int = 0) -> None:
        wrapped = _Middleware(app, faults, traffic)
        config = uvicorn.Config(
            wrapped,
            host="127.0.0.1",
            port=port,
            log_level="critical",
            lifespan="off",
            ws="none",
            access_log=False,
        )
        self._server = uvicorn.Server(config)
        self.base_url = ""

    async def start(self) -> None:
        """Listen; raises TimeoutError when it does not within 10 s."""
        config = self._server.config
        config.load()
        # What serve() does, less the process's signals and a main loop that notices the end 100 ms late.
        self._server.lifespan = config.lifespan_class(config)
        async with asyncio.timeout(_START_TIMEOUT_S):
            await self._server.startup()
        host, port = self._server.servers[0].sockets[0].getsockname()[:2]
        self.base_url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stop listening; answers in progress get half a second."""
        if not self._server.started:
            return
        self._server.started = False
        state = self._server.server_state
        for server in self._server.servers:
            server.close()
        for connection in list(state.connections):
            connection.shutdown()
        await self._wait_until_idle(_GRACE_S)
        for task in list(state.tasks):
            task.cancel()
        await self._wait_until_idle(_GRACE_S)

    async def _wait_until_idle(self, limit_s: float) -> None:
        state = self._server.server_state
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while state.connections or state.tasks:  # noqa: ASYNC110  (uvicorn tells nobody when it is idle)
                    await asyncio.sleep(_POLL_S)


class _Middleware:
    """Applies faults before and after the application, and records each exchange."""

    def __init__(self, app: ASGIApp, faults: Faults, traffic: Traffic) -> None:
        self._app = app
        self._faults = faults
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _read_body(receive)
        if body is None:
            return
        name = f"{scope['method']} {scope['path']}"
        fault = None if scope["path"].startswith("/__admin") else self._faults.draw(name, *_HTTP_FAULTS)
        answer = _Answer()
        try:
            if fault is None or not await self._before(fault, send, answer):
                await self._app(scope, _replay(body), answer.collect)
                if fault is not None and fault.kind is FaultKind.DROP_AFTER:
                    await _cut(send)
                else:
                    await answer.send_to(send)
        finally:  # cutting a connection raises, and a cut exchange is on record all the same
            forged = fault is not None and fault.kind is FaultKind.STATUS
            self._record(scope, name, body, answer, forged=forged)

    async def _before(self, fault: Fault, send: Send, answer: "_Answer") -> bool:
        """Apply a fault ahead of the application; True when the request is dealt with."""
        if fault.seconds:
            await asyncio.sleep(fault.seconds)
        if fault.kind is FaultKind.HANG:
            await asyncio.sleep(_HANG_LIMIT_S)
        if fault.kind in {FaultKind.HANG, FaultKind.DROP_BEFORE}:
            await _cut(send)
            return True
        if fault.kind is FaultKind.STATUS:
            text = fault.body if isinstance(fault.body, str) else json.dumps(fault.body or {})
            headers = {"content-type": "application/json", **fault.headers}
            pairs = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
            await answer.collect({"type": "http.response.start", "status": fault.status, "headers": pairs})
            await answer.collect({"type": "http.response.body", "body": text.encode()})
            await answer.send_to(send)
            return True
        return False

    def _record(self, scope: Scope, name: str, body: bytes, answer: "_Answer", *, forged: bool) -> None:
        query = parameters(scope["query_string"].decode())
        for parameter, value in query.items():
            if not value or not isinstance(value, str):
                told = "without a value" if not value else f"{len(value)} times"
                self._traffic.violation(f"{name}: the parameter {parameter} is given {told}")
        headers = {key.decode(): value.decode("latin-1") for key, value in scope["headers"]}
        for secret in ("authorization", "xi-api-key"):
            if secret in headers:
                headers[secret] = "***"
        self._traffic.record(
            Exchange(
                "in",
                "http",
                name,
                _decode(body, headers.get("content-type", "")),
                time.time(),
                scope["path"],
                query,
                headers,
                answer.status,
                _decode(answer.body, "json"),
                forged,
            )
        )


class _Answer:
    """A response held back until it is known whether it may leave."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.body = b""
        self._messages: list[Message] = []

    async def collect(self, message: Message) -> None:
        self._messages.append(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body += message.get("body", b"")

    async def send_to(self, send: Send) -> None:
        for message in self._messages:
            await send(message)


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body; None when the client went before it had sent all of it."""
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > _LARGEST_BODY:
            raise ValueError("a request of more than 8 MiB")
        if not message.get("more_body", False):
            return body


def _replay(body: bytes) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def _cut(send: Send) -> None:
    """Break the connection: announce more than is sent, which makes the server close it."""
    start: Message = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-length", b"1000000")],
    }
    await send(start)
    await send({"type": "http.response.body", "body": b"{", "more_body": False})


def _decode(body: bytes, content_type: str) -> Any:
    if not body:
        return None
    text = body.decode("utf-8", "replace")
    if "form" in content_type:
        return parameters(text)
    try:
        return json.loads(text)
    except ValueError:
        return text[:2000]
