"""What goes over the wires of the benchmark: 20 ms of PCM16 at 16 kHz, stamped with a number and the time it left.

Speech frames carry a stamp; silent frames are zeros and carry none. The clock is CLOCK_MONOTONIC, which all
processes of one machine share.
"""

import base64
import random
import struct
import time

import msgspec

FRAME_S = 0.020
FRAME_BYTES = 640
SILENCE = bytes(FRAME_BYTES)
SPEECH_S = 3.0
PAUSE_S = 0.6

_STAMP = struct.Struct("<4sIQ")
_MAGIC = b"\x7fSPK"
_BODY = random.Random(1).randbytes(FRAME_BYTES - _STAMP.size)


def speech(number: int) -> bytes:
    """A frame of speech that leaves now."""
    return _STAMP.pack(_MAGIC, number, time.monotonic_ns()) + _BODY


def read(frame: bytes) -> tuple[int, float] | None:
    """Number and age in ms of a speech frame; None for silence."""
    if frame[:4] != _MAGIC:
        return None
    _, number, left = _STAMP.unpack_from(frame)
    return number, (time.monotonic_ns() - left) / 1e6


def sent_at(frame: bytes) -> float:
    """When a speech frame left, in seconds."""
    return float(_STAMP.unpack_from(frame)[2]) / 1e9


def frame_for(position: int, number: int) -> tuple[bytes, int]:
    """The frame at a position (in frames) of an agent's or person's endless monologue, and the next number."""
    if position * FRAME_S % (SPEECH_S + PAUSE_S) >= SPEECH_S:
        return SILENCE, number
    return speech(number), number + 1


class _Audio(msgspec.Struct, gc=False):
    audio_base_64: bytes
    event_id: int = 0


class _Message(msgspec.Struct, gc=False):
    type: str = ""
    audio_event: _Audio | None = None


class _Chunk(msgspec.Struct, gc=False):
    user_audio_chunk: bytes | None = None


decode_agent = msgspec.json.Decoder(_Message).decode
decode_person = msgspec.json.Decoder(_Chunk).decode


def agent_message(payload: bytes) -> bytes:
    """A hosted agent's audio message."""
    return (
        b'{"audio_event":{"audio_base_64":"' + base64.b64encode(payload) + b'","event_id":1},"type":"audio"}'
    )


def person_message(payload: bytes) -> bytes:
    """The message with the person's audio for a hosted agent."""
    return b'{"user_audio_chunk":"' + base64.b64encode(payload) + b'"}'


METADATA = (
    b'{"type":"conversation_initiation_metadata","conversation_initiation_metadata_event":'
    b'{"conversation_id":"conv_1","agent_output_audio_format":"pcm_16000","user_input_audio_format":"pcm_16000"}}'
)


def connected(token: str) -> bytes:
    """A carrier's first message."""
    return (
        b'{"event":"websocket:connected","content-type":"audio/l16;rate=16000","ws_token":"%s"}'
        % token.encode()
    )
