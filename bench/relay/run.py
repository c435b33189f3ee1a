"""Runs the benchmark and prints tables: `python -m bench.relay --calls 10,50,100,200 --seconds 20`."""

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Any

from bench.relay import measures
from bench.relay.report import show
from bench.relay.scene import ROOT

RESULTS = ROOT / "bench" / "results"
RELAYS = {
    "bare": ["bench.relay.bare"],
    "callwright": ["bench.relay.ours"],
    "recording": ["bench.relay.ours", "--record"],
}


def main() -> None:
    """Measure, print, and keep the figures as JSON in bench/results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", default="10,50,100,200", help="numbers of calls, separated by commas")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each measurement")
    parser.add_argument("--relays", default="bare,callwright", help=f"which of {', '.join(RELAYS)}")
    parser.add_argument("--stall-calls", type=int, default=50, help="calls during a stall")
    parser.add_argument("--only", choices=["steady", "starts", "stalls"], help="one part of it")
    options = parser.parse_args()
    relays = {name: RELAYS[name] for name in options.relays.split(",")}
    results: dict[str, list[dict[str, Any]]] = {"steady": [], "starts": [], "stalls": []}
    if options.only in {None, "steady"}:
        for calls in map(int, options.calls.split(",")):
            for name, relay in relays.items():
                _progress(f"{name}: {calls} calls for {options.seconds:g} s")
                results["steady"].append(measures.steady(name, relay, calls, options.seconds))
    for name, relay in relays.items() if options.only in {None, "starts"} else ():
        _progress(f"{name}: starts")
        results["starts"].append(measures.start(name, relay))
    for name, relay in relays.items() if options.only in {None, "stalls"} else ():
        for who in ("relay", "agents"):
            _progress(f"{name}: a stall of the {who}")
            results["stalls"].append(measures.stall(name, relay, options.stall_calls, who))
    print(show(results))
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / f"relay-{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    file.write_text(json.dumps(results, indent=1))
    _progress(f"kept as {file.relative_to(ROOT)}")


def _progress(text: str) -> None:
    print(text, file=sys.stderr)
