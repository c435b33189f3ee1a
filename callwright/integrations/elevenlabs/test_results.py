"""From conversation objects to results."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.domain.events import Speaker
from callwright.integrations.elevenlabs.results import conversation_result, gone
from callwright.ports.voice_agent import ResultState, Said


def fixture(name: str) -> dict[str, Any]:
    text = (Path(__file__).parent / "fixtures" / f"{name}.json").read_text(encoding="utf-8")
    body: dict[str, Any] = json.loads(text)
    return body


def test_a_conversation_that_is_done() -> None:
    found = conversation_result("", fixture("conversation_done"))
    assert found.conversation_id == "conv_7401k5m9x2p8ec3rqv6dtnhb0fzw"
    assert found.state is ResultState.READY
    assert found.collected == {"budget": 1200, "callback_time": None}
    assert found.summary == "The agent asked for the budget."
    assert found.successful is True
    assert found.transcript == (
        Said(Speaker.AGENT, "Hello Ada, this is", "t0", interrupted=True),
        Said(Speaker.PERSON, "Yes?", "t1"),
        Said(Speaker.AGENT, "What is your budget?", "t3"),
    )
    assert found.transcript_ms == (0, 6000, 9000)
    assert found.duration_s == 61.0
    assert found.failure == ""
    assert found.cost == {
        "credits": 380,
        "fiat": 0.1,
        "call_credits": 360,
        "llm_credits": 20,
        "llm_price": 0.004,
    }


def test_a_conversation_that_failed() -> None:
    found = conversation_result("", fixture("conversation_failed"))
    assert found.state is ResultState.FAILED
    assert found.failure == "3000 call_initialization_error: [quota_exceeded] You've run out of credits."
    assert found.collected == {}


def test_a_failure_without_an_error_tells_how_it_ended() -> None:
    body = {"status": "failed", "metadata": {"termination_reason": "Client disconnected: 1006"}}
    assert conversation_result("conv_1", body).failure == "Client disconnected: 1006"
    assert conversation_result("conv_1", {"status": "failed"}).failure == "failed"


@pytest.mark.parametrize("status", ["initiated", "in-progress", "processing", "a_new_status", None])
def test_everything_else_is_pending(status: str | None) -> None:
    assert conversation_result("conv_1", {"status": status}).state is ResultState.PENDING


@pytest.mark.parametrize("word, successful", [("success", True), ("failure", False), ("unknown", None)])
def test_success(word: str, *, successful: bool | None) -> None:
    body = {"status": "done", "analysis": {"call_successful": word}}
    assert conversation_result("conv_1", body).successful is successful


def test_the_list_form_of_collected_data() -> None:
    items = [{"data_collection_id": "budget", "value": 5, "rationale": ""}, {"value": 1}, None]
    body = {"status": "done", "analysis": {"data_collection_results_list": items}}
    assert conversation_result("conv_1", body).collected == {"budget": 5}


def test_a_conversation_that_is_done_without_analysis() -> None:
    found = conversation_result("conv_1", {"status": "done", "analysis": None})
    assert (found.conversation_id, found.state, found.collected) == ("conv_1", ResultState.READY, {})


def test_gone() -> None:
    assert gone("conv_1").state is ResultState.GONE


@given(
    key=st.sampled_from(["metadata", "analysis", "transcript", "status", "conversation_id"]), data=st.data()
)
def test_nothing_strange_breaks_it(key: str, data: st.DataObject) -> None:
    odd = data.draw(st.none() | st.integers() | st.text() | st.lists(st.integers()) | st.just({"error": 5}))
    conversation_result("conv_1", {**fixture("conversation_done"), key: odd})


@pytest.mark.parametrize("number", [10**400, -(10**400), float("inf"), float("nan"), True, "7", None])
def test_numbers_beyond_all_reason_are_none(number: object) -> None:
    turn = {"role": "user", "message": "Yes", "time_in_call_secs": number}
    body = {"status": "done", "metadata": {"call_duration_secs": number}, "transcript": [turn]}
    result = conversation_result("conv_1", body)
    assert result.duration_s is None
    assert result.transcript_ms == (0,)
