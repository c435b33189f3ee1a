"""The simulated platform's REST interface is as strict as the real one."""

from typing import Any

import pytest

from callwright.integrations.elevenlabs.conftest import SIGNED_URL, Customer
from callwright.integrations.elevenlabs.simulator import ElevenLabsSimulator


async def test_a_wrong_key_and_a_missing_permission(
    customer: Customer, simulator: ElevenLabsSimulator
) -> None:
    status, body = await customer.ask("GET", "/v1/convai/agents", headers={"xi-api-key": "sk_no"})
    assert (status, body["detail"]["status"]) == (401, "invalid_api_key")
    simulator.account.permissions.discard("user_read")
    status, body = await customer.ask("GET", "/v1/user/subscription")
    assert (status, body["detail"]["status"]) == (401, "missing_permissions")


@pytest.mark.parametrize(
    "method, path, body, status, where",
    [
        ("POST", "/v1/convai/agents/create", {}, 422, ["body", "conversation_config"]),
        ("POST", "/v1/convai/agents/create", [], 422, ["body"]),
        (
            "PATCH",
            "/v1/convai/agents/agent_demo",
            {"conversation_config": {"tts": {"agent_output_audio_format": "mp3"}}},
            422,
            ["body", "conversation_config", "tts", "agent_output_audio_format"],
        ),
        (
            "PATCH",
            "/v1/convai/agents/agent_demo",
            {"conversation_config": {"conversation": {"client_events": ["audio", "noise"]}}},
            422,
            ["body", "conversation_config", "conversation", "client_events", "1"],
        ),
        (
            "PATCH",
            "/v1/convai/agents/agent_demo",
            {"platform_settings": {"overrides": {"conversation_config_override": {"tts": {"voice_id": 1}}}}},
            422,
            ["body", "conversation_config_override", "tts", "voice_id"],
        ),
        (
            "PATCH",
            "/v1/convai/agents/agent_demo",
            {"platform_settings": {"workspace_overrides": {"webhooks": {"post_call_webhook_id": "wh_x"}}}},
            422,
            ["body", "webhooks", "post_call_webhook_id"],
        ),
        (
            "PATCH",
            "/v1/convai/agents/agent_demo",
            {"platform_settings": 1},
            422,
            ["body", "platform_settings"],
        ),
        ("PATCH", "/v1/convai/agents/agent_none", {}, 404, None),
        ("GET", "/v1/convai/agents/agent_none", None, 404, None),
        ("DELETE", "/v1/convai/agents/agent_none", None, 404, None),
        ("GET", SIGNED_URL, None, 422, ["query", "agent_id"]),
        ("GET", f"{SIGNED_URL}?agent_id=agent_none", None, 404, None),
        ("GET", "/v1/convai/agents?page_size=101", None, 422, ["body", "query", "page_size"]),
        ("GET", "/v1/convai/conversations/conv_none", None, 404, None),
        ("DELETE", "/v1/convai/conversations/conv_none", None, 404, None),
        ("POST", "/v1/workspace/webhooks", {}, 422, ["body", "settings"]),
        (
            "POST",
            "/v1/workspace/webhooks",
            {"settings": {"auth_type": "hmac", "name": "x"}},
            422,
            ["body", "settings", "webhook_url"],
        ),
        (
            "POST",
            "/v1/workspace/webhooks",
            {"settings": {"auth_type": "hmac", "name": "x", "webhook_url": "http://example.com"}},
            422,
            ["body", "settings"],
        ),
        ("PATCH", "/v1/workspace/webhooks/wh_none", {"is_disabled": False, "name": "x"}, 404, None),
        ("DELETE", "/v1/workspace/webhooks/wh_none", None, 404, None),
    ],
)
async def test_bad_requests(
    customer: Customer, method: str, path: str, body: Any, status: int, where: list[str] | None
) -> None:
    options = {} if body is None else {"json": body}
    answered, detail = await customer.ask(method, path, **options)
    assert answered == status
    if where is None:
        assert detail["detail"]["status"]
    else:
        assert detail["detail"][0]["loc"] == where


async def test_an_agent_from_its_making_to_its_end(
    customer: Customer, simulator: ElevenLabsSimulator
) -> None:
    config = {"agent": {"first_message": "Hi"}, "tts": {"agent_output_audio_format": "ulaw_8000"}}
    body = {"conversation_config": config, "name": "Ada", "flavour": "mint"}
    _, created = await customer.ask("POST", "/v1/convai/agents/create", json=body)
    path = f"/v1/convai/agents/{created['agent_id']}"
    change = {"conversation_config": {"agent": {"language": "de"}}, "tags": ["a"]}
    _, patched = await customer.ask("PATCH", path, json=change)
    agent = patched["conversation_config"]["agent"]
    assert (agent["first_message"], agent["language"], patched["tags"]) == ("Hi", "de", ["a"])
    assert patched["conversation_config"]["asr"]["user_input_audio_format"] == "pcm_16000"
    assert patched["platform_settings"]["overrides"]["conversation_config_override"]["tts"] == {
        "voice_id": False
    }
    _, page = await customer.ask("GET", "/v1/convai/agents?page_size=1")
    assert page["has_more"]
    _, rest = await customer.ask("GET", f"/v1/convai/agents?page_size=1&cursor={page['next_cursor']}")
    assert not rest["has_more"]
    assert await customer.ask("DELETE", path) == (204, None)
    assert (await customer.ask("GET", path))[0] == 404
    assert simulator.traffic.violations == ["POST of an agent has no flavour"]


async def test_a_webhooks_secret_is_shown_once(customer: Customer, simulator: ElevenLabsSimulator) -> None:
    settings = {"auth_type": "hmac", "name": "x", "webhook_url": "https://example.com/hook"}
    _, created = await customer.ask("POST", "/v1/workspace/webhooks", json={"settings": settings})
    assert created["webhook_secret"].startswith("wsec_")
    path = f"/v1/workspace/webhooks/{created['webhook_id']}"
    change = {"is_disabled": True, "name": "y", "webhook_url": "https://elsewhere.example"}
    assert (await customer.ask("PATCH", path, json=change))[0] == 200
    _, listed = await customer.ask("GET", "/v1/workspace/webhooks")
    (row,) = listed["webhooks"]
    assert (row["name"], row["is_disabled"], row["webhook_url"]) == ("y", True, "https://example.com/hook")
    assert "webhook_secret" not in row
    assert simulator.traffic.violations == ["PATCH of a webhook has no webhook_url"]
