"""What one far end measures of the frames that reach it."""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.relay import wire


@dataclass
class Window:
    """Only frames that arrive between these moments (seconds, monotonic) count."""

    start: float = float("inf")
    end: float = float("inf")


@dataclass
class Ear:
    """One socket's receiving side."""

    window: Window
    ages: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    frames: int = 0
    missing: int = 0
    disordered: int = 0
    _expected: int = -1
    _last: float = 0.0

    def hear(self, frame: bytes) -> None:
        """A frame arrived."""
        now = time.monotonic()
        told = wire.read(frame)
        if self.window.start <= now <= self.window.end:
            self.frames += 1
            if self._last:
                self.gaps.append((now - self._last) * 1000)
            if told is not None:
                self.ages.append(told[1])
                self.sent.append(wire.sent_at(frame))
        self._last = now
        if told is None:
            return
        number = told[0]
        if self._expected >= 0 and number != self._expected:
            self.missing += max(number - self._expected, 0)
            self.disordered += number < self._expected
        self._expected = number + 1


def percentile(values: list[float] | np.ndarray[Any, Any], share: float) -> float:
    """A percentile, 0 for nothing."""
    return float(np.percentile(values, share)) if len(values) else 0.0


def summary(ears: list[Ear]) -> dict[str, Any]:
    """Figures over all sockets of one direction."""
    ages = np.concatenate([np.array(ear.ages) for ear in ears]) if ears else np.array([])
    gaps = np.concatenate([np.array(ear.gaps) for ear in ears]) if ears else np.array([])
    return {
        "sockets": len(ears),
        "frames": sum(ear.frames for ear in ears),
        "speech": len(ages),
        "age_p50": percentile(ages, 50),
        "age_p99": percentile(ages, 99),
        "age_max": percentile(ages, 100),
        "gap_p50": percentile(gaps, 50),
        "gap_p99": percentile(gaps, 99),
        "gap_max": percentile(gaps, 100),
        "missing": sum(ear.missing for ear in ears),
        "disordered": sum(ear.disordered for ear in ears),
    }


def around_stall(ears: list[Ear], stalled_at: float, settle_s: float) -> dict[str, float]:
    """Median age of speech that left before a stall and after it has settled; worst call for the difference."""
    before, after, worst = [], [], 0.0
    for ear in ears:
        sent, ages = np.array(ear.sent), np.array(ear.ages)
        first, second = ages[sent < stalled_at - 0.1], ages[sent > stalled_at + settle_s]
        if len(first) and len(second):
            before.append(float(np.median(first)))
            after.append(float(np.median(second)))
            worst = max(worst, after[-1] - before[-1])
    return {
        "before_ms": percentile(before, 50),
        "after_ms": percentile(after, 50),
        "worst_difference_ms": worst,
        "longest_gap_ms": max((max(ear.gaps, default=0.0) for ear in ears), default=0.0),
    }
