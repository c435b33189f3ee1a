"""Every answer of the status tables, over real HTTP."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from callwright.domain import errors
from callwright.integrations.zoho.conftest import LEAD, Bench
from callwright.simulation.faults import Fault, FaultKind

_TABLE = yaml.safe_load((Path(__file__).parent / "fixtures" / "answers.yaml").read_text(encoding="utf-8"))
pytestmark = pytest.mark.asyncio(loop_scope="module")
_FIELDS = "GET /crm/v8/settings/fields"


def rows(name: str) -> list[Any]:
    return [pytest.param(row, id=label) for label, row in _TABLE[name].items()]


def body_of(row: dict[str, Any]) -> Any:
    if "text" in row:
        return row["text"]
    return {**{key: row[key] for key in ("code", "message", "details")}, "status": "error"}


@pytest.mark.parametrize("row", rows("requests"))
async def test_a_refused_request(shared: Bench, row: dict[str, Any]) -> None:
    simulator = shared.simulator
    simulator.faults.clear()
    simulator.faults.add(Fault(_FIELDS, FaultKind.STATUS, times=9, status=row["status"], body=body_of(row)))
    before = len(simulator.traffic.named(_FIELDS))
    with pytest.raises(getattr(errors, row["means"])) as caught:
        await shared.crm().fields("Leads")
    simulator.faults.clear()
    error = caught.value
    assert isinstance(error, errors.VendorError)
    assert error.vendor == "zoho"
    assert error.code == row.get("code", "")
    assert len(simulator.traffic.named(_FIELDS)) - before == row["requests"]
    if row.get("code") == "OAUTH_SCOPE_MISMATCH":
        assert "scope" in error.message


@pytest.mark.parametrize("status", [200, 202, 207, 400])
@pytest.mark.parametrize("row", rows("records"))
async def test_the_fate_of_a_record(shared: Bench, row: dict[str, Any], status: int) -> None:
    simulator, lead = shared.simulator, shared.lead()
    answer = {"data": [body_of(row)]}
    place = f"PUT /crm/v8/Leads/{lead}"
    simulator.faults.add(Fault(place, FaultKind.STATUS, status=row.get("status", status), body=answer))
    values = {"Budget": 500, "Email": "asha@example.com"}
    crm = shared.one
    if "means" in row:
        with pytest.raises(getattr(errors, row["means"])):
            await crm.update("Leads", lead, values)
        assert simulator.writes(lead) == []
        return
    result = await crm.update("Leads", lead, values)
    if "whole" in row:
        assert result.written == ()
        assert [refusal.field for refusal in result.refused] == [row["whole"]]
        assert simulator.writes(lead) == []
        return
    assert [refusal.field for refusal in result.refused] == row["refused"]
    assert {refusal.code for refusal in result.refused} <= {row["code"], "INVALID_DATA", "DUPLICATE_DATA"}
    rest = {name: value for name, value in values.items() if name not in row["refused"]}
    assert set(result.written) == rest.keys()
    assert simulator.writes(lead) == ([rest] if rest else [])


async def test_fewer_fates_than_records_is_no_answer(shared: Bench) -> None:
    place = f"PUT /crm/v8/Leads/{LEAD}"
    shared.simulator.faults.add(Fault(place, FaultKind.STATUS, status=200, body={"data": []}))
    with pytest.raises(errors.VendorAmbiguous):
        await shared.one.update("Leads", LEAD, {"Budget": 500})


@pytest.mark.parametrize("status", [400, 202])
async def test_both_statuses_of_a_wholly_failed_write(shared: Bench, status: int) -> None:
    lead = shared.lead()
    shared.simulator.state.behaviour.all_failed = status
    shared.simulator.refuse("Leads", "Team_Size")
    result = await shared.one.update("Leads", lead, {"Team_Size": 5, "Interested": True})
    assert result.written == ("Interested",)
    assert shared.simulator.writes(lead) == [{"Interested": True}]
