"""The way from one process to PostgreSQL, which a test can hold up or cut."""

import asyncio
import contextlib
from typing import Self

from sqlalchemy.engine import make_url

_CHUNK = 65536


class Tunnel:
    """Listens on loopback and passes everything on to the Unix socket of the server of `database_url`."""

    def __init__(self, database_url: str) -> None:
        target = make_url(database_url)
        self._socket = f"{target.query['host']}/.s.PGSQL.5432"
        self._database = target.database
        self._user = target.username
        self._flows = asyncio.Event()
        self._flows.set()
        self._is_cut = False
        self._running: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._end_all()

    @property
    def url(self) -> str:
        """The URL of the database through this tunnel."""
        port = self._server.sockets[0].getsockname()[1]
        return f"postgresql://{self._user}@127.0.0.1:{port}/{self._database}"

    def hold(self) -> None:
        """Let nothing through in either direction; every connection stays open."""
        self._flows.clear()

    async def cut(self) -> None:
        """End every connection, and take no new one."""
        self._is_cut = True
        await self._end_all()

    def mend(self) -> None:
        """Let everything through again."""
        self._is_cut = False
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            if not self._is_cut:
                await self._pass_on(reader, writer)
        writer.transport.abort()
        self._running.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(self._socket)
        ways = [
            asyncio.create_task(self._flow(reader, there_writer)),
            asyncio.create_task(self._flow(there_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            there_writer.transport.abort()

    async def _flow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()

    async def _end_all(self) -> None:
        tasks = set(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(2):
            await asyncio.sleep(0)  # aborted transports close in the next turns of the loop
