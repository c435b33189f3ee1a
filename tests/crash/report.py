"""The table of the crash test, and what went wrong in words."""

import statistics
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tests.crash.scenes import Scene

_COLUMNS = (
    "scenes",
    "kills",
    "not reached",
    "calls",
    "dials",
    "answered",
    "completed",
    "cut short",
    "dial unknown",
    "double dials",
    "lost outcomes",
    "duplicate effects",
    "left on the line",
    "rules broken",
    "other failures",
    "longest silence s",
    "slowest take-over s",
    "until all done s: median",
    "max",
)


def print_report(families: Mapping[str, Sequence[Scene]], console: Console) -> int:
    """Print the table, one column for each family of scenes, and every problem; returns how many there are."""
    table = Table("", *families, title="Crash test")
    rows = [_figures(scenes) for scenes in families.values()]
    for index, name in enumerate(_COLUMNS):
        table.add_row(name, *(figures[index] for figures in rows))
    console.print(table)
    bad = [scene for scenes in families.values() for scene in scenes if scene.problems]
    for scene in bad:
        console.print(f"\n{scene.name} on {scene.database}, kept in {scene.folder}", style="bold red")
        for problem in scene.problems:
            console.print(f"  {problem}", markup=False)
    return sum(len(scene.problems) for scene in bad)


def _figures(scenes: Sequence[Scene]) -> list[str]:
    audits = [scene.audit for scene in scenes]
    back = [scene.back_s for scene in scenes if scene.kills] or [0.0]
    counts = (
        len(scenes),
        sum(scene.kills for scene in scenes),
        sum(not scene.reached for scene in scenes),
        sum(item.calls for item in audits),
        sum(item.dials for item in audits),
        sum(item.answered for item in audits),
        sum(item.completed for item in audits),
        sum(item.cut_short for item in audits),
        sum(item.unknown for item in audits),
        sum(len(item.double_dials) for item in audits),
        sum(len(item.lost_outcomes) for item in audits),
        sum(len(item.duplicate_effects) for item in audits),
        sum(len(item.people_left) for item in audits),
        sum(len(item.broken_rules) for item in audits),
        sum(len(scene.failures) for scene in scenes),
    )
    silence = max((item.longest_silence_s for item in audits), default=0.0)
    takeover = max((scene.takeover_s for scene in scenes), default=0.0)
    times = (silence, takeover, statistics.median(back), max(back))
    return [*map(str, counts), *(f"{value:.1f}" for value in times)]
