"""What becomes of a value: how each type is converted, and what is refused before it is sent."""

from datetime import date
from typing import Any

import pytest

from callwright.integrations.zoho.conftest import CONTACT, MOMENT, Bench

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONVERSIONS: dict[str, tuple[str, Any, Any]] = {
    "boolean": ("Interested", True, True),
    "boolean from text": ("Interested", "yes", True),
    "boolean false": ("Do_Not_Call", "No", False),
    "integer": ("Team_Size", 12, 12),
    "integer from text": ("Team_Size", "1,200", 1200),
    "integer from a whole number": ("Team_Size", 12.0, 12),
    "currency": ("Budget", "1500.129", 1500.13),
    "currency whole": ("Budget", 500, 500),
    "date": ("Visit_Day", date(2026, 12, 1), "2026-12-01"),
    "date from a moment": ("Visit_Day", "2026-12-01T10:00:00+01:00", "2026-12-01"),
    "moment": ("Next_Contact", MOMENT.replace(microsecond=5), "2026-11-20T11:00:00+00:00"),
    "moment without an offset": ("Next_Contact", "2026-12-01T10:00", "2026-12-01T10:00:00+00:00"),
    "moment with an offset": ("Next_Contact", "2026-12-01T10:00:00+05:30", "2026-12-01T10:00:00+05:30"),
    "picklist in any case": ("Language", "german", "German"),
    "multiselect from text": ("Topics", "price; Support", ["Price", "Support"]),
    "multiselect from a list": ("Topics", ["Support", "support"], ["Support"]),
    "text": ("Preferred_Date", "  next Tuesday ", "next Tuesday"),
    "text from a number": ("Preferred_Date", 12, "12"),
    "text from a boolean": ("Preferred_Date", False, "No"),
    "text from a list": ("Preferred_Date", ["a", "b"], "a; b"),
    "long text is cut with a mark": ("Short_Answer", "x" * 30, "x" * 18 + " …"),
    "lookup": ("Referred_By", {"id": CONTACT, "name": "Cara"}, {"id": CONTACT}),
    "phone": ("Phone", "+447700900110", "+447700900110"),
}


@pytest.mark.parametrize("field, value, stored", CONVERSIONS.values(), ids=CONVERSIONS.keys())
async def test_values_are_converted(shared: Bench, field: str, value: Any, stored: Any) -> None:
    simulator, lead, crm = shared.simulator, shared.lead(Do_Not_Call=True), shared.one
    result = await crm.update("Leads", lead, {field: value})
    assert result.written == (field,)
    assert result.refused == ()
    assert simulator.record(lead)[field] == stored
    again = await crm.update("Leads", lead, {field: value})
    assert again == result
    assert len(simulator.writes(lead)) == 1
    assert simulator.violations == []


REFUSALS: dict[str, tuple[str, Any, str]] = {
    "unknown": ("Nowhere", "x", "UNKNOWN_FIELD"),
    "read-only": ("Modified_Time", "2026-01-01T00:00:00+00:00", "READ_ONLY"),
    "formula": ("Score", 5, "READ_ONLY"),
    "no boolean": ("Interested", "perhaps", "WRONG_VALUE"),
    "no number": ("Budget", "a lot", "WRONG_VALUE"),
    "no finite number": ("Budget", float("inf"), "WRONG_VALUE"),
    "a boolean is no number": ("Budget", True, "WRONG_VALUE"),
    "no whole number": ("Team_Size", 1.5, "WRONG_VALUE"),
    "beyond all numbers": ("Budget", 10**400, "WRONG_VALUE"),
    "beyond all whole numbers": ("Team_Size", 10**5000, "WRONG_VALUE"),
    "too many digits": ("Team_Size", 1_000_000, "WRONG_VALUE"),
    "no date": ("Visit_Day", "tomorrow", "WRONG_VALUE"),
    "no moment": ("Next_Contact", "soon", "WRONG_VALUE"),
    "no option": ("Language", "Klingon", "WRONG_VALUE"),
    "no option among several": ("Topics", ["Price", "Weather"], "WRONG_VALUE"),
    "no record": ("Referred_By", "Cara", "WRONG_VALUE"),
}


@pytest.mark.parametrize("field, value, code", REFUSALS.values(), ids=REFUSALS.keys())
async def test_what_can_never_be_written_does_not_block_the_rest(
    shared: Bench, field: str, value: Any, code: str
) -> None:
    simulator, lead = shared.simulator, shared.lead()
    result = await shared.one.update("Leads", lead, {field: value, "Description": "said yes"})
    assert result.written == ("Description",)
    (refusal,) = result.refused
    assert (refusal.field, refusal.code) == (field, code)
    assert refusal.message
    assert simulator.writes(lead) == [{"Description": "said yes"}]
    assert simulator.violations == []
