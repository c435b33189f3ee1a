"""Agents: stored in versions, checked against what is configured, and shown without what may be secret."""

from typing import Any

import pytest

from callwright.api.agents import EXAMPLE
from callwright.domain.agent import parse_agent
from tests.api.site import LATER, Site

pytestmark = pytest.mark.asyncio(loop_scope="package")

SECRET = "Bearer sk-very-secret-tool-token"


def definition(site: Site, name: str, **changes: Any) -> dict[str, Any]:
    return {**site.stage.agent().model_dump(mode="json"), "name": name, **changes}


def with_tool(site: Site, name: str, headers: dict[str, str]) -> dict[str, Any]:
    tool = {"name": "look_up", "url": "https://tools.example/look-up", "headers": headers}
    return definition(site, name, tools=[tool])


async def test_put_creates_then_makes_versions_of_other_content_only(site: Site) -> None:
    path = "/api/v1/agents/put-and-put"
    body = definition(site, "put-and-put")
    created = await site.expect(201, "PUT", path, json=body)
    assert (created["name"], created["version"], created["warnings"]) == ("put-and-put", 1, [])
    assert (await site.ask("PUT", path, json=body)).json()["version"] == 1
    changed = await site.expect(200, "PUT", path, json={**body, "description": "other"})
    assert changed["version"] == 2
    assert (await site.expect(200, "GET", path))["definition"]["description"] == "other"
    assert (await site.expect(200, "GET", path, params={"version": 1}))["definition"]["description"] == ""
    await site.expect(404, "GET", path, params={"version": 3})
    listed = await site.expect(200, "GET", "/api/v1/agents")
    assert [(item["name"], item["version"]) for item in listed["items"] if item["name"] == "put-and-put"] == [
        ("put-and-put", 2)
    ]


async def test_an_archived_agent_takes_no_calls_until_it_is_put_again(site: Site) -> None:
    path = "/api/v1/agents/seasonal"
    body = definition(site, "seasonal")
    call = {"agent": "seasonal", "phone": "+447700900777", "not_before": LATER}
    await site.expect(201, "PUT", path, json=body)
    await site.expect(201, "POST", "/api/v1/calls", json=call)
    await site.expect(204, "DELETE", path)
    await site.expect(404, "DELETE", path)
    await site.expect(404, "GET", path)
    await site.expect(404, "POST", "/api/v1/calls", json=call)
    assert (await site.expect(200, "GET", path, params={"version": 1}))["name"] == "seasonal"
    await site.ask("PUT", path, json=body)
    await site.expect(201, "POST", "/api/v1/calls", json=call)


@pytest.mark.parametrize(
    "changes,where",
    [
        ({"name": "somebody-else"}, "name"),
        ({"carrier": "carrier-pigeon"}, "carrier"),
        ({"caller_id": "+447700900666"}, "caller_id"),
        ({"caller_id": "07700900001"}, "caller_id"),
        ({"engine": {"platform": "abacus", "agent_id": "x"}}, "engine.platform"),
        ({"calling_hours": "always"}, "calling_hours"),
        ({"limits": {"ring_s": 1}}, "limits.ring_s"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_wrong_definition_is_told_where_it_is_wrong(
    site: Site, changes: dict[str, Any], where: str
) -> None:
    body = {**definition(site, "wrong"), **changes}
    problem = await site.expect(422, "PUT", "/api/v1/agents/wrong", json=body)
    assert where in {item["where"] for item in problem["errors"]}
    await site.expect(404, "GET", "/api/v1/agents/wrong")


async def test_a_mapping_that_does_not_fit_the_crm_is_refused(site: Site) -> None:
    body = definition(site, "mismapped")
    body["crm"]["results"] = {"interested": "No_Such_Field"}
    problem = await site.expect(422, "PUT", "/api/v1/agents/mismapped", json=body)
    assert any("No_Such_Field" in item["what"] + item["where"] for item in problem["errors"])


async def test_check_says_what_would_be_wrong_and_stores_nothing(site: Site) -> None:
    body = definition(site, "only-checked")
    assert await site.expect(200, "POST", "/api/v1/agents/check", json=body) == {
        "valid": True,
        "errors": [],
        "warnings": [],
    }
    wrong = await site.expect(200, "POST", "/api/v1/agents/check", json={**body, "carrier": "pigeon"})
    assert wrong["valid"] is False
    assert wrong["errors"][0]["where"] == "carrier"
    await site.expect(404, "GET", "/api/v1/agents/only-checked")


async def test_values_of_tool_headers_are_kept_and_never_shown(site: Site) -> None:
    path = "/api/v1/agents/with-tool"
    stored = await site.ask("PUT", path, json=with_tool(site, "with-tool", {"Authorization": SECRET}))
    shown = await site.ask("GET", path)
    listed = await site.ask("GET", "/api/v1/agents")
    for response in (stored, shown, listed):
        assert "very-secret" not in response.text

    # What was shown can be changed and sent back: the hidden value stays as it was.
    body = {**shown.json()["definition"], "description": "changed"}
    await site.expect(200, "PUT", path, json=body)
    _, kept = await site.stage.app.agents.get("with-tool")
    assert kept.description == "changed"
    assert kept.tools[0].headers == {"Authorization": SECRET}


async def test_a_hidden_value_that_is_not_known_is_refused(site: Site) -> None:
    body = with_tool(site, "masked", {"Authorization": "***"})
    problem = await site.expect(422, "PUT", "/api/v1/agents/masked", json=body)
    assert problem["errors"][0]["where"] == "tools.look_up.headers.Authorization"


async def test_the_example_of_the_document_is_a_valid_agent() -> None:
    assert parse_agent(EXAMPLE).name == "lead-qualifier"
