"""Faults on command: a simulator asks before it answers, and before it sends a webhook."""

import random
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class FaultKind(StrEnum):
    """What goes wrong."""

    STATUS = "status"
    DELAY = "delay"
    HANG = "hang"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    REPEAT = "repeat"
    REORDER = "reorder"
    LOSE = "lose"
    CORRUPT = "corrupt"
    CUSTOM = "custom"


@dataclass(slots=True)
class Fault:
    """One fault. `where` is a prefix of what the simulator names the place, such as `POST /calls/1/calls`,
    `webhook CALL_ESTABLISHED`, or `socket`; with `$` at its end it is the whole name, and `*` in it stands for
    anything but a slash, as in `POST /calls/1/calls/*/hangup$`.

    STATUS answers `status` with `body` and `headers` and has no effect; DELAY waits `seconds` first; HANG never
    answers; DROP_BEFORE cuts the connection without an effect, DROP_AFTER after the effect; REPEAT, REORDER, LOSE
    and CORRUPT are for webhooks and frames; CUSTOM is known to the simulator by `detail`.
    """

    where: str
    kind: FaultKind
    times: int = 1
    skip: int = 0
    probability: float = 1.0
    seconds: float = 0.0
    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    detail: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    hits: int = 0


class Faults:
    """The faults in force, drawn with a seeded generator."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._active: list[Fault] = []
        self.history: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Put a fault in force; it counts its `hits` and ends after `times`."""
        self._active.append(fault)
        self.history.append(fault)
        return fault

    def clear(self) -> None:
        """Put every fault out of force."""
        self._active.clear()

    def draw(self, where: str, *kinds: FaultKind) -> Fault | None:
        """The first fault in force for a place (of the kinds, if given); counts it."""
        for fault in self._active:
            if not _is_at(fault.where, where) or (kinds and fault.kind not in kinds):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if self._random.random() >= fault.probability:
                continue
            fault.hits += 1
            if fault.hits >= fault.times:
                self._active.remove(fault)
            return fault
        return None


def _is_at(pattern: str, where: str) -> bool:
    if "*" not in pattern and not pattern.endswith("$"):
        return where.startswith(pattern)
    whole = pattern.endswith("$")
    expression = "[^/]*".join(re.escape(part) for part in pattern.removesuffix("$").split("*"))
    return re.match(expression + ("$" if whole else ""), where) is not None
