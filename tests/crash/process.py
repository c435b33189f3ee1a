"""A Callwright process of its own, started, watched and killed from outside."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import httpx2

_REPOSITORY = Path(__file__).resolve().parents[2]
_LOOK_EVERY_S = 0.05
_NOT_OURS = ("CALLWRIGHT_", "INFOBIP_", "ELEVENLABS_", "ZOHO_", "DATABASE_URL", "OUR_BASE_URL", "DATA_DIR")


class Process:
    """One victim: its log and its trace lie in `folder` under `name`."""

    def __init__(self, folder: Path, name: str, environment: dict[str, str]) -> None:
        self.name = name
        self.base_url = f"http://127.0.0.1:{environment['PORT']}"
        self.trace = folder / f"{name}.trace"
        self.killed_at = 0.0
        self.is_to_die = False
        self._log = folder / f"{name}.log"
        self._folder = folder
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_OURS)}
        self._environment = {**inherited, "PYTHONPATH": str(_REPOSITORY), **environment}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, kill: str | None = None, occurrence: int = 1) -> None:
        """Start; with `kill` it will end itself at this boundary."""
        command = [sys.executable, "-m", "tests.crash.victim", "--trace", str(self.trace)]
        if kill is not None:
            self.is_to_die = True
            command += ["--kill", kill, "--occurrence", str(occurrence)]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, cwd=self._folder, env=self._environment, stdout=log, stderr=log
            )

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self._process is not None and self._process.returncode == -signal.SIGKILL

    async def until_ready(self, within_s: float = 60.0) -> bool:
        """Wait until it takes up work; False when it died before. Raises TimeoutError."""
        deadline = time.monotonic() + within_s
        async with httpx2.AsyncClient(base_url=self.base_url, timeout=2, trust_env=False) as client:
            while self.alive:
                try:
                    if (await client.get("/ready")).status_code == httpx2.codes.OK:
                        return True
                except httpx2.TransportError:
                    pass
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self.name} was not ready within {within_s:.0f} s: see {self._log}")
                await asyncio.sleep(_LOOK_EVERY_S)
        return False

    async def until_dead(self) -> None:
        """Wait until it is gone."""
        assert self._process is not None
        await self._process.wait()
        self.killed_at = self.killed_at or time.time()

    async def kill(self) -> None:
        """Kill it, if it still lives."""
        if self._process is not None and self.alive:
            self.killed_at = time.time()
            self._process.kill()
            await self._process.wait()

    async def stop(self, within_s: float = 60.0) -> bool:
        """Stop it as an operator does; False when it had to be killed in the end."""
        if self._process is None or not self.alive:
            return True
        self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(within_s):
                await self._process.wait()
        except TimeoutError:
            await self.kill()
            return False
        return True

    def boundaries(self) -> Counter[str]:
        """The boundaries that it passed, and how often."""
        if not self.trace.exists():
            return Counter()
        return Counter(self.trace.read_text(encoding="utf-8").splitlines())
