"""The wire protocol of a WEBSOCKET endpoint, without I/O: Infobip connects to us and speaks first.

A text frame `websocket:connected` opens it; then binary frames of PCM16 carry 20 ms each in both directions.
No vendor page describes it: it is what public bridges for this carrier do, and README.md says what is unsure.
"""

from typing import Any

import msgspec

from callwright.domain.audio import AudioFormat, Encoding
from callwright.domain.errors import WebhookRejected
from callwright.ports.carrier import MediaDigit, MediaEvent, MediaStarted, MediaStopped

RATES = frozenset({8000, 16000, 24000, 32000})
_RATES_AS_TEXT = frozenset(str(rate) for rate in RATES)
LARGEST_TEXT = 16 * 1024
LONGEST_FRAME_MS = 100
_CLEAR = b'{"action":"clear"}'
_DIGITS = frozenset("0123456789*#ABCD")
_CALL_ID_KEYS = ("callId", "call-id", "call_id")
_CUSTOM_DATA_KEYS = ("customData", "custom-data")


class InfobipMedia:
    """One media socket. Received audio and sent audio are bare payloads: nothing is copied or wrapped."""

    buffers_audio = False
    text_frames = False

    def __init__(self) -> None:
        self._frame = -1
        self._longest = 0

    def receive(self, is_text: bool, payload: bytes) -> bytes | MediaEvent | None:
        """Understand one message: an audio payload, an event, or None for what does not matter.

        Raises WebhookRejected for audio before the start, for torn or oversize frames, and for bad JSON.
        """
        if not is_text:
            if len(payload) == self._frame:
                return payload
            return self._odd_size(payload)
        return self._control(payload)

    def audio_message(self, payload: bytes) -> bytes:
        """The binary message that carries a frame: the frame itself."""
        return payload

    def clear_message(self) -> bytes | None:
        """Asks Infobip to drop what it has not played; bridges send it, whether it is heeded is not confirmed."""
        return _CLEAR

    def mark_message(self, name: str) -> bytes | None:
        """None: the protocol knows no marks."""
        return None

    def _odd_size(self, payload: bytes) -> bytes | None:
        if self._frame < 0:
            raise WebhookRejected("not_started", "audio came before websocket:connected")
        if len(payload) % 2:
            raise WebhookRejected("torn_frame", f"{len(payload)} bytes are no whole samples")
        if len(payload) > self._longest:
            raise WebhookRejected("oversize_frame", f"{len(payload)} bytes, at most {self._longest}")
        return payload or None

    def _control(self, payload: bytes) -> MediaEvent | None:
        message = _decode(payload)
        event = message.get("event")
        if self._frame < 0:
            if event != "websocket:connected":
                raise WebhookRejected("not_started", "the first message is not websocket:connected")
            return self._start(message)
        if event == "websocket:dtmf":
            digit = str(message.get("digit", "")).upper()
            return MediaDigit(digit) if digit in _DIGITS else None
        if event == "websocket:connected":
            raise WebhookRejected("malformed", "websocket:connected came twice")
        return MediaStopped("websocket:disconnected") if event == "websocket:disconnected" else None

    def _start(self, message: dict[str, Any]) -> MediaStarted:
        audio = _format(message.get("content-type"))
        token = _text(message, "ws_token")
        attempt_id = _text(message, "attempt_id")
        call_id = next((value for key in _CALL_ID_KEYS if (value := _text(message, key))), None)
        self._frame = audio.frame_bytes
        self._longest = audio.bytes_for_ms(LONGEST_FRAME_MS)
        return MediaStarted(audio, token or "", attempt_id, call_id)


def _decode(payload: bytes) -> dict[str, Any]:
    if len(payload) > LARGEST_TEXT:
        raise WebhookRejected("oversize_frame", f"a text frame of {len(payload)} bytes")
    try:
        message = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WebhookRejected("malformed", "a text frame is not JSON") from error
    if not isinstance(message, dict):
        raise WebhookRejected("malformed", "a text frame is not an object")
    return message


def _format(content_type: object) -> AudioFormat:
    """Read `audio/l16;rate=16000`."""
    kind, _, rest = str(content_type or "").replace(" ", "").lower().partition(";")
    parameters = dict(part.partition("=")[::2] for part in rest.split(";"))
    rate = parameters.get("rate", "")
    if kind != "audio/l16" or rate not in _RATES_AS_TEXT:
        raise WebhookRejected("unsupported_format", f"content-type {str(content_type)[:60]!r}")
    return AudioFormat(Encoding.PCM16, int(rate))


def _text(message: dict[str, Any], key: str) -> str | None:
    """A text of the custom data, which arrives flattened; nested ones are read too."""
    for place in (message, *(message.get(name) for name in _CUSTOM_DATA_KEYS)):
        value = place.get(key) if isinstance(place, dict) else None
        if isinstance(value, str):
            return value
    return None
