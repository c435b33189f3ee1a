"""An ordinary load balancer, as small as can be: each connection goes to a process that accepts it."""

import asyncio
from collections.abc import Iterable

_CONNECT_LIMIT_S = 2.0
_PART = 65_536


class Balancer:
    """Forwards connections to the backend ports in turn; `port` is where it listens itself."""

    def __init__(self, port: int, backends: Iterable[int]) -> None:
        self.port = port
        self._backends = list(backends)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Cut everything."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            backend = await self._connect()
            if backend is not None:
                await self._join((reader, writer), backend)
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        self._backends.append(self._backends.pop(0))
        for port in self._backends:
            try:
                async with asyncio.timeout(_CONNECT_LIMIT_S):
                    return await asyncio.open_connection("127.0.0.1", port)
            except (OSError, TimeoutError):
                continue
        return None

    async def _join(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        backend: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(client[0], backend[1]))
                group.create_task(_pump(backend[0], client[1]))
        except* OSError:
            pass  # a side that breaks off ends both, as it would without us
        finally:
            backend[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what one side sends, until it stops; that stops the other side too."""
    while part := await reader.read(_PART):
        writer.write(part)
        await writer.drain()
    writer.close()
