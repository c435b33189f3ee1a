"""Two small wire protocols for the tests: a carrier that sends binary PCM16 frames, an agent that speaks JSON."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from callwright.domain.audio import PCM_8K, PCM_16K, AudioFormat
from callwright.domain.errors import WebhookRejected
from callwright.domain.events import Speaker
from callwright.ports.carrier import MediaDigit, MediaEvent, MediaMark, MediaStarted, MediaStopped
from callwright.ports.voice_agent import (
    AgentAudio,
    AgentClosed,
    AgentEvent,
    AgentFailed,
    AgentFault,
    AgentHangsUp,
    AgentInterrupted,
    AgentReady,
    Reply,
    Said,
    ToolCalled,
)


class BinaryCarrierProtocol:
    """Binary PCM16 frames; text frames introduce the stream, tell keys, and return marks if there are any."""

    text_frames = False

    def __init__(self, *, buffers_audio: bool = False, marks: bool = False) -> None:
        self.buffers_audio = buffers_audio
        self._marks = marks
        self._started = False

    def receive(self, is_text: bool, payload: bytes) -> bytes | MediaEvent | None:
        if not is_text:
            if not self._started:
                raise WebhookRejected("audio_before_start")
            return payload
        try:
            message = json.loads(payload)
            event = message["event"]
        except (ValueError, KeyError, TypeError):
            raise WebhookRejected("malformed") from None
        if event == "connected":
            self._started = True
            return MediaStarted(AudioFormat.parse(message["format"]), message["token"])
        if event == "dtmf":
            return MediaDigit(message["digit"])
        if event == "mark":
            return MediaMark(message["name"])
        return MediaStopped() if event == "stop" else None

    def audio_message(self, payload: bytes) -> bytes:
        return payload

    def clear_message(self) -> bytes | None:
        return b'{"action":"clear"}'

    def mark_message(self, name: str) -> bytes | None:
        return json.dumps({"action": "mark", "name": name}).encode() if self._marks else None


class TestCarrier:
    """As much of a carrier as the media plane asks for; `name` is the path's first part."""

    __test__ = False

    def __init__(self, **options: bool) -> None:
        self._options = options

    def media_protocol(self, path: str) -> BinaryCarrierProtocol:
        if path != "secret":
            raise WebhookRejected("wrong_path")
        return BinaryCarrierProtocol(**self._options)


class _AudioEvent(msgspec.Struct):
    audio_base_64: bytes = b""


class _Message(msgspec.Struct):
    type: str = ""
    audio_event: _AudioEvent | None = None
    data: dict[str, Any] | None = None


_DECODE = msgspec.json.Decoder(_Message).decode


@dataclass
class JsonAgentProtocol:
    """JSON text messages with base64 audio, shaped like those of a hosted agent platform."""

    url: str
    text_frames: bool = True
    headers: dict[str, str] = field(default_factory=dict)

    def connection(self) -> tuple[str, Mapping[str, str]]:
        return self.url, self.headers

    def opening(self) -> Sequence[bytes]:
        return [b'{"type":"initiation"}']

    def receive(self, is_text: bool, payload: bytes) -> AgentEvent | Sequence[AgentEvent] | None:
        try:
            message = _DECODE(payload)
        except msgspec.DecodeError:
            raise WebhookRejected("malformed") from None
        if message.audio_event is not None:
            return AgentAudio(message.audio_event.audio_base_64)
        data = message.data or {}
        return self._event(message.type, data)

    def _event(self, kind: str, data: dict[str, Any]) -> AgentEvent | Sequence[AgentEvent] | None:
        match kind:
            case "metadata":
                return AgentReady(
                    "c1",
                    AudioFormat.parse(data["input"]),
                    AudioFormat.parse(data.get("output", data["input"])),
                )
            case "interruption":
                return AgentInterrupted()
            case "ping":
                return Reply(b'{"type":"pong"}')
            case "said":
                return Said(Speaker.AGENT, data["text"], "k")
            case "tool":
                return ToolCalled("t1", "look_up", data)
            case "end_call":
                return [Said(Speaker.AGENT, "bye", "b"), AgentHangsUp()]
            case "error":
                return AgentFailed(AgentFault.QUOTA, "no credit")
        return None

    def closed(self, code: int | None, reason: str) -> AgentFailed | AgentClosed:
        return AgentClosed(reason) if code == 1000 else AgentFailed(AgentFault.LOST, f"{code} {reason}")

    def audio_message(self, payload: bytes) -> bytes:
        return b'{"user_audio_chunk":"' + base64.b64encode(payload) + b'"}'

    def tool_result(self, tool_call_id: str, result: str, is_error: bool) -> bytes:
        return json.dumps({"type": "tool_result", "id": tool_call_id, "result": result}).encode()

    def context_update(self, text: str, key: str) -> bytes | None:
        return json.dumps({"type": "context", "text": text, "key": key}).encode()


def agent_audio(payload: bytes) -> bytes:
    """What the far end of the agent's socket sends for a piece of speech."""
    return (
        b'{"type":"audio","audio_event":{"audio_base_64":"' + base64.b64encode(payload) + b'","event_id":1}}'
    )


def agent_event(kind: str, **data: Any) -> bytes:
    """Any other message of the agent's far end."""
    return json.dumps({"type": kind, "data": data}).encode()


def person_audio(message: bytes) -> bytes:
    """The audio in a message that the agent's far end got."""
    return base64.b64decode(json.loads(message)["user_audio_chunk"])


FORMATS = {"pcm_8000": PCM_8K, "pcm_16000": PCM_16K}
