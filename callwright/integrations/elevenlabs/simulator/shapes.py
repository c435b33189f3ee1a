"""Client messages as the platform accepts them, strictly (agent.asyncapi of elevenlabs/packages, 2026-08)."""

from typing import Any, Final, Literal

import msgspec

Json = dict[str, Any]


class UserAudio(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The person's audio; the one message without a type."""

    user_audio_chunk: bytes


class _Strict(msgspec.Struct, forbid_unknown_fields=True, tag_field="type"):
    pass


class Pong(_Strict, tag="pong"):
    """The answer to a ping."""

    event_id: int


class UserMessage(_Strict, tag="user_message"):
    """A typed turn of the user."""

    text: str | None = None
    rich_content_id: str | None = None


class UserActivity(_Strict, tag="user_activity"):
    """Resets the turn timeout."""


class Feedback(_Strict, tag="feedback"):
    """A thumb up or down."""

    event_id: int
    score: Literal["like", "dislike"] | None


class ClientToolResult(_Strict, tag="client_tool_result"):
    """What a client tool gave; `result` is always a text."""

    tool_call_id: str
    result: str
    is_error: bool


class McpToolApproval(_Strict, tag="mcp_tool_approval_result"):
    """The user's word on an MCP tool."""

    tool_call_id: str
    is_approved: bool


class ContextualUpdate(_Strict, tag="contextual_update"):
    """News for the agent, without a turn; the latest of one `context_id` counts."""

    text: str
    context_id: str | None = None


class MultimodalMessage(_Strict, tag="multimodal_message"):
    """Text and a file."""

    text: Json | None = None
    file: Json | None = None


class _Nested(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Prompt(_Nested):
    prompt: str | None = None
    llm: str | None = None


class _AgentOverride(_Nested):
    first_message: str | None = None
    language: str | None = None
    prompt: _Prompt | None = None
    native_mcp_server_ids: list[str] | None = None


class _TtsOverride(_Nested):
    voice_id: str | None = None
    stability: float | None = None
    speed: float | None = None
    similarity_boost: float | None = None


class _AsrOverride(_Nested):
    keywords: list[str] | None = None


class _ConversationOverride(_Nested):
    text_only: bool | None = None
    client_events: list[str] | None = None


class ConfigOverride(_Nested):
    """`conversation_config_override`: what a client may ask to be different in this conversation."""

    agent: _AgentOverride | None = None
    tts: _TtsOverride | None = None
    asr: _AsrOverride | None = None
    conversation: _ConversationOverride | None = None


class _SourceInfo(_Nested):
    source: str | None = None
    version: str | None = None


class Initiation(_Strict, tag="conversation_initiation_client_data"):
    """The first message of a client. Variables are text, numbers or booleans."""

    conversation_config_override: ConfigOverride | None = None
    custom_llm_extra_body: Json | None = None
    dynamic_variables: dict[str, str | int | float | bool] | None = None
    user_id: str | None = None
    source_info: _SourceInfo | None = None
    tool_mock_config: Json | None = None


ClientMessage = (
    Pong
    | UserMessage
    | UserActivity
    | Feedback
    | ClientToolResult
    | McpToolApproval
    | ContextualUpdate
    | MultimodalMessage
    | Initiation
)

decode_audio: Final = msgspec.json.Decoder(UserAudio).decode
decode_message: Final[msgspec.json.Decoder[ClientMessage]] = msgspec.json.Decoder(ClientMessage)
encode: Final = msgspec.json.Encoder().encode


def flags_needed(override: ConfigOverride | None) -> list[tuple[str, ...]]:
    """Paths of the settings that an override touches, such as (agent, prompt, prompt).

    `conversation.client_events` needs no flag: the REST interface knows none for it.
    """
    if override is None:
        return []
    found = _leaves(msgspec.to_builtins(override), ())
    return [path for path in found if path != ("conversation", "client_events")]


def _leaves(value: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    if isinstance(value, dict):
        return [leaf for name, item in value.items() for leaf in _leaves(item, (*path, name))]
    return [] if value is None else [path]
