"""The simulator refuses what Zoho refuses, asked directly and not through the adapter."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from callwright.integrations.zoho.conftest import CONTACT, LEAD, OTHER, UNKNOWN, Bench
from callwright.integrations.zoho.simulator import ZohoSimulator
from callwright.simulation.world import World, WorldRecord


@pytest.fixture
async def http(bench: Bench) -> AsyncIterator[httpx2.AsyncClient]:
    accounts = bench.simulator.accounts
    form = {
        "grant_type": "refresh_token",
        "client_id": accounts.client_id,
        "client_secret": accounts.client_secret,
        "refresh_token": accounts.refresh_token,
    }
    async with httpx2.AsyncClient(base_url=bench.simulator.base_url, trust_env=False) as client:
        body = (await client.post("/oauth/v2/token", data=form)).json()
        assert body["api_domain"] == bench.simulator.base_url
        client.headers["Authorization"] = f"Zoho-oauthtoken {body['access_token']}"
        yield client


async def told(response: httpx2.Response) -> tuple[int, Any]:
    return response.status_code, response.json().get("code")


async def test_authorization(http: httpx2.AsyncClient, simulator: ZohoSimulator) -> None:
    path = f"/crm/v8/Leads/{LEAD}"
    bearer = {"Authorization": http.headers["authorization"].replace("Zoho-oauthtoken", "Bearer")}
    assert await told(await http.get(path, headers=bearer)) == (401, "INVALID_TOKEN")
    assert len(simulator.violations) == 1
    assert await told(await http.get(path, headers={"Authorization": "Zoho-oauthtoken x"})) == (
        401,
        "INVALID_TOKEN",
    )
    simulator.accounts.scope = "ZohoCRM.modules.contacts.READ"
    assert await told(await http.get(path)) == (401, "OAUTH_SCOPE_MISMATCH")
    assert (await http.get(f"/crm/v8/Contacts/{CONTACT}")).status_code == 200


REQUESTS: dict[str, tuple[str, str, Any, int, str]] = {
    "list without fields": ("GET", "Leads", None, 400, "REQUIRED_PARAM_MISSING"),
    "list of 51 fields": ("GET", "Leads?fields=" + ",".join("f" * 51), None, 400, "LIMIT_EXCEEDED"),
    "list of 201": ("GET", "Leads?fields=id&per_page=201", None, 400, "LIMIT_EXCEEDED"),
    "beyond 2000": ("GET", "Leads?fields=id&page=11", None, 400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED"),
    "page and token": ("GET", "Leads?fields=id&page=1&page_token=x", None, 400, "AMBIGUITY_DURING_PROCESSING"),
    "token of another list": ("GET", "Leads?fields=id&page_token=WzAsIHt9XQ==", None, 400, "TOKEN_BOUND_DATA_MISMATCH"),
    "sort by anything": ("GET", "Leads?fields=id&sort_by=Company", None, 400, "INVALID_DATA"),
    "search for nothing": ("GET", "Leads/search", None, 400, "EXPECTED_PARAM_MISSING"),
    "unknown module": ("GET", "Nowhere?fields=id", None, 400, "INVALID_MODULE"),
    "fields of no module": ("GET", "settings/fields", None, 400, "REQUIRED_PARAM_MISSING"),
    "unknown setting": ("GET", "settings/nothing", None, 404, "INVALID_URL_PATTERN"),
    "unknown method": ("DELETE", "Leads", None, 400, "INVALID_REQUEST_METHOD"),
    "unknown relation": ("GET", f"Leads/{LEAD}/Deals?fields=id", None, 400, "INVALID_DATA"),
    "no data": ("POST", "Leads", {"data": []}, 400, "INVALID_DATA"),
    "101 records": ("POST", "Leads", {"data": [{}] * 101}, 400, "LIMIT_EXCEEDED"),
    "unknown trigger": ("POST", "Leads", {"data": [{}], "trigger": ["x"]}, 400, "INVALID_DATA"),
    "upsert of calls": ("POST", "Calls/upsert", {"data": [{}]}, 400, "NOT_SUPPORTED"),
    "query without where": ("POST", "coql", {"select_query": "select id from Leads"}, 400, "SYNTAX_ERROR"),
    "query of notes": ("POST", "coql", {"select_query": "select id from Notes where id > 1"}, 400, "INVALID_QUERY"),
    "unknown column": ("POST", "coql", {"select_query": "select No from Leads where id > 1"}, 400, "INVALID_QUERY"),
    "criteria on a text area": (
        "POST",
        "coql",
        {"select_query": "select id from Leads where Description like '%x%'"},
        400,
        "INVALID_QUERY",
    ),
    "three criteria not in pairs": (
        "POST",
        "coql",
        {"select_query": "select id from Leads where id is not null and Mobile is null and Phone is null"},
        400,
        "SYNTAX_ERROR",
    ),
    "limit of 2001": (
        "POST",
        "coql",
        {"select_query": "select id from Leads where id is not null limit 2001"},
        400,
        "LIMIT_EXCEEDED",
    ),
}  # fmt: skip


@pytest.mark.parametrize("method, path, body, status, code", REQUESTS.values(), ids=REQUESTS.keys())
async def test_refused_requests(
    http: httpx2.AsyncClient, method: str, path: str, body: Any, status: int, code: str
) -> None:
    options = {} if body is None else {"json": body}
    assert await told(await http.request(method, f"/crm/v8/{path}", **options)) == (status, code)


QUERIES: dict[str, tuple[str, list[str]]] = {
    "equal": ("Last_Name = 'rao'", [LEAD]),
    "not equal": ("Last_Name != 'Rao'", [OTHER]),
    "quoted quote": ("Last_Name = 'O''Neill'", [OTHER]),
    "in": ("Last_Name in ('Rao', 'Else')", [LEAD]),
    "not in": ("Last_Name not in ('Rao', 'Else')", [OTHER]),
    "like": ("Company like 'rao%'", [LEAD]),
    "null": ("Company is null", [OTHER]),
    "pairs": ("((Last_Name = 'Rao' or Company is null) and Budget is null)", [LEAD, OTHER]),
    "boolean": ("Do_Not_Call = 'false'", [LEAD, OTHER]),
    "time": ("Created_Time between '2020-01-01T00:00:00+00:00' and '2040-01-01T00:00:00+05:30'", [LEAD, OTHER]),
    "order and limit": ("id is not null order by Last_Name asc limit 0, 1", [OTHER]),
    "limit and offset": ("id is not null limit 1 offset 1", [OTHER]),
}  # fmt: skip


@pytest.mark.parametrize("condition, ids", QUERIES.values(), ids=QUERIES.keys())
async def test_queries(http: httpx2.AsyncClient, condition: str, ids: list[str]) -> None:
    query = {"select_query": "select Last_Name, Owner from Leads where " + condition}  # noqa: S608  (constants of this file)
    rows = (await http.post("/crm/v8/coql", json=query)).json()["data"]
    assert [row["id"] for row in rows] == ids
    assert all(set(row["Owner"]) == {"id"} for row in rows)


async def test_mixed_fates_are_207(http: httpx2.AsyncClient, simulator: ZohoSimulator) -> None:
    data = [
        {"id": LEAD, "Budget": 5},
        {"id": UNKNOWN, "Budget": 5},
        {"id": OTHER, "Budget": "a lot", "Interested": "x"},
        {"Budget": 5},
    ]
    response = await http.put("/crm/v8/Leads", json={"data": data})
    assert response.status_code == 207
    assert [item["code"] for item in response.json()["data"]] == [
        "SUCCESS",
        "INVALID_DATA",
        "MULTIPLE_OR_MULTI_ERRORS",
        "MANDATORY_NOT_FOUND",
    ]
    assert simulator.writes(LEAD) == [{"Budget": 5}]
    assert simulator.writes(OTHER) == []


async def test_unknown_fields_are_ignored_and_counted(
    http: httpx2.AsyncClient, simulator: ZohoSimulator
) -> None:
    response = await http.post("/crm/v8/Leads", json={"data": [{"Last_Name": "New", "Nope": 1}]})
    assert response.status_code == 201
    assert "Nope" not in simulator.records()[-1]
    assert simulator.violations == ["Leads has no field Nope: Zoho ignores it in silence"]


async def test_upsert_and_append(http: httpx2.AsyncClient, simulator: ZohoSimulator) -> None:
    body = {
        "data": [
            {"Customer_Number": "c-2", "Topics": ["Support"], "$append_values": {"Topics": True}},
            {"Customer_Number": "C-3", "Last_Name": "New"},
        ],
        "duplicate_check_fields": ["Customer_Number"],
        "trigger": [],
    }
    items = (await http.post("/crm/v8/Leads/upsert", json=body)).json()["data"]
    assert [item["action"] for item in items] == ["update", "insert"]
    assert simulator.record(OTHER)["Topics"] == ["Price", "Support"]
    assert simulator.state.workflows == []


async def test_an_open_picklist_takes_a_new_option(http: httpx2.AsyncClient) -> None:
    body = {"data": [{"Lead_Source": "Radio"}]}
    assert (await http.put(f"/crm/v8/Leads/{LEAD}", json=body)).status_code == 200
    fields = (await http.get("/crm/v8/settings/fields?module=Leads")).json()["fields"]
    source = next(item for item in fields if item["api_name"] == "Lead_Source")
    assert source["pick_list_values"][-1]["actual_value"] == "Radio"


@pytest.mark.parametrize(
    "changed, code",
    [
        ({"Call_Duration": "00:00"}, "DEPENDENT_MISMATCH"),
        ({"Call_Duration": "5"}, "INVALID_DATA"),
        ({"Call_Duration": "00:00", "Call_Type": "Missed"}, "SUCCESS"),
        ({"$se_module": None}, "DEPENDENT_FIELD_MISSING"),
        ({"What_Id": {"id": UNKNOWN}}, "INVALID_DATA"),
        ({"Who_Id": {"id": LEAD}}, "INVALID_DATA"),
        ({"Call_Start_Time": "2026-11-20T10:00:00Z"}, "INVALID_DATA"),
        ({"Subject": None}, "INVALID_DATA"),
    ],
)
async def test_rules_of_calls(http: httpx2.AsyncClient, changed: dict[str, Any], code: str) -> None:
    entry = {
        "Subject": "Call",
        "Call_Type": "Outbound",
        "Call_Start_Time": "2026-11-20T10:00:00+00:00",
        "Call_Duration": "01:00",
        "What_Id": {"id": LEAD},
        "$se_module": "Leads",
    }
    (item,) = (await http.post("/crm/v8/Calls", json={"data": [{**entry, **changed}]})).json()["data"]
    assert item["code"] == code


async def test_lists_and_page_tokens(http: httpx2.AsyncClient, simulator: ZohoSimulator) -> None:
    for number in range(2100):
        simulator.tables.insert("Contacts", {"Last_Name": f"n{number}"})
    seen: set[str] = set()
    query: dict[str, Any] = {"fields": "Last_Name", "per_page": 200, "sort_order": "asc"}
    while True:
        body = (await http.get("/crm/v8/Contacts", params=query)).json()
        seen |= {row["id"] for row in body["data"]}
        if not body["info"]["more_records"]:
            break
        query["page_token"] = body["info"]["next_page_token"]
    assert len(seen) == 2101
    assert (await http.get("/crm/v8/Notes", params={"fields": "id"})).status_code == 204


async def test_search_by_other_things(http: httpx2.AsyncClient, simulator: ZohoSimulator) -> None:
    simulator.edit(LEAD, {"Email": "asha@example.com"})
    for query in ("email=ASHA@example.com", "word=rao"):
        (row,) = (await http.get(f"/crm/v8/Leads/search?{query}")).json()["data"]
        assert row["id"] == LEAD


async def test_modules_and_usage(http: httpx2.AsyncClient) -> None:
    modules = (await http.get("/crm/v8/settings/modules")).json()["modules"]
    assert [module["api_name"] for module in modules] == ["Leads", "Contacts", "Calls", "Notes"]
    (one,) = (await http.get("/crm/v8/settings/modules/Leads")).json()["modules"]
    assert one["singular_label"] == "Lead"
    usage = (await http.get("/__admin")).json()
    assert (usage["credits"], usage["tokens_issued"], usage["in_flight"]) == (2, 1, 0)


async def test_revoking_the_grant(http: httpx2.AsyncClient, simulator: ZohoSimulator) -> None:
    assert (await http.post("/oauth/v2/token/revoke?token=x")).json() == {"error": "invalid_code"}
    token = simulator.accounts.refresh_token
    assert (await http.post("/oauth/v2/token/revoke", params={"token": token})).json() == {
        "status": "success"
    }
    assert (await http.get(f"/crm/v8/Leads/{LEAD}")).status_code == 401


def test_ids_of_people_are_digits() -> None:
    person = WorldRecord("lead-1", "A", "B", "+447700900101")
    with pytest.raises(ValueError, match="string of digits"):
        ZohoSimulator(World(records=[person]))


async def test_it_stops_within_a_few_seconds() -> None:
    simulator = ZohoSimulator(World())
    await simulator.start()
    async with asyncio.timeout(4):
        await simulator.stop()
