"""What Zoho says about the fields of a module, kept for a while (GET /settings/fields).

A field can be written when `operation_type.api_update` is true, it is visible, and it is not read-only.
Picklists count as restricted: Zoho would add an unknown value to an open one, and a machine should not.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from callwright.domain.errors import VendorNotFound
from callwright.integrations.zoho.client import VENDOR, ZohoClient
from callwright.ports.clock import Clock
from callwright.ports.crm import CrmField

_MODULE = re.compile(r"^[A-Za-z][A-Za-z0-9_]*$")
PICKLISTS = frozenset({"picklist", "multiselectpicklist"})
TEXTS = frozenset({"text", "textarea", "email", "phone", "website"})
_COUNTED_IN_CHARACTERS = TEXTS | PICKLISTS


@dataclass(frozen=True, slots=True)
class Option:
    """One value of a picklist: `actual` is what the API takes, `display` what people see."""

    actual: str
    display: str


@dataclass(frozen=True, slots=True)
class FieldMeta:
    """One field; `length` counts characters of texts and digits of numbers."""

    name: str
    label: str
    type: str
    updatable: bool
    creatable: bool
    required: bool
    length: int | None
    decimals: int | None
    options: tuple[Option, ...]

    @property
    def public(self) -> CrmField:
        """The field as the port describes it."""
        return CrmField(
            name=self.name,
            label=self.label,
            type=self.type,
            writable=self.updatable,
            required=self.required,
            max_length=self.length if self.type in _COUNTED_IN_CHARACTERS else None,
            options=tuple(option.actual for option in self.options),
            restricted=self.type in PICKLISTS,
            is_phone=self.type == "phone",
        )


def parse_field(raw: dict[str, Any]) -> FieldMeta:
    """Understand one entry of the field metadata."""
    operations = raw.get("operation_type") or {}
    open_ = bool(raw.get("visible", True)) and not (raw.get("read_only") or raw.get("field_read_only"))
    length = raw.get("length")
    decimals = raw.get("decimal_place")
    return FieldMeta(
        name=str(raw["api_name"]),
        label=str(raw.get("field_label") or raw.get("display_label") or raw["api_name"]),
        type=str(raw.get("data_type", "")),
        updatable=open_ and bool(operations.get("api_update")),
        creatable=open_ and bool(operations.get("api_create")),
        required=bool(raw.get("system_mandatory")),
        length=length if isinstance(length, int) and length > 0 else None,
        decimals=decimals if isinstance(decimals, int) else None,
        options=tuple(
            Option(str(option["actual_value"]), str(option.get("display_value", option["actual_value"])))
            for option in raw.get("pick_list_values") or ()
            if option.get("type", "used") == "used" and "actual_value" in option
        ),
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    at: float
    fields: dict[str, FieldMeta]


class Metadata:
    """Fields by module and name, read at most once at a time and kept for `ttl_s` seconds."""

    def __init__(self, client: ZohoClient, clock: Clock, ttl_s: float) -> None:
        self._client = client
        self._clock = clock
        self._ttl_s = ttl_s
        self._kept: dict[str, _Kept] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def fields(self, module: str, *, max_age_s: float | None = None) -> dict[str, FieldMeta]:
        """Fields by api_name, in Zoho's order; raises VendorNotFound for an unknown module."""
        if not _MODULE.fullmatch(module):
            raise VendorNotFound(VENDOR, f"{module!r} is not the API name of a module")
        limit = self._ttl_s if max_age_s is None else min(max_age_s, self._ttl_s)
        async with self._locks.setdefault(module, asyncio.Lock()):
            kept = self._kept.get(module)
            now = self._clock.monotonic()
            if kept is not None and now - kept.at < limit:
                return kept.fields
            found = await self._read(module)
            self._kept[module] = _Kept(now, found)
            return found

    async def _read(self, module: str) -> dict[str, FieldMeta]:
        body = await self._client.read("GET", "settings/fields", params={"module": module})
        raw = body.get("fields") if isinstance(body, dict) else None
        if not isinstance(raw, list) or not raw:
            raise VendorNotFound(VENDOR, f"module {module} has no fields")
        parsed = [parse_field(entry) for entry in raw if isinstance(entry, dict) and "api_name" in entry]
        return {field.name: field for field in parsed}
