"""Plays scenes, a few at a time, each in a folder and a database of its own."""

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console

from tests.crash.databases import Databases
from tests.crash.scenes import Scene

Play = Callable[[Scene, str], Awaitable[Scene]]
"""Plays a scene on a database."""

Kill = Callable[[Scene, str, str | None, int], Awaitable[Scene]]
"""Plays a scene on a database, with a death at a boundary's n-th occurrence."""


class Season:
    """Remembers every scene, by family and database; the folders of those that failed are kept."""

    def __init__(self, databases: Databases, console: Console, *, parallel: int, seed: int) -> None:
        self._databases = databases
        self._console = console
        self._room = asyncio.Semaphore(parallel)
        self._chance = random.Random(seed)
        self.families: dict[str, list[Scene]] = {}

    async def play(self, family: str, database: str, name: str, play: Play) -> Scene:
        """Play one scene and remember it."""
        async with self._room:
            folder = Path(tempfile.mkdtemp(prefix="crash-"))
            scene = Scene(name, database, folder)
            with self._databases.fresh(database) as url:
                try:
                    await play(scene, url)
                except (TimeoutError, OSError, ExceptionGroup) as error:
                    # one broken scene does not end the run
                    scene.failures.append(f"{type(error).__name__}: {error}")
        self.families.setdefault(f"{family}\n{database}", []).append(scene)
        self._tell(scene)
        return scene

    async def boundaries(self, family: str, database: str, play: Kill, names: Counter[str]) -> list[Scene]:
        """One scene for each boundary, which dies at a random one of its occurrences."""
        chosen = [
            (name, self._chance.randint(1, max(1, count * 2 // 3))) for name, count in sorted(names.items())
        ]
        return list(await asyncio.gather(*(self.kill(family, database, play, *item) for item in chosen)))

    async def kill(self, family: str, database: str, play: Kill, name: str, occurrence: int) -> Scene:
        """Kill at the occurrence, or at the first one should that not come."""
        title = f"{name} ({occurrence})"
        scene = await self.play(
            family, database, title, lambda scene, url: play(scene, url, name, occurrence)
        )
        if scene.reached or occurrence == 1:
            return scene
        return await self.play(family, database, f"{name} (1)", lambda scene, url: play(scene, url, name, 1))

    def _tell(self, scene: Scene) -> None:
        mark = "[red]BAD[/]" if scene.problems else "[green]ok [/]"
        reached = "" if scene.reached else " (not reached)"
        self._console.print(
            f"{mark} {scene.database:10} {scene.seconds:6.1f} s  {scene.name}{reached}", highlight=False
        )
        for problem in scene.problems:
            self._console.print(f"    {problem}", markup=False, highlight=False)
        if scene.problems:
            self._console.print(f"    kept in {scene.folder}", markup=False, highlight=False)
        else:
            shutil.rmtree(scene.folder, ignore_errors=True)
