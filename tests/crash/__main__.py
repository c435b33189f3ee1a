"""`python -m tests.crash`: kills Callwright everywhere, prints the figures, and fails on any broken promise."""

import argparse
import asyncio
import logging
import random
import sys
from collections import Counter

import structlog
from rich.console import Console

from tests.crash.databases import Databases
from tests.crash.report import print_report
from tests.crash.scenes import boundary_scene, random_scene, recovery_scene, takeover_scene
from tests.crash.season import Season


async def play_all(arguments: argparse.Namespace, databases: Databases) -> int:
    """Every family of scenes that was asked for; returns the number of problems."""
    console = Console(width=160)
    season = Season(databases, console, parallel=arguments.parallel, seed=arguments.seed)
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
    """Learn which boundaries there are, then die at each; then at each that only a recovery passes.

    With SQLite the process is started again; with PostgreSQL another one takes over.
    """
    calm = await season.play(
        "no kill", database, "no kill", lambda scene, url: boundary_scene(scene, url, None)
    )
    known = _chosen(Counter(calm.boundaries), arguments)
    name, play = ("taken over", takeover_scene) if database == "postgresql" else ("restarted", boundary_scene)
    recovery: Counter[str] = Counter()
    if "boundaries" in arguments.scenes:
        for scene in await season.boundaries(f"at boundaries, {name}", database, play, known):
            recovery |= Counter(scene.recovery)
    if "recovery" in arguments.scenes:
        fresh = Counter({name: count for name, count in recovery.items() if name not in calm.boundaries})
        await season.boundaries("twice, in recovery", database, recovery_scene, _chosen(fresh, arguments))


def _chosen(names: Counter[str], arguments: argparse.Namespace) -> Counter[str]:
    """All boundaries, those that contain a text, or some by number."""
    wanted = [name for name in sorted(names) if arguments.only in name]
    if arguments.boundaries != "all":
        count = min(int(arguments.boundaries), len(wanted))
        wanted = random.Random(arguments.seed).sample(wanted, count)
    return Counter({name: names[name] for name in wanted})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--boundaries", default="all", help="all, or how many of them (0: none)")
    parser.add_argument("--only", default="", help="only boundaries whose name contains this")
    parser.add_argument("--random", type=int, default=50, help="kills at random moments (0: none)")
    parser.add_argument("--calls", type=int, default=80, help="people called during the random kills")
    parser.add_argument("--scenes", default="boundaries,recovery,random", help="only these kinds")
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
