"""What a conversation does beside following the talk: tasks of which no fault is lost, dropped when the call ends."""

import asyncio
from collections.abc import Callable, Coroutine


class Works:
    """The tasks of one call. `on_fault` is told what one of them raised."""

    def __init__(self, on_fault: Callable[[BaseException], None]) -> None:
        self._on_fault = on_fault
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[None, None, None], name: str) -> None:
        """Start something."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._done)

    async def drop(self) -> None:
        """Cancel what is under way, and wait for it to be gone."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_fault(error)
