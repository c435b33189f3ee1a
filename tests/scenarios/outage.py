"""Takes a stage's database away and gives it back: SQLite is locked, PostgreSQL is cut off by a proxy before it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit


class Outage(Protocol):
    """A database that can be away; `url` is where it is reached."""

    url: str

    async def begin(self) -> None:
        """From now on it does not answer."""
        ...

    async def end(self) -> None:
        """It is back."""
        ...


class LockedFile:
    """Somebody else holds the SQLite file's lock for writing, such as a backup that hangs."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._file = Path(url.removeprefix("sqlite:///"))
        self._conn: sqlite3.Connection | None = None

    async def begin(self) -> None:
        """Take the lock as soon as it is free."""
        self._conn = sqlite3.connect(self._file, isolation_level=None, timeout=10, check_same_thread=False)
        await asyncio.to_thread(self._conn.execute, "BEGIN IMMEDIATE")

    async def end(self) -> None:
        """Give the lock back."""
        if self._conn is not None:
            self._conn.rollback()
            self._conn.close()
            self._conn = None


class Proxy:
    """A PostgreSQL server behind a port that can be closed: connections break, new ones are refused."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self._path = parts.path
        self._server: asyncio.Server | None = None
        self._port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self.url = ""

    async def begin(self) -> None:
        """Break every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()

    async def end(self) -> None:
        """Let connections through, at the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]
            self.url = f"postgresql://postgres@127.0.0.1:{self._port}{self._path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await asyncio.open_unix_connection(self._socket)
            self._open |= {writer, back}
            try:
                await asyncio.gather(_pipe(reader, back), _pipe(there, writer))
            finally:
                self._open -= {writer, back}


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def outage_of(url: str) -> AsyncIterator[Outage]:
    """The test's database, with a way to take it away."""
    outage: Outage = LockedFile(url) if url.startswith("sqlite") else Proxy(url)
    await outage.end()
    try:
        yield outage
    finally:
        await outage.end()
        if isinstance(outage, Proxy):
            await outage.begin()
