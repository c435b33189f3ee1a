"""Each method of the port over real HTTP."""

from datetime import timedelta

import pytest

from callwright.domain.errors import InvalidInput, VendorNotFound, VendorRefused
from callwright.domain.outcome import EndReason
from callwright.integrations.zoho.conftest import CONTACT, LEAD, MOMENT, OTHER, UNKNOWN, Bench
from callwright.integrations.zoho.crm import ZohoCrm
from callwright.integrations.zoho.simulator import ZohoSimulator
from callwright.ports.crm import CallActivity, CrmNote
from callwright.ports.operations import Health, SetupAction, SetupPlan
from callwright.simulation.faults import Fault, FaultKind


def activity(record_id: str = LEAD, module: str = "Leads", **changed: object) -> CallActivity:
    values: dict[str, object] = {
        "attempt_id": "01ATTEMPT",
        "module": module,
        "record_id": record_id,
        "phone": "+447700900101",
        "started_at": MOMENT,
        "duration_s": 155.2,
        "end_reason": EndReason.COMPLETED,
        "agent_name": "solar-survey",
        "summary": "Wants an offer.",
        "detail": {"Recording": "https://example.com/r/1"},
    }
    return CallActivity(**{**values, **changed})  # type: ignore[arg-type]  # the table above has the right types


async def test_get_reads_every_field(crm: ZohoCrm) -> None:
    record = await crm.get("Leads", LEAD)
    assert record is not None
    assert record.values["First_Name"] == "Asha"
    assert record.values["Mobile"] == "+447700900101"
    assert record.values["Product_Interest"] == "Solar roof"
    assert record.modified == record.values["Modified_Time"]
    assert not any(name.startswith("$") for name in record.values)


@pytest.mark.parametrize("answer", [204, 400])
async def test_an_unknown_record_is_none(crm: ZohoCrm, simulator: ZohoSimulator, answer: int) -> None:
    simulator.state.behaviour.unknown_id = answer
    assert await crm.get("Leads", UNKNOWN) is None


async def test_a_record_answered_404_is_none(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    simulator.faults.add(Fault(f"GET /crm/v8/Leads/{LEAD}", FaultKind.STATUS, status=404))
    assert await crm.get("Leads", LEAD) is None


@pytest.mark.parametrize("record_id", ["../Contacts/1", "", "abc", "1?fields=x"])
async def test_what_cannot_be_an_id_is_not_asked_for(
    crm: ZohoCrm, simulator: ZohoSimulator, record_id: str
) -> None:
    assert await crm.get("Leads", record_id) is None
    assert not simulator.traffic.exchanges


async def test_an_unknown_module_is_not_a_missing_record(crm: ZohoCrm) -> None:
    with pytest.raises(VendorNotFound, match="INVALID_MODULE"):
        await crm.get("Nowhere", LEAD)


async def test_find_by_phone(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    simulator.edit(OTHER, {"Phone": "07700 900101", "Mobile": None})
    found = await crm.find_by_phone("Leads", "+447700900101")
    assert {record.record_id for record in found} == {LEAD, OTHER}
    assert await crm.find_by_phone("Leads", "+447700900199") == []


async def test_find_by_phone_sees_what_the_index_does_not_know_yet(
    crm: ZohoCrm, simulator: ZohoSimulator
) -> None:
    simulator.tables.index_delay_s = 60.0
    simulator.edit(OTHER, {"Phone": "07700 900109"})
    (found,) = await crm.find_by_phone("Leads", "+447700900109")
    assert found.record_id == OTHER
    assert found.values["Last_Name"] == "O'Neill"
    assert simulator.violations == []


async def test_query_pages_through_more_than_one_answer_holds(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    for number in range(250):
        simulator.tables.insert("Leads", {"Last_Name": f"Lead {number}", "City": None})
    found = await crm.query("Leads", "Last_Name like 'Lead %'", ("Last_Name", "Mobile"), 230)
    assert len(found) == 230
    assert len({record.record_id for record in found}) == 230
    assert len(await crm.query("Leads", "", ("Last_Name",), 1000)) == 252


async def test_query_with_a_quote_and_no_match(crm: ZohoCrm) -> None:
    (found,) = await crm.query("Leads", "Last_Name = 'O''Neill'", ("Last_Name",), 10)
    assert found.record_id == OTHER
    assert found.modified is not None
    assert await crm.query("Leads", "Last_Name = 'Nobody'", ("Last_Name",), 10) == []


async def test_a_query_that_cannot_be_is_refused(crm: ZohoCrm) -> None:
    with pytest.raises(InvalidInput):
        await crm.query("Leads", "", ("Last_Name; drop",), 1)
    with pytest.raises(InvalidInput):
        await crm.query("Leads", "", tuple(f"F{number}" for number in range(60)), 1)
    with pytest.raises(VendorRefused, match="INVALID_QUERY"):
        await crm.query("Leads", "Nonsense = 1", ("Last_Name",), 1)


async def test_fields_are_described_and_kept(bench: Bench) -> None:
    crm = bench.crm()
    fields = {item.name: item for item in await crm.fields("Leads")}
    assert fields["Mobile"].is_phone
    assert fields["Mobile"].max_length == 30
    assert fields["Last_Name"].required
    assert not fields["Score"].writable
    assert fields["Budget"].max_length is None
    assert fields["Language"].options == ("English", "German", "French", "Hindi")
    await crm.fields("Leads")
    assert len(bench.simulator.traffic.named("GET /crm/v8/settings/fields")) == 1
    bench.clock.forward(601)
    await crm.fields("Leads")
    assert len(bench.simulator.traffic.named("GET /crm/v8/settings/fields")) == 2
    with pytest.raises(VendorNotFound):
        await crm.fields("Nowhere")


async def test_log_call_on_a_lead(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    entry_id = await crm.log_call(activity())
    (entry,) = simulator.calls_logged
    assert entry["id"] == entry_id
    assert entry["Subject"] == "AI call: completed (callwright:01ATTEMPT)"
    assert entry["Call_Type"] == "Outbound"
    assert entry["Outgoing_Call_Status"] == "Completed"
    assert entry["Call_Start_Time"] == "2026-11-20T11:00:00+00:00"
    assert (entry["Call_Duration"], entry["Call_Duration_in_seconds"]) == ("02:35", 155)
    assert entry["What_Id"] == {"id": LEAD}
    assert entry["Dialled_Number"] == "+447700900101"
    assert entry["Description"].splitlines() == [
        "Wants an offer.",
        "Agent: solar-survey",
        "Number: +447700900101",
        "Recording: https://example.com/r/1",
        "callwright:01ATTEMPT",
    ]
    assert simulator.state.workflows == []
    assert simulator.violations == []


async def test_log_call_on_a_contact(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    await crm.log_call(activity(CONTACT, "Contacts"), triggers=("workflow",))
    await crm.log_call(activity(CONTACT, "Contacts"))
    (entry,) = simulator.calls_logged
    assert entry["Who_Id"] == {"id": CONTACT}
    assert entry["What_Id"] is None
    assert simulator.state.workflows == [("Calls", entry["id"])]


async def test_a_failed_call_lasts_a_second_and_tells_its_result(
    crm: ZohoCrm, simulator: ZohoSimulator
) -> None:
    await crm.log_call(activity(duration_s=0.0, end_reason=EndReason.NO_ANSWER, summary=""))
    (entry,) = simulator.calls_logged
    assert entry["Call_Duration"] == "00:01"
    assert entry["Call_Result"] == "No response/Busy"
    assert entry["Subject"].startswith("AI call: no answer ")


async def test_the_status_field_of_calls_goes_by_two_names(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    simulator.name_call_status("Outbound_Call_Status")
    await crm.log_call(activity())
    assert simulator.calls_logged[0]["Outbound_Call_Status"] == "Completed"
    assert simulator.violations == []


async def test_each_attempt_has_its_own_entry(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    later = MOMENT + timedelta(hours=2)
    first = await crm.log_call(activity(attempt_id="1"))
    second = await crm.log_call(activity(attempt_id="12", started_at=later))
    assert first != second
    assert await crm.log_call(activity(attempt_id="1")) == first
    assert len(simulator.calls_logged) == 2


async def test_a_call_of_an_unknown_record_is_refused(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    with pytest.raises(VendorRefused, match="What_Id"):
        await crm.log_call(activity(UNKNOWN))
    with pytest.raises(VendorNotFound):
        await crm.log_call(activity("../1"))
    assert simulator.calls_logged == []


async def test_long_texts_are_cut_and_keep_the_mark(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    await crm.log_call(activity(summary="x" * 40_000))
    await crm.log_call(activity(summary="x" * 40_000))
    (entry,) = simulator.calls_logged
    assert len(entry["Description"]) == 32_000
    assert entry["Description"].endswith(" …\ncallwright:01ATTEMPT")


async def test_add_note(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    note = CrmNote("01ATTEMPT", "Leads", LEAD, "Call summary " + "y" * 200, "z" * 70_000)
    first = await crm.add_note(note)
    assert await crm.add_note(note) == first
    (stored,) = simulator.notes
    assert stored["id"] == first
    assert len(stored["Note_Title"]) <= 120
    assert stored["Note_Title"].endswith(" … (callwright:01ATTEMPT)")
    assert len(stored["Note_Content"]) == 65_535
    assert stored["Parent_Id"]["id"] == LEAD
    other = CrmNote("01ATTEMPT", "Leads", LEAD, "Transcript", "text")
    assert await crm.add_note(other) != first
    assert simulator.violations == []


async def test_add_note_to_an_unknown_record(crm: ZohoCrm) -> None:
    with pytest.raises(VendorRefused, match="Parent_Id"):
        await crm.add_note(CrmNote("1", "Leads", UNKNOWN, "t", "x"))


async def test_check_when_all_is_well(crm: ZohoCrm) -> None:
    results = await crm.check()
    assert [result.name for result in results] == [
        "credentials",
        "scopes",
        "organisation",
        "fields",
        "call log",
        "query",
        "hook",
    ]
    assert {result.health for result in results} == {Health.OK}


async def test_check_tells_what_is_lacking(bench: Bench) -> None:
    bench.simulator.accounts.scope = "ZohoCRM.modules.ALL ZohoCRM.settings.fields.READ"
    results = {result.name: result for result in await bench.crm(ZOHO_HOOK_SECRET="").check()}
    assert results["scopes"].health is Health.FAILED
    assert "ZohoCRM.coql.READ" in results["scopes"].detail
    assert "ZohoCRM.coql.READ" in results["scopes"].remedy
    assert results["query"].health is Health.FAILED
    assert results["fields"].health is Health.OK
    assert results["hook"].health is Health.WARNING


async def test_check_with_wrong_credentials(bench: Bench) -> None:
    token, hook = await bench.crm(ZOHO_CLIENT_ID="1000.WRONG").check()
    assert (token.health, hook.health) == (Health.FAILED, Health.OK)
    assert "ZOHO_DATA_CENTER" in token.detail


async def test_setup_shows_and_applies_nothing(bench: Bench) -> None:
    plan = SetupPlan("https://calls.example.com/", "wss://calls.example.com", "0", apply=True)
    scopes, rule = await bench.crm().setup(plan)
    assert scopes.action is SetupAction.UNCHANGED
    assert "https://calls.example.com/hooks/crm/zoho" in rule.detail
    bench.simulator.accounts.scope = "ZohoCRM.modules.ALL"
    bench.simulator.accounts.revoke_access()
    bench.clock.forward(3600)
    scopes, _ = await bench.crm().setup(plan)
    assert scopes.action is SetupAction.CHANGE
    assert not scopes.applied
