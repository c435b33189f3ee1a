"""Writes: insert, update, upsert, each record with its own fate (insert-, update-, upsert-records pages)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from callwright.integrations.zoho.simulator import replies
from callwright.integrations.zoho.simulator.modules import Module
from callwright.integrations.zoho.simulator.replies import Refusal, error
from callwright.integrations.zoho.simulator.state import State
from callwright.integrations.zoho.simulator.tables import Row, fate
from callwright.integrations.zoho.simulator.validation import problems

_MOST_RECORDS = 100
_TRIGGERS = frozenset({"workflow", "approval", "blueprint", "pathfinder", "orchestration"})
_NO_UPSERT = frozenset({"Calls", "Notes"})
_UPSERT_KEYS = {"Leads": ("Email",), "Contacts": ("Email",)}

Answer = tuple[int, dict[str, Any] | None]


def insert(state: State, module: Module, body: dict[str, Any]) -> Answer:
    """POST /{module}."""
    fates = [_insert(state, module, item, index, body) for index, item in enumerate(_data(body))]
    return _answer(state, fates, success=201)


def update(
    state: State, module: Module, record_id: str | None, body: dict[str, Any], headers: Mapping[str, str]
) -> Answer:
    """PUT /{module}/{id}, or PUT /{module} with an id in each record."""
    data = _data(body)
    if record_id is not None and len(data) != 1:
        raise Refusal(400, "INVALID_DATA", "invalid data", {"expected_data_type": "one record"})
    fates = []
    for index, item in enumerate(data):
        target = record_id or str(item.get("id", ""))
        if not target:
            path = f"$.data[{index}].id"
            fates.append(
                error("MANDATORY_NOT_FOUND", "required field not found", api_name="id", json_path=path)
            )
            continue
        fates.append(_update(state, module, target, item, index, body, headers))
    return _answer(state, fates, success=200)


def upsert(state: State, module: Module, body: dict[str, Any]) -> Answer:
    """POST /{module}/upsert, by `duplicate_check_fields` or the module's own."""
    if module.name in _NO_UPSERT:
        raise Refusal(400, "NOT_SUPPORTED", "upsert is not supported for this module")
    keys: tuple[str, ...] = _UPSERT_KEYS.get(module.name, ())
    if body.get("duplicate_check_fields"):
        keys = tuple(body["duplicate_check_fields"])
    fates = []
    for index, item in enumerate(_data(body)):
        twin, key = _twin(state, module, item, keys)
        if twin is None:
            result = _insert(state, module, item, index, body)
        else:
            result = _update(state, module, twin, item, index, body, {})
        if result["status"] == "success":
            result |= {"action": "update" if twin else "insert", "duplicate_field": key}
        fates.append(result)
    return _answer(state, fates, success=200)


def _data(body: dict[str, Any]) -> list[dict[str, Any]]:
    data = body.get("data")
    if not isinstance(data, list) or not data or not all(isinstance(item, dict) for item in data):
        details = {"api_name": "data", "json_path": "$.data", "expected_data_type": "jsonarray"}
        raise Refusal(400, "INVALID_DATA", "invalid data", details)
    if len(data) > _MOST_RECORDS:
        raise Refusal(400, "LIMIT_EXCEEDED", "too many records", {"limit": _MOST_RECORDS})
    trigger = body.get("trigger")
    if trigger is not None and (not isinstance(trigger, list) or not set(trigger) <= _TRIGGERS):
        raise Refusal(400, "INVALID_DATA", "invalid data", {"api_name": "trigger", "json_path": "$.trigger"})
    return data


def _insert(
    state: State, module: Module, item: dict[str, Any], index: int, body: dict[str, Any]
) -> dict[str, Any]:
    wrong = _wrong(state, module, item, None, index)
    if wrong is not None:
        return wrong
    values = _known(state, module, item)
    parent = item.get("Parent_Id")
    related = parent["module"]["api_name"] if module.name == "Notes" and parent else item.get("$se_module")
    if module.name == "Calls":
        minutes, _, seconds = str(values.get("Call_Duration", "00:00")).partition(":")
        values["Call_Duration_in_seconds"] = int(minutes) * 60 + int(seconds or 0)
    record_id = state.tables.insert(module.name, values, related)
    row = state.tables.rows[module.name][record_id]
    _set_off(state, module, record_id, body)
    return fate(row, "record added")


def _update(
    state: State,
    module: Module,
    record_id: str,
    item: dict[str, Any],
    index: int,
    body: dict[str, Any],
    headers: Mapping[str, str],
) -> dict[str, Any]:
    row = state.tables.get(module.name, record_id)
    if row is None:
        return replies.invalid_id(id=record_id)
    since = headers.get("if-unmodified-since")
    if since is not None and row.modified > _moment(since):
        message = "Record updated time has already passed if-unmodified-since time"
        return error("ALREADY_MODIFIED", message, id=record_id, Modified_Time=row.values["Modified_Time"])
    if row.locked:
        message = "You cannot perform this operation as the record is locked."
        return error("RECORD_LOCKED", message, action="update", json_path=f"$.data[{index}]")
    wrong = _wrong(state, module, item, record_id, index)
    if wrong is not None:
        return wrong
    state.tables.change(module.name, record_id, _appended(row, item, _known(state, module, item)))
    _set_off(state, module, record_id, body)
    return fate(row, "record updated")


def _wrong(
    state: State, module: Module, item: dict[str, Any], record_id: str | None, index: int
) -> dict[str, Any] | None:
    found = problems(state.tables, module, item, record_id, index)
    for name in item:
        rule = state.refusals.get((module.name, name))
        if rule is not None:
            code, message, details = rule
            place = {"api_name": name, "json_path": f"$.data[{index}].{name}"}
            found.append(error(code, message, **{**place, **details}))
    if not found:
        return None
    if len(found) == 1:
        return found[0]
    return error("MULTIPLE_OR_MULTI_ERRORS", "Multiple errors in the request", errors=found)


def _known(state: State, module: Module, item: dict[str, Any]) -> dict[str, Any]:
    """The values of fields that exist; Zoho ignores others without a word, so that we count them."""
    for name in item:
        if name not in module.fields and not name.startswith("$"):
            state.traffic.violation(f"{module.name} has no field {name}: Zoho ignores it in silence")
    return {name: value for name, value in item.items() if name in module.fields and name != "id"}


def _appended(row: Row, item: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    appends = item.get("$append_values") or {}
    for name, append in appends.items():
        if append and isinstance(values.get(name), list):
            held = row.values.get(name) or []
            values[name] = held + [option for option in values[name] if option not in held]
    return values


def _set_off(state: State, module: Module, record_id: str, body: dict[str, Any]) -> None:
    if "workflow" in body.get("trigger", _TRIGGERS):
        state.workflows.append((module.name, record_id))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        details = {"api_name": "If-Unmodified-Since", "expected_data_type": "datetime"}
        raise Refusal(400, "INVALID_DATA", "invalid data", details)
    return moment


def _twin(
    state: State, module: Module, item: dict[str, Any], keys: tuple[str, ...]
) -> tuple[str | None, str | None]:
    for key in keys:
        for record_id, row in state.tables.rows[module.name].items():
            held = row.values.get(key)
            if held and str(held).casefold() == str(item.get(key)).casefold():
                return record_id, key
    return None, None


def _answer(state: State, fates: list[dict[str, Any]], success: int) -> Answer:
    failed = [item for item in fates if item["status"] != "success"]
    if not failed:
        return success, {"data": fates}
    if len(failed) < len(fates):
        return 207, {"data": fates}
    if all(item["code"] == "ALREADY_MODIFIED" for item in failed):
        return 412, {"data": fates}
    return state.behaviour.all_failed, {"data": fates}
