"""Each method of the port against the simulator, over real HTTP and real sockets."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from callwright.domain.errors import (
    VendorAmbiguous,
    VendorAuthFailed,
    VendorBusy,
    VendorError,
    VendorNotFound,
    VendorRefused,
    VendorUnreachable,
)
from callwright.domain.events import CarrierEventKind, Leg
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.integrations.infobip.carrier import InfobipCarrier
from callwright.integrations.infobip.conftest import (
    ADA,
    BLOCKED,
    BUSY,
    CALLER_ID,
    HASTY,
    INVALID,
    LATE,
    NOBODY,
    REJECTS,
    SILENT,
    UNREACHABLE,
    Stage,
    settings_for,
)
from callwright.ports.carrier import CallHandle, CarrierCallState, DialOrder, HangUpCause
from callwright.simulation.faults import Fault, FaultKind

Eventually = Callable[..., Awaitable[None]]
CREATE = "POST /calls/1/calls"


def bodies(stage: Stage, name: str) -> list[Any]:
    return [exchange.body for exchange in stage.simulator.traffic.named(name)]


async def test_dial_sends_one_request_with_everything(ready: Stage) -> None:
    call = await ready.dial(LATE, detect_machine=True, record=True, ring_s=25, longest_call_s=300)
    assert bodies(ready, "POST /calls/1/calls") == [
        {
            "endpoint": {"type": "PHONE", "phoneNumber": LATE[1:]},
            "from": CALLER_ID[1:],
            "connectTimeout": 25,
            "maxDuration": 300,
            "callsConfigurationId": "callwright",
            "externalId": "attempt-1",
            "customData": {"attempt_id": "attempt-1", "leg": "person"},
            "machineDetection": {"enabled": True, "detectionTime": 3.7},
            "recording": {"recordingType": "AUDIO", "channels": "STEREO"},
        }
    ]
    assert ready.simulator.calls[call.carrier_call_id].e164 == LATE
    assert ready.simulator.traffic.violations == []


async def test_dial_keeps_to_the_limits_of_the_vendor(ready: Stage) -> None:
    await ready.dial(LATE, ring_s=90, longest_call_s=100_000)
    (body,) = bodies(ready, "POST /calls/1/calls")
    assert (body["connectTimeout"], body["maxDuration"]) == (60, 28_800)


@pytest.mark.parametrize(
    "fault,error,placed",
    [
        (Fault(CREATE, FaultKind.STATUS, status=400), VendorRefused, 0),
        (Fault(CREATE, FaultKind.STATUS, status=401), VendorAuthFailed, 0),
        (Fault(CREATE, FaultKind.STATUS, status=403), VendorAuthFailed, 0),
        (Fault(CREATE, FaultKind.STATUS, status=404), VendorNotFound, 0),
        (Fault(CREATE, FaultKind.STATUS, status=408), VendorAmbiguous, 0),
        (Fault(CREATE, FaultKind.STATUS, status=500), VendorAmbiguous, 0),
        (Fault(CREATE, FaultKind.STATUS, status=503), VendorAmbiguous, 0),
        (Fault(CREATE, FaultKind.STATUS, status=201, body={}), VendorAmbiguous, 0),
        (Fault(CREATE, FaultKind.STATUS, status=201, body="not json"), VendorAmbiguous, 0),
        (Fault(CREATE, FaultKind.STATUS, status=302), VendorAmbiguous, 0),
        (Fault(CREATE, FaultKind.DROP_BEFORE), VendorAmbiguous, 0),
        (Fault(CREATE, FaultKind.DROP_AFTER), VendorAmbiguous, 1),
        (Fault(CREATE, FaultKind.HANG), VendorAmbiguous, 0),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else None,
)
async def test_what_a_failed_dial_means(
    ready: Stage, fault: Fault, error: type[VendorError], placed: int
) -> None:
    ready.simulator.faults.add(fault)
    quick = InfobipCarrier(settings_for(ready.simulator, INFOBIP_REQUEST_TIMEOUT_S="0.5"), ready.context)
    order = DialOrder("attempt-1", LATE, CALLER_ID, 30, 60)
    with pytest.raises(VendorError) as caught:
        await quick.dial(order)
    await quick.close()
    assert type(caught.value) is error
    assert ready.simulator.dials_by_phone[LATE] == placed
    assert fault.hits == 1, "the request is never repeated"


async def test_a_busy_vendor_says_when_to_come_back(ready: Stage) -> None:
    ready.simulator.faults.add(Fault(CREATE, FaultKind.STATUS, status=429, headers={"Retry-After": "7"}))
    with pytest.raises(VendorBusy) as caught:
        await ready.dial(LATE)
    assert caught.value.retry_after_s == 7
    assert ready.counters.blocked == [("infobip:dial", 7)]
    ready.simulator.faults.add(Fault(CREATE, FaultKind.STATUS, status=429))
    with pytest.raises(VendorBusy):
        await ready.dial(LATE)
    assert ready.counters.blocked[1] == ("infobip:dial", 1)


async def test_the_seventh_dial_of_a_second_is_refused_by_the_vendor(ready: Stage) -> None:
    results = await asyncio.gather(
        *(ready.dial(LATE, f"attempt-{number}") for number in range(7)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, VendorBusy)]
    assert len(refused) == 1
    assert refused[0].retry_after_s == 1
    assert ready.simulator.dials_by_phone[LATE] == 6


async def test_nobody_listens(ready: Stage) -> None:
    nowhere = settings_for(ready.simulator, INFOBIP_BASE_URL="http://127.0.0.1:9")
    carrier = InfobipCarrier(nowhere, ready.context)
    with pytest.raises(VendorUnreachable):
        await carrier.dial(DialOrder("attempt-1", LATE, CALLER_ID, 30, 60))
    await carrier.close()


async def test_errors_tell_the_vendors_words_without_secrets(ready: Stage) -> None:
    key = ready.simulator.environment()["INFOBIP_API_KEY"]
    body = {"requestError": {"serviceException": {"messageId": "BAD_REQUEST", "text": f"key {key} is bad"}}}
    ready.simulator.faults.add(Fault(CREATE, FaultKind.STATUS, status=400, body=body))
    with pytest.raises(VendorRefused) as caught:
        await ready.dial(LATE)
    assert (caught.value.code, caught.value.vendor, caught.value.status) == ("BAD_REQUEST", "infobip", 400)
    assert "is bad" in str(caught.value)
    assert key not in str(caught.value) + caught.value.body
    ready.carrier._settings = ready.carrier._settings.model_copy(update={"calls_configuration_id": "wrong"})
    with pytest.raises(VendorNotFound, match="Calls configuration was not found"):
        await ready.dial(LATE)


@pytest.mark.parametrize(
    "phone,reason,by",
    [
        (BUSY, EndReason.BUSY, HangUpBy.PERSON),
        (NOBODY, EndReason.NO_ANSWER, HangUpBy.CARRIER),
        (REJECTS, EndReason.REJECTED, HangUpBy.PERSON),
        (INVALID, EndReason.INVALID_NUMBER, HangUpBy.PERSON),
        (UNREACHABLE, EndReason.UNREACHABLE, HangUpBy.PERSON),
        (BLOCKED, EndReason.BLOCKED, HangUpBy.PERSON),
    ],
)
async def test_calls_that_nobody_takes(
    ready: Stage, eventually: Eventually, phone: str, reason: EndReason, by: HangUpBy
) -> None:
    call = await ready.dial(phone, ring_s=10)
    await eventually(ready.has(CarrierEventKind.ENDED))
    ended = ready.event(CarrierEventKind.ENDED)
    assert (ended.end_reason, ended.hang_up_by, ended.attempt_id) == (reason, by, "attempt-1")
    assert CarrierEventKind.ANSWERED not in ready.kinds()
    status = await ready.carrier.status(call)
    assert status is not None
    assert (status.state, status.end_reason, status.phone) == (CarrierCallState.ENDED, reason, phone)


async def test_somebody_hangs_up_at_once(ready: Stage, eventually: Eventually) -> None:
    await ready.dial(HASTY)
    await eventually(ready.has(CarrierEventKind.ENDED))
    ended = ready.event(CarrierEventKind.ENDED)
    assert (ended.end_reason, ended.hang_up_by) == (EndReason.COMPLETED, HangUpBy.PERSON)


async def test_funds_run_out(ready: Stage, eventually: Eventually) -> None:
    ready.simulator.exchange.ends[ADA] = "INSUFFICIENT_FUNDS"
    await ready.dial(ADA)
    await eventually(ready.has(CarrierEventKind.ENDED))
    assert ready.event(CarrierEventKind.ENDED).end_reason is EndReason.INSUFFICIENT_FUNDS


# --- finding calls ----------------------------------------------------------------------------------------------


async def test_a_call_whose_answer_was_lost_is_found(ready: Stage, eventually: Eventually) -> None:
    since = datetime.now(UTC)
    ready.simulator.faults.add(Fault(CREATE, FaultKind.DROP_AFTER))
    with pytest.raises(VendorAmbiguous):
        await ready.dial(SILENT)
    found = await ready.carrier.find("attempt-1", SILENT, since)
    assert found is not None
    (call,) = ready.simulator.calls_to(SILENT)
    assert (found.carrier_call_id, found.attempt_id, found.phone) == (call.id, "attempt-1", SILENT)
    assert await ready.carrier.find("attempt-2", SILENT, since) is None
    assert await ready.carrier.find("attempt-1", ADA, since) is None
    assert await ready.carrier.find("attempt-1", SILENT, since + timedelta(hours=1)) is None
    await eventually(ready.has(CarrierEventKind.ANSWERED))
    found = await ready.carrier.find("attempt-1", SILENT, since)
    assert found is not None
    assert found.state is CarrierCallState.ANSWERED


async def test_a_call_that_is_over_is_found_in_the_history_once_it_is_there(
    ready: Stage, eventually: Eventually
) -> None:
    since = datetime.now(UTC)
    ready.simulator.exchange.history_after_s = 0.3
    await ready.dial(BUSY)
    await eventually(ready.has(CarrierEventKind.ENDED))
    assert await ready.carrier.find("attempt-1", BUSY, since) is None, "the vendor's history lags"
    await eventually(lambda: ready.simulator.calls_to(BUSY)[0].archived)
    found = await ready.carrier.find("attempt-1", BUSY, since)
    assert found is not None
    assert (found.state, found.end_reason) == (CarrierCallState.ENDED, EndReason.BUSY)


async def test_legs_of_dialogs_are_not_found(ready: Stage, eventually: Eventually) -> None:
    since = datetime.now(UTC)
    call = await answered(ready, eventually, SILENT)
    await ready.carrier.transfer(call, ADA, None)
    assert await ready.carrier.find("attempt-1", ADA, since) is None


async def test_calls_are_found_on_later_pages(ready: Stage) -> None:
    ready.simulator.rates.limits.clear()
    since = datetime.now(UTC)
    for number in range(105):
        await ready.dial(LATE, f"attempt-{number}")
    found = await ready.carrier.find("attempt-104", LATE, since)
    assert found is not None
    assert found.attempt_id == "attempt-104"
    pages = [exchange.query["page"] for exchange in ready.simulator.traffic.named("GET /calls/1/calls")]
    assert pages == ["0", "1"]


async def test_reads_are_repeated_and_then_given_up(ready: Stage) -> None:
    path = "GET /calls/1/calls"
    ready.simulator.faults.add(Fault(path, FaultKind.STATUS, status=500, times=2))
    assert await ready.carrier.find("attempt-1", LATE, datetime.now(UTC)) is None
    ready.simulator.faults.add(Fault(path, FaultKind.STATUS, status=500, times=3))
    with pytest.raises(VendorAmbiguous):
        await ready.carrier.find("attempt-1", LATE, datetime.now(UTC))


async def test_status_follows_the_call(ready: Stage, eventually: Eventually) -> None:
    call = await ready.dial(SILENT)
    await eventually(ready.has(CarrierEventKind.RINGING))
    status = await ready.carrier.status(call)
    assert status is not None
    assert status.state in {CarrierCallState.RINGING, CarrierCallState.ANSWERED}
    await eventually(ready.has(CarrierEventKind.ANSWERED))
    status = await ready.carrier.status(call)
    assert status is not None
    assert status.state is CarrierCallState.ANSWERED
    assert status.answered_at is not None
    await ready.carrier.hang_up(ready.answered(call), HangUpCause.NORMAL)
    await eventually(lambda: ready.simulator.calls[call.carrier_call_id].archived)
    status = await ready.carrier.status(call)
    assert status is not None
    assert (status.state, status.end_reason, status.hang_up_by) == (
        CarrierCallState.ENDED,
        EndReason.COMPLETED,
        HangUpBy.US,
    )
    assert await ready.carrier.status(replace(call, carrier_call_id="gone")) is None


# --- hanging up -------------------------------------------------------------------------------------------------


async def answered(stage: Stage, eventually: Eventually, phone: str, **options: Any) -> CallHandle:
    call = await stage.dial(phone, **options)
    await eventually(stage.has(CarrierEventKind.ANSWERED))
    return stage.answered(call)


@pytest.mark.parametrize(
    "cause,code,reason",
    [
        (HangUpCause.NORMAL, "NORMAL_HANGUP", EndReason.COMPLETED),
        (HangUpCause.CANCELED, "NORMAL_HANGUP", EndReason.COMPLETED),
        (HangUpCause.MACHINE, "MACHINE_DETECTED", EndReason.MACHINE),
    ],
)
async def test_hanging_up_an_answered_call(
    ready: Stage, eventually: Eventually, cause: HangUpCause, code: str, reason: EndReason
) -> None:
    call = await answered(ready, eventually, SILENT)
    await ready.carrier.hang_up(call, cause)
    await eventually(ready.has(CarrierEventKind.ENDED))
    assert bodies(ready, f"POST /calls/1/calls/{call.carrier_call_id}/hangup") == [{"errorCode": code}]
    assert ready.event(CarrierEventKind.ENDED).end_reason is reason


@pytest.mark.parametrize("cause", list(HangUpCause))
async def test_cancelling_a_call_that_rings(ready: Stage, eventually: Eventually, cause: HangUpCause) -> None:
    call = await ready.dial(LATE)
    await ready.carrier.hang_up(call, cause)
    await eventually(ready.has(CarrierEventKind.ENDED))
    assert ready.event(CarrierEventKind.ENDED).end_reason is EndReason.CANCELED


async def test_hanging_up_a_call_that_was_answered_just_now(ready: Stage, eventually: Eventually) -> None:
    call = await answered(ready, eventually, SILENT)
    await ready.carrier.hang_up(replace(call, answered=False), HangUpCause.NORMAL)
    await eventually(ready.has(CarrierEventKind.ENDED))
    hung_up = bodies(ready, f"POST /calls/1/calls/{call.carrier_call_id}/hangup")
    assert hung_up == [{"errorCode": "CANCELLED"}, {}]


async def test_hanging_up_what_is_over_is_fine(ready: Stage, eventually: Eventually) -> None:
    call = await answered(ready, eventually, HASTY)
    await eventually(ready.has(CarrierEventKind.ENDED))
    await ready.carrier.hang_up(call, HangUpCause.NORMAL)
    await ready.carrier.hang_up(replace(call, carrier_call_id="never"), HangUpCause.NORMAL)


async def test_a_hang_up_whose_answer_was_lost_is_repeated(ready: Stage, eventually: Eventually) -> None:
    call = await answered(ready, eventually, SILENT)
    ready.simulator.faults.add(Fault("POST /calls/1/calls/*/hangup", FaultKind.DROP_AFTER))
    await ready.carrier.hang_up(call, HangUpCause.NORMAL)
    await eventually(ready.has(CarrierEventKind.ENDED))


async def test_other_refusals_of_a_hang_up_are_told(ready: Stage, eventually: Eventually) -> None:
    call = await answered(ready, eventually, SILENT)
    ready.simulator.faults.add(Fault("POST /calls/1/calls/*/hangup", FaultKind.STATUS, status=403))
    with pytest.raises(VendorAuthFailed):
        await ready.carrier.hang_up(call, HangUpCause.NORMAL)
    ready.simulator.faults.add(Fault("POST /calls/1/calls/*/hangup", FaultKind.STATUS, status=400, times=2))
    with pytest.raises(VendorRefused):
        await ready.carrier.hang_up(call, HangUpCause.NORMAL)


async def test_the_longest_call_is_ended_by_the_carrier(ready: Stage, eventually: Eventually) -> None:
    await answered(ready, eventually, SILENT, longest_call_s=1)
    await eventually(ready.has(CarrierEventKind.ENDED))
    ended = ready.event(CarrierEventKind.ENDED)
    assert (ended.end_reason, ended.hang_up_by, ended.duration_s) == (
        EndReason.COMPLETED,
        HangUpBy.LIMIT,
        1.0,
    )


def test_owned_numbers_and_capabilities(stage: Stage) -> None:
    assert stage.carrier.owned_numbers() == {CALLER_ID, "+447700900002"}
    assert stage.carrier.capabilities.dials_per_second == 6


async def test_events_of_all_legs_are_told_apart(ready: Stage, eventually: Eventually) -> None:
    call = await answered(ready, eventually, SILENT)
    await ready.carrier.attach_media(call, ready.media_order())
    await eventually(ready.has(CarrierEventKind.MEDIA_STARTED, Leg.MEDIA))
    assert ready.kinds().count(CarrierEventKind.ANSWERED) == 1
    media = ready.event(CarrierEventKind.MEDIA_STARTED, Leg.MEDIA)
    assert (media.attempt_id, media.person_call_id) == ("attempt-1", call.carrier_call_id)
    assert ready.refused == []
