"""Runs the command `callwright` in a process of its own, with nothing from this one's environment."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "callwright")
LIMIT_S = 60.0


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


class Terminal:
    """A working folder and an environment."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        passed = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        repository = str(Path(__file__).resolve().parents[2])
        self.environment = {
            **passed,
            "PYTHONPATH": repository,
            "DATA_DIR": str(folder / "data"),
            **environment,
        }

    async def run(self, *arguments: str, **environment: str) -> Result:
        """Run to the end; fails when it takes longer than a minute."""
        process = await self.start(*arguments, **environment)
        async with asyncio.timeout(LIMIT_S):
            out, err = await process.communicate()
        return Result(process.returncode or 0, out.decode(), err.decode())

    async def start(self, *arguments: str, **environment: str) -> Process:
        """Start, and leave it running."""
        return await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )


async def line_with(process: Process, text: str) -> str:
    """The first line of standard output that holds a text; fails after a minute, or when the output ends."""
    assert process.stdout is not None
    seen = []
    async with asyncio.timeout(LIMIT_S):
        while line := (await process.stdout.readline()).decode():
            seen.append(line)
            if text in line:
                return line
    assert process.stderr is not None
    raise AssertionError(f"no {text!r} in {seen}; standard error: {(await process.stderr.read()).decode()}")


async def stop(process: Process) -> Result:
    """End a process as a service manager does."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(LIMIT_S):
        out, err = await process.communicate()
    return Result(process.returncode or 0, out.decode(), err.decode())
