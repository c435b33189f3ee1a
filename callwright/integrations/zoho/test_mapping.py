"""What is wrong with a mapping is told before the first call."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from callwright.domain.agent import AgentDefinition, parse_agent
from callwright.integrations.zoho.conftest import Bench
from callwright.integrations.zoho.crm import ZohoCrm

pytestmark = pytest.mark.asyncio(loop_scope="module")
_DEMO = yaml.safe_load((Path(__file__).parent / "fixtures" / "demo.yaml").read_text(encoding="utf-8"))


def agent(crm: dict[str, Any] | None, **parts: Any) -> AgentDefinition:
    return parse_agent(
        {
            "name": "survey",
            "carrier": "none",
            "caller_id": "+447700900001",
            "engine": {"platform": "none", "agent_id": "a"},
            "crm": crm,
            **parts,
        }
    )


def mapping(**changed: Any) -> dict[str, Any]:
    return {"system": "zoho", "phone_fields": ["Mobile"], **changed}


def collect(**field: Any) -> dict[str, Any]:
    return {"collect": [{"name": "answer", **field}]}


def given(kind: str, **field: Any) -> dict[str, Any]:
    return {"variables": [{"name": "fact", "type": kind, **field}]}


async def told(crm: ZohoCrm, section: dict[str, Any], **parts: Any) -> list[str]:
    return [str(problem) for problem in await crm.mapping_problems(agent(section, **parts))]


async def test_the_demo_mapping_is_right(shared: Bench) -> None:
    variables = [{"name": name} for name in ("first_name", "last_name", "product")]
    answers = [
        {"name": "interested", "type": "boolean"},
        {"name": "budget", "type": "integer"},
        {"name": "preferred_date"},
        {"name": "email"},
    ]
    assert await told(shared.one, _DEMO["crm"], variables=variables, collect=answers) == []
    assert shared.simulator.violations == []


async def test_agents_without_this_crm_have_no_problems(shared: Bench) -> None:
    assert await told(shared.one, mapping(system="other", module="Nowhere")) == []
    assert await shared.one.mapping_problems(agent(None)) == []


async def test_an_unknown_module_is_one_problem(shared: Bench) -> None:
    (problem,) = await told(shared.one, mapping(module="Nowhere"))
    assert problem.startswith("crm.module: Zoho has no module Nowhere")


RESULTS: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "text": ("Preferred_Date", {}, None),
    "text that may be too long": ("Short_Answer", {"max_length": 21}, "may be 21 characters long"),
    "text that just fits": ("Short_Answer", {"max_length": 20}, None),
    "text of undeclared length is cut when written": ("Short_Answer", {}, None),
    "unknown field": ("Nowhere", {}, "has no field with the API name Nowhere"),
    "read-only field": ("Full_Name", {}, "is read-only"),
    "formula": ("Score", {}, "is read-only"),
    "lookup": ("Owner", {}, "does not take type text"),
    "text for a number": ("Budget", {}, "does not take type text"),
    "text for a picklist": ("Language", {}, "Collect a choice"),
    "text for an e-mail": ("Email", {}, None),
    "integer": ("Team_Size", {"type": "integer"}, None),
    "integer for money": ("Budget", {"type": "integer"}, None),
    "number for a whole number": ("Team_Size", {"type": "number"}, "does not take type number"),
    "number": ("Budget", {"type": "number"}, None),
    "boolean": ("Interested", {"type": "boolean"}, None),
    "boolean for text": ("Preferred_Date", {"type": "boolean"}, None),
    "boolean for a picklist without yes": ("Language", {"type": "boolean"}, "yes, no not among the options"),
    "boolean for a number": ("Budget", {"type": "boolean"}, "does not take type boolean"),
    "date": ("Visit_Day", {"type": "date"}, None),
    "date for a moment": ("Next_Contact", {"type": "date"}, "does not take type date"),
    "moment": ("Next_Contact", {"type": "datetime"}, None),
    "time": ("Preferred_Date", {"type": "time"}, None),
    "choice": ("Language", {"type": "choice", "choices": ["english", "French"]}, None),
    "choice that is no option": (
        "Language",
        {"type": "choice", "choices": ["English", "Klingon"]},
        "Klingon not among the options",
    ),
    "choice for a multiselect": ("Topics", {"type": "choice", "choices": ["Price"]}, None),
    "choice that is too long": (
        "Short_Answer",
        {"type": "choice", "choices": ["a choice of many letters"]},
        "may be 24 characters long",
    ),
}


@pytest.mark.parametrize("target, declared, expected", RESULTS.values(), ids=RESULTS.keys())
async def test_results(shared: Bench, target: str, declared: dict[str, Any], expected: str | None) -> None:
    found = await told(shared.one, mapping(results={"answer": target}), **collect(**declared))
    if expected is None:
        assert found == []
        return
    (problem,) = found
    assert problem.startswith("crm.results.answer: ")
    assert expected in problem


VARIABLES: dict[str, tuple[str, str, str | None]] = {
    "text": ("text", "First_Name", None),
    "text from a lookup": ("text", "Owner", None),
    "text from a picklist": ("text", "Language", None),
    "read-only is readable": ("text", "Full_Name", None),
    "unknown": ("text", "Nowhere", "has no field with the API name Nowhere"),
    "integer from money": ("integer", "Budget", None),
    "integer from text": ("integer", "Short_Answer", None),
    "integer from a boolean": ("integer", "Interested", "cannot become type integer"),
    "boolean": ("boolean", "Interested", None),
    "boolean from a date": ("boolean", "Visit_Day", "cannot become type boolean"),
    "date from a moment": ("date", "Next_Contact", "cannot become type date"),
    "date": ("date", "Visit_Day", None),
    "number from a lookup": ("number", "Owner", "cannot become type number"),
}


@pytest.mark.parametrize("kind, source, expected", VARIABLES.values(), ids=VARIABLES.keys())
async def test_variables(shared: Bench, kind: str, source: str, expected: str | None) -> None:
    found = await told(shared.one, mapping(variables={"fact": source}), **given(kind))
    if expected is None:
        assert found == []
        return
    (problem,) = found
    assert problem.startswith("crm.variables.fact: ")
    assert expected in problem


OTHERS: dict[str, tuple[dict[str, Any], str | None]] = {
    "phone of another type": ({"phone_fields": ["Email"]}, "crm.phone_fields.0: Email is of type email"),
    "phone unknown": ({"phone_fields": ["Mobile", "Handy"]}, "crm.phone_fields.1: Leads has no field"),
    "outcome in text": ({"outcome_field": "Preferred_Date"}, None),
    "outcome too long": (
        {"outcome_field": "Short_Answer", "outcome_values": {"busy": "the line was engaged"}},
        None,
    ),
    "outcome unknown": ({"outcome_field": "Nowhere"}, "crm.outcome_field: Leads has no field"),
    "outcome in a number": ({"outcome_field": "Budget"}, "crm.outcome_field: Budget is of type currency"),
    "outcome not among the options": ({"outcome_field": "Call_Outcome"}, "crm.outcome_values: "),
    "opt-out": ({"opt_out_field": "Do_Not_Call"}, None),
    "opt-out in text": ({"opt_out_field": "Company"}, "crm.opt_out_field: Company is of type text"),
    "opt-out without yes": ({"opt_out_field": "Language"}, "crm.opt_out_field: yes not among"),
    "opt-out unknown": ({"opt_out_field": "Nowhere"}, "crm.opt_out_field: Leads has no field"),
    "trigger": ({"triggers": ["workflow"]}, None),
    "trigger unknown": ({"triggers": ["workflows"]}, "crm.triggers: workflows unknown"),
}


@pytest.mark.parametrize("changed, expected", OTHERS.values(), ids=OTHERS.keys())
async def test_the_rest(shared: Bench, changed: dict[str, Any], expected: str | None) -> None:
    found = await told(shared.one, mapping(**changed))
    if expected is None:
        assert found == []
        return
    (problem,) = found
    assert problem.startswith(expected)


async def test_an_outcome_longer_than_its_field(shared: Bench) -> None:
    values = {"busy": "the line was engaged all day"}
    (problem,) = await told(shared.one, mapping(outcome_field="Short_Answer", outcome_values=values))
    assert problem.startswith("crm.outcome_values.busy: is 28 characters long")


async def test_two_results_for_one_field(shared: Bench) -> None:
    both = {"one": "Preferred_Date", "two": "Preferred_Date"}
    fields = [{"name": "one"}, {"name": "two"}]
    (problem,) = await told(shared.one, mapping(results=both), collect=fields)
    assert "already written by one" in problem


async def test_a_user_without_the_calls_module(shared: Bench) -> None:
    calls = shared.simulator.tables.organisation.modules.pop("Calls")
    try:
        (problem,) = await told(shared.crm(), mapping())
        assert problem.startswith("crm.log_call: ")
        assert await told(shared.crm(), mapping(log_call=False)) == []
    finally:
        shared.simulator.tables.organisation.modules["Calls"] = calls
