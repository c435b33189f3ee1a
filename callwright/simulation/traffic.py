"""Everything that went over a simulator's wires, for assertions and for validation against vendors' specs."""

import json
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request or message. `direction` is `in` (our adapter sent it) or `out` (the simulator did);
    `kind` is `http`, `ws`, or `webhook`; `name` an operation such as `POST /calls/1/calls` or a message type.
    """

    direction: str
    kind: str
    name: str
    body: Any
    at: float
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    answer: Any = None


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
