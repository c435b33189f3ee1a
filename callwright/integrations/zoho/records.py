"""Reads records: by id, by phone, by query. Pages: get-records, search-records, COQL overview and limitations."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import phonenumbers

from callwright.domain.errors import InvalidInput, Problem, VendorNotFound, VendorRefused
from callwright.integrations.zoho.client import VENDOR, ZohoClient
from callwright.integrations.zoho.conditions import checked_condition, quote
from callwright.integrations.zoho.metadata import Metadata
from callwright.ports.crm import CrmRecord

_ID = re.compile(r"[0-9]{1,30}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*")
_MODULE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_PAGE = 200
_MOST_FIELDS = 50
_MOST_ROWS = 10_000
_MOST_MATCHES = 10
_SEARCH_CREDIT = 3


def is_record_id(text: str) -> bool:
    """Whether a text can be a record's id: Zoho's are strings of digits."""
    return bool(_ID.fullmatch(text))


def demand_module(module: str) -> None:
    """Raises VendorNotFound for what cannot be the API name of a module, and so must not get into a path."""
    if not _MODULE.fullmatch(module):
        raise VendorNotFound(
            VENDOR, f"{module[:100]!r} is not the API name of a module", code="INVALID_MODULE"
        )


class Records:
    """Reads of records; nothing here changes anything."""

    def __init__(self, client: ZohoClient, metadata: Metadata) -> None:
        self._client = client
        self._metadata = metadata

    async def get(self, module: str, record_id: str) -> CrmRecord | None:
        """One record with all its fields; None when Zoho answers 204, 404, or that the id is invalid."""
        demand_module(module)
        if not is_record_id(record_id):
            return None
        try:
            body = await self._client.read("GET", f"{module}/{record_id}")
        except VendorNotFound as error:
            if error.code == "INVALID_MODULE":
                raise
            return None
        rows = _rows(body)
        return _record(module, rows[0]) if rows else None

    async def find_by_phone(self, module: str, e164: str) -> list[CrmRecord]:
        """Records with this number in any phone field, at most 10.

        The search index lags behind writes, so that when it knows nothing a query looks at the records themselves.
        Raises InvalidInput for a number that is not E.164.
        """
        if not _E164.fullmatch(e164):
            what = f"{e164[:40]!r} is not a number of the form +447700900123."
            raise InvalidInput(Problem("phone", what, "Give the country code, and digits only."))
        fields = await self._metadata.fields(module)
        phones = [name for name, field in fields.items() if field.type == "phone"]
        params = {"phone": e164, "per_page": _PAGE}
        body = await self._client.read(
            "GET", f"{module}/search", heavy=True, credit=_SEARCH_CREDIT, params=params
        )
        found = [row for row in _rows(body) if _has_number(row, phones, e164)]
        if found:
            return [_record(module, row) for row in found[:_MOST_MATCHES]]
        return await self._query_phones(module, phones, e164)

    async def query(self, module: str, condition: str, fields: Iterable[str], limit: int) -> list[CrmRecord]:
        """Records that match a COQL condition (empty: all), at most `limit` and never more than 10,000.

        Raises InvalidInput for names that cannot be field names and for a condition that is more than one,
        VendorRefused for a condition that Zoho refuses.
        """
        columns = list(dict.fromkeys(["id", *fields, "Modified_Time"]))
        demand_module(module)
        wrong = [name for name in columns if not _NAME.fullmatch(name)]
        if wrong or len(columns) > _MOST_FIELDS:
            what = f"{', '.join(wrong)} cannot be names" if wrong else f"asks for {len(columns)} fields"
            raise InvalidInput(Problem("query", f"{what}.", "Use up to 48 API names of fields."))
        where = checked_condition(condition) or "id is not null"
        rows: list[dict[str, Any]] = []
        wanted = min(limit, _MOST_ROWS)
        while len(rows) < wanted:
            size = min(_PAGE, wanted - len(rows))
            body = await self.select(columns, module, where, len(rows), size)
            page = _rows(body)
            rows.extend(page)
            if not page or not _more(body):
                break
        return [_record(module, row) for row in rows[:wanted]]

    async def select(
        self, columns: Iterable[str], module: str, condition: str, offset: int, size: int
    ) -> Any:
        """One page (`size` up to 200 rows) of a COQL query; None when nothing matches."""
        query = f"select {', '.join(columns)} from {module} where {condition} limit {offset}, {size}"  # noqa: S608  (COQL reads only; names are checked and values quoted by the callers)
        return await self._client.read("POST", "coql", heavy=True, json={"select_query": query})

    async def _query_phones(self, module: str, phones: list[str], e164: str) -> list[CrmRecord]:
        if not phones:
            return []
        spellings = ", ".join(quote(text) for text in _spellings(e164))
        condition = _any_of([f"{name} in ({spellings})" for name in phones])
        found = await self.query(module, condition, phones, _PAGE)
        whole = [
            await self.get(module, record.record_id)
            for record in found[:_MOST_MATCHES]
            if _has_number(record.values, phones, e164)
        ]
        return [record for record in whole if record is not None]


def _rows(body: Any) -> list[dict[str, Any]]:
    data = body.get("data") if isinstance(body, dict) else None
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []


def _more(body: Any) -> bool:
    info = body.get("info") if isinstance(body, dict) else None
    return bool(isinstance(info, dict) and info.get("more_records"))


def _record(module: str, row: dict[str, Any]) -> CrmRecord:
    record_id = row.get("id")
    if not isinstance(record_id, str):
        raise VendorRefused(VENDOR, f"a record of {module} came without an id")
    modified = row.get("Modified_Time")
    values = {name: value for name, value in row.items() if not name.startswith("$")}
    return CrmRecord(module, record_id, values, modified if isinstance(modified, str) else None)


def _any_of(conditions: list[str]) -> str:
    """Conditions joined by `or`, nested in pairs as COQL demands."""
    joined = conditions[0]
    for condition in conditions[1:]:
        joined = f"({joined} or {condition})"
    return joined


def _spellings(e164: str) -> list[str]:
    """Ways in which a number is often stored; COQL compares texts, not numbers."""
    number = phonenumbers.parse(e164)
    formats = phonenumbers.PhoneNumberFormat
    national = phonenumbers.format_number(number, formats.NATIONAL)
    written = [
        e164,
        e164.removeprefix("+"),
        phonenumbers.format_number(number, formats.INTERNATIONAL),
        national,
        "".join(character for character in national if character.isdigit()),
    ]
    return list(dict.fromkeys(written))


def _has_number(row: Mapping[str, Any], phones: list[str], e164: str) -> bool:
    """Whether a phone field holds the number, read as one of the same country unless it says otherwise."""
    region = phonenumbers.region_code_for_country_code(phonenumbers.parse(e164).country_code or 0)
    return any(_normal(row.get(name), region) == e164 for name in phones)


def _normal(value: Any, region: str | None) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
