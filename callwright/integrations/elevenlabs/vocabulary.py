"""Words of the platform's wire that several modules need (agent.asyncapi of elevenlabs/packages, 2026-08)."""

from typing import Final

NAME: Final = "elevenlabs"

AUDIO_FORMATS: Final = ("pcm_8000", "pcm_16000", "pcm_24000", "pcm_48000", "ulaw_8000")
"""The platform's formats that we carry; it also knows pcm_22050 and pcm_44100, which nobody needs."""

CLIENT_EVENTS: Final = (
    "audio",
    "interruption",
    "agent_response",
    "agent_response_correction",
    "user_transcript",
    "tentative_user_transcript",
    "conversation_initiation_metadata",
    "ping",
    "client_tool_call",
    "agent_tool_response",
    "vad_score",
)
"""Events that a call needs; the platform sends only those that the agent's `client_events` lists."""

WEBHOOK_EVENTS: Final = ("transcript", "call_initiation_failure")
"""Post-call webhook events that a call needs (`WebhookEventType` of the REST interface)."""

RESERVED_PREFIXES: Final = ("system__", "secret__")
"""Dynamic variables of these names are the platform's own, or never reach the model."""

SYSTEM_TOOLS: Final = frozenset(
    {
        "end_call",
        "language_detection",
        "transfer_to_agent",
        "transfer_to_number",
        "skip_turn",
        "play_keypad_touch_tone",
        "voicemail_detection",
    }
)
"""Names of the platform's built-in tools."""

LANGUAGES: Final = frozenset(
    (
        "en ja zh de hi fr ko pt pt-br it es id nl tr pl sv bg ro ar cs el fi ms da ta uk ru hu hr sk no vi "
        "tl af hy as az be bn bs ca et gl ka gu ha he is ga jv kn kk ky lv lt lb mk ml mr ne ps fa pa sr sd "
        "sl so sw te th ur cy"
    ).split()
)
"""Language codes that speech recognition and synthesis take (schema `Language`)."""
