"""Media, prompts, hand-over, recording and machine detection of answered calls."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from callwright.domain.errors import VendorBusy, VendorRefused, WebhookRejected
from callwright.domain.events import CarrierEventKind, Leg
from callwright.domain.outcome import EndReason
from callwright.integrations.infobip.conftest import (
    ADA,
    HUMAN,
    LATE,
    MACHINE,
    SILENT,
    OurSocket,
    Stage,
)
from callwright.integrations.infobip.test_carrier import answered, bodies
from callwright.ports.carrier import CallHandle, HangUpCause
from callwright.simulation import speech
from callwright.simulation.faults import Fault, FaultKind
from callwright.simulation.recogniser import Recogniser

Eventually = Callable[..., Awaitable[None]]
DIALOGS = "POST /calls/1/dialogs"


async def talking(stage: Stage, eventually: Eventually, phone: str = SILENT) -> tuple[CallHandle, OurSocket]:
    """An answered call whose media socket is open."""
    call = await answered(stage, eventually, phone)
    data = await stage.carrier.attach_media(call, stage.media_order())
    await eventually(lambda: stage.sockets and stage.sockets[-1].started)
    await eventually(stage.has(CarrierEventKind.MEDIA_STARTED, Leg.MEDIA))
    return stage.answered(call, **data), stage.sockets[-1]


async def test_a_whole_call(ready: Stage, eventually: Eventually) -> None:
    call, socket = await talking(ready, eventually, ADA)
    assert ready.kinds() == [CarrierEventKind.ACCEPTED, CarrierEventKind.RINGING, CarrierEventKind.ANSWERED]
    assert socket.started is not None
    assert socket.started.attempt_id == "attempt-1"
    socket.say(await speech.say_async("Please press seven.", 16000))
    await eventually(lambda: socket.digits == "7#", within_s=10)
    person = ready.simulator.exchange.people[call.carrier_call_id]
    assert person.report().texts == ["Please press seven."]
    recogniser = Recogniser(16000)
    recogniser.feed(b"".join(socket.heard))
    recogniser.finish()
    assert recogniser.report().texts == ["Hello?"]
    await ready.carrier.hang_up(call, HangUpCause.NORMAL)
    await eventually(ready.has(CarrierEventKind.ENDED))
    await eventually(ready.has(CarrierEventKind.MEDIA_ENDED, Leg.MEDIA))
    await asyncio.wait_for(socket.closed.wait(), 2)
    assert ready.simulator.traffic.violations == []


async def test_every_frame_passes_bit_for_bit_in_both_directions(
    ready: Stage, eventually: Eventually
) -> None:
    ready.simulator.rules.keep_audio = True
    call, socket = await talking(ready, eventually, ADA)
    socket.say(bytes(range(256)) * 100)
    await eventually(lambda: socket.said > 60)
    await ready.carrier.hang_up(call, HangUpCause.NORMAL)
    await asyncio.wait_for(socket.closed.wait(), 2)
    counts = ready.simulator.media[call.data["media_call_id"]].counts
    assert counts.sent_audio[: len(socket.heard)] == socket.heard
    assert bytes(range(256)) * 100 in b"".join(counts.received_audio)
    assert counts.wrong_sizes == 0


async def test_attaching_sends_what_the_vendor_wants(ready: Stage, eventually: Eventually) -> None:
    call, _ = await talking(ready, eventually)
    ((config_id, config),) = ready.simulator.account.media_configs.items()
    (body,) = bodies(ready, "POST /calls/1/dialogs")
    assert body == {
        "parentCallId": call.carrier_call_id,
        "childCallRequest": {
            "endpoint": {
                "type": "WEBSOCKET",
                "websocketEndpointConfigId": config_id,
                "identifier": "attempt-1",
            },
            "from": call.caller_id[1:],
            "connectTimeout": 10,
            "customData": {"attempt_id": "attempt-1", "leg": "media", "ws_token": ready.media_order().token},
        },
        "maxDuration": 60,
        "propagationOptions": {"childCallHangup": False},
    }
    assert config["url"].startswith(ready.media_url + "/media/infobip/")
    assert set(call.data) == {"dialog_id", "media_call_id"}


async def test_our_close_ends_our_leg_and_keeps_the_person(ready: Stage, eventually: Eventually) -> None:
    call, socket = await talking(ready, eventually)
    assert socket.transport is not None
    socket.transport.send_close()
    socket.transport.disconnect()
    await eventually(ready.has(CarrierEventKind.MEDIA_ENDED, Leg.MEDIA))
    ended = ready.event(CarrierEventKind.MEDIA_ENDED, Leg.MEDIA)
    assert ended.carrier_call_id == call.data["media_call_id"]
    assert ready.simulator.calls[call.carrier_call_id].live
    again = await ready.carrier.attach_media(call, ready.media_order(rejoin=True))
    await eventually(lambda: len(ready.sockets) == 2 and ready.sockets[1].started)
    assert again["media_call_id"] != call.data["media_call_id"]


async def test_rejoining_takes_the_old_leg_out_even_if_its_id_was_lost(
    ready: Stage, eventually: Eventually
) -> None:
    call, socket = await talking(ready, eventually)
    forgotten = CallHandle(call.attempt_id, call.carrier_call_id, call.phone, call.caller_id, True, {})
    await ready.carrier.attach_media(forgotten, ready.media_order(rejoin=True))
    await asyncio.wait_for(socket.closed.wait(), 2)
    await eventually(lambda: len(ready.sockets) == 2 and ready.sockets[1].started)
    assert ready.simulator.calls[call.carrier_call_id].live
    assert CarrierEventKind.ENDED not in ready.kinds()


async def test_detaching_keeps_the_person(ready: Stage, eventually: Eventually) -> None:
    call, socket = await talking(ready, eventually)
    await ready.carrier.detach_media(call)
    await asyncio.wait_for(socket.closed.wait(), 2)
    await ready.carrier.detach_media(call)
    assert ready.simulator.calls[call.carrier_call_id].live


async def test_a_second_dialog_beside_the_first_is_refused(ready: Stage, eventually: Eventually) -> None:
    call, _ = await talking(ready, eventually)
    with pytest.raises(VendorRefused, match="already in a dialog"):
        await ready.carrier.attach_media(call, ready.media_order())


async def test_attaching_needs_a_set_up_slot(ready: Stage, eventually: Eventually) -> None:
    call = await answered(ready, eventually, SILENT)
    order = ready.media_order()
    with pytest.raises(VendorRefused, match="callwright setup infobip"):
        await ready.carrier.attach_media(call, type(order)(order.token, "other", 60))


async def test_only_a_429_of_a_dialog_is_tried_again(ready: Stage, eventually: Eventually) -> None:
    call = await answered(ready, eventually, SILENT)
    ready.simulator.faults.add(
        Fault(DIALOGS, FaultKind.STATUS, status=429, times=2, headers={"Retry-After": "0"})
    )
    await ready.carrier.attach_media(call, ready.media_order())
    await eventually(lambda: ready.sockets and ready.sockets[0].started)
    ready.simulator.faults.add(
        Fault(DIALOGS, FaultKind.STATUS, status=429, times=9, headers={"Retry-After": "60"})
    )
    with pytest.raises(VendorBusy):
        await ready.carrier.attach_media(call, ready.media_order(rejoin=True))


async def test_paths_of_media_sockets(ready: Stage) -> None:
    ((_, config),) = ready.simulator.account.media_configs.items()
    path = config["url"].rpartition("/")[2]
    assert len(path) >= 32
    ready.carrier.media_protocol(path)
    for wrong in ("", path[:-1], path + "x", path.upper(), "ünknown"):
        with pytest.raises(WebhookRejected, match="unknown_path"):
            ready.carrier.media_protocol(wrong)


@pytest.mark.parametrize(
    "detail,reason",
    [
        ("wrong_token", "bad_token"),
        ("no_token", "bad_token"),
        ("malformed_first", "malformed"),
        ("binary_first", "not_started"),
        ("odd_frame", "torn_frame"),
        ("oversize_frame", "oversize_frame"),
        ("bad_json", "malformed"),
    ],
)
async def test_sockets_that_break_the_rules_are_refused(
    ready: Stage, eventually: Eventually, detail: str, reason: str
) -> None:
    ready.simulator.faults.add(Fault("socket", FaultKind.CUSTOM, detail=detail, seconds=0.05))
    call = await answered(ready, eventually, SILENT)
    await ready.carrier.attach_media(call, ready.media_order())
    await eventually(lambda: ready.sockets and ready.sockets[0].rejected == reason)
    await eventually(ready.has(CarrierEventKind.MEDIA_ENDED, Leg.MEDIA))
    assert ready.simulator.calls[call.carrier_call_id].live


@pytest.mark.parametrize(
    "detail,detail_told",
    [
        ("refused", "URL_UNREACHABLE"),
        ("never_connects", "URL_UNREACHABLE"),
        ("unreachable_path", "URL_NOT_FOUND"),
    ],
)
async def test_sockets_that_never_come(
    ready: Stage, eventually: Eventually, detail: str, detail_told: str
) -> None:
    ready.simulator.faults.add(Fault("socket", FaultKind.CUSTOM, detail=detail))
    ready.carrier._settings = ready.carrier._settings.model_copy(update={"media_connect_s": 1})
    call = await answered(ready, eventually, SILENT)
    await ready.carrier.attach_media(call, ready.media_order())
    await eventually(ready.has(CarrierEventKind.MEDIA_ENDED, Leg.MEDIA))
    assert detail_told in ready.event(CarrierEventKind.MEDIA_ENDED, Leg.MEDIA).detail
    assert ready.simulator.calls[call.carrier_call_id].live


@pytest.mark.parametrize("detail", ["dies", "closes"])
async def test_sockets_that_end_in_mid_call(ready: Stage, eventually: Eventually, detail: str) -> None:
    ready.simulator.faults.add(Fault("socket", FaultKind.CUSTOM, detail=detail, seconds=0.1))
    call, socket = await talking(ready, eventually)
    await asyncio.wait_for(socket.closed.wait(), 2)
    await eventually(ready.has(CarrierEventKind.MEDIA_ENDED, Leg.MEDIA))
    assert ready.simulator.calls[call.carrier_call_id].live


async def test_a_carrier_that_connects_twice(ready: Stage, eventually: Eventually) -> None:
    ready.simulator.faults.add(Fault("socket", FaultKind.CUSTOM, detail="connects_twice"))
    await talking(ready, eventually)
    await eventually(lambda: len(ready.sockets) == 2 and all(socket.started for socket in ready.sockets))
    assert ready.sockets[0].started == ready.sockets[1].started


async def test_speaking_to_the_person(ready: Stage, eventually: Eventually) -> None:
    call = await answered(ready, eventually, SILENT)
    await ready.carrier.say(call, "We are <sorry> & hang up.", "en-US")
    await eventually(ready.has(CarrierEventKind.PROMPT_FINISHED), within_s=10)
    person = ready.simulator.exchange.people[call.carrier_call_id]
    assert ready.event(CarrierEventKind.PROMPT_FINISHED).data["completed"] is True
    await ready.carrier.hang_up(call, HangUpCause.NORMAL)
    assert person.report().texts == ["We are sorry and hang up."]
    (body,) = bodies(ready, f"POST /calls/1/calls/{call.carrier_call_id}/say")
    assert body == {"text": "We are sorry and hang up.", "language": "en"}


async def test_a_human_takes_over(ready: Stage, eventually: Eventually) -> None:
    call, socket = await talking(ready, eventually)
    data = await ready.carrier.transfer(call, HUMAN, "One moment.")
    await asyncio.wait_for(socket.closed.wait(), 2)
    assert data["media_call_id"] == ""
    await eventually(ready.has(CarrierEventKind.ANSWERED, Leg.HUMAN))
    human = ready.event(CarrierEventKind.ANSWERED, Leg.HUMAN)
    assert human.carrier_call_id == data["human_call_id"]
    person = ready.simulator.exchange.people[call.carrier_call_id]
    await eventually(lambda: "Support here." in person.report().texts, within_s=10)
    await ready.carrier.hang_up(ready.answered(call, **data), HangUpCause.NORMAL)
    await eventually(ready.has(CarrierEventKind.ENDED, Leg.HUMAN))
    assert ready.simulator.traffic.violations == []


async def test_no_human_answers_and_the_person_comes_back(ready: Stage, eventually: Eventually) -> None:
    call, _ = await talking(ready, eventually)
    ready.carrier._settings = ready.carrier._settings.model_copy(update={"transfer_ring_s": 5})
    await ready.carrier.transfer(call, LATE, None)
    await eventually(ready.has(CarrierEventKind.TRANSFER_FAILED, Leg.HUMAN))
    failed = ready.event(CarrierEventKind.TRANSFER_FAILED, Leg.HUMAN)
    assert (failed.attempt_id, failed.end_reason) == ("attempt-1", EndReason.NO_ANSWER)
    assert ready.simulator.calls[call.carrier_call_id].live
    await ready.carrier.attach_media(call, ready.media_order(rejoin=True))
    await eventually(lambda: len(ready.sockets) == 2 and ready.sockets[1].started)


async def test_detaching_media_leaves_a_human_on_the_line(ready: Stage, eventually: Eventually) -> None:
    call = await answered(ready, eventually, SILENT)
    data = await ready.carrier.transfer(call, HUMAN, None)
    await eventually(ready.has(CarrierEventKind.ANSWERED, Leg.HUMAN))
    await ready.carrier.detach_media(ready.answered(call, **data))
    assert ready.simulator.calls[data["human_call_id"]].live


async def test_a_machine_is_detected(ready: Stage, eventually: Eventually) -> None:
    changed = {"detection_s": 1.0, "message_detection_s": 20}
    ready.carrier._settings = ready.carrier._settings.model_copy(update=changed)
    call = await answered(ready, eventually, MACHINE, detect_machine=True)
    await eventually(ready.has(CarrierEventKind.MACHINE_DETECTED))
    await eventually(ready.has(CarrierEventKind.MACHINE_MESSAGE_ENDED), within_s=10)
    assert ready.event(CarrierEventKind.MACHINE_MESSAGE_ENDED).detail == "BEEP"
    assert ready.event(CarrierEventKind.MACHINE_DETECTED).carrier_call_id == call.carrier_call_id
    await ready.carrier.hang_up(call, HangUpCause.MACHINE)
    await eventually(ready.has(CarrierEventKind.ENDED))
    assert ready.event(CarrierEventKind.ENDED).end_reason is EndReason.MACHINE


async def test_a_human_is_detected(ready: Stage, eventually: Eventually) -> None:
    ready.carrier._settings = ready.carrier._settings.model_copy(update={"detection_s": 1.0})
    await answered(ready, eventually, SILENT, detect_machine=True)
    await eventually(ready.has(CarrierEventKind.HUMAN_DETECTED))
