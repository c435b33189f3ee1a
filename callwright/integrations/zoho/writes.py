"""Writes records so that a repeated step has one effect, and so that one bad field does not block the others.

An update first reads the record and sends only what differs: whatever a lost answer left written is not written
again and sets off no second workflow. Page: update-records.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from callwright.domain.errors import (
    Conflict,
    VendorAmbiguous,
    VendorBusy,
    VendorError,
    VendorNotFound,
    VendorRefused,
)
from callwright.integrations.zoho.answers import Item
from callwright.integrations.zoho.client import VENDOR, ZohoClient
from callwright.integrations.zoho.metadata import Metadata
from callwright.integrations.zoho.records import Records, is_record_id
from callwright.integrations.zoho.values import is_filled, iso, prepare, same, same_moment
from callwright.ports.crm import CrmRecord, FieldRefusal, WriteResult

_METADATA_RECHECK_S = 30.0
_FILL_TRIES = 3
_TRANSIENT = frozenset({"INTERNAL_ERROR", "INTERNAL_SERVER_ERROR"})


class Writes:
    """Updates and inserts of single records."""

    def __init__(self, client: ZohoClient, metadata: Metadata, records: Records) -> None:
        self._client = client
        self._metadata = metadata
        self._records = records

    async def update(
        self,
        module: str,
        record_id: str,
        values: dict[str, Any],
        triggers: tuple[str, ...],
        modified: str | None,
    ) -> WriteResult:
        """Write what differs from what the record holds; empty values never overwrite anything.

        Raises VendorNotFound for an unknown record and Conflict when it was changed since `modified`, unless it
        already holds every value.
        """
        ready, refused = await self._prepare(module, values)
        if not ready:
            return WriteResult((), tuple(refused))
        current = await self._read(module, record_id)
        different = _different(current, ready)
        if not different:
            return WriteResult(tuple(ready), tuple(refused))
        if modified is not None and not same_moment(current.modified, modified):
            raise Conflict(f"{module} {record_id} was changed since it was read")
        headers = {} if modified is None else {"If-Unmodified-Since": _header_time(modified)}
        done, late = await self._put(module, record_id, different, triggers, headers)
        refused.extend(late)
        gone = {refusal.field for refusal in late} if done else different.keys()
        return WriteResult(tuple(name for name in ready if name not in gone), tuple(refused))

    async def fill(
        self, module: str, record_id: str, values: dict[str, Any], triggers: tuple[str, ...]
    ) -> WriteResult:
        """Write only into fields that are empty when Zoho writes; raises Conflict after three changes in a row.

        Zoho is told the time of the record that we read, so that it refuses when somebody was faster.
        """
        ready, refused = await self._prepare(module, values)
        for left in reversed(range(_FILL_TRIES)):
            current = await self._read(module, record_id)
            different = _different(current, ready)
            kept = tuple(name for name in different if is_filled(current.values.get(name)))
            wanted = {name: value for name, value in different.items() if name not in kept}
            fine = tuple(name for name in ready if name not in different)
            if not wanted:
                return WriteResult(fine, tuple(refused), kept)
            headers = {"If-Unmodified-Since": _header_time(current.modified)} if current.modified else {}
            try:
                done, late = await self._put(module, record_id, wanted, triggers, headers)
            except Conflict:
                if not left:
                    raise
                continue
            gone = {refusal.field for refusal in late} if done else wanted.keys()
            written = tuple(name for name in ready if name not in gone and name not in kept)
            return WriteResult(written, (*refused, *late), kept)
        raise AssertionError("the last try returns or raises")

    async def insert(
        self, path: str, values: dict[str, Any], optional: frozenset[str], triggers: tuple[str, ...] | None
    ) -> str:
        """Insert one record and return its id; `optional` fields are given up when Zoho refuses them.

        Raises VendorRefused when another field is refused, VendorAmbiguous when the answer is lost.
        """
        item, refused = await self._attempt("POST", path, dict(values), optional, triggers, {})
        if item is None or item.record_id is None:
            reasons = "; ".join(f"{refusal.field}: {refusal.message}" for refusal in refused)
            code = refused[0].code if refused else ""
            raise VendorRefused(VENDOR, f"would not add to {path}: {reasons or 'no id came back'}", code=code)
        return item.record_id

    async def _prepare(
        self, module: str, values: dict[str, Any]
    ) -> tuple[dict[str, Any], list[FieldRefusal]]:
        fields = await self._metadata.fields(module)
        if any(name not in fields for name in values):
            fields = await self._metadata.fields(module, max_age_s=_METADATA_RECHECK_S)
        return prepare(fields, values)

    async def _read(self, module: str, record_id: str) -> CrmRecord:
        record = await self._records.get(module, record_id) if is_record_id(record_id) else None
        if record is None:
            raise VendorNotFound(VENDOR, f"{module} has no record {record_id}")
        return record

    async def _put(
        self,
        module: str,
        record_id: str,
        different: dict[str, Any],
        triggers: tuple[str, ...],
        headers: dict[str, str],
    ) -> tuple[bool, list[FieldRefusal]]:
        path = f"{module}/{record_id}"
        try:
            item, refused = await self._attempt(
                "PUT", path, dict(different), frozenset(different), triggers, headers
            )
        except (Conflict, VendorAmbiguous) as doubt:
            if await self._arrived(module, record_id, different):
                return True, []
            raise doubt from None
        return item is not None, refused

    async def _arrived(self, module: str, record_id: str, wanted: dict[str, Any]) -> bool:
        """Whether a write whose fate is unclear is there; False when that cannot be found out either."""
        try:
            record = await self._records.get(module, record_id)
        except VendorError:
            return False
        return record is not None and not _different(record, wanted)

    async def _attempt(
        self,
        method: str,
        path: str,
        values: dict[str, Any],
        droppable: frozenset[str],
        triggers: tuple[str, ...] | None,
        headers: dict[str, str],
    ) -> tuple[Item | None, list[FieldRefusal]]:
        """Write, leaving out fields that are refused for good, until it is done or nothing is left."""
        refused: list[FieldRefusal] = []
        for _ in range(len(values) + 1):
            body: dict[str, Any] = {"data": [values]}
            if triggers is not None:
                body["trigger"] = list(triggers)
            (item,) = await self._client.write(method, path, body, headers=headers)
            if item.ok:
                return item, refused
            final = _refusals(item, path)
            refused.extend(final)
            bad = {refusal.field for refusal in final}
            if not bad <= droppable & values.keys():
                return None, refused
            values = {name: value for name, value in values.items() if name not in bad}
            if not values:
                return None, refused
        return None, refused


def _different(record: CrmRecord, wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if not same(record.values.get(name), value)}


def _header_time(modified: str) -> str:
    return iso(datetime.fromisoformat(modified))


def _refusals(item: Item, path: str) -> list[FieldRefusal]:
    """Final refusals of one record; raises when it may be taken later, or when the record is the problem."""
    causes = item.causes
    _raise_for(causes, path)
    return [FieldRefusal(cause.field, cause.code, _explain(cause)) for cause in causes]


def _raise_for(causes: Iterable[Item], path: str) -> None:
    for cause in causes:
        if cause.code == "ALREADY_MODIFIED":
            raise Conflict(f"{path} was changed since it was read")
        if cause.retry_after_s is not None:
            raise VendorBusy(VENDOR, cause.message, code=cause.code, retry_after_s=cause.retry_after_s)
        if cause.code in _TRANSIENT:
            raise VendorAmbiguous(VENDOR, cause.message, code=cause.code)
        if cause.is_unknown_record:
            raise VendorNotFound(VENDOR, f"{path}: {cause.message}", code=cause.code)


def _explain(cause: Item) -> str:
    extra = [
        f"{label} {cause.details[key]}"
        for key, label in (
            ("expected_data_type", "expected"),
            ("maximum_length", "longest"),
            ("supported_values", "supported"),
            ("dependee", "needs"),
        )
        if key in cause.details
    ]
    return f"{cause.message} ({', '.join(extra)})" if extra else cause.message
