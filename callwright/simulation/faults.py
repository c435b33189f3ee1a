"""Faults on command: a simulator asks before it answers, and before it sends a webhook."""

import random
import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

_METHOD = re.compile(r"(?:DELETE|GET|PATCH|POST|PUT) ")
_WILD = {"*": "[^/]+", "**": ".*"}


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
    """One fault. `where` is a request, such as `POST /calls/1/calls`, or the beginning of what the simulator names
    another place, such as `webhook CALL_ESTABLISHED` or `socket`; an empty one is everywhere.

    A request's path is the whole path: `*` in it stands for one part, as in `POST /calls/1/calls/*/hangup`, and
    `**` for anything, as in `GET **`.

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


@cache
def _request(pattern: str) -> re.Pattern[str] | None:
    """The expression for a request's whole name; None for a pattern of another kind of place."""
    if not _METHOD.match(pattern):
        return None
    parts = (_WILD.get(part) or re.escape(part) for part in re.split(r"(\*{1,2})", pattern))
    return re.compile("".join(parts))


def _is_at(pattern: str, where: str) -> bool:
    request = _request(pattern)
    return where.startswith(pattern) if request is None else request.fullmatch(where) is not None
