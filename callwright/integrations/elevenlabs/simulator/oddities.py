"""Messages that a client has to survive: of types it does not know, with members it does not know, or broken."""

from typing import Any, Final

UNKNOWN: Final[tuple[dict[str, Any], ...]] = (
    {"type": "internal_turn_probability", "turn_probability_internal_event": {"turn_probability": 0.4}},
    {
        "type": "internal_tentative_agent_response",
        "tentative_agent_response_internal_event": {"tentative_agent_response": "Hel"},
    },
    {"type": "asr_initiation_metadata", "asr_initiation_metadata_event": {"model": "x"}},
    {
        "type": "context_usage",
        "context_usage_event": {
            "event_id": 1,
            "model": "x",
            "context_tokens": 900,
            "context_limit_tokens": 32000,
        },
    },
    {
        "type": "mcp_connection_status",
        "mcp_connection_status": {"integrations": []},
    },
    {"type": "agent_typing", "agent_typing_event": {"is_typing": True, "duration_ms": None}},
    {"type": "guardrail_triggered"},
    {"type": "agent_response_metadata", "agent_response_metadata_event": {"event_id": 1}},
    {"type": "a_type_of_next_year", "a_type_of_next_year_event": {"audio_event": [1, None, {"x": 2}]}},
)

MALFORMED: Final[tuple[bytes, ...]] = (
    b"{",
    b"[]",
    b'{"type":5}',
    b'{"type":"audio","audio_event":{"audio_base_64":"%%%","event_id":1}}',
    b'{"type":"ping","ping_event":{}}',
)
