"""Notifications between processes: hints that something changed; who misses one finds out by sweeping."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import psycopg
import structlog
from sqlalchemy import text

from callwright.storage.database import Database, connect_directly

log = structlog.get_logger(__name__)

Callback = Callable[[str], None]

CHANNEL = "callwright"
LONGEST = 1000
"""Most characters of topic and key together; PostgreSQL takes 8000 bytes in one notification."""

_MOST_WAITING = 10_000
_BATCH = 100
_CHECK_EVERY_S = 20.0
_CHECK_LIMIT_S = 5.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 15.0
_CLOSE_S = 5.0
_GATHER_S = 0.02
_WAKE_EVERY_S = 0.1
_SEPARATOR = "\x1f"


class News:
    """Wakes everybody who waits, at most every tenth of a second, however much there is to tell."""

    def __init__(self, every_s: float = _WAKE_EVERY_S) -> None:
        self._every_s = every_s
        self._event = asyncio.Event()
        self._next_at = 0.0
        self._planned: asyncio.TimerHandle | None = None

    def tell(self) -> None:
        """There is news."""
        loop = asyncio.get_running_loop()
        if self._planned is None:
            self._planned = loop.call_at(max(self._next_at, loop.time()), self._wake, loop)

    async def wait(self, limit_s: float) -> None:
        """Wait for news, or for `limit_s` seconds."""
        event = self._event
        try:
            async with asyncio.timeout(limit_s):
                await event.wait()
        except TimeoutError:
            return

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        self._planned = None
        self._next_at = loop.time() + self._every_s
        told, self._event = self._event, asyncio.Event()
        told.set()


class Bus:
    """Publishes keys under topics to the callbacks of every process on this database.

    On SQLite there is one process. On PostgreSQL notifications travel by LISTEN and NOTIFY; equal ones that
    wait to be sent, or come within a moment, are merged. Any may be lost while the database is away.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sender = uuid.uuid4().hex
        self._callbacks: dict[str, list[Callback]] = {}
        self._waiting: dict[tuple[str, str], None] = {}
        self._wake = asyncio.Event()
        self._missed: list[Callable[[], None]] = []
        self._heard: dict[tuple[str, str], None] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def on_missed(self, callback: Callable[[], None]) -> None:
        """Call back once other processes are heard, at first and again: what they told before was missed."""
        self._missed.append(callback)

    def subscribe(self, topic: str, callback: Callback) -> Callable[[], None]:
        """Call back with every key published under a topic, here or elsewhere; returns what ends that."""
        self._callbacks.setdefault(topic, []).append(callback)

        def unsubscribe() -> None:
            callbacks = self._callbacks.get(topic, [])
            if callback in callbacks:
                callbacks.remove(callback)

        return unsubscribe

    async def start(self) -> None:
        """Listen to other processes; without them there is nothing to start."""
        if self._database.is_sqlite or self._tasks:
            return
        self._tasks = [
            asyncio.create_task(self._keep(self._listen), name="bus listen"),
            asyncio.create_task(self._keep(self._send), name="bus send"),
        ]

    async def publish(self, topic: str, key: str) -> None:
        """Tell everybody, this process at once and the others soon; call it after the commit.

        Raises ValueError for a topic and key of more than 1000 characters.
        """
        if len(topic) + len(key) > LONGEST:
            raise ValueError(f"a notification of {len(topic) + len(key)} characters is too long")
        self._deliver(topic, key)
        if not self._tasks:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.pop(next(iter(self._waiting)))
        self._waiting[topic, key] = None
        self._wake.set()

    async def close(self) -> None:
        """Send what waits, as far as that is possible within five seconds, and stop listening."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if tasks and self._waiting:
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await self._send_waiting()
            except Exception as error:  # supervision point: a database that is away must let us close
                log.warning("notifications were lost", error=str(error), count=len(self._waiting))

    def _deliver(self, topic: str, key: str) -> None:
        for callback in tuple(self._callbacks.get(topic, ())):
            try:
                callback(key)
            except Exception:  # supervision point: one subscriber's fault must not reach the others
                log.exception("a subscriber failed", topic=topic, key=key)

    async def _keep(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run one direction, again and again with growing pauses while the database is away."""
        pause = _FIRST_PAUSE_S
        while True:
            started = self._database.clock.monotonic()
            try:
                await work()
            except Exception as error:  # supervision point: whatever ends the connection, a new one is made
                log.warning("the connection for notifications was lost", error=str(error) or repr(error))
            if self._database.clock.monotonic() - started > _LONGEST_PAUSE_S:
                pause = _FIRST_PAUSE_S
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _listen(self) -> None:
        conn = await connect_directly(self._database.url, "callwright bus")
        try:
            await conn.execute(f"LISTEN {CHANNEL}")
            for callback in self._missed:
                callback()
            while True:
                async for message in conn.notifies(timeout=_CHECK_EVERY_S):
                    self._receive(message)
                # A peer that vanished without a word is found out by asking.
                async with asyncio.timeout(_CHECK_LIMIT_S):
                    await conn.execute("SELECT 1")
        finally:
            await conn.close()

    def _receive(self, message: psycopg.Notify) -> None:
        sender, _, rest = message.payload.partition(_SEPARATOR)
        topic, found, key = rest.partition(_SEPARATOR)
        if not found or sender == self._sender:
            return
        if not self._heard:
            asyncio.get_running_loop().call_later(_GATHER_S, self._deliver_heard)
        self._heard[topic, key] = None
        if len(self._heard) >= _MOST_WAITING:
            self._deliver_heard()

    def _deliver_heard(self) -> None:
        heard, self._heard = self._heard, {}
        for topic, key in heard:
            self._deliver(topic, key)

    async def _send(self) -> None:
        while True:
            await self._send_waiting()
            await self._wake.wait()
            self._wake.clear()

    async def _send_waiting(self) -> None:
        statement = text("SELECT pg_notify(:channel, :payload)")
        while self._waiting:
            batch = list(self._waiting)[:_BATCH]
            payloads = [_SEPARATOR.join((self._sender, topic, key)) for topic, key in batch]
            async with asyncio.timeout(_CHECK_LIMIT_S), self._database.write() as conn:
                for payload in payloads:
                    await conn.execute(statement, {"channel": CHANNEL, "payload": payload})
            for item in batch:
                self._waiting.pop(item, None)
