"""`python -m tests.crash`: kills Callwright everywhere, prints the figures, and fails on any broken promise."""

import argparse
import asyncio
import logging
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import structlog
from rich.console import Console

from tests.crash.databases import Databases
from tests.crash.report import print_report
from tests.crash.scenes import Scene, boundary_scene, random_scene, recovery_scene, takeover_scene

Play = Callable[[Scene, str], Awaitable[Scene]]
Kill = Callable[[Scene, str, str | None, int], Awaitable[Scene]]

console = Console(width=160)


class Season:
    """Plays scenes, a few at once, each with a folder and a database of its own; keeps what failed."""

    def __init__(self, databases: Databases, *, parallel: int, seed: int) -> None:
        self._databases = databases
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
        return list(await asyncio.gather(*(self._kill(family, database, play, *item) for item in chosen)))

    async def _kill(self, family: str, database: str, play: Kill, name: str, occurrence: int) -> Scene:
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
        console.print(
            f"{mark} {scene.database:10} {scene.seconds:6.1f} s  {scene.name}{reached}", highlight=False
        )
        for problem in scene.problems:
            console.print(f"    {problem}", markup=False, highlight=False)
        if scene.problems:
            console.print(f"    kept in {scene.folder}", markup=False, highlight=False)
        else:
            shutil.rmtree(scene.folder, ignore_errors=True)


async def play_all(arguments: argparse.Namespace, databases: Databases) -> int:
    """Every family of scenes that was asked for; returns the number of problems."""
    season = Season(databases, parallel=arguments.parallel, seed=arguments.seed)
    for database in databases.kinds:
        if arguments.boundaries != "0":
            await _boundaries(season, database, arguments)
        if arguments.random and "random" in arguments.scenes:
            await season.play(
                "random moments",
                database,
                f"{arguments.random} random moments",
                lambda scene, url: random_scene(
                    scene, url, arguments.random, arguments.seed, arguments.calls
                ),
            )
    return print_report(season.families, console)


async def _boundaries(season: Season, database: str, arguments: argparse.Namespace) -> None:
    """Learn which boundaries there are, then die at each; then at each that only a recovery passes."""
    calm = await season.play(
        "no kill", database, "no kill", lambda scene, url: boundary_scene(scene, url, None)
    )
    known = _chosen(Counter(calm.boundaries), arguments)
    recovery: Counter[str] = Counter()
    if "restart" in arguments.scenes:
        for scene in await season.boundaries("at boundaries, restarted", database, boundary_scene, known):
            recovery |= Counter(scene.recovery)
    if "takeover" in arguments.scenes and database == "postgresql":
        await season.boundaries("at boundaries, taken over", database, takeover_scene, known)
    if "recovery" in arguments.scenes:
        fresh = Counter({name: count for name, count in recovery.items() if name not in calm.boundaries})
        await season.boundaries("twice, in recovery", database, recovery_scene, _chosen(fresh, arguments))


def _chosen(names: Counter[str], arguments: argparse.Namespace) -> Counter[str]:
    """All boundaries, those that contain a text, or some by number."""
    wanted: Iterable[str] = sorted(names)
    if arguments.only:
        wanted = [name for name in wanted if arguments.only in name]
    if arguments.boundaries != "all":
        count = min(int(arguments.boundaries), len(list(wanted)))
        wanted = random.Random(arguments.seed).sample(list(wanted), count)
    return Counter({name: names[name] for name in wanted})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--boundaries", default="all", help="all, or how many of them (0: none)")
    parser.add_argument("--only", default="", help="only boundaries whose name contains this")
    parser.add_argument("--random", type=int, default=50, help="kills at random moments (0: none)")
    parser.add_argument("--calls", type=int, default=40, help="calls during the random kills")
    parser.add_argument("--scenes", default="restart,takeover,recovery,random", help="only these kinds")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--parallel", type=int, default=3, help="scenes at once")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Play, report, and exit with 1 when a promise was broken."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    arguments = _arguments()
    with Databases(arguments.database) as databases:
        problems = asyncio.run(play_all(arguments, databases))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
