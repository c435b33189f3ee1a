"""One conversation's websocket protocol, without I/O (agent.asyncapi of elevenlabs/packages, 2026-08)."""

import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from callwright.domain.audio import AudioFormat
from callwright.domain.errors import WebhookRejected
from callwright.domain.events import Speaker
from callwright.integrations.elevenlabs import errors, messages
from callwright.integrations.elevenlabs.vocabulary import AUDIO_FORMATS
from callwright.ports.voice_agent import (
    AgentAudio,
    AgentClosed,
    AgentEvent,
    AgentFailed,
    AgentFault,
    AgentHangsUp,
    AgentInterrupted,
    AgentReady,
    AgentTicket,
    ConversationStart,
    Hearing,
    Reply,
    Said,
    SpeechLevel,
    ToolCalled,
)

_AUDIO_HEAD: Final = b'{"user_audio_chunk":"'
_AUDIO_TAIL: Final = b'"}'
_END_CALL: Final = "end_call"
_ENDED: Final = "the agent ended the call"


_encode: Final = msgspec.json.Encoder().encode
_Understand = Callable[["ElevenLabsSession", bytes], AgentEvent | None]


class ElevenLabsSession:
    """The conversation that a ticket admits. Malformed messages raise WebhookRejected; unknown ones are nothing."""

    text_frames = True

    def __init__(self, ticket: AgentTicket, start: ConversationStart) -> None:
        self._url: str = ticket.data["signed_url"]
        self._start = start
        self._interrupted_at = -1
        self._ready = False
        self._began = False
        self._ending = False
        self._outcome: AgentFailed | AgentClosed | None = None

    def connection(self) -> tuple[str, Mapping[str, str]]:
        """The signed URL (a secret, for one use), and no headers."""
        return self._url, {}

    def opening(self) -> Sequence[bytes]:
        """The initiation message: the variables, and the overrides that the agent's definition sets."""
        message: dict[str, Any] = {
            "type": "conversation_initiation_client_data",
            "dynamic_variables": dynamic_variables(self._start),
            "user_id": self._start.attempt_id,
        }
        override = config_override(self._start)
        if override:
            message["conversation_config_override"] = override
        return (_encode(message),)

    def receive(self, is_text: bool, payload: bytes) -> AgentEvent | None:
        """Understand one message; raises WebhookRejected (`malformed`, `out_of_order`)."""
        if not is_text:
            raise WebhookRejected("malformed", "the platform sends text only")
        try:
            head = messages.decode_head(payload)
            audio = head.audio_event
            if audio is None:
                understand = _UNDERSTAND.get(head.type)
                return None if understand is None else understand(self, payload)
        except msgspec.MsgspecError as error:
            raise WebhookRejected("malformed", str(error)) from error
        if head.type != "audio":
            return None
        if not self._ready:
            raise WebhookRejected("out_of_order", "audio before the conversation's metadata")
        if audio.event_id <= self._interrupted_at:
            return None  # speech that the person has interrupted (rule of the vendor's Python library)
        self._began = True
        return AgentAudio(audio.audio_base_64)

    def closed(self, code: int | None, reason: str) -> AgentFailed | AgentClosed:
        """Understand the end of the socket; an error reported before it says more than the close code."""
        if isinstance(self._outcome, AgentFailed):
            return self._outcome
        if self._ending:
            return AgentClosed(_ENDED)
        verdict = errors.close(code, reason, began=self._began)
        if isinstance(verdict, AgentClosed) and self._outcome is not None:
            return self._outcome
        return verdict

    def audio_message(self, payload: bytes) -> bytes:
        """One message with a piece of the person's audio, of any length."""
        return _AUDIO_HEAD + binascii.b2a_base64(payload, newline=False) + _AUDIO_TAIL

    def tool_result(self, tool_call_id: str, result: str, is_error: bool) -> bytes:
        """Answer a client tool call; the platform waits 20 s for it."""
        return _encode(
            {
                "type": "client_tool_result",
                "tool_call_id": tool_call_id,
                "result": result,
                "is_error": is_error,
            }
        )

    def context_update(self, text: str, key: str) -> bytes:
        """Tell the agent something without a turn; of several with one key the last one counts."""
        return _encode({"type": "contextual_update", "text": text, "context_id": key})

    def on_metadata(self, payload: bytes) -> AgentEvent | None:
        """The conversation is open; formats that we cannot carry are a fault of the agent's set-up."""
        event = messages.decode_metadata(payload).conversation_initiation_metadata_event
        heard, spoken = event.user_input_audio_format, event.agent_output_audio_format
        strange = [name for name in (heard, spoken) if name not in AUDIO_FORMATS]
        if strange:
            detail = f"the agent uses {strange[0]}, which cannot be carried; run `callwright setup elevenlabs --apply`"
            return self._fail(AgentFailed(AgentFault.BAD_INPUT, detail))
        self._ready = True
        return AgentReady(event.conversation_id, AudioFormat.parse(heard), AudioFormat.parse(spoken))

    def on_ping(self, payload: bytes) -> AgentEvent | None:
        """The platform measures the way there and back; it wants a pong at once."""
        number = messages.decode_ping(payload).ping_event.event_id
        return Reply(b'{"type":"pong","event_id":%d}' % number)

    def on_interruption(self, payload: bytes) -> AgentEvent | None:
        """The person spoke over the agent: older audio that is still to come is void."""
        number = messages.decode_interruption(payload).interruption_event.event_id
        self._interrupted_at = max(self._interrupted_at, number)
        return AgentInterrupted()

    def on_response(self, payload: bytes) -> AgentEvent | None:
        """What the agent says, sent with its first audio."""
        event = messages.decode_response(payload).agent_response_event
        text = event.agent_response.strip()
        if not text:
            return None
        self._began = True
        return Said(Speaker.AGENT, text, f"a{event.event_id}")

    def on_correction(self, payload: bytes) -> AgentEvent | None:
        """What the agent had really said when it was interrupted."""
        event = messages.decode_correction(payload).agent_response_correction_event
        text = event.corrected_agent_response.strip()
        return Said(Speaker.AGENT, text, f"a{event.event_id}", interrupted=True)

    def on_transcript(self, payload: bytes) -> AgentEvent | None:
        """What the person said."""
        event = messages.decode_transcript(payload).user_transcription_event
        text = event.user_transcript.strip()
        if not text:
            return None
        self._began = True
        return Said(Speaker.PERSON, text, f"p{event.event_id}")

    def on_tentative(self, payload: bytes) -> AgentEvent | None:
        """What the person seems to be saying."""
        return Hearing(messages.decode_tentative(payload).tentative_user_transcription_event.user_transcript)

    def on_level(self, payload: bytes) -> AgentEvent | None:
        """The voice activity score of the person."""
        return SpeechLevel(messages.decode_level(payload).vad_score_event.vad_score)

    def on_tool_call(self, payload: bytes) -> AgentEvent | None:
        """The agent wants a tool of ours."""
        call = messages.decode_tool_call(payload).client_tool_call
        return ToolCalled(call.tool_call_id, call.tool_name, call.parameters or {})

    def on_tool_response(self, payload: bytes) -> AgentEvent | None:
        """A tool of the platform has run; `end_call` means that the agent hangs up, told once."""
        message = messages.decode_tool_response(payload)
        response = message.agent_tool_response or message.agent_tool_response_full_payload
        if response is None or response.tool_name != _END_CALL or response.is_error or self._ending:
            return None
        self._ending = True
        return AgentHangsUp(_ENDED)

    def on_error(self, payload: bytes) -> AgentEvent | None:
        """The platform says why it is about to close; an ordinary end is left to the close itself."""
        message = messages.decode_error(payload)
        event = message.error_event or message
        code = event.code if isinstance(event.code, int) else None
        verdict = errors.error_event(code, event.error_type, event.message or event.reason or "")
        if isinstance(verdict, AgentFailed):
            return self._fail(verdict)
        self._outcome = verdict
        return None

    def _fail(self, failure: AgentFailed) -> AgentFailed:
        self._outcome = failure
        return failure


def dynamic_variables(start: ConversationStart) -> dict[str, str | int | float | bool]:
    """Every variable of the call, and of the agent's definition, as text, number or boolean.

    What is unknown is sent as an empty text: the platform refuses a conversation that lacks a variable, and
    its own placeholders are made for trying an agent out.
    """
    values: dict[str, Any] = {variable.name: variable.default for variable in start.agent.variables}
    values.update((name, value) for name, value in start.variables.items() if value is not None)
    return {name: _scalar(value) for name, value in values.items()}


def config_override(start: ConversationStart) -> dict[str, Any]:
    """The overrides that the agent's definition sets, empty if it sets none."""
    engine = start.agent.engine
    agent: dict[str, Any] = {}
    if engine.first_message is not None:
        agent["first_message"] = engine.first_message
    if engine.language is not None:
        agent["language"] = engine.language
    if engine.prompt is not None:
        agent["prompt"] = {"prompt": engine.prompt}
    override: dict[str, Any] = {"agent": agent} if agent else {}
    if engine.voice_id is not None:
        override["tts"] = {"voice_id": engine.voice_id}
    return override


def _scalar(value: Any) -> str | int | float | bool:
    if value is None:
        return ""
    if isinstance(value, (str, int, float, bool)):
        return value
    return _encode(value).decode()


_UNDERSTAND: Final[Mapping[str, _Understand]] = {
    "conversation_initiation_metadata": ElevenLabsSession.on_metadata,
    "ping": ElevenLabsSession.on_ping,
    "interruption": ElevenLabsSession.on_interruption,
    "agent_response": ElevenLabsSession.on_response,
    "agent_response_correction": ElevenLabsSession.on_correction,
    "user_transcript": ElevenLabsSession.on_transcript,
    "tentative_user_transcript": ElevenLabsSession.on_tentative,
    "vad_score": ElevenLabsSession.on_level,
    "client_tool_call": ElevenLabsSession.on_tool_call,
    "agent_tool_response": ElevenLabsSession.on_tool_response,
    "agent_tool_response_full_payload": ElevenLabsSession.on_tool_response,
    "error": ElevenLabsSession.on_error,
}
