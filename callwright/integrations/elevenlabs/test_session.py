"""The conversation's protocol without I/O."""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.domain.audio import PCM_16K, ULAW_8K
from callwright.domain.errors import WebhookRejected
from callwright.domain.events import Speaker
from callwright.integrations.elevenlabs.conftest import E164, definition
from callwright.integrations.elevenlabs.session import ElevenLabsSession
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

MESSAGES: dict[str, Any] = json.loads(
    (Path(__file__).parent / "fixtures" / "server_messages.json").read_text(encoding="utf-8")
)
URL = "wss://api.elevenlabs.io/v1/convai/conversation?agent_id=a&conversation_signature=cvtkn_secret"

Start = Callable[..., ConversationStart]


def session(variables: dict[str, Any] | None = None, **engine: Any) -> ElevenLabsSession:
    start = ConversationStart("att_1", definition(**engine), variables or {"first_name": "Ann"}, E164)
    return ElevenLabsSession(AgentTicket(None, datetime.now(UTC), {"signed_url": URL}), start)


def receive(protocol: ElevenLabsSession, name: str) -> AgentEvent | None:
    return protocol.receive(True, json.dumps(MESSAGES[name]).encode())


def open_session() -> ElevenLabsSession:
    protocol = session()
    receive(protocol, "metadata")
    return protocol


def first_message(protocol: ElevenLabsSession) -> dict[str, Any]:
    (message,) = protocol.opening()
    decoded: dict[str, Any] = json.loads(message)
    return decoded


def test_the_connection_is_the_signed_url() -> None:
    assert session().connection() == (URL, {})
    assert session().text_frames


def test_the_opening_carries_variables_and_no_overrides() -> None:
    assert first_message(session()) == {
        "type": "conversation_initiation_client_data",
        "dynamic_variables": {"first_name": "Ann", "visits": 0},
        "user_id": "att_1",
    }


def test_the_opening_carries_exactly_the_overrides_that_are_set() -> None:
    message = first_message(session(first_message="Hi {{first_name}}", voice_id="v1"))
    assert message["conversation_config_override"] == {
        "agent": {"first_message": "Hi {{first_name}}"},
        "tts": {"voice_id": "v1"},
    }
    message = first_message(session(prompt="Be brief.", language="de"))
    assert message["conversation_config_override"] == {
        "agent": {"language": "de", "prompt": {"prompt": "Be brief."}}
    }


def test_variables_become_texts_numbers_and_booleans() -> None:
    given_values = {"first_name": None, "visits": 3, "vip": True, "tags": ["a", "b"], "ratio": 0.5}
    assert first_message(session(given_values))["dynamic_variables"] == {
        "first_name": "",
        "visits": 3,
        "vip": True,
        "tags": '["a","b"]',
        "ratio": 0.5,
    }


@pytest.mark.parametrize(
    "name, expected",
    [
        ("audio", AgentAudio(b"\x01\x02\x03\x04")),
        ("agent_response", Said(Speaker.AGENT, "Hello Ada, this is Sam.", "a3")),
        ("agent_response_empty", None),
        ("agent_response_correction", Said(Speaker.AGENT, "Hello Ada,", "a3", interrupted=True)),
        ("interruption", AgentInterrupted()),
        ("user_transcript", Said(Speaker.PERSON, "I want a demo", "p6")),
        ("tentative_user_transcript", Hearing("I want")),
        ("vad_score", SpeechLevel(0.93)),
        ("ping", Reply(b'{"type":"pong","event_id":7}')),
        ("client_tool_call", ToolCalled("tc_1", "book", {"day": "mon"})),
        ("agent_tool_response_other", None),
        ("agent_tool_response_failed", None),
        ("agent_tool_response", AgentHangsUp("the agent ended the call")),
        ("agent_tool_response_full_payload", AgentHangsUp("the agent ended the call")),
        (
            "error",
            AgentFailed(
                AgentFault.BAD_INPUT,
                "1008 missing_dynamic_variable: Missing required dynamic variables: first_name",
            ),
        ),
        (
            "error_flat",
            AgentFailed(
                AgentFault.QUOTA,
                "1002: received 1002 (protocol error) This request exceeds your quota limit.",
            ),
        ),
        ("error_end", None),
        ("agent_chat_response_part", None),
        ("mcp_connection_status", None),
        ("context_usage", None),
        ("guardrail_triggered", None),
        ("internal_turn_probability", None),
        ("next_year", None),
    ],
)
def test_every_message_is_understood(name: str, expected: AgentEvent | None) -> None:
    assert receive(open_session(), name) == expected


def test_the_metadata_tell_what_each_side_speaks() -> None:
    expected = AgentReady("conv_7401k5m9x2p8ec3rqv6dtnhb0fzw", input=ULAW_8K, output=PCM_16K)
    assert receive(session(), "metadata") == expected


@pytest.mark.parametrize("name", ["pcm_22050", "pcm_44100", "opus_48000"])
def test_a_format_that_cannot_be_carried_is_a_fault_of_the_set_up(name: str) -> None:
    protocol = session()
    message = json.dumps(MESSAGES["metadata"]).replace("pcm_16000", name)
    event = protocol.receive(True, message.encode())
    assert isinstance(event, AgentFailed)
    assert event.fault is AgentFault.BAD_INPUT
    assert name in event.detail
    assert protocol.closed(1000, "") is event


def audio(event_id: int) -> bytes:
    payload = base64.b64encode(bytes([event_id])).decode()
    return json.dumps(
        {"type": "audio", "audio_event": {"audio_base_64": payload, "event_id": event_id}}
    ).encode()


def test_audio_up_to_the_interruption_is_dropped_however_late_it_comes() -> None:
    protocol = open_session()
    assert protocol.receive(True, audio(4)) == AgentAudio(b"\x04")
    receive(protocol, "interruption")
    assert protocol.receive(True, audio(4)) is None
    assert protocol.receive(True, audio(5)) is None
    assert protocol.receive(True, audio(6)) == AgentAudio(b"\x06")
    receive(protocol, "interruption")
    assert protocol.receive(True, audio(6)) == AgentAudio(b"\x06")


def test_audio_before_the_metadata_is_refused() -> None:
    with pytest.raises(WebhookRejected) as error:
        receive(session(), "audio")
    assert error.value.reason == "out_of_order"


def test_the_end_of_the_call_is_told_once() -> None:
    protocol = open_session()
    assert receive(protocol, "agent_tool_response") is not None
    assert receive(protocol, "agent_tool_response_full_payload") is None
    assert protocol.closed(1000, "") == AgentClosed("the agent ended the call")
    assert protocol.closed(None, "") == AgentClosed("the agent ended the call")


def test_an_error_message_says_more_than_the_close_after_it() -> None:
    protocol = open_session()
    failure = receive(protocol, "error_flat")
    assert protocol.closed(1002, "") is failure


def test_an_announced_ordinary_end_is_an_ordinary_end() -> None:
    protocol = open_session()
    receive(protocol, "agent_response")
    assert receive(protocol, "error_end") is None
    assert protocol.closed(1000, "") == AgentClosed("max_duration_exceeded")


def test_before_anybody_spoke_a_close_is_a_refusal_and_afterwards_it_is_not() -> None:
    protocol = open_session()
    assert protocol.closed(1000, "bye") == AgentFailed(AgentFault.REFUSED, "before anybody spoke: 1000: bye")
    receive(protocol, "agent_response")
    assert protocol.closed(1000, "bye") == AgentClosed("bye")
    listening = open_session()
    receive(listening, "user_transcript")
    assert listening.closed(1000, "bye") == AgentClosed("bye"), "an agent may wait for the person to begin"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"no":"type"}',
        b'{"type":5}',
        b'{"type":"audio","audio_event":{"audio_base_64":"%%%","event_id":1}}',
        b'{"type":"audio","audio_event":{"event_id":1}}',
        b'{"type":"ping","ping_event":{}}',
        b'{"type":"ping"}',
        b'{"type":"client_tool_call","client_tool_call":{"tool_name":"x"}}',
        b'{"type":"conversation_initiation_metadata","conversation_initiation_metadata_event":{}}',
    ],
)
def test_malformed_messages_are_refused(payload: bytes) -> None:
    with pytest.raises(WebhookRejected) as error:
        open_session().receive(True, payload)
    assert error.value.reason == "malformed"


def test_binary_messages_are_refused() -> None:
    with pytest.raises(WebhookRejected, match="malformed"):
        open_session().receive(False, audio(1))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(kind=st.sampled_from([message["type"] for message in MESSAGES.values()]), member=JSON, data=st.data())
def test_whatever_comes_is_understood_or_refused(kind: str, member: Any, data: st.DataObject) -> None:
    keys = [key for message in MESSAGES.values() if message["type"] == kind for key in message]
    message = {data.draw(st.sampled_from(keys)): member, "type": kind}
    with suppress(WebhookRejected):
        open_session().receive(True, json.dumps(message).encode())


@given(st.binary(max_size=1000))
def test_audio_goes_out_as_it_is(payload: bytes) -> None:
    message = json.loads(session().audio_message(payload))
    assert list(message) == ["user_audio_chunk"]
    assert base64.b64decode(message["user_audio_chunk"], validate=True) == payload


def test_tool_results_and_context_updates() -> None:
    assert json.loads(session().tool_result("tc_1", "done", False)) == {
        "type": "client_tool_result",
        "tool_call_id": "tc_1",
        "result": "done",
        "is_error": False,
    }
    assert json.loads(session().context_update("city: Rome", "city")) == {
        "type": "contextual_update",
        "text": "city: Rome",
        "context_id": "city",
    }
