"""The process that is killed: `callwright serve`, with the moments marked at which it may die.

    python -m tests.crash.victim --trace FILE [--kill "commit calls.dialing.Dialer._accept after" --occurrence 2]

It takes its settings from the environment, as `callwright serve` does. Every moment (a boundary) that it passes is
appended to the trace; at the chosen one it sends itself SIGKILL. Nothing of this is in Callwright's own code.
"""

import argparse
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.cli.serve import serve
from callwright.ports.workflows import Step
from callwright.storage.database import Database
from callwright.storage.durable import DbosWorkflows
from callwright.toolkit.http import VendorHttp

_PACKAGE = "callwright."
_BELOW = ("callwright.storage.database", "callwright.calls.ledger")
_VARIABLE = re.compile(r"[0-9a-f-]{16,}|\d{4,}|(?:agent|conv|workspace)_\w+")


class Boundaries:
    """Counts the moments that the process passes, and ends it at the chosen occurrence of the chosen one."""

    def __init__(self, trace: Path, kill: str | None, occurrence: int) -> None:
        self._file = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._kill = kill
        self._occurrence = occurrence
        self._counts: Counter[str] = Counter()

    def at(self, name: str) -> None:
        """The process is at this moment now."""
        self._counts[name] += 1
        os.write(self._file, f"{name}\n".encode())
        if name == self._kill and self._counts[name] == self._occurrence:
            os.kill(os.getpid(), signal.SIGKILL)


def mark_steps(boundaries: Boundaries) -> None:
    """Before a step, after its effect but before it is recorded, after it is recorded; and around each start."""
    step, start = DbosWorkflows.step, DbosWorkflows.start

    async def marked_step(self: DbosWorkflows, name: str, effect: Step) -> Any:
        place = f"step {_caller()} {name}"

        async def run() -> Any:
            result = await effect()
            boundaries.at(f"{place} not recorded")
            return result

        boundaries.at(f"{place} before")
        result = await step(self, name, run)
        boundaries.at(f"{place} recorded")
        return result

    async def marked_start(self: DbosWorkflows, name: str, workflow_id: str, argument: str) -> bool:
        boundaries.at(f"start {name} before")
        started = await start(self, name, workflow_id, argument)
        boundaries.at(f"start {name} after")
        return started

    DbosWorkflows.step = marked_step  # type: ignore[method-assign, assignment]  # wrapped to stop there
    DbosWorkflows.start = marked_start  # type: ignore[method-assign]  # wrapped to stop there


def mark_commits(boundaries: Boundaries) -> None:
    """Before and after every commit, by whose transaction it is."""
    write = Database.write

    @asynccontextmanager
    async def marked(self: Database) -> AsyncIterator[AsyncConnection]:
        place = _caller()
        async with write(self) as conn:
            yield conn
            boundaries.at(f"commit {place} before")
        boundaries.at(f"commit {place} after")

    Database.write = marked  # type: ignore[method-assign]  # wrapped to stop there


def mark_requests(boundaries: Boundaries) -> None:
    """Before every request to a vendor, and when its answer is there but nobody has seen it."""
    send = VendorHttp.send

    async def marked(self: VendorHttp, method: str, url: str, **options: Any) -> Any:
        path = re.sub(r"^\w+://[^/]+", "", url).partition("?")[0]
        parts = ("*" if _VARIABLE.fullmatch(part) else part for part in path.split("/"))
        place = f"request {self.vendor} {method} {'/'.join(parts)}"
        boundaries.at(f"{place} before")
        try:
            return await send(self, method, url, **options)
        finally:
            boundaries.at(f"{place} after")

    VendorHttp.send = marked  # type: ignore[method-assign]  # wrapped to stop there


def _caller() -> str:
    """Module and name of the code of Callwright on whose behalf a boundary is passed."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(_PACKAGE) and module not in _BELOW:
            return f"{module.removeprefix(_PACKAGE)}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return "unknown"


def main() -> None:
    """Serve until something kills us."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", type=Path, required=True)
    parser.add_argument("--kill")
    parser.add_argument("--occurrence", type=int, default=1)
    arguments = parser.parse_args()
    boundaries = Boundaries(arguments.trace, arguments.kill, arguments.occurrence)
    mark_steps(boundaries)
    mark_commits(boundaries)
    mark_requests(boundaries)
    serve(host=None, port=None)


if __name__ == "__main__":
    main()
