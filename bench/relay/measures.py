"""What is measured of one relay."""

import os
import signal
import time
from typing import Any

from bench.relay.scene import Scene

WARM_CALLS = 5
DIRECT_CALLS = 8
STARTS = 50
STALL_S = 0.2


def steady(name: str, relay: list[str], calls: int, seconds: float) -> dict[str, Any]:
    """CPU, added latency and memory with so many calls that all speak without end.

    Memory is counted from a process that has already had a few calls.
    """
    with Scene(relay, WARM_CALLS + calls) as scene:
        scene.carriers(WARM_CALLS, 0).finish()
        time.sleep(0.5)
        idle_kb = scene.relay.rss_kb()
        carriers = scene.carriers(calls, WARM_CALLS, direct=DIRECT_CALLS)
        time.sleep(2)
        start = time.monotonic()
        for end in (carriers, scene.agents):
            end.order(start=start, end=start + seconds)
        before = scene.relay.cpu_s()
        time.sleep(seconds)
        spent = scene.relay.cpu_s() - before
        rss_kb = scene.relay.rss_kb()
        to_person, to_agent = carriers.finish(), scene.agents.finish()
    return {
        "relay": name,
        "calls": calls,
        "cpu_ms_per_call_second": spent * 1000 / calls / seconds,
        "rss_kb_per_call": (rss_kb - idle_kb) / calls,
        "to_person": _added(to_person),
        "to_agent": _added(to_agent),
    }


def _added(figures: dict[str, Any]) -> dict[str, Any]:
    """Added latency: the age of relayed frames, less the median age of frames that took no relay."""
    relayed, direct = figures["relayed"], figures["direct"]
    added: dict[str, Any] = relayed | {
        "direct_p50": direct["age_p50"],
        "direct_p99": direct["age_p99"],
        "added_p50": relayed["age_p50"] - direct["age_p50"],
        "added_p99": relayed["age_p99"] - direct["age_p50"],
    }
    return added


def start(name: str, relay: list[str]) -> dict[str, Any]:
    """CPU of the relay from a socket's accept to the first relayed frame, one call after the other.

    The agents say one frame and then nothing, so that what the calls that are up cost meanwhile is little; it is
    measured afterwards, and their average number during the starts is taken off.
    """
    with Scene(relay, STARTS + WARM_CALLS, path="silent") as scene:
        scene.carriers(WARM_CALLS, 0, sequential=True)
        before, began = scene.relay.cpu_s(), time.monotonic()
        scene.carriers(STARTS, WARM_CALLS, sequential=True)
        spent, lasted = scene.relay.cpu_s() - before, time.monotonic() - began
        before = scene.relay.cpu_s()
        time.sleep(2)
        per_call_second = (scene.relay.cpu_s() - before) / 2 / (STARTS + WARM_CALLS)
    meanwhile = per_call_second * (WARM_CALLS + STARTS / 2) * lasted
    return {"relay": name, "cpu_ms_per_start": (spent - meanwhile) * 1000 / STARTS}


def stall(name: str, relay: list[str], calls: int, who: str) -> dict[str, Any]:
    """Stop the relay or the agents' platform for 200 ms: how long the gap is, and whether a delay stays."""
    with Scene(relay, calls) as scene:
        carriers = scene.carriers(calls, 0)
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
        told = {"to_person": carriers.finish(), "to_agent": scene.agents.finish()}
    return {
        "relay": name,
        "stopped": who,
        **{
            way: figures["stall"] | {"missing": figures["relayed"]["missing"]}
            for way, figures in told.items()
        },
    }
