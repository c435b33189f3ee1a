"""The media socket's protocol, without a socket."""

import pytest

from callwright.domain.audio import PCM_8K, PCM_16K, PCM_24K, AudioFormat, Encoding
from callwright.domain.errors import WebhookRejected
from callwright.integrations.infobip.media import InfobipMedia
from callwright.ports.carrier import MediaDigit, MediaStarted, MediaStopped

HELLO = (
    b'{"event":"websocket:connected","content-type":"audio/l16;rate=16000",'
    b'"ws_token":"secret-1","attempt_id":"attempt-1","leg":"media"}'
)


def started() -> InfobipMedia:
    protocol = InfobipMedia()
    protocol.receive(True, HELLO)
    return protocol


def refusal(protocol: InfobipMedia, payload: bytes, *, text: bool) -> str:
    with pytest.raises(WebhookRejected) as caught:
        protocol.receive(text, payload)
    return caught.value.reason


def test_the_first_message_tells_format_token_and_attempt() -> None:
    assert InfobipMedia().receive(True, HELLO) == MediaStarted(PCM_16K, "secret-1", "attempt-1", None)


@pytest.mark.parametrize(
    "content_type,audio",
    [
        ("audio/l16;rate=8000", PCM_8K),
        ("audio/l16; rate=24000", PCM_24K),
        ("Audio/L16;Rate=16000;channels=1", PCM_16K),
        ("audio/l16;rate=32000", AudioFormat(Encoding.PCM16, 32000)),
    ],
)
def test_formats(content_type: str, audio: AudioFormat) -> None:
    message = b'{"event":"websocket:connected","content-type":"%s"}' % content_type.encode()
    event = InfobipMedia().receive(True, message)
    assert event == MediaStarted(audio, "", None, None)


@pytest.mark.parametrize(
    "content_type",
    [
        "audio/l16",
        "audio/l16;rate=44100",
        "audio/pcmu;rate=8000",
        "",
        "audio/l16;rate=-1",
        "audio/l16;rate=²",
        "audio/l16;rate=" + "8" * 5000,
    ],
)
def test_formats_we_do_not_speak(content_type: str) -> None:
    message = b'{"event":"websocket:connected","content-type":"%s"}' % content_type.encode()
    assert refusal(InfobipMedia(), message, text=True) == "unsupported_format"


def test_custom_data_may_be_nested_and_ids_come_along() -> None:
    message = (
        b'{"event":"websocket:connected","content-type":"audio/l16;rate=8000","call-id":"c-1",'
        b'"customData":{"ws_token":"secret-1","attempt_id":"attempt-1"}}'
    )
    assert InfobipMedia().receive(True, message) == MediaStarted(PCM_8K, "secret-1", "attempt-1", "c-1")


def test_a_token_that_is_no_text_is_none() -> None:
    message = HELLO.replace(b'"secret-1"', b"7")
    event = InfobipMedia().receive(True, message)
    assert isinstance(event, MediaStarted)
    assert event.token == ""


def test_audio_passes_untouched_both_ways() -> None:
    protocol = started()
    frame = bytes(range(256)) * 2 + bytes(128)
    assert protocol.receive(False, frame) is frame
    assert protocol.audio_message(frame) is frame
    assert (protocol.buffers_audio, protocol.text_frames) == (False, False)


def test_other_whole_frames_pass_up_to_100_ms() -> None:
    protocol = started()
    assert protocol.receive(False, bytes(3200)) == bytes(3200)
    assert protocol.receive(False, bytes(2)) == bytes(2)
    assert protocol.receive(False, b"") is None
    assert refusal(protocol, bytes(3202), text=False) == "oversize_frame"
    assert refusal(protocol, bytes(639), text=False) == "torn_frame"


def test_nothing_comes_before_the_start() -> None:
    assert refusal(InfobipMedia(), bytes(640), text=False) == "not_started"
    assert refusal(InfobipMedia(), b"", text=False) == "not_started"
    assert refusal(InfobipMedia(), b'{"event":"websocket:dtmf","digit":"1"}', text=True) == "not_started"


def test_the_start_comes_once() -> None:
    assert refusal(started(), HELLO, text=True) == "malformed"


def test_digits() -> None:
    protocol = started()
    for digit in "0123456789*#":
        message = b'{"event":"websocket:dtmf","digit":"%s","duration":250}' % digit.encode()
        assert protocol.receive(True, message) == MediaDigit(digit)
    assert protocol.receive(True, b'{"event":"websocket:dtmf","digit":"12"}') is None
    assert protocol.receive(True, b'{"event":"websocket:dtmf","digit":5}') == MediaDigit("5")
    assert protocol.receive(True, b'{"event":"websocket:dtmf"}') is None


def test_what_is_not_known_does_not_matter() -> None:
    assert started().receive(True, b'{"event":"websocket:new"}') is None
    assert started().receive(True, b"{}") is None
    assert started().receive(True, b'{"event":"websocket:disconnected"}') == MediaStopped(
        "websocket:disconnected"
    )


@pytest.mark.parametrize("payload", [b"", b"{", b"7", b"[]", b"\xff", b"[" * 9000, b'{"event":1e999}'])
def test_malformed_text_is_refused(payload: bytes) -> None:
    assert refusal(InfobipMedia(), payload, text=True) == "malformed"
    assert refusal(started(), payload, text=True) == "malformed"


def test_a_huge_text_is_refused() -> None:
    assert refusal(InfobipMedia(), b" " * 20_000, text=True) == "oversize_frame"


def test_clear_and_no_marks() -> None:
    assert started().clear_message() == b'{"action":"clear"}'
    assert started().mark_message("end") is None
