"""The figures as tables."""

from typing import Any


def table(rows: list[list[str]]) -> str:
    """Columns of equal width, the first one aligned to the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    )


def show(results: dict[str, list[dict[str, Any]]]) -> str:
    """All that was measured."""
    parts = [
        _steady(results["steady"]) if results["steady"] else "",
        _starts(results["starts"]) if results["starts"] else "",
        _stalls(results["stalls"]) if results["stalls"] else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _steady(runs: list[dict[str, Any]]) -> str:
    head = ["steady", "calls", "CPU ms/call-s", "x bare", "to person p50", "p99 ms", "to agent p50", "p99 ms"]
    rows = [[*head, "direct p99", "gap p99 ms", "KB/call", "missing"]]
    bare = {run["calls"]: run["cpu_ms_per_call_second"] for run in runs if run["relay"] == "bare"}
    for run in runs:
        person, agent, cpu = run["to_person"], run["to_agent"], run["cpu_ms_per_call_second"]
        times = [f"{way[share]:.2f}" for way in (person, agent) for share in ("added_p50", "added_p99")]
        ratio = f"{cpu / bare[run['calls']]:.2f}" if run["calls"] in bare else "-"
        direct = max(person["direct_p99"], agent["direct_p99"])
        rest = [f"{direct:.2f}", f"{person['gap_p99']:.1f}", f"{run['rss_kb_per_call']:.0f}"]
        missing = str(person["missing"] + agent["missing"])
        rows.append([run["relay"], str(run["calls"]), f"{cpu:.2f}", ratio, *times, *rest, missing])
    return table(rows)


def _starts(runs: list[dict[str, Any]]) -> str:
    return table([["start", "CPU ms"], *([run["relay"], f"{run['cpu_ms_per_start']:.2f}"] for run in runs)])


def _stalls(runs: list[dict[str, Any]]) -> str:
    rows = [
        ["stall of 200 ms", "of", "longest gap ms", "latency before", "after ms", "worst call", "missing"]
    ]
    for run in runs:
        person = run["to_person"]
        times = [
            f"{person['before_ms']:.2f}",
            f"{person['after_ms']:.2f}",
            f"{person['worst_difference_ms']:+.2f}",
        ]
        missing = str(person["missing"] + run["to_agent"]["missing"])
        rows.append([run["relay"], run["stopped"], f"{person['longest_gap_ms']:.0f}", *times, missing])
    return table(rows)
