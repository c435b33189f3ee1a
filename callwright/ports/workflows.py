"""Short durable workflows, so that the engine behind them can be exchanged."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

Workflow = Callable[[str], Awaitable[None]]
Step = Callable[[], Awaitable[Any]]


class Workflows(Protocol):
    """Starts named workflows durably, once for each id; takes over those of dead processes."""

    def register(self, name: str, workflow: Workflow) -> None:
        """Make a workflow known under a stable name, before `launch`; its argument is an attempt id."""
        ...

    async def step(self, name: str, step: Step) -> Any:
        """Run one step of the running workflow; its JSON-friendly result is remembered. At least once."""
        ...

    async def start(self, name: str, workflow_id: str, argument: str) -> bool:
        """Start a workflow durably unless one with this id exists; returns whether it is new."""
        ...

    async def is_over(self, workflow_id: str) -> bool:
        """Whether a workflow with this id ran to an end, be it a failure; False for one that is unknown."""
        ...

    async def launch(self) -> None:
        """Take up work, also what an earlier process of this id left behind."""
        ...

    def if_dead(self, process_id: str) -> AbstractAsyncContextManager[bool]:
        """Whether another process is dead; if so, nobody can take its id until the context ends."""
        ...

    async def adopt(self, process_id: str) -> int:
        """Take over what a dead process left unfinished; returns how many workflows."""
        ...

    async def purge(self, older_than_s: float) -> int:
        """Forget finished workflows of that age; returns how many."""
        ...

    async def close(self, *, at_once: bool = False) -> None:
        """Stop taking up work and release threads and connections, within a time limit.

        What runs may finish for a while, unless `at_once`: then others have it already.
        """
        ...
