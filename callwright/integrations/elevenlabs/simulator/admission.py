"""Who may converse: signed URLs, limits and credits at the door; variables and overrides when they arrive."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from callwright.integrations.elevenlabs.simulator import shapes
from callwright.integrations.elevenlabs.simulator.agents import at, merged, placeholders
from callwright.integrations.elevenlabs.simulator.state import Agent, Conversation, Json, Store

UNKNOWN_AGENT: Final = "The AI agent you are trying to reach does not exist."
NOT_AUTHORIZED: Final = "Could not authorize the conversation with the provided signature."
NO_CREDITS: Final = "[quota_exceeded] You've run out of credits."

_SYSTEM_VARIABLES: Final = frozenset(
    {
        "system__agent_id",
        "system__current_agent_id",
        "system__caller_id",
        "system__called_number",
        "system__call_duration_secs",
        "system__time_utc",
        "system__conversation_id",
        "system__call_sid",
    }
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """How the platform says no: close code and reason, and an error event before it if `error_type` is set."""

    code: int
    reason: str
    error_type: str = ""


@dataclass(frozen=True, slots=True)
class Admission:
    """What the door found: agent and conversation where they are known, and the refusal if there is one."""

    agent: Agent | None
    conversation: Conversation | None
    refusal: Refusal | None


def admit(store: Store, query: dict[str, str]) -> Admission:
    """Check a connection's query: the signature belongs to the agent, is fresh and unused, and may be paid for."""
    agent = store.agents.get(query.get("agent_id", ""))
    if agent is None:
        return Admission(None, None, Refusal(3000, UNKNOWN_AGENT))
    conversation_id = store.identifier("conv")
    signature = query.get("conversation_signature")
    ticket = store.tickets.get(signature or "")
    authorized = signature is None and at(agent.platform_settings, "auth", "enable_auth") is not True
    if ticket is not None:
        fresh = store.world.clock.now() < ticket.expires_at
        right = ticket.agent_id == agent.agent_id and ticket.conversation_id == query.get("conversation_id")
        authorized = fresh and right and not (ticket.used and ticket.conversation_id)
        conversation_id = ticket.conversation_id or conversation_id
        ticket.used = True
    if not authorized:
        return Admission(agent, None, Refusal(3000, NOT_AUTHORIZED))
    conversation = Conversation(conversation_id, agent.agent_id, store.world.clock.now())
    store.conversations[conversation_id] = conversation
    return Admission(agent, conversation, _limits(store, agent))


def effective_config(agent: Agent, initiation: shapes.Initiation) -> Json:
    """The agent's configuration with what this conversation overrides."""
    override = initiation.conversation_config_override
    changes = _without_nulls(msgspec.to_builtins(override)) if override is not None else {}
    return merged(agent.conversation_config, changes)


def variables(agent: Agent, initiation: shapes.Initiation, conversation_id: str) -> dict[str, Any]:
    """What stands for `{{names}}`: the agent's placeholders, what the client gave, and the platform's own."""
    own = at(agent.conversation_config, "agent", "dynamic_variables", "dynamic_variable_placeholders") or {}
    given = initiation.dynamic_variables or {}
    return {**own, **given, "system__conversation_id": conversation_id, "system__agent_id": agent.agent_id}


def initiation_refusal(
    agent: Agent, initiation: shapes.Initiation, config: Json, texts: tuple[str, ...]
) -> Refusal | None:
    """Check overrides against the agent's flags, and variables against the `{{names}}` in everything it says."""
    flags = at(agent.platform_settings, "overrides", "conversation_config_override")
    for path in shapes.flags_needed(initiation.conversation_config_override):
        if at(flags, *path) is not True:
            reason = f"Override for field '{path[-1]}' is not allowed by config."
            return Refusal(1008, reason, "override_error")
    known = _SYSTEM_VARIABLES | variables(agent, initiation, "").keys()
    first, prompt = at(config, "agent", "first_message"), at(config, "agent", "prompt", "prompt")
    missing = [name for name in placeholders(first or "", prompt or "", *texts) if name not in known]
    if missing:
        reason = f"Missing required dynamic variables: {', '.join(missing)}"
        return Refusal(1008, reason, "missing_dynamic_variable")
    return None


def reserved_variables(initiation: shapes.Initiation) -> list[str]:
    """Variables that only the platform may set."""
    return sorted(name for name in initiation.dynamic_variables or {} if name.startswith("system__"))


def _limits(store: Store, agent: Agent) -> Refusal | None:
    daily = at(agent.platform_settings, "call_limits", "daily_limit")
    if isinstance(daily, int) and agent.calls >= daily:
        return Refusal(4300, f"Agent has exceeded its daily call limit of {daily}.")
    agent.calls += 1
    if store.account.extension == 0 and store.account.credits_left <= 0:
        return Refusal(3000, NO_CREDITS)
    return None


def _without_nulls(value: Any) -> Any:
    """An override without the members that say nothing."""
    if not isinstance(value, dict):
        return value
    return {name: _without_nulls(item) for name, item in value.items() if item is not None}
