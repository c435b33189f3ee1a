"""Checks an agent's mapping against the fields of its module, before the first call."""

from collections.abc import Iterator, Mapping

from callwright.domain.agent import AgentDefinition, CrmMapping
from callwright.domain.errors import Problem
from callwright.domain.fields import CollectedField, FieldType
from callwright.domain.outcome import EndReason
from callwright.integrations.zoho.metadata import PICKLISTS, TEXTS, FieldMeta
from callwright.integrations.zoho.values import WRITABLE_TYPES, convert

TRIGGERS = frozenset({"workflow", "approval", "blueprint", "pathfinder", "orchestration"})
"""What a write may set off (update records page, `trigger`)."""

_WORDS = frozenset({"text", "textarea"})
_NUMBERS = frozenset({"double", "currency", "percent"})
_WHOLE = frozenset({"integer", "bigint"})
_TAKEN_BY: dict[FieldType, frozenset[str]] = {
    FieldType.TEXT: TEXTS,
    FieldType.INTEGER: _WORDS | _NUMBERS | _WHOLE,
    FieldType.NUMBER: _WORDS | _NUMBERS,
    FieldType.BOOLEAN: _WORDS | {"boolean", "picklist"},
    FieldType.DATE: _WORDS | {"date"},
    FieldType.TIME: _WORDS,
    FieldType.DATETIME: _WORDS | {"datetime", "date"},
    FieldType.CHOICE: _WORDS | PICKLISTS,
}
_ANYTHING = frozenset(FieldType)
_GIVEN_BY: dict[str, frozenset[FieldType]] = {
    "boolean": frozenset({FieldType.BOOLEAN, FieldType.TEXT}),
    "integer": frozenset({FieldType.INTEGER, FieldType.NUMBER, FieldType.TEXT}),
    "bigint": frozenset({FieldType.INTEGER, FieldType.NUMBER, FieldType.TEXT}),
    "double": frozenset({FieldType.INTEGER, FieldType.NUMBER, FieldType.TEXT}),
    "currency": frozenset({FieldType.INTEGER, FieldType.NUMBER, FieldType.TEXT}),
    "percent": frozenset({FieldType.INTEGER, FieldType.NUMBER, FieldType.TEXT}),
    "date": frozenset({FieldType.DATE, FieldType.TEXT}),
    "datetime": frozenset({FieldType.DATETIME, FieldType.TEXT}),
    "picklist": frozenset({FieldType.CHOICE, FieldType.TEXT}),
    "multiselectpicklist": frozenset({FieldType.TEXT}),
    "lookup": frozenset({FieldType.TEXT}),
    "ownerlookup": frozenset({FieldType.TEXT}),
}
_SEE_FIELDS = "Run `callwright crm fields` to see the module's fields."


def problems(agent: AgentDefinition, mapping: CrmMapping, fields: Mapping[str, FieldMeta]) -> list[Problem]:
    """Everything wrong with a mapping: unknown, read-only, type, length, option, phone, trigger."""
    return [
        *_phone_problems(mapping, fields),
        *_variable_problems(agent, mapping, fields),
        *_result_problems(agent, mapping, fields),
        *_outcome_problems(mapping, fields),
        *_opt_out_problems(mapping, fields),
        *_trigger_problems(mapping),
    ]


def _phone_problems(mapping: CrmMapping, fields: Mapping[str, FieldMeta]) -> Iterator[Problem]:
    phones = sorted(name for name, field in fields.items() if field.type == "phone")
    for index, name in enumerate(mapping.phone_fields):
        where = f"crm.phone_fields.{index}"
        field = fields.get(name)
        if field is None:
            yield _unknown(where, name, mapping.module)
        elif field.type != "phone":
            known = ", ".join(phones) or "none"
            yield Problem(where, f"{name} is of type {field.type}, not phone.", f"Phone fields: {known}.")


def _variable_problems(
    agent: AgentDefinition, mapping: CrmMapping, fields: Mapping[str, FieldMeta]
) -> Iterator[Problem]:
    types = {variable.name: variable.type for variable in agent.variables}
    for variable, name in mapping.variables.items():
        where = f"crm.variables.{variable}"
        field = fields.get(name)
        if field is None:
            yield _unknown(where, name, mapping.module)
        elif types[variable] not in _GIVEN_BY.get(field.type, _ANYTHING):
            what = f"{name} is of type {field.type} and cannot become type {types[variable]}."
            yield Problem(where, what, "Declare the variable as text, or map another field.")


def _result_problems(
    agent: AgentDefinition, mapping: CrmMapping, fields: Mapping[str, FieldMeta]
) -> Iterator[Problem]:
    collected = {field.name: field for field in agent.collect}
    written: dict[str, str] = {}
    for result, name in mapping.results.items():
        where = f"crm.results.{result}"
        field = fields.get(name)
        if (problem := _unwritable(where, name, field, mapping.module)) is not None:
            yield problem
        elif field is not None:
            yield from _mismatch(where, collected[result], field)
        if name in written:
            yield Problem(where, f"{name} is already written by {written[name]}.", "Map each field once.")
        written[name] = result


def _mismatch(where: str, collected: CollectedField, field: FieldMeta) -> Iterator[Problem]:
    if field.type not in _TAKEN_BY[collected.type]:
        fitting = ", ".join(sorted(_TAKEN_BY[collected.type]))
        what = f"{field.name} is of type {field.type} and does not take type {collected.type}."
        remedy = f"Map a field of type {fitting}."
        if field.type in PICKLISTS and collected.type is FieldType.TEXT:
            remedy = "Collect a choice among the picklist's options, or map a text field."
        yield Problem(where, what, remedy)
        return
    if field.length is not None and field.type in TEXTS:
        longest = max([collected.max_length or 0, *(len(choice) for choice in collected.choices)])
        if longest > field.length:
            what = f"may be {longest} characters long, {field.name} takes {field.length}."
            yield Problem(where, what, f"Set max_length to {field.length} or less, or map a longer field.")
    if field.type in PICKLISTS:
        offered: tuple[object, ...] = collected.choices or (True, False)
        yield from _missing_options(where, field, offered)


def _missing_options(where: str, field: FieldMeta, offered: tuple[object, ...]) -> Iterator[Problem]:
    missing = []
    for value in offered:
        try:
            convert(field, value)
        except ValueError:
            missing.append("yes" if value is True else "no" if value is False else str(value))
    if missing:
        what = f"{', '.join(missing)} not among the options of {field.name}."
        known = ", ".join(option.actual for option in field.options[:20]) or "none"
        yield Problem(where, what, f"Add the options in Zoho, or use these: {known}.")


def _outcome_problems(mapping: CrmMapping, fields: Mapping[str, FieldMeta]) -> Iterator[Problem]:
    name = mapping.outcome_field
    if name is None:
        return
    where = "crm.outcome_field"
    field = fields.get(name)
    if (problem := _unwritable(where, name, field, mapping.module)) is not None:
        yield problem
        return
    assert field is not None
    if field.type not in _WORDS | PICKLISTS:
        yield Problem(where, f"{name} is of type {field.type}.", "Map a text field or a picklist.")
        return
    values = {reason: mapping.outcome_values.get(reason, reason.value) for reason in EndReason}
    if field.type in PICKLISTS:
        yield from _missing_options(
            "crm.outcome_values", field, tuple(dict.fromkeys(value for value in values.values() if value))
        )
        return
    for reason, value in values.items():
        if field.length is not None and len(value) > field.length:
            what = f"is {len(value)} characters long, {name} takes {field.length}."
            yield Problem(f"crm.outcome_values.{reason}", what, "Shorten it.")


def _opt_out_problems(mapping: CrmMapping, fields: Mapping[str, FieldMeta]) -> Iterator[Problem]:
    name = mapping.opt_out_field
    if name is None:
        return
    where = "crm.opt_out_field"
    field = fields.get(name)
    if (problem := _unwritable(where, name, field, mapping.module)) is not None:
        yield problem
    elif field is not None:
        if field.type not in {"boolean", "picklist"}:
            what = f"{name} is of type {field.type}."
            yield Problem(where, what, "Map a checkbox, or a picklist with the option Yes.")
        elif field.type == "picklist":
            yield from _missing_options(where, field, (True,))


def _trigger_problems(mapping: CrmMapping) -> Iterator[Problem]:
    unknown = sorted(set(mapping.triggers) - TRIGGERS)
    if unknown:
        known = ", ".join(sorted(TRIGGERS))
        yield Problem("crm.triggers", f"{', '.join(unknown)} unknown to Zoho.", f"Known: {known}.")


def _unwritable(where: str, name: str, field: FieldMeta | None, module: str) -> Problem | None:
    if field is None:
        return _unknown(where, name, module)
    if not field.updatable:
        return Problem(where, f"{name} is read-only for the API.", "Map a field that can be written.")
    if field.type not in WRITABLE_TYPES:
        return Problem(where, f"{name} is of type {field.type}, which is not written.", "Map another field.")
    return None


def _unknown(where: str, name: str, module: str) -> Problem:
    what = f"{module} has no field with the API name {name}; Zoho would ignore it in silence."
    return Problem(where, what, _SEE_FIELDS)
