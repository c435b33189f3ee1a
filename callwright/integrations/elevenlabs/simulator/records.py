"""The simulated platform's objects as its API shows them, and the post-call webhook that carries one."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from callwright.integrations.elevenlabs.simulator.agents import at
from callwright.integrations.elevenlabs.simulator.state import (
    CREDITS_PER_SECOND,
    Agent,
    Conversation,
    Json,
    Line,
    Store,
    Webhook,
)
from callwright.simulation.traffic import Traffic

TRANSCRIPTION: Final = "post_call_transcription"


def agent_object(agent: Agent) -> Json:
    """GET of an agent."""
    return {
        "agent_id": agent.agent_id,
        "name": agent.name,
        "conversation_config": agent.conversation_config,
        "metadata": {"created_at_unix_secs": agent.created, "updated_at_unix_secs": agent.updated},
        "platform_settings": agent.platform_settings,
        "phone_numbers": [],
        "whatsapp_accounts": [],
        "access_info": _ACCESS,
        "tags": agent.tags,
        "version_id": None,
        "branch_id": None,
        "main_branch_id": None,
    }


def agent_summary(agent: Agent) -> Json:
    """One row of the list of agents."""
    return {
        "agent_id": agent.agent_id,
        "name": agent.name,
        "tags": agent.tags,
        "created_at_unix_secs": agent.created,
        "access_info": _ACCESS,
        "last_call_time_unix_secs": None,
        "archived": False,
    }


def attached_webhook(agent: Agent) -> str | None:
    """The post-call webhook of an agent."""
    found = at(agent.platform_settings, "workspace_overrides", "webhooks", "post_call_webhook_id")
    return found if isinstance(found, str) else None


def webhook_object(hook: Webhook, traffic: Traffic) -> Json:
    """One row of the list of webhooks, without its secret."""
    failed = [
        item
        for item in traffic.exchanges
        if item.kind == "webhook" and item.path == hook.url and item.status is not None and item.status >= 300
    ]
    return {
        "name": hook.name,
        "webhook_id": hook.webhook_id,
        "webhook_url": hook.url,
        "is_disabled": hook.disabled,
        "is_auto_disabled": False,
        "created_at_unix": hook.created,
        "auth_type": "hmac",
        "usage": None,
        "events": None,
        "most_recent_failure_error_code": failed[-1].status if failed else None,
        "most_recent_failure_timestamp": int(failed[-1].at) if failed else None,
    }


def subscription_object(store: Store) -> Json:
    """GET of the subscription; credits are still called characters."""
    account = store.account
    return {
        "tier": account.tier,
        "character_count": account.credits_used,
        "character_limit": account.credits_limit,
        "max_character_limit_extension": None,
        "max_credit_limit_extension": account.extension,
        "can_extend_character_limit": account.extension != 0,
        "allowed_to_extend_character_limit": account.extension != 0,
        "next_character_count_reset_unix": store.unix() + 864_000,
        "voice_slots_used": 1,
        "professional_voice_slots_used": 0,
        "professional_voice_slots_used_in_workspace": 0,
        "voice_limit": 160,
        "voice_add_edit_counter": 0,
        "professional_voice_limit": 1,
        "can_extend_voice_limit": False,
        "can_use_instant_voice_cloning": True,
        "can_use_professional_voice_cloning": True,
        "currency": "usd",
        "current_overage": {"amount": "0", "currency": "usd"},
        "status": account.status,
        "billing_period": "monthly_period",
        "character_refresh_period": "monthly_period",
        "open_invoices": [],
        "has_open_invoices": False,
    }


def credits_of(conversation: Conversation) -> int:
    """What a conversation costs."""
    return round(conversation.duration_s * CREDITS_PER_SECOND)


def conversation_object(store: Store, conversation: Conversation) -> Json:
    """GET of a conversation: the analysis is there once it is done."""
    agent = store.agents.get(conversation.agent_id)
    ended = conversation.status not in {"initiated", "in-progress"}
    messages = [line.role for line in conversation.transcript]
    return {
        "agent_id": conversation.agent_id,
        "agent_name": agent.name if agent else None,
        "conversation_id": conversation.conversation_id,
        "status": conversation.status,
        "user_id": conversation.initiation.get("user_id"),
        "branch_id": None,
        "version_id": None,
        "has_audio": ended and conversation.audio_out > 0,
        "has_user_audio": ended and conversation.audio_in > 0,
        "has_response_audio": ended and conversation.audio_out > 0,
        "has_auxiliary_audio": False,
        "user_message_count": messages.count("user"),
        "agent_message_count": messages.count("agent"),
        "metadata": _metadata(store, conversation),
        "analysis": _analysis(store, conversation) if conversation.status == "done" else None,
        "visited_agents": [],
        "conversation_initiation_client_data": _client_data(conversation),
        "transcript": [_line(line) for line in conversation.transcript],
    }


def conversation_summary(store: Store, conversation: Conversation) -> Json:
    """One row of the list of conversations."""
    whole = conversation_object(store, conversation)
    analysis = whole["analysis"] or {}
    return {
        "agent_id": conversation.agent_id,
        "agent_name": whole["agent_name"],
        "conversation_id": conversation.conversation_id,
        "start_time_unix_secs": whole["metadata"]["start_time_unix_secs"],
        "call_duration_secs": whole["metadata"]["call_duration_secs"],
        "message_count": len(conversation.transcript),
        "status": conversation.status,
        "call_successful": analysis.get("call_successful", "unknown"),
        "termination_reason": conversation.termination_reason,
        "transcript_summary": analysis.get("transcript_summary"),
    }


def transcription_body(store: Store, conversation: Conversation) -> Json:
    """The post-call webhook's body: the conversation as it is when its analysis is done."""
    data = {
        **conversation_object(store, conversation),
        "status": "done",
        "analysis": _analysis(store, conversation),
    }
    return {"type": TRANSCRIPTION, "event_timestamp": store.unix(), "data": data}


def signature(secret: str, moment: int, body: bytes) -> Mapping[str, str]:
    """The header that proves a webhook."""
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return {"ElevenLabs-Signature": f"t={moment},v0={digest}"}


def raw(body: Json) -> bytes:
    """A webhook's body as it is sent."""
    return json.dumps(body).encode()


_ACCESS: Final[Json] = {
    "is_creator": True,
    "creator_name": "Simulated Workspace",
    "creator_email": "owner@example.com",
    "role": "admin",
}


def _metadata(store: Store, conversation: Conversation) -> Json:
    cost = credits_of(conversation)
    started = int(conversation.started_at.timestamp())
    return {
        "start_time_unix_secs": started,
        "accepted_time_unix_secs": started,
        "call_duration_secs": round(conversation.duration_s),
        "cost": cost,
        "cost_fiat": round(cost * 0.0002, 6),
        "termination_reason": conversation.termination_reason,
        "error": conversation.error,
        "warnings": [],
        "main_language": "en",
        "text_only": False,
        "timezone": None,
        "conversation_initiation_source": "unknown",
        "authorization_method": "signed_url",
        "charging": {"tier": store.account.tier, "call_charge": cost, "llm_charge": 0, "llm_price": 0.0},
    }


def _analysis(store: Store, conversation: Conversation) -> Json:
    agent = store.agents.get(conversation.agent_id)
    schemas = agent.platform_settings.get("data_collection", {}) if agent else {}
    results = {
        name: {
            "data_collection_id": name,
            "value": conversation.collected.get(name),
            "json_schema": {
                "type": schema.get("type"),
                "description": schema.get("description", ""),
                **({"enum": schema["enum"]} if schema.get("enum") else {}),
            },
            "rationale": "The person said so."
            if conversation.collected.get(name) is not None
            else "Not said.",
        }
        for name, schema in schemas.items()
    }
    found = sum(item["value"] is not None for item in results.values())
    return {
        "call_successful": "success" if found == len(results) else "failure" if not found else "unknown",
        "transcript_summary": conversation.summary,
        "call_summary_title": f"{found} of {len(results)} answers",
        "evaluation_criteria_results": {},
        "data_collection_results": results,
        "evaluation_criteria_results_list": [],
        "data_collection_results_list": list(results.values()),
    }


def _client_data(conversation: Conversation) -> Json:
    given: dict[str, Any] = dict(conversation.initiation)
    given.pop("type", None)
    return {
        "conversation_config_override": given.get("conversation_config_override") or {},
        "custom_llm_extra_body": given.get("custom_llm_extra_body") or {},
        "user_id": given.get("user_id"),
        "dynamic_variables": conversation.variables,
    }


def _line(line: Line) -> Json:
    return {
        "role": line.role,
        "message": line.message,
        "time_in_call_secs": int(line.at_s),
        "interrupted": line.interrupted,
        "tool_calls": line.tool_calls,
        "tool_results": line.tool_results,
        "feedback": None,
        "source_event_id": line.event_id,
    }
