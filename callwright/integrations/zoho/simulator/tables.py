"""The records of the simulated organisation, and what was done to them."""

import itertools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from callwright.integrations.zoho.simulator.modules import Module, Organisation
from callwright.ports.clock import Clock
from callwright.simulation.world import WorldRecord

ZONE = timezone(timedelta(hours=5, minutes=30))
"""The organisation's time zone, in which Zoho writes its moments."""

_OWNER = {"id": "5725767000000411001", "name": "Simulated Owner", "email": "owner@example.com"}
_FIRST_ID = 1_000_001


@dataclass(slots=True)
class Row:
    """One record; `indexed_at` is when the search index knows it (monotonic seconds)."""

    values: dict[str, Any]
    modified: datetime
    indexed_at: float
    related_module: str | None = None
    locked: bool = False


@dataclass(slots=True)
class Tables:
    """Records by module and id. `effects` are the changes that took effect, by (module, id), oldest first."""

    organisation: Organisation
    clock: Clock
    index_delay_s: float = 0.0
    rows: dict[str, dict[str, Row]] = field(default_factory=lambda: defaultdict(dict))
    effects: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(_FIRST_ID))

    def seed(self, people: Iterable[WorldRecord]) -> None:
        """Put the world's people into their module (fact `module`, else Leads); raises ValueError for a bad id."""
        for person in people:
            if not person.record_id.isdigit():
                raise ValueError(f"{person.record_id}: a record's id is a string of digits")
            name = str(person.facts.get("module", "Leads"))
            values = {
                "First_Name": person.first_name,
                "Last_Name": person.last_name,
                "Mobile": person.phone,
                **self._facts(self.organisation.modules[name], person.facts),
            }
            self._store(name, person.record_id, values, indexed_at=0.0)

    def get(self, module: str, record_id: str) -> Row | None:
        """One record, or None."""
        return self.rows[module].get(record_id)

    def insert(self, module: str, values: dict[str, Any], related_module: str | None = None) -> str:
        """Add a record and return its id."""
        record_id = f"{self.organisation.modules[module].id_prefix}{next(self._numbers):012d}"
        indexed_at = self.clock.monotonic() + self.index_delay_s
        row = self._store(module, record_id, values, indexed_at)
        row.related_module = related_module
        self.effects[module, record_id].append(dict(values))
        return record_id

    def change(self, module: str, record_id: str, values: dict[str, Any]) -> None:
        """Change a record; its time of modification moves by at least a second."""
        row = self.rows[module][record_id]
        row.values.update(values)
        row.modified = max(self._now(), row.modified + timedelta(seconds=1))
        row.values["Modified_Time"] = row.modified.isoformat()
        row.indexed_at = self.clock.monotonic() + self.index_delay_s
        self.effects[module, record_id].append(dict(values))
        self._name(row.values)

    def _store(self, module: str, record_id: str, values: dict[str, Any], indexed_at: float) -> Row:
        now = self._now()
        blank: dict[str, Any] = {
            name: False if item.type == "boolean" else None
            for name, item in self.organisation.modules[module].fields.items()
        }
        stored = {
            **blank,
            **values,
            "id": record_id,
            "Owner": dict(_OWNER),
            "Created_Time": now.isoformat(),
            "Modified_Time": now.isoformat(),
        }
        self._name(stored)
        row = Row(stored, now, indexed_at)
        self.rows[module][record_id] = row
        return row

    def _facts(self, module: Module, facts: dict[str, Any]) -> dict[str, Any]:
        places = {name.casefold(): name for name in module.fields}
        places |= {fact: name for fact, name in self.organisation.facts.items() if name in module.fields}
        return {places[key.casefold()]: value for key, value in facts.items() if key.casefold() in places}

    def _name(self, values: dict[str, Any]) -> None:
        if "Full_Name" in values:
            parts = (values.get("First_Name"), values.get("Last_Name"))
            values["Full_Name"] = " ".join(str(part) for part in parts if part)

    def _now(self) -> datetime:
        return self.clock.now().astimezone(ZONE).replace(microsecond=0)


def fate(row: Row, message: str) -> dict[str, Any]:
    """The success entry of a write."""
    values = row.values
    person = {"name": _OWNER["name"], "id": _OWNER["id"]}
    return {
        "code": "SUCCESS",
        "details": {
            "Modified_Time": values["Modified_Time"],
            "Modified_By": person,
            "Created_Time": values["Created_Time"],
            "id": values["id"],
            "Created_By": person,
        },
        "message": message,
        "status": "success",
    }
