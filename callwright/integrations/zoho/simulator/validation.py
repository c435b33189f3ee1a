"""What Zoho refuses in a record that is written: types, lengths, options, uniqueness, what is mandatory."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from callwright.integrations.zoho.simulator.modules import Field, Module
from callwright.integrations.zoho.simulator.replies import error
from callwright.integrations.zoho.simulator.tables import Tables

_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s.]+$")
_PHONE = re.compile(r"^[+\d(][\d\s().;x#/-]*$")
_DATE = re.compile(r"^\d{4}-\d\d-\d\d$")
_MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$")
_DURATION = re.compile(r"^(\d{2,4}):([0-5]\d)$")


def problems(
    tables: Tables, module: Module, values: dict[str, Any], record_id: str | None, index: int
) -> list[dict[str, Any]]:
    """Errors of one record; `record_id` is None for a new one, `index` its place in the request."""
    found = []
    for name, value in values.items():
        field = module.fields.get(name)
        if field is None or name == "id":
            continue
        wrong = _value_problem(tables, module, field, value, record_id)
        if wrong is not None:
            wrong["details"] |= {"api_name": name, "json_path": f"$.data[{index}].{name}"}
            found.append(wrong)
    found += _mandatory(module, values, index, new=record_id is None)
    if module.name == "Calls" and not found:
        found += _call_problems(tables, values, index)
    if module.name == "Notes" and record_id is None and not found:
        found += _note_problems(tables, values, index)
    return found


def _value_problem(
    tables: Tables, module: Module, field: Field, value: Any, record_id: str | None
) -> dict[str, Any] | None:
    if field.access == "r" or (field.access == "c" and record_id is not None):
        return error("INVALID_DATA", "invalid data", reason="read only field")
    if value is None:
        return error("INVALID_DATA", "invalid data") if field.mandatory else None
    if not _TYPES[field.type](value, field):
        return error("INVALID_DATA", "invalid data", expected_data_type=field.json_type)
    if isinstance(value, str) and field.type not in {"lookup", "ownerlookup"} and len(value) > field.length:
        return error("INVALID_DATA", "invalid data", maximum_length=field.length)
    if field.options and not _listed(field, value):
        if field.restricted:
            return error("INVALID_DATA", "invalid data", supported_values=list(field.options))
        field.options += [item for item in _list(value) if item not in field.options]
    if field.unique:
        return _duplicate(tables, module, field, value, record_id)
    return None


def _duplicate(
    tables: Tables, module: Module, field: Field, value: Any, record_id: str | None
) -> dict[str, Any] | None:
    for other_id, row in tables.rows[module.name].items():
        held = row.values.get(field.name)
        if other_id != record_id and held is not None and str(held).casefold() == str(value).casefold():
            twin = {"id": other_id, "module": {"api_name": module.name, "id": module.id}}
            return error("DUPLICATE_DATA", "duplicate data", id=other_id, duplicate_record=twin)
    return None


def _mandatory(module: Module, values: dict[str, Any], index: int, *, new: bool) -> list[dict[str, Any]]:
    if not new:
        return []
    return [
        error(
            "MANDATORY_NOT_FOUND",
            "required field not found",
            api_name=name,
            json_path=f"$.data[{index}].{name}",
        )
        for name, field in module.fields.items()
        if field.mandatory and name not in values
    ]


def _call_problems(tables: Tables, values: dict[str, Any], index: int) -> list[dict[str, Any]]:
    duration = values.get("Call_Duration")
    if duration is not None and values.get("Call_Type") != "Missed":
        match = _DURATION.match(str(duration))
        if match is None:
            return [_about("INVALID_DATA", "invalid data", "Call_Duration", index)]
        if int(match[1]) == 0 and int(match[2]) == 0:
            return [_about("DEPENDENT_MISMATCH", "Call Duration can not be zero.", "Call_Duration", index)]
    what, who = values.get("What_Id"), values.get("Who_Id")
    if what is not None:
        related = values.get("$se_module")
        if not related:
            missing = error("DEPENDENT_FIELD_MISSING", "dependent field missing", dependee="$se_module")
            missing["details"] |= {"api_name": "What_Id", "json_path": f"$.data[{index}].What_Id"}
            return [missing]
        if related == "Contacts" or related not in tables.organisation.modules:
            return [_about("INVALID_DATA", "invalid data", "$se_module", index)]
        if tables.get(str(related), _id(what)) is None:
            return [_about("INVALID_DATA", "the id given seems to be invalid", "What_Id", index)]
    if who is not None and tables.get("Contacts", _id(who)) is None:
        return [_about("INVALID_DATA", "the id given seems to be invalid", "Who_Id", index)]
    return []


def _note_problems(tables: Tables, values: dict[str, Any], index: int) -> list[dict[str, Any]]:
    parent = values.get("Parent_Id")
    module = parent.get("module", {}).get("api_name") if isinstance(parent, dict) else None
    if module not in tables.organisation.modules:
        return [_about("INVALID_DATA", "invalid data", "Parent_Id", index)]
    if tables.get(str(module), _id(parent)) is None:
        return [_about("INVALID_DATA", "the id given seems to be invalid", "Parent_Id", index)]
    return []


def _about(code: str, message: str, name: str, index: int) -> dict[str, Any]:
    return error(code, message, api_name=name, json_path=f"$.data[{index}].{name}")


def _id(value: Any) -> str:
    return str(value.get("id") if isinstance(value, dict) else value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _listed(field: Field, value: Any) -> bool:
    return all(item in field.options for item in _list(value))


def _is_text(value: Any, _field: Field) -> bool:
    return isinstance(value, str)


def _is_integer(value: Any, field: Field) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and len(str(abs(value))) <= field.length


def _is_number(value: Any, field: Field) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and len(str(abs(int(value)))) <= field.length
    )


def _is_date(value: Any, _field: Field) -> bool:
    if not isinstance(value, str) or not _DATE.match(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_moment(value: Any, _field: Field) -> bool:
    if not isinstance(value, str) or not _MOMENT.match(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_reference(value: Any, _field: Field) -> bool:
    return _id(value).isdigit()


_TYPES: dict[str, Callable[[Any, Field], bool]] = {
    "text": _is_text,
    "textarea": _is_text,
    "website": _is_text,
    "picklist": _is_text,
    "email": lambda value, _field: isinstance(value, str) and bool(_EMAIL.match(value)),
    "phone": lambda value, _field: isinstance(value, str) and bool(_PHONE.match(value)),
    "boolean": lambda value, _field: isinstance(value, bool),
    "integer": _is_integer,
    "bigint": lambda value, _field: str(value).isdigit(),
    "double": _is_number,
    "currency": _is_number,
    "percent": _is_number,
    "date": _is_date,
    "datetime": _is_moment,
    "multiselectpicklist": lambda value, _field: (
        isinstance(value, list) and all(isinstance(item, str) for item in value)
    ),
    "lookup": _is_reference,
    "ownerlookup": _is_reference,
    "formula": lambda _value, _field: False,
}
