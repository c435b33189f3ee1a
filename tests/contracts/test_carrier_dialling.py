"""Carriers: one request for each call, what its failures mean, finding a call again, and how it ended."""

from datetime import UTC, datetime, timedelta

import pytest

from callwright.domain.errors import VendorAmbiguous, VendorBusy, VendorRefused
from callwright.domain.events import CarrierEventKind
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.ports.carrier import CallHandle, CarrierCallState, HangUpCause
from callwright.simulation.faults import Fault, FaultKind
from tests.contracts.carrier_stage import ABSENT, BUSY, CALLER_ID, HASTY, LATE, REJECTS, SILENT, CarrierStage

CHANGES = "POST **"
"""Where a carrier is asked for a call."""

ENDINGS = {
    BUSY: {EndReason.BUSY},
    ABSENT: {EndReason.NO_ANSWER},
    REJECTS: {EndReason.REJECTED, EndReason.BUSY, EndReason.NO_ANSWER},
    HASTY: {EndReason.COMPLETED},
}
"""What may be said of each person's call; some carriers do not tell a rejected call from others."""


def long_ago() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)


def stranger(carrier: CarrierStage) -> CallHandle:
    """A handle of a call that the carrier never had."""
    return CallHandle("attempt-9", "no-such-call", LATE, CALLER_ID, answered=False, data={})


async def test_a_caller_id_of_the_settings_is_ours(carrier: CarrierStage) -> None:
    assert CALLER_ID in carrier.carrier.owned_numbers()


async def test_dial_places_one_call_that_is_found_by_our_id(carrier: CarrierStage) -> None:
    await carrier.set_up()
    since = long_ago()
    call = await carrier.dial(LATE)
    found = await carrier.carrier.find("attempt-1", LATE, since)
    assert found is not None, "the call is not found by our id"
    assert (found.carrier_call_id, found.attempt_id, found.phone) == (call.carrier_call_id, "attempt-1", LATE)
    assert found.state is not CarrierCallState.ENDED
    assert carrier.dialled(LATE) == 1
    carrier.assert_no_violations()


async def test_calls_to_one_number_are_told_apart_by_our_id(carrier: CarrierStage) -> None:
    await carrier.set_up()
    calls = [await carrier.dial(LATE, attempt_id) for attempt_id in ("attempt-1", "attempt-12")]
    for call in calls:
        found = await carrier.carrier.find(call.attempt_id, LATE, long_ago())
        assert found is not None
        assert found.carrier_call_id == call.carrier_call_id


async def test_what_the_carrier_does_not_know_is_none(carrier: CarrierStage) -> None:
    await carrier.set_up()
    await carrier.dial(LATE)
    assert await carrier.carrier.find("attempt-2", LATE, long_ago()) is None
    assert await carrier.carrier.find("attempt-1", SILENT, long_ago()) is None
    assert await carrier.carrier.status(stranger(carrier)) is None


@pytest.mark.parametrize("phone", list(ENDINGS), ids=["busy", "absent", "rejects", "hasty"])
async def test_a_call_that_is_over_tells_how_it_ended(carrier: CarrierStage, phone: str) -> None:
    await carrier.set_up()
    call = await carrier.dial(phone, ring_s=15)
    told = await carrier.event(CarrierEventKind.ENDED)
    assert told.end_reason in ENDINGS[phone]
    assert call.attempt_id == told.attempt_id or call.carrier_call_id == told.carrier_call_id
    asked = await carrier.ended(call)
    assert asked.end_reason in ENDINGS[phone]
    assert (asked.carrier_call_id, asked.phone) == (call.carrier_call_id, phone)
    found = await carrier.carrier.find(call.attempt_id, phone, long_ago())
    assert found is not None, "a call that is over is not found any more"
    assert found.end_reason in ENDINGS[phone]
    if phone == HASTY:
        assert told.hang_up_by in {HangUpBy.PERSON, None}
    carrier.assert_no_violations()


async def test_a_definite_refusal_places_nothing(carrier: CarrierStage) -> None:
    await carrier.set_up()
    await carrier.dial(LATE, "attempt-0")
    fault = carrier.fault(Fault(CHANGES, FaultKind.STATUS, status=400))
    error = await carrier.failure(carrier.carrier.dial(carrier.order(SILENT)))
    assert isinstance(error, VendorRefused)
    assert (error.vendor, error.status, fault.hits) == (carrier.spec.name, 400, 1)
    assert carrier.dialled(SILENT) == 0


async def test_a_busy_vendor_says_when_to_come_back(carrier: CarrierStage) -> None:
    await carrier.set_up()
    await carrier.dial(LATE, "attempt-0")
    fault = carrier.fault(Fault(CHANGES, FaultKind.STATUS, status=429, headers={"Retry-After": "7"}))
    error = await carrier.failure(carrier.carrier.dial(carrier.order(SILENT)))
    assert isinstance(error, VendorBusy)
    assert (error.retry_after_s, fault.hits) == (7, 1)
    assert carrier.dialled(SILENT) == 0


@pytest.mark.parametrize(
    "fault,placed",
    [
        (Fault(CHANGES, FaultKind.DROP_BEFORE), 0),
        (Fault(CHANGES, FaultKind.DROP_AFTER), 1),
        (Fault(CHANGES, FaultKind.STATUS, status=500), 0),
        (Fault(CHANGES, FaultKind.STATUS, status=503), 0),
        (Fault(CHANGES, FaultKind.STATUS, status=200, body="<html>no answer of an API</html>"), 0),
    ],
    ids=["cut-before", "cut-after", "500", "503", "nonsense"],
)
async def test_a_lost_answer_is_ambiguous_and_never_asked_for_again(
    carrier: CarrierStage, fault: Fault, placed: int
) -> None:
    await carrier.set_up()
    await carrier.dial(LATE, "attempt-0")
    since = long_ago()
    fault = carrier.fault(Fault(fault.where, fault.kind, status=fault.status, body=fault.body, times=2))
    carrier.mark()
    error = await carrier.failure(carrier.carrier.dial(carrier.order(SILENT)))
    assert isinstance(error, VendorAmbiguous)
    assert fault.hits == 1, "the request was repeated"
    assert len(carrier.requests(reads=False)) == 1
    carrier.simulator.faults.clear()
    found = await carrier.carrier.find("attempt-1", SILENT, since)
    assert (found is not None) == bool(placed)
    assert carrier.dialled(SILENT) == placed


async def test_hanging_up_twice_and_what_is_unknown_is_harmless(carrier: CarrierStage) -> None:
    await carrier.set_up()
    await carrier.carrier.hang_up(stranger(carrier), HangUpCause.NORMAL)
    call = await carrier.dial_and_answer(SILENT)
    await carrier.carrier.hang_up(call, HangUpCause.NORMAL)
    await carrier.event(CarrierEventKind.ENDED)
    await carrier.carrier.hang_up(call, HangUpCause.MACHINE)
    asked = await carrier.ended(call)
    assert asked.end_reason is EndReason.COMPLETED
    assert not carrier.person(SILENT).on_line


async def test_hanging_up_ends_a_call_that_still_rings(carrier: CarrierStage) -> None:
    await carrier.set_up()
    call = await carrier.dial(LATE, ring_s=60)
    await carrier.carrier.hang_up(call, HangUpCause.CANCELED)
    asked = await carrier.ended(call)
    assert asked.end_reason not in {None, EndReason.COMPLETED}


async def test_refused_credentials_are_told_as_such(carrier: CarrierStage) -> None:
    await carrier.set_up()
    carrier.fault(Fault("", FaultKind.STATUS, times=20, status=401))
    error = await carrier.failure(carrier.carrier.dial(carrier.order(LATE)))
    assert isinstance(error, VendorRefused)
    carrier.simulator.faults.clear()
    assert carrier.dialled(LATE) == 0


async def test_errors_do_not_repeat_the_secrets_that_a_vendor_tells(carrier: CarrierStage) -> None:
    await carrier.set_up()
    secrets = sorted(carrier.credentials())
    for status in (400, 401, 500):
        fault = Fault("", FaultKind.STATUS, times=20, status=status, body={"message": " ".join(secrets)})
        carrier.fault(fault)
        await carrier.failure(carrier.carrier.dial(carrier.order(LATE)))
        await carrier.failure(carrier.carrier.find("attempt-1", LATE, long_ago()))
        carrier.simulator.faults.clear()
