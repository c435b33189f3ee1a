"""The outermost layer: request ids, a time limit on bodies, and no answer above 399 that is not a problem."""

import asyncio
import re
import secrets

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callwright.api import problems
from callwright.api.problems import MEDIA_TYPE, ProblemResponse, kind_of_status, problem
from callwright.api.refusals import UNEXPECTED

log = structlog.get_logger(__name__)

BODY_TIMEOUT_S = 30.0
"""Longest wait for a whole body."""

REQUEST_ID = "x-request-id"
_ACCEPTABLE_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")


class Edge:
    """An ASGI layer around the application; a request's id is in its scope as `request_id`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what is not HTTP is passed on untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _ACCEPTABLE_ID.match(given) else secrets.token_hex(8)
        scope["request_id"] = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await _Exchange(scope, receive, send).run(self._app)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._deadline = asyncio.get_running_loop().time() + BODY_TIMEOUT_S
        self._body_complete = False
        self._started = False
        self._complete = False
        self._replaced: Message | None = None

    async def run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self.receive, self.send)
        except Exception:  # the last place that can answer: one request must not look like silence
            if self._started and not self._complete:
                raise  # the server cuts the connection, so that half an answer is not taken for a whole one
            log.exception("request failed", method=self._scope["method"], path=self._scope["path"])
            if not self._started:
                await self._answer(problems.INTERNAL.status, UNEXPECTED)

    async def receive(self) -> Message:
        """A piece of the body, within the time limit for all of it; then the end of the connection, at leisure."""
        if self._body_complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError as error:
            detail = f"The body did not arrive within {BODY_TIMEOUT_S:.0f} s."
            raise HTTPException(problems.SLOW.status, detail, {"Connection": "close"}) from error
        self._body_complete = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer on; hold back an error that is not told as a problem document, and tell it as one."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if message["status"] >= 400 and not headers.get("content-type", "").startswith(MEDIA_TYPE):
                self._replaced = message
                return
            await self._start(message)
            return
        if self._replaced is not None:
            if not message.get("more_body", False):
                await self._replace(self._replaced)
            return
        self._complete = not message.get("more_body", False)
        await self._send(message)

    async def _start(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        headers[REQUEST_ID] = self._scope["request_id"]
        headers.setdefault("x-content-type-options", "nosniff")
        headers.setdefault("cache-control", "no-store")
        self._started = True
        await self._send(message)

    async def _replace(self, original: Message) -> None:
        kept = ("allow", "content-range", "retry-after", "connection")
        headers = {name: value for name, value in MutableHeaders(scope=original).items() if name in kept}
        self._replaced = None
        await self._answer(original["status"], kind_of_status(original["status"]).title + ".", headers)

    async def _answer(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        kind = kind_of_status(status)
        scope = self._scope
        document = problem(kind, detail, path=scope["path"], request_id=scope["request_id"])
        response = ProblemResponse(document, status_code=status, headers=headers)
        await response(scope, self._receive, self.send)
