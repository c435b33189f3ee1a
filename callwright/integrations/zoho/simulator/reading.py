"""Reads: one record, lists, related lists, search (get-records, search-records, get-related-records pages)."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from callwright.integrations.zoho.simulator import replies
from callwright.integrations.zoho.simulator.modules import Module
from callwright.integrations.zoho.simulator.replies import Refusal
from callwright.integrations.zoho.simulator.state import State
from callwright.integrations.zoho.simulator.tables import Row

_MOST_FIELDS = 50
_PAGE = 200
_DISCRETE = 2000
_SORTABLE = frozenset({"id", "Created_Time", "Modified_Time"})
_SHORTEST_NUMBER = 7

Answer = tuple[int, dict[str, Any] | None]


def one(state: State, module: Module, record_id: str) -> Answer:
    """GET /{module}/{id}: every field."""
    row = state.tables.get(module.name, record_id)
    if row is None:
        if state.behaviour.unknown_id == 204:
            return 204, None
        return 400, replies.invalid_id(id=record_id)
    return 200, {"data": [_whole(row)]}


def many(state: State, module: Module, query: Mapping[str, str]) -> Answer:
    """GET /{module}: `fields` is mandatory, 200 a page, a page token beyond 2,000."""
    names = _fields(state, query)
    sort_by = query.get("sort_by", "id")
    if sort_by not in _SORTABLE:
        details = {"param_name": "sort_by", "supported_values": sorted(_SORTABLE)}
        raise Refusal(400, "INVALID_DATA", "invalid data", details)
    wanted = set(query["ids"].split(",")) if "ids" in query else None
    rows = [
        row.values
        for record_id, row in state.tables.rows[module.name].items()
        if wanted is None or record_id in wanted
    ]
    rows.sort(key=lambda values: values[sort_by], reverse=query.get("sort_order", "desc") == "desc")
    return _page(rows, names, query)


def related(state: State, module: Module, record_id: str, relation: str, query: Mapping[str, str]) -> Answer:
    """GET /{module}/{id}/Notes or Calls, newest first."""
    names = _fields(state, query)
    if state.tables.get(module.name, record_id) is None:
        return 400, replies.invalid_id(resource_path_index=1)
    links = {"Notes": ("Parent_Id",), "Calls": ("What_Id", "Who_Id")}.get(relation)
    if links is None:
        message = "the relation name given seems to be invalid"
        raise Refusal(400, "INVALID_DATA", message, {"resource_path_index": 2})
    rows = [
        row.values
        for row in state.tables.rows[relation].values()
        if any(_points_to(row, link, module.name, record_id) for link in links)
    ]
    return _page(list(reversed(rows)), names, query)


def search(state: State, module: Module, query: Mapping[str, str]) -> Answer:
    """GET /{module}/search by email, phone or word; the index knows a record only after its delay."""
    kinds = [kind for kind in ("criteria", "email", "phone", "word") if query.get(kind)]
    if not kinds:
        details = {"param_names": ["criteria", "email", "phone", "word"]}
        raise Refusal(400, "EXPECTED_PARAM_MISSING", "required param is missing", details)
    if kinds[0] == "criteria":
        state.traffic.violation("search by criteria is not simulated")
        raise Refusal(400, "INVALID_QUERY", "Invalid query formed")
    now = state.tables.clock.monotonic()
    rows = [
        _whole(row)
        for row in state.tables.rows[module.name].values()
        if row.indexed_at <= now and _matches(module, row, kinds[0], query[kinds[0]])
    ]
    names = query["fields"].split(",") if "fields" in query else None
    return _page(rows, names, query)


def _fields(state: State, query: Mapping[str, str]) -> list[str]:
    if not query.get("fields"):
        state.traffic.violation("a list was asked for without fields")
        raise replies.missing("fields")
    names = query["fields"].split(",")
    if len(names) > _MOST_FIELDS:
        raise replies.over_limit("fields", _MOST_FIELDS)
    return names


def _page(rows: list[dict[str, Any]], names: list[str] | None, query: Mapping[str, str]) -> Answer:
    per_page, page = int(query.get("per_page", _PAGE)), int(query.get("page", "1"))
    if not 1 <= per_page <= _PAGE:
        raise replies.over_limit("per_page", _PAGE)
    bound = {key: value for key, value in query.items() if key not in {"page", "page_token"}}
    start = (page - 1) * per_page
    if "page_token" in query:
        if "page" in query:
            raise Refusal(400, "AMBIGUITY_DURING_PROCESSING", "page and page_token were given")
        start = _offset(query["page_token"], bound)
    elif start + per_page > _DISCRETE:
        message = "You can only get the first 2000 records without using page_token param"
        raise Refusal(400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", message, {"limit": _DISCRETE})
    found = rows[start : start + per_page]
    if not found:
        return 204, None
    more = len(rows) > start + per_page
    info = {
        "per_page": per_page,
        "count": len(found),
        "page": start // per_page + 1,
        "sort_by": query.get("sort_by", "id"),
        "sort_order": query.get("sort_order", "desc"),
        "more_records": more,
        "next_page_token": _token(start + per_page, bound) if more else None,
        "previous_page_token": None,
        "page_token_expiry": None,
    }
    picked = [row if names is None else {name: row.get(name) for name in ("id", *names)} for row in found]
    return 200, {"data": picked, "info": info}


def _token(offset: int, bound: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([offset, bound], sort_keys=True).encode()).decode()


def _offset(token: str, bound: dict[str, str]) -> int:
    try:
        offset, made_for = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        made_for, offset = None, 0
    if made_for != bound:
        details = {"param_name": "page_token"}
        raise Refusal(400, "TOKEN_BOUND_DATA_MISMATCH", "the token was made for another request", details)
    return int(offset)


def _whole(row: Row) -> dict[str, Any]:
    system = {"$approval_state": "approved", "$editable": True, "$locked_for_me": row.locked}
    return {**row.values, **system}


def _points_to(row: Row, link: str, module: str, record_id: str) -> bool:
    value = row.values.get(link)
    if not isinstance(value, dict) or str(value.get("id")) != record_id:
        return False
    return row.related_module in {None, module}


def _matches(module: Module, row: Row, kind: str, text: str) -> bool:
    if kind == "word":
        return any(text.casefold() in str(value).casefold() for value in row.values.values() if value)
    of_kind = [name for name, field in module.fields.items() if field.type == kind]
    if kind == "email":
        return any(str(row.values.get(name) or "").casefold() == text.casefold() for name in of_kind)
    digits = _digits(text)
    return any(_ends_alike(_digits(str(row.values.get(name) or "")), digits) for name in of_kind)


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def _ends_alike(held: str, wanted: str) -> bool:
    """Whether two numbers are the same but for a country code or trunk zero."""
    if min(len(held), len(wanted)) < _SHORTEST_NUMBER:
        return False
    return held.lstrip("0").endswith(wanted.lstrip("0")) or wanted.endswith(held.lstrip("0"))
