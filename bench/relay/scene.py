"""The processes of one measurement, each on its core."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]


class Process:
    """A Python module in a process of its own; it tells and takes lines of JSON."""

    def __init__(self, core: int | None, *arguments: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._child.pid
        if core is not None:
            os.sched_setaffinity(self.pid, {core})

    def hear(self) -> dict[str, Any]:
        """The next line that it tells. Raises RuntimeError when it died."""
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError("a process of the benchmark died")
        told: dict[str, Any] = json.loads(line)
        return told

    def order(self, **values: float) -> None:
        """Send it a line."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(values) + "\n")
        self._child.stdin.flush()

    def finish(self) -> dict[str, Any]:
        """End its input and hear its figures."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.stdin = None
        return self.hear()

    def kill(self) -> None:
        """End it, whatever it does."""
        self._child.kill()
        self._child.communicate()

    def cpu_s(self) -> float:
        """CPU time of all its threads so far, in seconds."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def rss_kb(self) -> int:
        """Resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


class Scene:
    """A relay between an agents' platform and carriers that are added; the relay has a core of its own."""

    def __init__(
        self,
        relay: list[str],
        calls: int,
        *,
        path: str = "conversation",
        cores: tuple[int, int] | None = None,
    ) -> None:
        available = sorted(os.sched_getaffinity(0))
        if cores is None and len(available) > 1:
            cores = (available[0], available[1])
        self._relay_core: int | None
        self._load_core: int | None
        self._relay_core, self._load_core = cores or (None, None)
        self._relay = relay
        self._calls = calls
        self._path = path
        self._running: list[Process] = []

    def __enter__(self) -> Self:
        self.agents = self._start(self._load_core, "bench.relay.far_ends", "agents")
        self._agents_port = self.agents.hear()["port"]
        url = f"ws://127.0.0.1:{self._agents_port}/{self._path}"
        options = ("--agent-url", url, "--calls", str(self._calls))
        self.relay = self._start(self._relay_core, *self._relay, *options)
        self._relay_port = self.relay.hear()["port"]
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            process.kill()

    def carriers(self, calls: int, first: int, *, direct: int = 0, sequential: bool = False) -> Process:
        """Place calls, the first with this number; answers when all are up."""
        options = {"relay": self._relay_port, "agents": self._agents_port, "calls": calls, "first": first}
        arguments = [f"--{name}={value}" for name, value in (options | {"direct": direct}).items()]
        if sequential:
            arguments.append("--sequential")
        process = self._start(self._load_core, "bench.relay.far_ends", "carriers", *arguments)
        process.hear()
        return process

    def _start(self, core: int | None, *arguments: str) -> Process:
        process = Process(core, *arguments)
        self._running.append(process)
        return process
