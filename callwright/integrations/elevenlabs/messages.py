"""The platform's messages as far as a call needs them, and their decoders (agent.asyncapi, 2026-08).

Audio is most of the traffic: `decode_head` reads a message's type and, in the same pass, audio and its
base64. Every other message is decoded a second time by the schema of its type; undeclared members are skipped.
"""

from typing import Any, Final

import msgspec


class _Audio(msgspec.Struct, gc=False):
    audio_base_64: bytes
    event_id: int


class _Head(msgspec.Struct, gc=False):
    type: str
    audio_event: _Audio | None = None


class _Metadata(msgspec.Struct):
    conversation_id: str
    agent_output_audio_format: str
    user_input_audio_format: str


class _MetadataMessage(msgspec.Struct):
    conversation_initiation_metadata_event: _Metadata


class _Numbered(msgspec.Struct):
    event_id: int


class _PingMessage(msgspec.Struct):
    ping_event: _Numbered


class _InterruptionMessage(msgspec.Struct):
    interruption_event: _Numbered


class _Response(msgspec.Struct):
    agent_response: str
    event_id: int


class _ResponseMessage(msgspec.Struct):
    agent_response_event: _Response


class _Correction(msgspec.Struct):
    corrected_agent_response: str
    event_id: int


class _CorrectionMessage(msgspec.Struct):
    agent_response_correction_event: _Correction


class _Transcript(msgspec.Struct):
    user_transcript: str
    event_id: int = 0


class _TranscriptMessage(msgspec.Struct):
    user_transcription_event: _Transcript


class _TentativeMessage(msgspec.Struct):
    tentative_user_transcription_event: _Transcript


class _Level(msgspec.Struct):
    vad_score: float


class _LevelMessage(msgspec.Struct):
    vad_score_event: _Level


class _ToolCall(msgspec.Struct):
    tool_name: str
    tool_call_id: str
    parameters: dict[str, Any] | None = None


class _ToolCallMessage(msgspec.Struct):
    client_tool_call: _ToolCall


class _ToolResponse(msgspec.Struct):
    tool_name: str
    is_error: bool = False


class _ToolResponseMessage(msgspec.Struct):
    agent_tool_response: _ToolResponse | None = None
    agent_tool_response_full_payload: _ToolResponse | None = None


class _Error(msgspec.Struct):
    code: int | str | None = None
    message: str | None = None
    error_type: str | None = None
    reason: str | None = None


class _ErrorMessage(_Error):
    """Both shapes seen: with `error_event`, and flat."""

    error_event: _Error | None = None


decode_head: Final = msgspec.json.Decoder(_Head).decode
decode_metadata: Final = msgspec.json.Decoder(_MetadataMessage).decode
decode_ping: Final = msgspec.json.Decoder(_PingMessage).decode
decode_interruption: Final = msgspec.json.Decoder(_InterruptionMessage).decode
decode_response: Final = msgspec.json.Decoder(_ResponseMessage).decode
decode_correction: Final = msgspec.json.Decoder(_CorrectionMessage).decode
decode_transcript: Final = msgspec.json.Decoder(_TranscriptMessage).decode
decode_tentative: Final = msgspec.json.Decoder(_TentativeMessage).decode
decode_level: Final = msgspec.json.Decoder(_LevelMessage).decode
decode_tool_call: Final = msgspec.json.Decoder(_ToolCallMessage).decode
decode_tool_response: Final = msgspec.json.Decoder(_ToolResponseMessage).decode
decode_error: Final = msgspec.json.Decoder(_ErrorMessage).decode
