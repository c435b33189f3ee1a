"""A bad network on command: decides when, how often and whether what is sent arrives. The caller does the sending."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conditions:
    """How bad it is. Times in ms, chances from 0 to 1.

    Every item takes `delay_ms` and up to `jitter_ms` more; jitter alone never reorders. A reordered item comes up to
    `reorder_ms` later than its turn and may be overtaken. The connection is cut after `cut_after` items (messages)
    or bytes (streams).
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_ms: float = 100.0
    cut_after: int | None = None

    def __post_init__(self) -> None:
        if not all(0 <= chance <= 1 for chance in (self.drop, self.duplicate, self.reorder)):
            raise ValueError("drop, duplicate and reorder are chances from 0 to 1")
        if min(self.delay_ms, self.jitter_ms, self.reorder_ms) < 0 or (self.cut_after or 0) < 0:
            raise ValueError("times and cut_after cannot be negative")


PERFECT = Conditions()


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one item: it arrives at each of `at_ms` (never, once, twice); `cut` ends the connection then."""

    at_ms: tuple[float, ...]
    cut: bool = False

    @property
    def delivered(self) -> bool:
        """Whether it arrives at all."""
        return bool(self.at_ms)


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes `start` to `end` of what was written arrive together at `at_ms`."""

    start: int
    end: int
    at_ms: float


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What becomes of one write to a byte stream: pieces in order; `cut` ends the connection after the last."""

    pieces: tuple[Piece, ...]
    cut: bool = False


class Network:
    """One direction of one connection, or all webhooks of one vendor; the same seed gives the same fate."""

    def __init__(self, conditions: Conditions = PERFECT, seed: int = 0) -> None:
        self.conditions = conditions
        """May be changed at any time; what was planned before stays planned."""
        self._random = random.Random(seed)
        self._latest = 0.0
        self._passed = 0
        self._cut = False

    @property
    def is_cut(self) -> bool:
        """Whether the connection is gone for good."""
        return self._cut

    def cut(self) -> None:
        """Nothing arrives from now on."""
        self._cut = True

    def message(self, now_ms: float) -> Plan:
        """The fate of a message (a webhook, a datagram, a websocket message) that is sent now."""
        if self._cut:
            return Plan((), cut=True)
        limit = self.conditions.cut_after
        if limit is not None and self._passed >= limit:
            self._cut = True
            return Plan((), cut=True)
        self._passed += 1
        if self._random.random() < self.conditions.drop:
            return Plan(())
        times = [self._arrival(now_ms)]
        if self._random.random() < self.conditions.duplicate:
            times.append(times[0] + self._random.uniform(0, self.conditions.reorder_ms))
        return Plan(tuple(times))

    def stream(self, now_ms: float, size: int, most: int = 1 << 16) -> StreamPlan:
        """The fate of `size` bytes written to a stream now: delayed, in pieces of at most `most`, or cut short.

        A stream loses and reorders nothing, so only delay, jitter and cutting apply. Raises ValueError for most < 1.
        """
        if most < 1:
            raise ValueError("a piece holds at least one byte")
        if self._cut:
            return StreamPlan((), cut=True)
        limit = self.conditions.cut_after
        allowed = size if limit is None else min(size, limit - self._passed)
        self._passed += allowed
        self._cut = allowed < size
        pieces: list[Piece] = []
        start = 0
        while start < allowed:
            end = (
                min(start + self._random.randint(1, most), allowed) if self.conditions.jitter_ms else allowed
            )
            end = min(end, start + most)
            pieces.append(Piece(start, end, self._in_order(now_ms)))
            start = end
        return StreamPlan(tuple(pieces), self._cut)

    def _arrival(self, now_ms: float) -> float:
        late = self._random.random() < self.conditions.reorder
        if late:
            delay = self.conditions.delay_ms + self._random.uniform(0, self.conditions.reorder_ms)
            return now_ms + delay + self._random.uniform(0, self.conditions.jitter_ms)
        return self._in_order(now_ms)

    def _in_order(self, now_ms: float) -> float:
        jitter = self._random.uniform(0, self.conditions.jitter_ms)
        self._latest = max(self._latest, now_ms + self.conditions.delay_ms + jitter)
        return self._latest
