"""The simulated platform's agents: defaults, what it accepts, how changes merge, and `{{variables}}`."""

import copy
import re
from collections.abc import Iterator
from typing import Any, Final

from callwright.simulation.world import AgentPlan, PlannedQuestion

Json = dict[str, Any]
Problem = Json

FORMATS: Final = frozenset(
    {"pcm_8000", "pcm_16000", "pcm_22050", "pcm_24000", "pcm_44100", "pcm_48000", "ulaw_8000"}
)
CLIENT_EVENTS: Final = frozenset(
    (
        "conversation_initiation_metadata asr_initiation_metadata ping audio interruption user_transcript "
        "tentative_user_transcript agent_response agent_response_correction client_tool_call mcp_tool_call "
        "mcp_connection_status agent_tool_request agent_tool_response agent_tool_response_full_payload "
        "agent_response_metadata vad_score agent_chat_response_part client_error guardrail_triggered "
        "dtmf_request agent_response_complete context_usage internal_turn_probability "
        "internal_tentative_agent_response"
    ).split()
)
WEBHOOK_EVENTS: Final = frozenset(
    {"transcript", "audio", "call_initiation_failure", "unredacted_transcript", "unredacted_audio"}
)
DEMO_AGENT: Final = "agent_demo"
DEMO_EVENTS: Final = (
    "audio interruption agent_response agent_response_correction user_transcript tentative_user_transcript "
    "conversation_initiation_metadata ping client_tool_call agent_tool_response vad_score"
).split()

_DEFAULT_EVENTS: Final = (
    "audio interruption agent_response user_transcript tentative_user_transcript "
    "conversation_initiation_metadata ping"
).split()
_COLLECTED_TYPES: Final = frozenset({"boolean", "string", "integer", "number"})
_KNOWN_KEYS: Final = frozenset(
    {
        "conversation_config",
        "platform_settings",
        "workflow",
        "name",
        "tags",
        "version_description",
        "procedures",
    }
)
_PLACEHOLDER: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def default_conversation_config() -> Json:
    """What an agent has that sets nothing (defaults of the REST interface)."""
    return {
        "asr": {"quality": "high", "provider": "scribe_realtime", "user_input_audio_format": "pcm_16000"},
        "turn": {"turn_timeout": 7.0, "silence_end_call_timeout": -1, "turn_eagerness": "normal"},
        "tts": {"model_id": "eleven_flash_v2", "agent_output_audio_format": "pcm_16000", "speed": 1.0},
        "conversation": {
            "text_only": False,
            "max_duration_seconds": 600,
            "client_events": list(_DEFAULT_EVENTS),
        },
        "agent": {
            "first_message": "",
            "language": "en",
            "dynamic_variables": {"dynamic_variable_placeholders": {}},
            "prompt": {"prompt": "", "built_in_tools": {}, "tool_ids": []},
        },
    }


def default_platform_settings() -> Json:
    """The other half of the defaults: every override is forbidden, and no webhook is attached."""
    return {
        "evaluation": {"criteria": []},
        "data_collection": {},
        "overrides": {
            "conversation_config_override": {
                "agent": {"first_message": False, "language": False, "prompt": {"prompt": False}},
                "tts": {"voice_id": False},
            }
        },
        "workspace_overrides": {"webhooks": {"post_call_webhook_id": None, "events": ["transcript"]}},
        "auth": {"enable_auth": False, "allowlist": []},
        "call_limits": {"agent_concurrency_limit": -1, "daily_limit": 100_000, "bursting_enabled": True},
        "privacy": {"record_voice": True, "retention_days": -1},
    }


def demo_configuration(plan: AgentPlan) -> tuple[Json, Json]:
    """The world's agent, set up as calls need it, except that no webhook is attached."""
    config = merged(
        default_conversation_config(),
        {
            "agent": {
                "first_message": plan.first_message,
                "disable_first_message_interruptions": True,
                "prompt": {
                    "prompt": "Ask: " + " ".join(question.ask for question in plan.questions),
                    "built_in_tools": {
                        "end_call": {"name": "end_call", "params": {"system_tool_type": "end_call"}}
                    },
                },
            },
            "conversation": {"client_events": list(DEMO_EVENTS)},
            "turn": {"silence_end_call_timeout": 30},
        },
    )
    flags = {"agent": {"first_message": True, "language": True, "prompt": {"prompt": True}}}
    settings = merged(
        default_platform_settings(),
        {
            "data_collection": {question.field_id: _collected(question) for question in plan.questions},
            "overrides": {"conversation_config_override": {**flags, "tts": {"voice_id": True}}},
            "auth": {"enable_auth": True},
        },
    )
    return config, settings


def questions_of(platform_settings: Json) -> tuple[PlannedQuestion, ...]:
    """The data that an agent collects, as questions in the order of their definition."""
    return tuple(
        PlannedQuestion(
            name,
            str(item.get("description", f"What is your {name}?")),
            item["type"],
            tuple(item.get("enum") or ()),
        )
        for name, item in platform_settings.get("data_collection", {}).items()
    )


def merged(base: Json, changes: Json) -> Json:
    """`base` with `changes`: objects merge at every depth, everything else is replaced."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def unknown_keys(body: Json) -> list[str]:
    """Top-level keys that the platform would silently ignore."""
    return sorted(set(body) - _KNOWN_KEYS)


def problems(body: Json, webhook_ids: set[str]) -> list[Problem]:
    """What a body of create or PATCH has wrong, in the form of a 422 answer."""
    return list(_problems(body, webhook_ids))


def at(value: Any, *path: str) -> Any:
    """What is at a path of nested objects, None where something is missing."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def placeholders(*texts: str) -> list[str]:
    """Names between double braces, in order, each once."""
    return list(dict.fromkeys(name for text in texts for name in _PLACEHOLDER.findall(text)))


def _problems(body: Json, webhook_ids: set[str]) -> Iterator[Problem]:
    for part in ("conversation_config", "platform_settings"):
        if part in body and not isinstance(body[part], dict):
            yield _problem("Input should be a valid dictionary", "dict_type", part)
            return
    for path in (("asr", "user_input_audio_format"), ("tts", "agent_output_audio_format")):
        name = at(body, "conversation_config", *path)
        if name is not None and name not in FORMATS:
            yield _problem("Input should be a known audio format", "enum", "conversation_config", *path)
    listed = at(body, "conversation_config", "conversation", "client_events")
    if listed is not None:
        yield from _members(listed, CLIENT_EVENTS, "conversation_config", "conversation", "client_events")
    settings = body.get("platform_settings", {})
    yield from _flags(
        at(settings, "overrides", "conversation_config_override"), "conversation_config_override"
    )
    yield from _webhooks(at(settings, "workspace_overrides", "webhooks") or {}, webhook_ids)
    for name, item in (settings.get("data_collection") or {}).items():
        if at(item, "type") not in _COLLECTED_TYPES:
            yield _problem("Input should be a known type", "enum", "data_collection", name, "type")


def _webhooks(value: Json, webhook_ids: set[str]) -> Iterator[Problem]:
    webhook_id = value.get("post_call_webhook_id")
    if webhook_id is not None and webhook_id not in webhook_ids:
        yield _problem("Webhook not found", "value_error", "webhooks", "post_call_webhook_id")
    if "events" in value:
        yield from _members(value["events"], WEBHOOK_EVENTS, "webhooks", "events")


def _flags(value: Any, *path: str) -> Iterator[Problem]:
    """Every leaf below the override settings is a boolean."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flags(item, *path, name)
    elif value is not None and not isinstance(value, bool):
        yield _problem("Input should be a valid boolean", "bool_type", *path)


def _members(value: Any, allowed: frozenset[str], *path: str) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield _problem("Input should be a valid list", "list_type", *path)
        return
    for number, item in enumerate(value):
        if item not in allowed:
            yield _problem("Input should be one of the known values", "enum", *path, str(number))


def _problem(message: str, kind: str, *path: str) -> Problem:
    return {"loc": ["body", *path], "msg": message, "type": kind}


def _collected(question: PlannedQuestion) -> Json:
    item: Json = {"type": question.type, "description": question.ask}
    if question.choices:
        item["enum"] = list(question.choices)
    return item
