"""The OpenAPI document is complete: examples, errors, scopes, and names that stay."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.api.site import PROBLEM, Site

pytestmark = pytest.mark.asyncio(loop_scope="package")

OPERATIONS = {
    "allow_phone",
    "archive_agent",
    "check_agent",
    "create_call",
    "follow_events",
    "get_agent",
    "get_call",
    "get_call_events",
    "get_call_live",
    "get_call_carrier_recording",
    "get_call_recording",
    "get_call_transcript",
    "get_health",
    "get_hold",
    "get_metrics",
    "get_readiness",
    "get_suppression",
    "hang_up_call",
    "hold_dialing",
    "list_agents",
    "list_calls",
    "list_integrations",
    "list_suppressions",
    "push_call_context",
    "put_agent",
    "receive_crm_hook",
    "receive_webhook",
    "receive_webhook_by_query",
    "release_dialing",
    "suppress_phone",
    "write_call_to_crm_again",
}
"""Clients are generated from these names: a change breaks them."""


def operations(site: Site) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, known in site.document["paths"].items():
        for method, operation in known.items():
            yield method, path, operation


async def test_the_document_is_served_as_it_is_made(site: Site) -> None:
    response = await site.http.get("/openapi.json")
    assert response.json() == site.document
    assert site.document["openapi"].startswith("3.1")


async def test_operation_ids_stay(site: Site) -> None:
    assert {operation["operationId"] for _, _, operation in operations(site)} == OPERATIONS


async def test_every_operation_is_described_and_filed(site: Site) -> None:
    tags = {tag["name"] for tag in site.document["tags"]}
    for method, path, operation in operations(site):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert len(operation["description"]) > 20, where
        assert len(operation["tags"]) == 1, where
        assert operation["tags"][0] in tags, where
        for parameter in operation.get("parameters", []):
            assert parameter["description"], f"{where} {parameter['name']}"
        for status, response in operation["responses"].items():
            assert response["description"], f"{where} {status}"
            assert response["description"] != "Successful Response" or status in {"200", "201", "202"}, where


async def test_every_body_has_an_example_that_fits_it(site: Site) -> None:
    for method, path, operation in operations(site):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            examples = _examples(site, content)
            assert examples, f"{method} {path} {kind}"
            for example in examples:
                _fits(site, content["schema"], example)


async def test_every_json_answer_is_described_by_a_named_schema(site: Site) -> None:
    for method, path, operation in operations(site):
        for status, response in operation["responses"].items():
            for kind, content in response.get("content", {}).items():
                if kind.endswith("json"):
                    assert "$ref" in content["schema"], f"{method} {path} {status}"


async def test_errors_are_problems_with_examples(site: Site) -> None:
    for method, path, operation in operations(site):
        declared = {status: item for status, item in operation["responses"].items() if int(status) >= 400}
        assert {"500", "503"} <= set(declared), f"{method} {path}"
        if path.startswith("/api/v1"):
            assert {"401", "403"} <= set(declared), f"{method} {path}"
        if operation.get("parameters") or operation.get("requestBody"):
            assert "422" in declared, f"{method} {path}"
        if "{call_id}" in path or ("{name}" in path and method != "put"):
            assert "404" in declared, f"{method} {path}"
        for status, response in declared.items():
            assert list(response["content"]) == [PROBLEM], f"{method} {path} {status}"
            content = response["content"][PROBLEM]
            for example in content["examples"].values():
                assert example["value"]["status"] == int(status)
                _fits(site, content["schema"], example["value"])


async def test_what_is_secured_says_so(site: Site) -> None:
    assert site.document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    for method, path, operation in operations(site):
        assert bool(operation.get("security")) is path.startswith("/api/v1"), f"{method} {path}"


async def test_every_reference_leads_somewhere_and_every_schema_is_used(site: Site) -> None:
    schemas = set(site.document["components"]["schemas"])
    used = set(re.findall(r"#/components/schemas/(\w+)", str(site.document)))
    assert used == schemas
    for name, schema in site.document["components"]["schemas"].items():
        assert schema.get("description"), name


def _examples(site: Site, content: dict[str, Any]) -> list[Any]:
    found = [item["value"] for item in content.get("examples", {}).values()]
    if "example" in content:
        found.append(content["example"])
    name = content["schema"].get("$ref", "").rpartition("/")[2]
    return found + site.document["components"]["schemas"].get(name, {}).get("examples", [])


def _fits(site: Site, schema: dict[str, Any], value: Any) -> None:
    whole = {**schema, "components": site.document["components"]}
    assert [error.message for error in Draft202012Validator(whole).iter_errors(value)] == []
