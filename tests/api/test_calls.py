"""Calls: placed, found, looked at, steered; and everything that a body can do wrong."""

import json

import pytest

from callwright.domain.attempt import Attempt
from tests.api.conftest import PERSON
from tests.api.site import LATER, Site

pytestmark = pytest.mark.asyncio(loop_scope="package")

CALL = {"agent": "test-agent", "phone": "+447700900777", "not_before": LATER}


async def test_a_call_to_a_number_is_created_where_location_says(site: Site) -> None:
    body = {
        **CALL,
        "phone": "+44 7700 900777",
        "variables": {"first_name": "Zoë"},
        "tags": {"batch": "spring"},
    }
    response = await site.ask("POST", "/api/v1/calls", json=body)
    assert response.status_code == 201
    created = response.json()
    assert response.headers["location"] == f"/api/v1/calls/{created['id']}"
    assert created["phone"] == "+447700900777"
    assert created["state"] == "queued"
    assert created["source"] == "api"
    assert created["variables"]["first_name"] == "Zoë"
    assert created["tags"] == {"batch": "spring"}
    assert await site.expect(200, "GET", response.headers["location"]) == created


async def test_a_call_to_a_record_names_the_record(site: Site) -> None:
    record = site.stage.record_of[PERSON]
    created = await site.expect(
        201, "POST", "/api/v1/calls", json={"agent": "test-agent", "record": record, "not_before": LATER}
    )
    assert created["crm"] == {"system": "zoho", "module": "Leads", "record_id": record}
    assert created["phone"] == ""


async def test_what_stays_in_the_house_is_in_no_answer(site: Site) -> None:
    created = await site.create_call()
    secret_fields = {"media_token", "agent_ticket", "carrier_data", "owner"}
    assert secret_fields < set(Attempt.__dataclass_fields__)
    assert not secret_fields & set(created)


@pytest.mark.parametrize(
    "body,where",
    [
        ({}, {"agent", "body"}),
        ({"agent": "test-agent"}, {"body"}),
        ({**CALL, "record": "1"}, {"body"}),
        ({**CALL, "agent": "No Agent"}, {"agent"}),
        ({**CALL, "phone": "12"}, {"phone"}),
        ({**CALL, "phone": "not a number"}, {"phone"}),
        ({**CALL, "phone": "+44770090077712345678901234567890123456789"}, {"phone"}),
        ({**CALL, "not_before": "2099-01-01T10:00:00"}, {"not_before"}),
        ({**CALL, "not_before": "soon"}, {"not_before"}),
        ({**CALL, "variables": {"shoe_size": 44}}, {"variables.shoe_size"}),
        ({**CALL, "variables": []}, {"variables"}),
        ({**CALL, "variables": {"first_name": 10**30}}, {"variables"}),
        ({**CALL, "variables": {"first_name": "a\0b"}}, {"variables"}),
        ({**CALL, "tags": {"a": 1}}, {"tags.a"}),
        ({**CALL, "tags": {str(number): "" for number in range(21)}}, {"tags"}),
        ({**CALL, "priority": "high"}, {"priority"}),
        ({"agent": "test-agent", "record": "with space", "not_before": LATER}, {"record"}),
        ([], {"body"}),
        ("text", {"body"}),
        (None, {"body"}),
    ],
)
async def test_a_wrong_body_is_told_where_it_is_wrong(site: Site, body: object, where: set[str]) -> None:
    problem = await site.expect(422, "POST", "/api/v1/calls", json=body)
    assert {item["where"] for item in problem["errors"]} <= where
    assert problem["errors"]
    assert problem["type"] == "/problems/invalid-input"


@pytest.mark.parametrize(
    "content,status",
    [
        (b"{", 400),
        (b"", 422),
        (b"\xff\xfe", 400),
        (b'{"agent": "test-agent", "phone": "+447700900777", "variables": {"first_name": NaN}}', 422),
        (b'{"agent": "test-agent", "phone": "+447700900777", "variables": {"first_name": "\\ud800"}}', 422),
        (b'{"agent": "test-agent", "phone": "\\ud800"}', 422),
        (b'{"agent": "test-agent", "phone": "+447700900777", "tags": {"\\ud800": ""}}', 422),
        (b'{"agent": "test-agent", "variables": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"agent": ' + b"9" * 5000 + b"}", 400),
    ],
)
async def test_hostile_json_is_refused(site: Site, content: bytes, status: int) -> None:
    headers = {"content-type": "application/json"}
    await site.expect(status, "POST", "/api/v1/calls", content=content, headers=headers)


async def test_json_under_another_name_is_refused_with_the_remedy(site: Site) -> None:
    content = json.dumps(CALL).encode()
    problem = await site.expect(
        422, "POST", "/api/v1/calls", content=content, headers={"content-type": "text/plain"}
    )
    assert "Content-Type: application/json" in problem["errors"][0]["remedy"]


async def test_an_unknown_agent_is_not_found(site: Site) -> None:
    problem = await site.expect(404, "POST", "/api/v1/calls", json={**CALL, "agent": "nobody"})
    assert "nobody" in problem["detail"]


async def test_calls_are_found_by_filters_and_come_in_pages(site: Site) -> None:
    phone = "+447700900778"
    created = [(await site.create_call(phone=phone))["id"] for _ in range(5)]
    found = await site.expect(200, "GET", "/api/v1/calls", params={"phone": "+44 7700 900778"})
    assert [item["id"] for item in found["items"]] == created[::-1]
    assert found["next_cursor"] is None

    seen: list[str] = []
    cursor = None
    while True:
        params = {"phone": phone, "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = await site.expect(200, "GET", "/api/v1/calls", params=params)
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == created[::-1]

    for params, count in [
        ({"state": "queued"}, 5),
        ({"state": "done"}, 0),
        ({"outcome": "completed"}, 0),
        ({"agent": "other"}, 0),
        ({"record": "1"}, 0),
        ({"before": "2020-01-01T00:00:00Z"}, 0),
        ({"since": "2020-01-01T00:00:00+02:00"}, 5),
    ]:
        page = await site.expect(200, "GET", "/api/v1/calls", params={"phone": phone, **params})
        assert len(page["items"]) == count, params


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 201},
        {"limit": "many"},
        {"state": "asleep"},
        {"outcome": "?"},
        {"since": "2020-01-01"},
        {"cursor": "nonsense"},
        {"cursor": "AAAA"},
        {"phone": "x"},
        {"colour": "red"},
    ],
)
async def test_wrong_filters_are_refused(site: Site, params: dict[str, object]) -> None:
    problem = await site.expect(422, "GET", "/api/v1/calls", params=params)
    assert next(iter(params)) in problem["errors"][0]["where"]


async def test_the_log_begins_with_the_creation(site: Site) -> None:
    created = await site.create_call()
    log = await site.expect(200, "GET", f"/api/v1/calls/{created['id']}/events")
    assert [item["kind"] for item in log["items"]] == ["created"]
    assert log["items"][0]["data"] == {"agent": "test-agent@1"}


async def test_a_call_that_was_not_held_has_no_words_and_no_recording(site: Site) -> None:
    created = await site.create_call()
    path = f"/api/v1/calls/{created['id']}"
    assert await site.expect(200, "GET", f"{path}/transcript") == {"items": []}
    await site.expect(404, "GET", f"{path}/recording")
    text = await site.ask("GET", f"{path}/transcript", headers={"accept": "text/plain"})
    assert (text.status_code, text.text) == (200, "")


async def test_a_waiting_call_is_cancelled_once(site: Site) -> None:
    created = await site.create_call()
    path = f"/api/v1/calls/{created['id']}"
    ended = await site.expect(202, "POST", f"{path}/hang-up")
    assert (ended["state"], ended["end_reason"], ended["hang_up_by"]) == ("ended", "canceled", "api")
    problem = await site.expect(409, "POST", f"{path}/hang-up")
    assert "is over" in problem["detail"]


async def test_context_is_for_calls_that_talk(site: Site) -> None:
    created = await site.create_call()
    path = f"/api/v1/calls/{created['id']}/context"
    await site.expect(409, "POST", path, json={"variables": {"first_name": "Bo"}})
    await site.expect(422, "POST", path, json={"variables": {}})
    await site.expect(422, "POST", path, json={})


@pytest.mark.parametrize("part", ["", "/events", "/transcript", "/recording"])
async def test_an_unknown_call_is_not_found(site: Site, part: str) -> None:
    await site.expect(404, "GET", f"/api/v1/calls/067aa1c3f{part}")


async def test_an_impossible_call_id_is_refused(site: Site) -> None:
    await site.expect(422, "GET", "/api/v1/calls/%00")
    await site.expect(422, "GET", "/api/v1/calls/" + "a" * 65)
    await site.expect(404, "POST", "/api/v1/calls/067aa1c3f/hang-up")
    await site.expect(404, "POST", "/api/v1/calls/067aa1c3f/context", json={"variables": {"a": 1}})
