"""Everything that went over a simulator's wires, for assertions and for validation against vendors' specs."""

import json
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request or message. `direction` is `in` (our adapter sent it) or `out` (the simulator did);
    `kind` is `http`, `upgrade` (the request that opens a websocket), `ws`, or `webhook`; `name` an operation such as
    `POST /calls/1/calls` or a message type. A parameter that was given more than once has a list of values.
    `forged`: a fault made the answer, not the vendor's rules.
    """

    direction: str
    kind: str
    name: str
    body: Any
    at: float
    path: str = ""
    query: dict[str, str | list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    answer: Any = None
    forged: bool = False


class Traffic:
    """The last 20,000 exchanges; written to a JSON-lines file as well when one is given."""

    def __init__(self, vendor: str, file: Path | None = None) -> None:
        self.vendor = vendor
        self.exchanges: deque[Exchange] = deque(maxlen=_KEPT)
        self.violations: list[str] = []
        self._file = file.open("a", encoding="utf-8") if file else None

    def record(self, exchange: Exchange) -> None:
        """Remember an exchange. Audio payloads should be left out or shortened by the caller."""
        self.exchanges.append(exchange)
        if self._file is not None:
            row = {"vendor": self.vendor, **asdict(exchange)}
            self._file.write(json.dumps(row, default=str) + "\n")

    def violation(self, text: str) -> None:
        """Remember that our adapter broke the vendor's rules."""
        self.violations.append(text)

    def named(self, name: str) -> list[Exchange]:
        """Exchanges of one name, oldest first."""
        return [exchange for exchange in self.exchanges if exchange.name == name]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def parameters(text: str) -> dict[str, str | list[str]]:
    """A query or form as it came: blank values stay, a name that comes more than once has all its values."""
    found: dict[str, str | list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        known = found.get(name)
        if known is None:
            found[name] = value
        else:
            found[name] = [*([known] if isinstance(known, str) else known), value]
    return found
