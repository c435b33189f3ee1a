"""Runs the benchmark and prints a table: `python -m bench.relay --calls 10,50,100,200 --seconds 20`."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results"
STARTS = 50
STALL_S = 0.2
RELAYS = {"bare": ["bench.relay.bare"], "callwright": ["bench.relay.ours"]}
RECORDING = {"callwright, recording": ["bench.relay.ours", "--record"]}


class Process:
    """A Python module in a process of its own, pinned to a core; speaks lines of JSON."""

    def __init__(self, core: int | None, *arguments: str) -> None:
        command = [sys.executable, "-m", *arguments]
        self._child = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if core is not None:
            os.sched_setaffinity(self._child.pid, {core})
        self.pid = self._child.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.communicate()

    def hear(self) -> dict[str, Any]:
        """The next line that it tells."""
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

    def cpu_s(self) -> float:
        """CPU time of all its threads so far."""
        spent = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            spent += int((task / "schedstat").read_text().split()[0])
        return spent / 1e9

    def rss_kb(self) -> int:
        """Resident memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise RuntimeError("no resident memory told")


@dataclass
class Scene:
    """The processes of one measurement, on their cores."""

    relay_arguments: list[str]
    calls: int
    relay_core: int | None
    load_core: int | None
    direct: int = 8
    sequential: bool = False
    path: str = "conversation"
    _open: list[Process] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.agents = self._start(self.load_core, "bench.relay.far_ends", "agents")
        self.agents_port = self.agents.hear()["port"]
        url = f"ws://127.0.0.1:{self.agents_port}/{self.path}"
        self.relay = self._start(
            self.relay_core, *self.relay_arguments, "--agent-url", url, "--calls", str(self.calls + 5)
        )
        self.relay_port = self.relay.hear()["port"]
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._open):
            process.__exit__()

    def carriers(self, calls: int, first: int, *, direct: int = 0) -> Process:
        """Place calls; answers when all are up."""
        arguments = [
            "--relay",
            self.relay_port,
            "--agents",
            self.agents_port,
            "--calls",
            calls,
            "--first",
            first,
        ]
        if self.sequential:
            arguments.append("--sequential")
        process = self._start(
            self.load_core,
            "bench.relay.far_ends",
            "carriers",
            *(str(each) for each in (*arguments, "--direct", direct)),
        )
        process.hear()
        return process

    def _start(self, core: int | None, *arguments: str) -> Process:
        process = Process(core, *arguments)
        self._open.append(process)
        return process


def measure(
    name: str, arguments: list[str], calls: int, seconds: float, cores: tuple[int | None, int | None]
) -> dict[str, Any]:
    """CPU, latency and memory with so many calls."""
    with Scene(arguments, calls, *cores) as scene:
        warm = scene.carriers(5, 0)
        warm.finish()
        time.sleep(0.5)
        idle_kb = scene.relay.rss_kb()
        carriers = scene.carriers(calls, 5, direct=scene.direct)
        time.sleep(2)
        start = time.monotonic()
        for end in (carriers, scene.agents):
            end.order(start=start, end=start + seconds)
        before = scene.relay.cpu_s()
        time.sleep(seconds)
        spent = scene.relay.cpu_s() - before
        rss_kb = scene.relay.rss_kb()
        heard_by_carriers, heard_by_agents = carriers.finish(), scene.agents.finish()
    return {
        "relay": name,
        "calls": calls,
        "cpu_ms_per_call_second": spent * 1000 / calls / seconds,
        "rss_kb_per_call": (rss_kb - idle_kb) / calls,
        "to_person": _direction(heard_by_carriers),
        "to_agent": _direction(heard_by_agents),
    }


def _direction(figures: dict[str, Any]) -> dict[str, Any]:
    """Added latency is the relayed frames' age less the median age of those that took no relay."""
    relayed, direct = figures["relayed"], figures["direct"]
    return relayed | {
        "direct_p50": direct["age_p50"],
        "direct_p99": direct["age_p99"],
        "added_p50": relayed["age_p50"] - direct["age_p50"],
        "added_p99": relayed["age_p99"] - direct["age_p50"],
    }


def measure_start(name: str, arguments: list[str], cores: tuple[int | None, int | None]) -> dict[str, Any]:
    """CPU of the relay from one socket's accept to the first relayed frame, calls one after the other.

    Agents say one frame and are then silent; what the calls that are up already cost meanwhile is taken off.
    """
    with Scene(arguments, STARTS * 2, *cores, sequential=True, path="silent") as scene:
        scene.carriers(10, 0)
        before, began = scene.relay.cpu_s(), time.monotonic()
        scene.carriers(STARTS, 10)
        spent, lasted = scene.relay.cpu_s() - before, time.monotonic() - began
        idle_before = scene.relay.cpu_s()
        time.sleep(2)
        idle = (scene.relay.cpu_s() - idle_before) / 2
        return {
            "relay": name,
            "cpu_ms_per_start": max(spent - idle * lasted * 0.6, 0) * 1000 / STARTS,
            "raw_ms": spent * 1000 / STARTS,
        }


def measure_stall(
    name: str, arguments: list[str], calls: int, who: str, cores: tuple[int | None, int | None]
) -> dict[str, Any]:
    """Stop the relay or the agents' platform for 200 ms: how long the gap is, and whether a delay stays."""
    with Scene(arguments, calls, *cores) as scene:
        carriers = scene.carriers(calls, 5, direct=0)
        time.sleep(2)
        start = time.monotonic()
        for end in (carriers, scene.agents):
            end.order(start=start, end=start + 14)
        time.sleep(4)
        pid = scene.relay.pid if who == "relay" else scene.agents.pid
        os.kill(pid, signal.SIGSTOP)
        stalled_at = time.monotonic()
        time.sleep(STALL_S)
        os.kill(pid, signal.SIGCONT)
        time.sleep(10)
        for end in (carriers, scene.agents):
            end.order(stalled_at=stalled_at)
        figures = {"to_person": carriers.finish(), "to_agent": scene.agents.finish()}
    return {
        "relay": name,
        "stopped": who,
        **{way: told["stall"] | {"missing": told["relayed"]["missing"]} for way, told in figures.items()},
    }


def table(rows: list[list[str]]) -> str:
    """Columns of equal width."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )


def show(results: dict[str, Any]) -> str:
    """All figures as text."""
    steady = [
        [
            "relay",
            "calls",
            "CPU ms/call-s",
            "x bare",
            "added p50",
            "p99 ms to person",
            "p50",
            "p99 to agent",
            "gap p99",
            "KB/call",
            "missing",
        ]
    ]
    for run in results["steady"]:
        bare = next(
            (
                other
                for other in results["steady"]
                if other["relay"] == "bare" and other["calls"] == run["calls"]
            ),
            run,
        )
        person, agent = run["to_person"], run["to_agent"]
        steady.append([
            run["relay"], str(run["calls"]), f"{run['cpu_ms_per_call_second']:.2f}",
            f"{run['cpu_ms_per_call_second'] / bare['cpu_ms_per_call_second']:.2f}",
            f"{person['added_p50']:.2f}", f"{person['added_p99']:.2f}",
            f"{agent['added_p50']:.2f}", f"{agent['added_p99']:.2f}",
            f"{person['gap_p99']:.1f}", f"{run['rss_kb_per_call']:.0f}", str(person["missing"] + agent["missing"]),
        ])  # fmt: skip
    parts = [table(steady)] if results["steady"] else []
    if results["starts"]:
        rows = [["relay", "CPU ms to start a call"]]
        rows += [[run["relay"], f"{run['cpu_ms_per_start']:.2f}"] for run in results["starts"]]
        parts.append(table(rows))
    if results["stalls"]:
        rows = [["relay", "stopped 200 ms", "longest gap", "age before", "after ms", "worst call", "missing"]]
        for run in results["stalls"]:
            person = run["to_person"]
            rows.append([
                run["relay"], run["stopped"], f"{person['longest_gap_ms']:.0f}", f"{person['before_ms']:.2f}",
                f"{person['after_ms']:.2f}", f"{person['worst_difference_ms']:+.2f}",
                str(person["missing"] + run["to_agent"]["missing"]),
            ])  # fmt: skip
        parts.append(table(rows))
    return "\n\n".join(parts)


def main() -> None:
    """Measure, print, and keep the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", default="10,50,100,200", help="numbers of calls, separated by commas")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each measurement")
    parser.add_argument("--only", choices=["steady", "starts", "stalls"], help="one part of it")
    parser.add_argument("--relays", default="bare,callwright", help="which relays, separated by commas")
    parser.add_argument("--stall-calls", type=int, default=50)
    options = parser.parse_args()
    available = sorted(os.sched_getaffinity(0))
    cores = (available[0], available[1]) if len(available) > 1 else (None, None)
    relays = {name: (RELAYS | RECORDING)[name] for name in options.relays.split(",")}
    results: dict[str, Any] = {"steady": [], "starts": [], "stalls": []}
    for calls in map(int, options.calls.split(",")) if options.only in {None, "steady"} else ():
        for name, arguments in relays.items():
            results["steady"].append(measure(name, arguments, calls, options.seconds, cores))
            print(
                f"{name}, {calls} calls: {results['steady'][-1]['cpu_ms_per_call_second']:.2f} ms",
                file=sys.stderr,
            )
    if options.only in {None, "starts"}:
        results["starts"] = [measure_start(name, arguments, cores) for name, arguments in relays.items()]
    if options.only in {None, "stalls"}:
        results["stalls"] = [
            measure_stall(name, arguments, options.stall_calls, who, cores)
            for name, arguments in relays.items()
            for who in ("relay", "agents")
        ]
    print(show(results))
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"relay-{datetime.now(UTC):%Y%m%d-%H%M%S}.json").write_text(json.dumps(results, indent=1))
