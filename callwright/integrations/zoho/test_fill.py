"""Writing into empty fields only: what people filled stays, even what they fill between our read and our write."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from callwright.domain.errors import Conflict, VendorNotFound
from callwright.integrations.zoho.conftest import LEAD, UNKNOWN
from callwright.integrations.zoho.crm import ZohoCrm
from callwright.integrations.zoho.simulator import ZohoSimulator
from callwright.ports.crm import WriteResult
from callwright.simulation.faults import Fault, FaultKind

_PUT = f"PUT /crm/v8/Leads/{LEAD}"


async def fill(crm: ZohoCrm, values: dict[str, Any]) -> WriteResult:
    return await crm.update("Leads", LEAD, values, keep_filled=True)


async def edited_before_each_write(
    simulator: ZohoSimulator, work: Callable[[], Any], edits: list[dict[str, Any]]
) -> Any:
    """Do something while a person edits the record just before our writes arrive."""
    for _ in edits:
        simulator.faults.add(Fault(_PUT, FaultKind.DELAY, seconds=0.2))
    running = asyncio.ensure_future(work())
    for number, edit in enumerate(edits, start=1):
        async with asyncio.timeout(5):
            while sum(fault.hits for fault in simulator.faults.history) < number:
                await asyncio.sleep(0.005)
        simulator.edit(LEAD, edit)
    return await running


async def test_filled_fields_are_kept_and_empty_ones_written(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    result = await fill(crm, {"Company": "Other Ltd", "Budget": 500})
    assert (result.written, result.kept) == (("Budget",), ("Company",))
    assert simulator.writes(LEAD) == [{"Budget": 500}]
    again = await fill(crm, {"Company": "Other Ltd", "Budget": 500})
    assert (again.written, again.kept) == (("Budget",), ("Company",))
    assert len(simulator.writes(LEAD)) == 1


async def test_what_a_person_fills_meanwhile_is_kept(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    result = await edited_before_each_write(
        simulator, lambda: fill(crm, {"Budget": 500, "Interested": True}), [{"Budget": 900}]
    )
    assert (result.written, result.kept) == (("Interested",), ("Budget",))
    assert simulator.record(LEAD)["Budget"] == 900
    assert simulator.record(LEAD)["Interested"] is True


async def test_another_edit_meanwhile_does_not_hinder(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    edits = [{"Company": "New Ltd"}, {"Company": "Newer Ltd"}]
    result = await edited_before_each_write(simulator, lambda: fill(crm, {"Budget": 500}), edits)
    assert (result.written, result.kept) == (("Budget",), ())
    assert simulator.record(LEAD)["Budget"] == 500
    assert simulator.record(LEAD)["Company"] == "Newer Ltd"


async def test_edits_without_end_are_a_conflict(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    edits = [{"Company": f"Ltd {number}"} for number in range(3)]
    with pytest.raises(Conflict):
        await edited_before_each_write(simulator, lambda: fill(crm, {"Budget": 500}), edits)
    assert simulator.record(LEAD).get("Budget") is None


async def test_a_box_that_is_not_ticked_is_empty(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    simulator.edit(LEAD, {"Interested": False})
    assert (await fill(crm, {"Interested": True})).written == ("Interested",)
    assert (await fill(crm, {"Interested": False})).kept == ("Interested",)
    assert simulator.record(LEAD)["Interested"] is True


async def test_a_lost_answer_has_one_effect(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    simulator.faults.add(Fault(_PUT, FaultKind.DROP_AFTER))
    assert (await fill(crm, {"Budget": 500})).written == ("Budget",)
    assert len(simulator.writes(LEAD)) == 1


async def test_a_refused_field_does_not_hinder_the_others(crm: ZohoCrm, simulator: ZohoSimulator) -> None:
    simulator.refuse("Leads", "Interested")
    result = await fill(crm, {"Interested": True, "Budget": 500, "Nowhere": 1})
    assert result.written == ("Budget",)
    assert {refusal.field for refusal in result.refused} == {"Interested", "Nowhere"}


async def test_an_unknown_record(crm: ZohoCrm) -> None:
    with pytest.raises(VendorNotFound):
        await crm.update("Leads", UNKNOWN, {"Budget": 1}, keep_filled=True)
