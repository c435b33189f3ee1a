"""CRMs: records and fields, updates that do not block one another, and entries that are made once."""

from typing import Any

import pytest

from callwright.domain.errors import (
    Conflict,
    InvalidInput,
    VendorAmbiguous,
    VendorBusy,
    VendorError,
    VendorNotFound,
    VendorRefused,
    VendorUnreachable,
)
from callwright.simulation.faults import Fault, FaultKind
from tests.contracts.crm_stage import ANN, BEN, CrmStage

NOWHERE = "No_Such_Field"
OFTEN = 20


async def test_a_record_has_what_the_person_is_known_by(crm: CrmStage) -> None:
    record = await crm.crm.get(crm.module, ANN.record_id)
    assert record is not None
    assert (record.module, record.record_id) == (crm.module, ANN.record_id)
    variables = crm.mapping.variables
    told = {
        name: record.values.get(variables[name]) for name in ("first_name", "last_name") if name in variables
    }
    assert told == {name: getattr(ANN, name) for name in told}
    assert ANN.phone in [record.values.get(field) for field in crm.mapping.phone_fields]


async def test_an_unknown_record_is_none(crm: CrmStage) -> None:
    assert await crm.crm.get(crm.module, crm.sample().get("unknown_record")) is None
    for nonsense in ("", "../1", "no such id", "1?x=y"):
        assert await crm.crm.get(crm.module, nonsense) is None


async def test_an_unknown_module_is_not_an_unknown_record(crm: CrmStage) -> None:
    error = await crm.failure(crm.crm.get("NoSuchModule", ANN.record_id))
    assert isinstance(error, VendorNotFound)
    error = await crm.failure(crm.crm.fields("NoSuchModule"))
    assert isinstance(error, VendorNotFound)


async def test_a_record_is_found_by_its_number(crm: CrmStage) -> None:
    (found,) = await crm.crm.find_by_phone(crm.module, BEN.phone)
    assert found.record_id == BEN.record_id
    assert await crm.crm.find_by_phone(crm.module, "+447700900999") == []


async def test_a_query_finds_records_up_to_a_limit(crm: CrmStage) -> None:
    wanted = crm.sample().get("query")
    fields = tuple(wanted["fields"])
    (found,) = await crm.crm.query(crm.module, wanted["condition"], fields, 10)
    assert found.record_id == ANN.record_id
    assert set(fields) <= found.values.keys()
    for nonsense in ("this is no condition", "this is ( no condition", "' no condition"):
        with pytest.raises((VendorRefused, InvalidInput)):
            await crm.another().query(crm.module, nonsense, fields, 10)


async def test_fields_are_known_with_what_they_take(crm: CrmStage) -> None:
    fields = {field.name: field for field in await crm.crm.fields(crm.module)}
    mapping = crm.mapping
    named = {*mapping.phone_fields, *mapping.variables.values(), *mapping.results.values()}
    named |= {name for name in (mapping.outcome_field, mapping.opt_out_field) if name}
    assert named <= fields.keys(), "the demo's mapping names fields that there are not"
    assert all(fields[name].is_phone for name in mapping.phone_fields)
    assert all(fields[name].writable for name in mapping.results.values())
    assert any(not field.writable for field in fields.values()), "no CRM lets every field be written"
    crm.mark()
    await crm.crm.fields(crm.module)
    assert crm.requests() == [], "field metadata is to be cached"


async def test_a_right_mapping_has_no_problems(crm: CrmStage) -> None:
    assert await crm.crm.mapping_problems(crm.agent()) == []
    assert await crm.crm.mapping_problems(crm.agent(system="another", phone_fields=[NOWHERE])) == []


async def test_each_wrong_name_of_a_mapping_is_told(crm: CrmStage) -> None:
    mapping = crm.mapping
    variable, collected = next(iter(mapping.variables)), next(iter(mapping.results))
    changes: list[dict[str, Any]] = [
        {"phone_fields": [NOWHERE]},
        {"variables": {**mapping.variables, variable: NOWHERE}},
        {"results": {**mapping.results, collected: NOWHERE}},
        {"outcome_field": NOWHERE},
        {"opt_out_field": NOWHERE},
    ]
    for change in changes:
        found = await crm.crm.mapping_problems(crm.agent(**change))
        assert any(NOWHERE in str(problem) for problem in found), f"{change}: {found}"
        assert all(problem.remedy for problem in found), "each problem says what to do"
    assert await crm.crm.mapping_problems(crm.agent(module="NoSuchModule"))
    read_only = next(field.name for field in await crm.crm.fields(crm.module) if not field.writable)
    assert await crm.crm.mapping_problems(crm.agent(results={**mapping.results, collected: read_only}))


async def test_a_refused_field_does_not_keep_the_others_from_being_written(crm: CrmStage) -> None:
    taken, refused = crm.sample().get("taken"), crm.sample().get("refused")
    read_only = next(field.name for field in await crm.crm.fields(crm.module) if not field.writable)
    values = {
        taken["field"]: taken["value"],
        refused["field"]: refused["value"],
        NOWHERE: "x",
        read_only: "x",
    }
    result = await crm.crm.update(crm.module, ANN.record_id, values)
    assert result.written == (taken["field"],)
    assert {refusal.field for refusal in result.refused} == {refused["field"], NOWHERE, read_only}
    assert all(refusal.message for refusal in result.refused)
    record = await crm.crm.get(crm.module, ANN.record_id)
    assert record is not None
    assert record.values[taken["field"]] == taken["value"]
    assert record.values.get(refused["field"]) != refused["value"]


async def test_filled_fields_are_kept_where_that_is_asked_for(crm: CrmStage) -> None:
    taken = crm.sample().get("taken")
    values = {taken["field"]: taken["value"]}
    first = await crm.crm.update(crm.module, ANN.record_id, values, keep_filled=True)
    assert (first.written, first.kept) == ((taken["field"],), ())
    again = await crm.crm.update(crm.module, ANN.record_id, values, keep_filled=True)
    assert (again.written, again.kept) == ((taken["field"],), ()), "what is there already counts as written"
    phone = crm.mapping.phone_fields[0]
    kept = await crm.crm.update(crm.module, ANN.record_id, {phone: "+447700900999"}, keep_filled=True)
    assert (kept.written, kept.kept) == ((), (phone,))
    record = await crm.crm.get(crm.module, ANN.record_id)
    assert record is not None
    assert record.values[phone] != "+447700900999"


@pytest.mark.parametrize("number", ["", "07700900101", "+447700900101' or id is not null", "nobody"])
async def test_what_is_no_number_is_not_looked_for(crm: CrmStage, number: str) -> None:
    crm.mark()
    with pytest.raises(InvalidInput):
        await crm.crm.find_by_phone(crm.module, number)
    assert crm.requests() == []


async def test_nothing_but_refused_fields_is_no_error(crm: CrmStage) -> None:
    result = await crm.crm.update(crm.module, ANN.record_id, {NOWHERE: "x"})
    assert (result.written, len(result.refused)) == ((), 1)


async def test_a_repeated_update_has_one_effect(crm: CrmStage) -> None:
    taken = crm.sample().get("taken")
    values = {taken["field"]: taken["value"]}
    for port in (crm.crm, crm.crm, crm.another()):
        result = await port.update(crm.module, ANN.record_id, values)
        assert result.written == (taken["field"],)


async def test_a_record_that_was_changed_meanwhile_is_not_overwritten(crm: CrmStage) -> None:
    taken = crm.sample().get("taken")
    record = await crm.crm.get(crm.module, ANN.record_id)
    assert record is not None
    if record.modified is None:
        pytest.skip(f"{crm.spec.name} has no conditional update")
    with pytest.raises(Conflict):
        await crm.crm.update(
            crm.module,
            ANN.record_id,
            {taken["field"]: taken["value"]},
            modified="2001-01-01T00:00:00+00:00",
        )
    await crm.crm.update(
        crm.module, ANN.record_id, {taken["field"]: taken["value"]}, modified=record.modified
    )


async def test_an_unknown_record_cannot_be_written(crm: CrmStage) -> None:
    taken = crm.sample().get("taken")
    unknown = crm.sample().get("unknown_record")
    error = await crm.failure(crm.crm.update(crm.module, unknown, {taken["field"]: taken["value"]}))
    assert isinstance(error, VendorNotFound)


async def test_a_call_is_logged_once_for_each_attempt(crm: CrmStage) -> None:
    first = await crm.crm.log_call(crm.activity())
    assert first
    assert await crm.crm.log_call(crm.activity()) == first
    assert await crm.another().log_call(crm.activity()) == first, "another process logs it again"
    assert await crm.crm.log_call(crm.activity("attempt-12")) != first
    assert crm.added("call") == 2


async def test_a_note_is_attached_once_for_each_attempt(crm: CrmStage) -> None:
    first = await crm.crm.add_note(crm.note())
    assert first
    assert await crm.crm.add_note(crm.note()) == first
    assert await crm.another().add_note(crm.note()) == first, "another process attaches it again"
    assert await crm.crm.add_note(crm.note("attempt-12")) != first
    assert await crm.crm.add_note(crm.note(record=BEN)) != first
    assert crm.added("note") == 3


@pytest.mark.parametrize("what", ["call", "note"])
async def test_an_entry_whose_answer_was_lost_is_not_made_again(crm: CrmStage, what: str) -> None:
    async def add() -> str:
        crm_port = crm.another()
        entry = crm_port.log_call(crm.activity()) if what == "call" else crm_port.add_note(crm.note())
        return str(await entry)

    await crm.crm.fields(crm.module)
    where = crm.sample().get("adds")[what]
    fault = crm.fault(Fault(where, FaultKind.DROP_AFTER))
    try:
        first = await add()
    except VendorAmbiguous:
        first = await add()
    assert fault.hits == 1
    assert await add() == first
    assert crm.added(what) == 1


async def test_what_a_failed_request_means(crm: CrmStage) -> None:
    await crm.crm.fields(crm.module)
    taken = crm.sample().get("taken")
    values = {taken["field"]: taken["value"]}
    later = (VendorAmbiguous, VendorUnreachable)
    cases: list[tuple[Fault, tuple[type[VendorError], ...]]] = [
        (Fault("", FaultKind.STATUS, OFTEN, status=401), (VendorRefused,)),
        (Fault("", FaultKind.STATUS, OFTEN, status=403), (VendorRefused,)),
        (Fault("", FaultKind.STATUS, OFTEN, status=429, headers={"Retry-After": "70"}), (VendorBusy,)),
        (Fault("", FaultKind.STATUS, OFTEN, status=500), later),
        (Fault("", FaultKind.STATUS, OFTEN, status=200, body="<html>"), later),
        (Fault("", FaultKind.DROP_BEFORE, OFTEN), later),
    ]
    for fault, kinds in cases:
        crm.fault(fault)
        error = await crm.failure(crm.another().update(crm.module, ANN.record_id, values))
        assert isinstance(error, kinds), f"{fault.kind} {fault.status}: {error!r}"
        if isinstance(error, VendorBusy):
            assert error.retry_after_s is not None
            assert error.retry_after_s >= 60
        crm.simulator.faults.clear()


async def test_errors_do_not_repeat_the_secrets_that_a_vendor_tells(crm: CrmStage) -> None:
    await crm.crm.get(crm.module, ANN.record_id)
    message = " ".join(sorted(crm.credentials()))
    for status in (400, 401, 500):
        body = {"code": "X", "message": message, "status": "error"}
        crm.fault(Fault("", FaultKind.STATUS, OFTEN, status=status, body=body))
        await crm.failure(crm.crm.get(crm.module, BEN.record_id))
        await crm.failure(crm.crm.update(crm.module, BEN.record_id, {crm.mapping.phone_fields[0]: "+44"}))
        crm.simulator.faults.clear()
