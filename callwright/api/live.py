"""The live feed: every call's events as server-sent events (WHATWG HTML, 9.2), from a cursor on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from callwright.api import problems
from callwright.api.problems import ApiError
from callwright.api.views import Shower
from callwright.domain.events import CallEvent

MOST_STREAMS = 32
HEARTBEAT_S = 15.0
SEND_TIMEOUT_S = 20.0
"""A client that reads nothing for this long is let go; it comes back with the cursor that it had."""

RECONNECT_MS = 2000

Feed = AsyncGenerator[tuple[int, str, CallEvent], None]


class Streams:
    """The open streams of this process: so many at most, and all of them end when it stops."""

    def __init__(self) -> None:
        self._closing = asyncio.Event()
        self._open = 0

    def enter(self) -> None:
        """Count a stream in; raises ApiError when there are too many, or the process is stopping."""
        if self._open >= MOST_STREAMS or self._closing.is_set():
            detail = f"{self._open} of {MOST_STREAMS} live streams are open."
            raise ApiError(problems.BUSY, detail, headers={"Retry-After": "5"})
        self._open += 1

    def leave(self) -> None:
        """Count a stream out."""
        self._open -= 1

    def close(self) -> None:
        """End every stream soon, and take no new one."""
        self._closing.set()

    async def closed(self) -> None:
        """Wait for `close`."""
        await self._closing.wait()


class EventStream(Response):
    """One client's stream. It asks for an event when the one before has left, so nothing piles up."""

    media_type = "text/event-stream"

    def __init__(
        self, streams: Streams, feed: Feed, shower: Shower, *, cursor: int, call_id: str | None
    ) -> None:
        super().__init__(headers={"x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._streams = streams
        self._feed = feed
        self._shower = shower
        self._cursor = cursor
        self._call_id = call_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client goes, stops reading, or the process stops."""
        self._streams.enter()
        ends = {
            asyncio.create_task(_gone(receive), name="stream-gone"),
            asyncio.create_task(self._streams.closed(), name="streams-closing"),
        }
        try:
            async with aclosing(self._feed):
                await self._run(send, ends)
        except TimeoutError:
            return  # the client reads nothing; the server closes a connection whose answer is not complete
        finally:
            self._streams.leave()
            for task in ends:
                task.cancel()

    async def _run(self, send: Send, ends: set[asyncio.Task[None]]) -> None:
        await _within(
            send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        )
        await self._write(send, f"retry: {RECONNECT_MS}\nid: {self._cursor}\n\n")
        following: asyncio.Task[Any] | None = None
        try:
            while True:
                following = following or asyncio.create_task(_next(self._feed), name="stream-next")
                done, _ = await asyncio.wait(
                    {following, *ends}, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED
                )
                if done & ends:
                    break
                if following in done:
                    item, following = following.result(), None
                    if item is None:
                        break
                    await self._tell(send, *item)
                else:
                    await self._write(send, f": nothing new\nid: {self._cursor}\n\n")
        finally:
            await _cancel(following)
        await _within(send({"type": "http.response.body", "body": b"", "more_body": False}))

    async def _tell(self, send: Send, cursor: int, call_id: str, event: CallEvent) -> None:
        self._cursor = cursor
        if self._call_id in (None, call_id):
            item = self._shower.feed_item(cursor, call_id, event)
            await self._write(send, f"id: {cursor}\ndata: {item.model_dump_json()}\n\n")

    async def _write(self, send: Send, text: str) -> None:
        await _within(send({"type": "http.response.body", "body": text.encode(), "more_body": True}))


async def _within(sending: Any) -> None:
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await sending


async def _next(feed: Feed) -> tuple[int, str, CallEvent] | None:
    return await anext(feed, None)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(task: asyncio.Task[Any] | None) -> None:
    """Stop a pending step of the feed before the feed itself is closed."""
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
