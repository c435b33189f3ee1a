"""Updates: what is left alone, refusals, conflicts, and lost answers that have one effect."""

from datetime import UTC, datetime
from typing import Any

import pytest

from callwright.domain.errors import Conflict, VendorAmbiguous, VendorBusy, VendorNotFound, VendorUnreachable
from callwright.integrations.zoho.conftest import LEAD, OTHER, UNKNOWN, Bench
from callwright.integrations.zoho.crm import ZohoCrm
from callwright.integrations.zoho.simulator import ZohoSimulator
from callwright.integrations.zoho.test_crm import activity
from callwright.ports.crm import CrmNote
from callwright.simulation.faults import Fault, FaultKind

_PUT = f"PUT /crm/v8/Leads/{LEAD}"


async def test_nothing_writable_sends_nothing(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    result = await crm.update("Leads", LEAD, {"Nowhere": 1})
    assert result.written == ()
    assert not simulator.traffic.named(_PUT)


@pytest.mark.parametrize("empty", [None, "", [], {}])
async def test_empty_never_overwrites(crm: ZohoCrm, simulator: ZohoSimulator, empty: Any) -> None:
    result = await crm.update("Leads", LEAD, {"Company": empty, "Product_Interest": empty, "Budget": 0})
    assert result.written == ("Budget",)
    assert simulator.record(LEAD)["Company"] == "Rao Ltd"
    assert simulator.writes(LEAD) == [{"Budget": 0}]


async def test_only_what_differs_is_sent(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    result = await crm.update("Leads", LEAD, {"Company": "Rao Ltd", "Budget": 500})
    assert result.written == ("Company", "Budget")
    assert simulator.writes(LEAD) == [{"Budget": 500}]


async def test_triggers_fire_only_when_asked_for(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    await crm.update("Leads", LEAD, {"Budget": 1})
    assert simulator.state.workflows == []
    await crm.update("Leads", LEAD, {"Budget": 2}, triggers=("workflow",))
    assert simulator.state.workflows == [("Leads", LEAD)]


async def test_an_unknown_record_cannot_be_updated(crm: ZohoCrm) -> None:
    with pytest.raises(VendorNotFound):
        await crm.update("Leads", UNKNOWN, {"Budget": 1})
    with pytest.raises(VendorNotFound):
        await crm.update("Leads", "x", {"Budget": 1})


async def test_a_new_field_is_seen_before_the_metadata_is_old(bench: Bench) -> None:
    crm = bench.crm()
    await crm.fields("Leads")
    fields = bench.simulator.tables.organisation.modules["Leads"].fields
    fields["Late"] = fields["Short_Answer"]
    fields["Late"].name = "Late"
    bench.clock.forward(31)
    result = await crm.update("Leads", LEAD, {"Late": "here"})
    assert result.written == ("Late",)


async def test_a_duplicate_is_given_up(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    result = await crm.update("Leads", LEAD, {"Customer_Number": "c-2", "Budget": 7})
    assert result.written == ("Budget",)
    assert [(refusal.field, refusal.code) for refusal in result.refused] == [
        ("Customer_Number", "DUPLICATE_DATA")
    ]
    assert simulator.writes(OTHER) == []


async def test_several_fields_refused_at_once(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    simulator.refuse("Leads", "Budget", "DEPENDENT_MISMATCH", "does not fit")
    simulator.refuse("Leads", "Email", "NOT_ALLOWED", "not allowed")
    values = {"Budget": 1, "Email": "a@example.com", "Interested": True}
    result = await crm.update("Leads", LEAD, values)
    assert result.written == ("Interested",)
    assert {refusal.field for refusal in result.refused} == {"Budget", "Email"}


async def test_a_locked_record_is_worth_a_later_try(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    simulator.lock(LEAD)
    with pytest.raises(VendorBusy) as caught:
        await crm.update("Leads", LEAD, {"Budget": 1})
    assert caught.value.code == "RECORD_LOCKED"
    assert caught.value.retry_after_s == 60
    simulator.lock(LEAD, locked=False)
    assert (await crm.update("Leads", LEAD, {"Budget": 1})).written == ("Budget",)


async def test_a_record_changed_meanwhile_is_a_conflict(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    record = await crm.get("Leads", LEAD)
    assert record is not None
    simulator.edit(LEAD, {"Budget": 900})
    with pytest.raises(Conflict):
        await crm.update("Leads", LEAD, {"Budget": 500}, modified=record.modified)
    assert simulator.record(LEAD)["Budget"] == 900


async def test_a_change_between_our_read_and_our_write_is_a_conflict(
    crm: ZohoCrm, simulator: ZohoSimulator
) -> None:
    record = await crm.get("Leads", LEAD)
    assert record is not None
    body = {"data": [{"code": "ALREADY_MODIFIED", "details": {}, "message": "m", "status": "error"}]}
    simulator.faults.add(Fault(_PUT, FaultKind.STATUS, status=412, body=body))
    with pytest.raises(Conflict):
        await crm.update("Leads", LEAD, {"Budget": 500}, modified=record.modified)


async def test_the_mark_of_an_unchanged_record_lets_the_write_through(
    crm: ZohoCrm, simulator: ZohoSimulator
) -> None:
    record = await crm.get("Leads", LEAD)
    assert record is not None
    result = await crm.update("Leads", LEAD, {"Budget": 500}, modified=record.modified)
    assert result.written == ("Budget",)
    (sent,) = simulator.traffic.named(_PUT)
    assert datetime.fromisoformat(sent.headers["if-unmodified-since"]).astimezone(UTC) <= datetime.now(UTC)
    again = await crm.update("Leads", LEAD, {"Budget": 500}, modified=record.modified)
    assert again.written == ("Budget",)
    assert len(simulator.writes(LEAD)) == 1


@pytest.mark.parametrize("modified", [True, False])
async def test_a_lost_answer_to_an_update_has_one_effect(
    crm: ZohoCrm, simulator: ZohoSimulator, modified: bool
) -> None:
    record = await crm.get("Leads", LEAD)
    assert record is not None
    simulator.faults.add(Fault(_PUT, FaultKind.DROP_AFTER))
    mark = record.modified if modified else None
    result = await crm.update("Leads", LEAD, {"Budget": 500}, modified=mark)
    assert result.written == ("Budget",)
    assert len(simulator.writes(LEAD)) == 1
    assert len(simulator.traffic.named(_PUT)) == 1


async def test_a_lost_request_is_told_and_may_be_repeated(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    simulator.faults.add(Fault(_PUT, FaultKind.DROP_BEFORE))
    with pytest.raises(VendorAmbiguous):
        await crm.update("Leads", LEAD, {"Budget": 500})
    assert (await crm.update("Leads", LEAD, {"Budget": 500})).written == ("Budget",)
    assert len(simulator.writes(LEAD)) == 1


async def test_answers_that_never_come(bench: Bench, simulator: ZohoSimulator) -> None:
    crm = bench.crm(ZOHO_TIMEOUT_S="1")
    await crm.fields("Leads")
    simulator.faults.add(Fault(_PUT, FaultKind.HANG))
    with pytest.raises(VendorAmbiguous):
        await crm.update("Leads", LEAD, {"Budget": 500})
    assert len(simulator.traffic.named(_PUT)) <= 1
    assert (await crm.update("Leads", LEAD, {"Budget": 500})).written == ("Budget",)
    simulator.faults.add(Fault(f"GET /crm/v8/Leads/{LEAD}", FaultKind.HANG))
    assert await crm.get("Leads", LEAD) is not None, "what changes nothing is asked again"


async def test_a_lost_answer_to_an_insert_gives_one_entry(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    simulator.faults.add(Fault("POST /crm/v8/Calls", FaultKind.DROP_AFTER))
    first = await crm.log_call(activity())
    assert await crm.log_call(activity()) == first
    assert len(simulator.calls_logged) == 1


async def test_a_lost_answer_that_cannot_be_looked_up_gives_one_entry_later(
    crm: ZohoCrm, simulator: ZohoSimulator
) -> None:
    simulator.faults.add(Fault("POST /crm/v8/Calls", FaultKind.DROP_AFTER))
    simulator.faults.add(Fault("POST /crm/v8/coql", FaultKind.STATUS, skip=1, times=3, status=500))
    with pytest.raises(VendorAmbiguous):
        await crm.log_call(activity())
    await crm.log_call(activity())
    assert len(simulator.calls_logged) == 1


async def test_an_insert_that_never_arrived_is_made_by_the_next_try(
    crm: ZohoCrm, simulator: ZohoSimulator
) -> None:
    simulator.faults.add(Fault("POST /crm/v8/Calls", FaultKind.DROP_BEFORE))
    with pytest.raises(VendorAmbiguous):
        await crm.log_call(activity())
    assert simulator.calls_logged == []
    await crm.log_call(activity())
    assert len(simulator.calls_logged) == 1


async def test_a_lost_answer_to_a_note_gives_one_note(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    note = CrmNote("01ATTEMPT", "Leads", LEAD, "Summary", "text")
    simulator.faults.add(Fault("POST /crm/v8/Notes", FaultKind.DROP_AFTER))
    first = await crm.add_note(note)
    assert await crm.add_note(note) == first
    assert len(simulator.notes) == 1


async def test_a_note_is_found_behind_many_others(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    note = CrmNote("01ATTEMPT", "Leads", LEAD, "Summary", "text")
    first = await crm.add_note(note)
    for number in range(230):
        parent = {"module": {"api_name": "Leads"}, "id": LEAD}
        simulator.tables.insert("Notes", {"Note_Title": f"n{number}", "Parent_Id": parent}, "Leads")
    assert await crm.add_note(note) == first


async def test_an_optional_field_of_a_call_is_given_up(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    simulator.refuse("Calls", "Dialled_Number")
    await crm.log_call(activity())
    (entry,) = simulator.calls_logged
    assert entry["Dialled_Number"] is None
    assert entry["Description"]


async def test_an_organisation_out_of_reach_is_told(bench: Bench) -> None:
    crm = bench.crm()
    await crm.fields("Leads")
    await bench.simulator.stop()
    with pytest.raises(VendorUnreachable):
        await crm.update("Leads", LEAD, {"Budget": 500})
