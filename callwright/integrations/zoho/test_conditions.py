"""What gets into a query stays what it is: values stay values, conditions stay conditions, names stay names."""

import pytest

from callwright.domain.errors import InvalidInput, VendorNotFound
from callwright.integrations.zoho.conditions import checked_condition, quote
from callwright.integrations.zoho.conftest import LEAD
from callwright.integrations.zoho.crm import ZohoCrm
from callwright.integrations.zoho.simulator import ZohoSimulator


@pytest.mark.parametrize(
    "text, literal",
    [
        ("", "''"),
        ("O'Neill", "'O''Neill'"),
        ("' or id is not null or Last_Name = '", "''' or id is not null or Last_Name = '''"),
        ("''", "''''''"),
        ("Zoë ☎", "'Zoë ☎'"),
    ],
)
def test_values_are_quoted(text: str, literal: str) -> None:
    assert quote(text) == literal


@pytest.mark.parametrize("text", ["\\", "\\' or id is not null", "a\nb", "a\0b", "\x7f"])
def test_values_that_cannot_be_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be written into a query"):
        quote(text)


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "Lead_Status = 'New'",
        "(Lead_Status = 'New' or Lead_Status in ('Open', 'O''Neill')) and Mobile is not null",
        "Company = 'select from where limit; -- it'",
        "Valid_From between '2026-01-01' and '2026-02-01'",
        "Owner.last_name like 'Rao%'",
    ],
)
def test_conditions(condition: str) -> None:
    assert checked_condition(f"  {condition} ") == condition


@pytest.mark.parametrize(
    "condition, told",
    [
        ("id is not null limit 0, 1", "holds the clause `limit`"),
        ("id is not null ORDER  BY id", "holds the clause `ORDER  BY`"),
        ("id in (select id from Contacts)", "holds the clause `select`"),
        ("Last_Name = 'x", "a quote that is not closed"),
        ("Last_Name = ''' or id is not null", "a quote that is not closed"),
        ("id is not null) or (id is not null", "parentheses that do not match"),
        ("(id is not null", "parentheses that do not match"),
        ("id is not null; id is null", "holds more than a condition"),
        ("id is not null -- ", "holds more than a condition"),
        ("Last_Name = '\\' or id is not null", "a backslash"),
        ("id is not null\nlimit 1", "a control character"),
        ("x" * 4001, "more than 4000 characters"),
    ],
)
async def test_what_is_more_than_a_condition(
    crm: ZohoCrm, simulator: ZohoSimulator, condition: str, told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        await crm.query("Leads", condition, ("Last_Name",), 5)
    assert simulator.traffic.named("POST /crm/v8/coql") == []


@pytest.mark.parametrize(
    "name", ["Last_Name from Contacts", "Last_Name, Email", "id\n", "*", "", "Last.Name."]
)
async def test_names_of_fields(crm: ZohoCrm, simulator: ZohoSimulator, name: str) -> None:
    with pytest.raises(InvalidInput):
        await crm.query("Leads", "", (name,), 5)
    assert simulator.traffic.named("POST /crm/v8/coql") == []


@pytest.mark.parametrize(
    "module", ["Leads/../settings", "Leads where id", "Leads\n", "", "../org", "Leads?x=1"]
)
async def test_names_of_modules(crm: ZohoCrm, simulator: ZohoSimulator, module: str) -> None:
    with pytest.raises(VendorNotFound):
        await crm.query(module, "", ("Last_Name",), 5)
    with pytest.raises(VendorNotFound):
        await crm.get(module, LEAD)
    with pytest.raises(VendorNotFound):
        await crm.find_by_phone(module, "+447700900101")
    with pytest.raises(VendorNotFound):
        await crm.update(module, LEAD, {"Budget": 1})
    assert not list(simulator.traffic.exchanges)


@pytest.mark.parametrize(
    "number", ["+447700900101' or id is not null", "07700900101", "+44 7700 900101", "", "+447700900101\n"]
)
async def test_numbers(crm: ZohoCrm, simulator: ZohoSimulator, number: str) -> None:
    with pytest.raises(InvalidInput, match="is not a number of the form"):
        await crm.find_by_phone("Leads", number)
    assert not list(simulator.traffic.exchanges)


async def test_a_query_finds_a_value_with_a_quote(crm: ZohoCrm) -> None:
    name = quote("O'Neill")
    (found,) = await crm.query("Leads", f"Last_Name = {name}", ("Last_Name",), 5)
    assert found.values["Last_Name"] == "O'Neill"
    assert await crm.query("Leads", "Last_Name = 'nobody'", ("Last_Name",), 5) == []
    assert await crm.query("Leads", "", ("Last_Name",), 0) == []
