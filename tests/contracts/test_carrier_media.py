"""Carriers: whose media sockets are let in, and that what is said on one side is understood on the other."""

import time
from collections.abc import Callable

import pytest

from callwright.domain.errors import WebhookRejected
from callwright.domain.events import CarrierEventKind, Leg
from callwright.ports.carrier import (
    CallHandle,
    CarrierCallState,
    HangUpCause,
    MediaDigit,
    MediaProtocol,
    MediaStarted,
)
from tests.contracts.carrier_stage import (
    ANSWER,
    GREETING,
    QUESTION,
    SILENT,
    TALKER,
    TOKEN,
    CarrierStage,
    OurEnd,
)
from tests.contracts.signatures import departures

PATIENCE_S = 6.0
GARBAGE = (b"", b"{", b"not json", b"[]", b"null", b"17", b'"text"', b"\xff\xfe\x00", b"{}", b'{"event":7}')


async def joined(carrier: CarrierStage, phone: str = TALKER) -> tuple[CallHandle, OurEnd]:
    """An answered call with a media socket on which the other side's audio arrives."""
    await carrier.set_up()
    call, socket = await carrier.attach(await carrier.dial_and_answer(phone))
    await carrier.until(lambda: socket.audio_at is not None, "audio from the carrier")
    return call, socket


async def ask(carrier: CarrierStage, socket: OurEnd, answered: Callable[[], bool]) -> None:
    """Ask the person, again if need be: on a busy machine a frame may come too late to be played."""
    await carrier.until(lambda: GREETING in socket.understood, "greeting of the person")
    for _ in range(3):
        socket.say(QUESTION)
        if await answered_in_time(carrier, answered):
            return
    pytest.fail(f"{carrier.spec.name}: the person heard {carrier.person(TALKER).report().texts}")


async def answered_in_time(carrier: CarrierStage, answered: Callable[[], bool]) -> bool:
    """Whether the answer came within the person's usual time."""
    asked = time.monotonic()
    await carrier.until(lambda: answered() or time.monotonic() - asked > PATIENCE_S, "answer")
    return answered()


async def test_the_socket_proves_to_which_call_it_belongs(carrier: CarrierStage) -> None:
    call, socket = await joined(carrier)
    started = socket.started
    assert started is not None
    assert started.token == TOKEN
    assert started.attempt_id in {call.attempt_id, None}
    assert str(started.format) in carrier.spec.audio_formats
    assert socket.protocol.buffers_audio == carrier.carrier.capabilities.buffers_audio
    assert departures(type(socket.protocol), MediaProtocol) == []
    carrier.assert_no_violations()


async def test_both_sides_understand_each_other(carrier: CarrierStage) -> None:
    _, socket = await joined(carrier)
    await ask(carrier, socket, lambda: ANSWER in socket.understood)
    heard = [item for item in carrier.person(TALKER).report().utterances if item.text == QUESTION]
    assert any(item.complete for item in heard), "our audio did not arrive as it left"
    assert socket.faults == 0, "the person's audio did not arrive as it left"
    carrier.assert_no_violations()


async def test_keys_are_told(carrier: CarrierStage) -> None:
    if not carrier.carrier.capabilities.dtmf:
        pytest.skip(f"{carrier.spec.name} tells no keys")
    _, socket = await joined(carrier)

    def pressed() -> bool:
        told = (event for event in carrier.events if event.kind is CarrierEventKind.DTMF)
        return MediaDigit("5") in socket.events or any("5" in str(event.data) for event in told)

    await ask(carrier, socket, pressed)


@pytest.mark.parametrize("path", ["", "no-such-path", "../x", "%00", "a" * 5000])
async def test_a_socket_at_another_path_is_refused(carrier: CarrierStage, path: str) -> None:
    await carrier.set_up()
    with pytest.raises(WebhookRejected):
        carrier.carrier.media_protocol(path)


async def test_a_path_is_known_to_each_process_that_was_set_up(carrier: CarrierStage) -> None:
    await joined(carrier)
    (path,) = carrier.doorway.media_paths
    assert carrier.carrier.media_protocol(path) is not carrier.carrier.media_protocol(path)
    with pytest.raises(WebhookRejected):
        carrier.carrier.media_protocol(path + "x")


async def test_audio_before_the_introduction_is_refused(carrier: CarrierStage) -> None:
    _, socket = await joined(carrier)
    assert socket.audio_at is not None
    fresh = carrier.carrier.media_protocol(carrier.doorway.media_paths[0])
    with pytest.raises(WebhookRejected):
        pytest.fail(f"taken: {fresh.receive(*socket.messages[socket.audio_at])!r}")


async def test_garbage_is_refused_or_ignored_and_never_breaks_anything(carrier: CarrierStage) -> None:
    _, socket = await joined(carrier)
    path = carrier.doorway.media_paths[0]
    for payload in GARBAGE:
        for is_text in (True, False):
            fresh = carrier.carrier.media_protocol(path)
            assert _received(fresh, payload, is_text=is_text) in {"refused", "ignored"}
            assert _received(socket.protocol, payload, is_text=True) in {"refused", "ignored"}
    with pytest.raises(WebhookRejected):
        carrier.carrier.media_protocol(path).receive(True, b"not json")
    with pytest.raises(WebhookRejected):
        carrier.carrier.media_protocol(path).receive(True, b'{"a":"' + b"x" * 1_000_000 + b'"}')


def _received(protocol: MediaProtocol, payload: bytes, *, is_text: bool) -> str:
    try:
        event = protocol.receive(is_text, payload)
    except WebhookRejected:
        return "refused"
    return "ignored" if event is None else f"taken as {event!r}"


async def test_a_second_introduction_does_not_change_the_call(carrier: CarrierStage) -> None:
    _, socket = await joined(carrier)
    introduction = next(message for message in socket.messages if message[0])
    try:
        again = socket.protocol.receive(*introduction)
    except WebhookRejected:
        return
    assert not isinstance(again, MediaStarted)


async def test_messages_to_the_carrier_are_of_the_kind_that_it_reads(carrier: CarrierStage) -> None:
    _, socket = await joined(carrier, SILENT)
    wire = socket.started.format if socket.started else None
    assert wire is not None
    for frames in (1, 2):
        message = socket.protocol.audio_message(wire.silence(frames * wire.frame_bytes))
        assert isinstance(message, bytes)
        assert len(message) >= frames * wire.frame_bytes
    mark = socket.protocol.mark_message("m1")
    assert mark is None or socket.protocol.buffers_audio, "only a carrier that buffers has marks to tell"


async def test_the_person_stays_when_the_media_leg_is_taken_off(carrier: CarrierStage) -> None:
    call, socket = await joined(carrier, SILENT)
    await carrier.carrier.detach_media(call)
    await carrier.until(lambda: socket.closed, "end of the media socket")
    await carrier.carrier.detach_media(call)
    assert carrier.person(SILENT).on_line
    status = await carrier.carrier.status(call)
    assert status is not None
    assert status.state is CarrierCallState.ANSWERED
    again, other = await carrier.attach(call)
    await carrier.until(lambda: other.audio_at is not None, "audio on the second socket")
    await carrier.carrier.hang_up(again, HangUpCause.NORMAL)
    await carrier.until(lambda: other.closed, "end of the second socket")
    carrier.assert_no_violations()


async def test_the_end_of_the_media_leg_is_told_apart_from_that_of_the_call(carrier: CarrierStage) -> None:
    call, socket = await joined(carrier, SILENT)
    socket.hang_up()
    await carrier.event(CarrierEventKind.MEDIA_ENDED, Leg.MEDIA)
    ended = [event for event in carrier.events if event.kind is CarrierEventKind.ENDED]
    assert [event for event in ended if event.leg is Leg.PERSON] == []
    assert carrier.person(SILENT).on_line
    await carrier.carrier.hang_up(call, HangUpCause.NORMAL)
