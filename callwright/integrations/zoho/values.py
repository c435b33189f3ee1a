"""Turns collected values into what a field of Zoho takes, and compares them with what it holds."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from callwright.integrations.zoho.metadata import PICKLISTS, TEXTS, FieldMeta
from callwright.ports.crm import FieldRefusal

CUT_MARK = " …"
_MOST_DIGITS = 18
_LONGEST_SHOWN = 60
_YES = frozenset({"true", "yes", "y", "1", "on"})
_NO = frozenset({"false", "no", "n", "0", "off"})


def prepare(
    fields: Mapping[str, FieldMeta], values: Mapping[str, Any]
) -> tuple[dict[str, Any], list[FieldRefusal]]:
    """Values as Zoho takes them, and those that it never will; empty values are left out, never written."""
    ready: dict[str, Any] = {}
    refused: list[FieldRefusal] = []
    for name, value in values.items():
        if is_empty(value):
            continue
        field = fields.get(name)
        if field is None:
            refused.append(FieldRefusal(name, "UNKNOWN_FIELD", "the module has no such field"))
        elif not field.updatable:
            refused.append(FieldRefusal(name, "READ_ONLY", "the field cannot be written by the API"))
        else:
            try:
                ready[name] = convert(field, value)
            except ValueError as error:
                refused.append(FieldRefusal(name, "WRONG_VALUE", str(error)))
    return ready, refused


def is_empty(value: Any) -> bool:
    """Whether a value says nothing; false and 0 do say something."""
    return value is None or (isinstance(value, (str, list, tuple, dict)) and not value)


def is_filled(held: Any) -> bool:
    """Whether a field holds something that a person may have put there; a box that is not ticked does not."""
    return not is_empty(held) and held is not False


def convert(field: FieldMeta, value: Any) -> Any:
    """One value as the field takes it; raises ValueError saying what was expected."""
    if field.type in TEXTS:
        return cut(_text(value), field.length)
    converter = _CONVERT.get(field.type)
    if converter is None:
        raise ValueError(f"fields of type {field.type} are not written")
    return converter(field, value)


def cut(text: str, length: int | None) -> str:
    """The text, shortened to `length` characters with a mark at its end if it is longer."""
    if length is None or len(text) <= length:
        return text
    return text[: max(length - len(CUT_MARK), 0)] + CUT_MARK[:length]


def same(held: Any, wanted: Any) -> bool:
    """Whether a field already holds a value: numbers by amount, moments by instant, lists in any order."""
    if isinstance(wanted, dict):
        return isinstance(held, dict) and held.get("id") == wanted.get("id")
    if isinstance(wanted, list):
        return isinstance(held, list) and sorted(map(str, held)) == sorted(map(str, wanted))
    if isinstance(wanted, bool) or isinstance(held, bool):
        return held is wanted
    if isinstance(wanted, (int, float)):
        return _amount(held) == float(wanted)
    if not isinstance(held, str) or not isinstance(wanted, str):
        return False
    return held.strip() == wanted.strip() or (_moment(held) is not None and _moment(held) == _moment(wanted))


def same_moment(one: str | None, other: str | None) -> bool:
    """Whether two marks of time name the same instant."""
    return one == other or (one is not None and other is not None and same(one, other))


def iso(moment: datetime) -> str:
    """A moment as Zoho writes it: seconds and an offset, no fraction."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return aware.replace(microsecond=0).isoformat()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, (list, tuple)):
        return "; ".join(_text(item) for item in value)
    if isinstance(value, dict):
        return str(value.get("name") or value.get("id") or value)
    return str(value).strip()


def _boolean(_field: FieldMeta, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _YES or text in _NO:
        return text in _YES
    raise ValueError(f"{value!r} is neither yes nor no")


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError("true or false is not a number")
    try:
        number = (
            float(value) if isinstance(value, (int, float)) else float(str(value).replace(",", "").strip())
        )
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{str(value)[:_LONGEST_SHOWN]!r} is not a number") from error
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number


def _integer(field: FieldMeta, value: Any) -> int | str:
    whole = value if isinstance(value, int) and not isinstance(value, bool) else None
    if whole is None:
        number = _number(value)
        if not number.is_integer():
            raise ValueError(f"{value!r} is not a whole number")
        whole = int(number)
    if abs(whole) >= 10 ** (field.length or _MOST_DIGITS):
        raise ValueError(f"the number has more than {field.length or _MOST_DIGITS} digits")
    return str(whole) if field.type == "bigint" else whole


def _decimal(field: FieldMeta, value: Any) -> int | float:
    number = _number(value)
    if field.decimals is not None:
        number = round(number, field.decimals)
    if field.length is not None and len(str(abs(int(number)))) > field.length:
        raise ValueError(f"{value} has more than {field.length} digits")
    return int(number) if number.is_integer() else number


def _date(_field: FieldMeta, value: Any) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    text = str(value).strip()
    for parse in (date.fromisoformat, datetime.fromisoformat):
        try:
            return parse(text).isoformat()[:10]
        except ValueError:
            continue
    raise ValueError(f"{value!r} is not an ISO 8601 date")


def _datetime(_field: FieldMeta, value: Any) -> str:
    if isinstance(value, datetime):
        return iso(value)
    try:
        return iso(datetime.fromisoformat(str(value).strip()))
    except ValueError as error:
        raise ValueError(f"{value!r} is not an ISO 8601 moment") from error


def _option(field: FieldMeta, value: Any) -> str:
    text = _text(value)
    wanted = {text.casefold()}
    if isinstance(value, bool):
        wanted |= _YES if value else _NO
    for option in field.options:
        if option.actual.casefold() in wanted or option.display.casefold() in wanted:
            return option.actual
    known = ", ".join(option.actual for option in field.options[:20]) or "none"
    raise ValueError(f"{text!r} is not an option (options: {known})")


def _options(field: FieldMeta, value: Any) -> list[str]:
    if isinstance(value, str):
        value = [part.strip() for part in value.replace(";", ",").split(",") if part.strip()]
    chosen = [_option(field, item) for item in (value if isinstance(value, (list, tuple)) else [value])]
    return list(dict.fromkeys(chosen))


def _lookup(_field: FieldMeta, value: Any) -> dict[str, str]:
    found = value.get("id") if isinstance(value, dict) else value
    if not str(found).isdigit():
        raise ValueError(f"{value!r} is not the id of a record")
    return {"id": str(found)}


def _amount(held: Any) -> float | None:
    try:
        return _number(held)
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


_CONVERT: dict[str, Callable[[FieldMeta, Any], Any]] = {
    "boolean": _boolean,
    "integer": _integer,
    "bigint": _integer,
    "double": _decimal,
    "currency": _decimal,
    "percent": _decimal,
    "date": _date,
    "datetime": _datetime,
    "picklist": _option,
    "multiselectpicklist": _options,
    "lookup": _lookup,
    "ownerlookup": _lookup,
}
WRITABLE_TYPES = TEXTS | PICKLISTS | frozenset(_CONVERT)
"""Types of fields that can be written at all."""
