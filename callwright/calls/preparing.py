"""Before the dial: the CRM record becomes a number and variables, and the agent platform gives a ticket."""

from dataclasses import dataclass
from typing import Any

from callwright.calls.directory import Directory
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt
from callwright.domain.errors import InvalidInput, Problem
from callwright.domain.fields import FieldType, Variable, coerce
from callwright.domain.phone import to_e164
from callwright.ports.crm import CrmRecord
from callwright.ports.voice_agent import ConversationStart

_MARK = Variable(name="opt_out", type=FieldType.BOOLEAN)
_MARK_REMEDY = "Make it a checkbox, or write yes or no; until then the person is not called."


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a call needs before the gate can look at it: E.164 number, typed variables, the CRM's do-not-call."""

    phone: str
    variables: dict[str, Any]
    opted_out: bool = False


async def prepare(
    attempt: Attempt, agent: AgentDefinition, directory: Directory, region: str | None
) -> Prepared:
    """Read the CRM record, if there is one; raises InvalidInput for what can never be called, or VendorError."""
    record = await _read_record(attempt, directory)
    given = {**_mapped(record, agent), **attempt.given}
    return Prepared(
        _phone(attempt, record, agent, region), variables_for(agent, given), _opted_out(record, agent)
    )


def variables_for(agent: AgentDefinition, given: dict[str, Any]) -> dict[str, Any]:
    """Typed values of all declared variables, defaults filled in; raises InvalidInput listing every problem."""
    values: dict[str, Any] = {}
    declared = {variable.name for variable in agent.variables}
    problems = [
        Problem(f"variables.{name}", "is not declared by the agent.", "Declare or remove it.")
        for name in sorted(set(given) - declared)
    ]
    for variable in agent.variables:
        try:
            value = coerce(variable, given.get(variable.name))
        except ValueError as error:
            problems.append(Problem(f"variables.{variable.name}", f"{error}."))
            continue
        value = coerce(variable, variable.default) if value is None else value
        if value is None and variable.required:
            remedy = "Fill the CRM field, give the variable, or declare a default."
            problems.append(Problem(f"variables.{variable.name}", "is required and has no value.", remedy))
        values[variable.name] = value
    if problems:
        raise InvalidInput(*problems)
    return values


def conversation_start(attempt: Attempt, agent: AgentDefinition) -> ConversationStart:
    """What the agent platform is told about this call."""
    return ConversationStart(attempt.id, agent, attempt.variables, attempt.phone)


async def _read_record(attempt: Attempt, directory: Directory) -> CrmRecord | None:
    if attempt.crm is None:
        return None
    record = await directory.crm(attempt.crm.system).get(attempt.crm.module, attempt.crm.record_id)
    if record is None:
        where = f"{attempt.crm.module} {attempt.crm.record_id}"
        raise InvalidInput(Problem("record", f"{where} does not exist in {attempt.crm.system}."))
    return record


def _mapped(record: CrmRecord | None, agent: AgentDefinition) -> dict[str, Any]:
    if record is None or agent.crm is None:
        return {}
    return {name: record.values.get(source) for name, source in agent.crm.variables.items()}


def _opted_out(record: CrmRecord | None, agent: AgentDefinition) -> bool:
    """Whether the CRM says that this person is not to be called; raises InvalidInput when it cannot be told."""
    field = agent.crm.opt_out_field if agent.crm is not None else None
    if record is None or field is None:
        return False
    try:
        return coerce(_MARK, record.values.get(field)) is True
    except ValueError as error:
        what = f"does not tell whether the person may be called: {error}."
        raise InvalidInput(Problem(f"record.{field}", what, _MARK_REMEDY)) from error


def _phone(attempt: Attempt, record: CrmRecord | None, agent: AgentDefinition, region: str | None) -> str:
    if attempt.crm is None and attempt.phone:
        return attempt.phone
    if record is None or agent.crm is None:
        raise InvalidInput(Problem("phone", "there is neither a phone number nor a CRM record."))
    raw = [str(record.values.get(name) or "").strip() for name in agent.crm.phone_fields]
    found = next((number for number in raw if number), None)
    if found is None:
        names = ", ".join(agent.crm.phone_fields)
        raise InvalidInput(Problem("phone", f"the record has no number in {names}.", "Fill one of them."))
    return to_e164(found, region)
