"""The lock on a process's id: two live processes under one id would each run the other's workflows."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
import structlog
from sqlalchemy.engine import URL

from callwright.domain.errors import ConfigurationError, Problem
from callwright.storage.database import connect_directly, lock_key

log = structlog.get_logger(__name__)

_RECONNECT_EVERY_S = 2.0
_QUERY_LIMIT_S = 5.0
_TRY_EVERY_S = 0.25
_REMEDY = "Stop it, or give this process an id of its own."


class ProcessLock(Protocol):
    """Held from before a process takes up work until it has stopped or died."""

    async def take(self) -> None:
        """Take the lock; raises ConfigurationError when another process holds it."""
        ...

    def if_dead(self, process_id: str) -> AbstractAsyncContextManager[bool]:
        """Whether another process is dead; if so, its id is ours until the context ends."""
        ...

    async def release(self) -> None:
        """Give the lock back."""
        ...


class FolderLock:
    """A lock file in the data folder, for SQLite: whatever its id, one process at a time does the work."""

    def __init__(self, path: Path, process_id: str) -> None:
        self._path = path
        self._process_id = process_id
        self._file: int | None = None

    async def take(self) -> None:
        """Lock the file; raises ConfigurationError naming the process that has it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(file, 200, 0).decode(errors="replace").strip()
            os.close(file)
            remedy = "Stop it, use another data folder, or PostgreSQL, which many processes can share."
            problem = Problem(str(self._path.parent), f"is used by the running process {holder}.", remedy)
            raise ConfigurationError(problem) from error
        os.ftruncate(file, 0)
        os.pwrite(file, f"{self._process_id} (pid {os.getpid()})\n".encode(), 0)
        self._file = file

    @asynccontextmanager
    async def if_dead(self, process_id: str) -> AsyncIterator[bool]:
        """Every other process is dead while we hold the folder."""
        yield self._file is not None and process_id != self._process_id

    async def release(self) -> None:
        """Unlock the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class AdvisoryLock:
    """A lock of a PostgreSQL session that does nothing else; the server frees it when the process dies.

    When the connection is lost the lock is taken anew; if somebody else has it then, `on_lost` is called.
    """

    def __init__(
        self,
        url: URL,
        process_id: str,
        *,
        patience_s: float,
        on_lost: Callable[[], None],
        check_every_s: float = 5.0,
    ) -> None:
        self._url = url
        self._process_id = process_id
        self._patience_s = patience_s
        self._check_every_s = check_every_s
        self._on_lost = on_lost
        self._conn: psycopg.AsyncConnection[Any] | None = None
        self._one_query = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None

    async def take(self) -> None:
        """Take the lock, waiting a moment for the server to notice the death of a predecessor.

        Raises ConfigurationError when another process holds it.
        """
        if not await self._acquire():
            await self.release()
            problem = Problem(f"process id {self._process_id}", "is taken by a running process.", _REMEDY)
            raise ConfigurationError(problem)
        self._watch = asyncio.create_task(self._keep(), name="process lock")

    @asynccontextmanager
    async def if_dead(self, process_id: str) -> AsyncIterator[bool]:
        """Whether nobody holds the other id; then it is held until the context ends."""
        dead = process_id != self._process_id and await self._ask(
            "SELECT pg_try_advisory_lock(%s)", process_id
        )
        try:
            yield dead
        finally:
            if dead:
                await self._ask("SELECT pg_advisory_unlock(%s)", process_id)

    async def release(self) -> None:
        """Free the lock and close the session."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        if self._conn is None:
            return
        try:
            # The server closes a session a moment after its client; a successor need not wait for that.
            async with asyncio.timeout(_QUERY_LIMIT_S), self._one_query:
                await self._conn.execute("SELECT pg_advisory_unlock_all()")
        except (psycopg.Error, TimeoutError, OSError) as error:
            log.warning("the process lock was freed by closing its connection only", error=str(error))
        await self._conn.close()
        self._conn = None

    async def _acquire(self) -> bool:
        """Connect and try for `patience_s` seconds to get the lock."""
        self._conn = await connect_directly(self._url, "callwright lock")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience_s
        while not await self._ask("SELECT pg_try_advisory_lock(%s)", self._process_id):
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(_TRY_EVERY_S)
        return True

    async def _ask(self, query: str, process_id: str) -> bool:
        assert self._conn is not None
        async with asyncio.timeout(_QUERY_LIMIT_S), self._one_query:
            cursor = await self._conn.execute(query, (lock_key(f"process:{process_id}"),))
            row = await cursor.fetchone()
        return bool(row and row[0])

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._check_every_s)
            try:
                assert self._conn is not None
                async with asyncio.timeout(_QUERY_LIMIT_S), self._one_query:
                    await self._conn.execute("SELECT 1")
            except (psycopg.Error, TimeoutError, OSError) as error:
                log.warning("the process lock was lost with its connection", error=str(error))
                if not await self._take_again():
                    return

    async def _take_again(self) -> bool:
        """Try until the server answers; False when somebody else has the lock."""
        while True:
            try:
                assert self._conn is not None
                await self._conn.close()
                if await self._acquire():
                    log.info("the process lock is held again")
                    return True
            except (psycopg.Error, TimeoutError, OSError):
                await asyncio.sleep(_RECONNECT_EVERY_S)
                continue
            log.critical("another process has taken over this process's id", process=self._process_id)
            self._on_lost()
            return False
