"""Every row of the vendor's lists has our word."""

from typing import Any

import pytest

from callwright.domain.events import Leg
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.integrations.infobip.statuses import (
    ERROR_CODES,
    attempt_of,
    carrier_call,
    end_detail,
    end_reason,
    hang_up_by,
    is_person,
    leg_of,
)
from callwright.ports.carrier import CarrierCallState

ROWS = [
    (10000, "NORMAL_HANGUP", "completed"),
    (10001, "ANSWERED_ELSEWHERE", "no_answer"),
    (10002, "MACHINE_DETECTED", "machine"),
    (10003, "HUMAN_DETECTED", "completed"),
    (10004, "MAX_DURATION_REACHED", "completed"),
    (10100, "DEVICE_FORBIDDEN", "unreachable"),
    (10101, "DEVICE_NOT_FOUND", "unreachable"),
    (10102, "DEVICE_UNAVAILABLE", "unreachable"),
    (10103, "MEDIA_ERROR", "media_failed"),
    (10200, "NO_ANSWER", "no_answer"),
    (10201, "BUSY", "busy"),
    (10202, "CANCELLED", "canceled"),
    (10203, "REJECTED", "rejected"),
    (10204, "TEMPORARILY_UNAVAILABLE", "unreachable"),
    (10300, "FORBIDDEN", "blocked"),
    (10301, "INSUFFICIENT_FUNDS", "insufficient_funds"),
    (10302, "UNAUTHENTICATED", "carrier_error"),
    (10303, "DESTINATION_NOT_FOUND", "invalid_number"),
    (10304, "DESTINATION_UNAVAILABLE", "unreachable"),
    (10305, "INVALID_DESTINATION", "invalid_number"),
    (10306, "INVALID_REQUEST", "carrier_error"),
    (10307, "REQUEST_TIMEOUT", "carrier_error"),
    (10308, "NETWORK_ERROR", "carrier_error"),
    (10309, "SERVICE_UNAVAILABLE", "carrier_error"),
    (10310, "UNKNOWN", "carrier_error"),
    (10311, "FEATURE_UNAVAILABLE", "carrier_error"),
    (10312, "CONGESTION", "carrier_error"),
    (10313, "UNAUTHORIZED", "blocked"),
    (10400, "URL_NOT_FOUND", "media_failed"),
    (10401, "URL_UNREACHABLE", "media_failed"),
    (10402, "INVALID_RESPONSE", "media_failed"),
]
ANSWERED = {"answerTime": "2026-01-15T11:59:35.000+0000"}


@pytest.mark.parametrize("number,name,reason", ROWS)
def test_each_error_code(number: int, name: str, reason: str) -> None:
    both = {"errorCode": {"id": number, "name": name}, "state": "FINISHED", **ANSWERED}
    by_name = {"errorCode": {"name": name}, "state": "FINISHED", **ANSWERED}
    by_id = {"errorCode": {"id": number}, "state": "FINISHED", **ANSWERED}
    assert {end_reason(log) for log in (both, by_name, by_id)} == {EndReason(reason)}
    assert end_detail(both) == f"{number} {name}"


def test_the_table_has_exactly_these_rows() -> None:
    assert [(code.id, code.name, code.reason.value) for code in ERROR_CODES] == ROWS


@pytest.mark.parametrize(
    "log,reason",
    [
        ({"state": "FINISHED", **ANSWERED}, EndReason.COMPLETED),
        ({"state": "FINISHED"}, EndReason.NO_ANSWER),
        ({"state": "FINISHED", "hangupSource": "API"}, EndReason.CANCELED),
        ({"state": "CANCELLED"}, EndReason.CANCELED),
        ({"state": "NO_ANSWER"}, EndReason.NO_ANSWER),
        ({"state": "BUSY"}, EndReason.BUSY),
        ({"state": "FAILED"}, EndReason.CARRIER_ERROR),
        ({"state": "EXPLODED"}, EndReason.CARRIER_ERROR),
        ({}, EndReason.CARRIER_ERROR),
        ({"errorCode": "BUSY", "state": "BUSY"}, EndReason.BUSY),
        ({"errorCode": {"id": 19999, "name": "NEW"}, "state": "BUSY"}, EndReason.CARRIER_ERROR),
        ({"errorCode": {"id": 10000}, "state": "FAILED"}, EndReason.NO_ANSWER),
        ({"errorCode": {"id": 10000}, "hangupSource": "API"}, EndReason.CANCELED),
        ({"errorCode": {"id": 10201, "name": "BUSY"}}, EndReason.BUSY),
    ],
)
def test_reasons_without_a_code_and_ends_without_an_answer(log: dict[str, Any], reason: EndReason) -> None:
    assert end_reason(log) is reason


@pytest.mark.parametrize(
    "log,who",
    [
        ({"hangupSource": "ENDPOINT"}, HangUpBy.PERSON),
        ({"hangupSource": "API"}, HangUpBy.US),
        ({"hangupSource": "PLATFORM"}, HangUpBy.CARRIER),
        ({"hangupSource": "PLATFORM", "errorCode": {"id": 10004}}, HangUpBy.LIMIT),
        ({"hangupSource": "GHOST"}, None),
        ({}, None),
    ],
)
def test_who_hung_up(log: dict[str, Any], who: HangUpBy | None) -> None:
    assert hang_up_by(log) is who


@pytest.mark.parametrize(
    "state,ours",
    [
        ("CALLING", CarrierCallState.PLACED),
        ("RINGING", CarrierCallState.RINGING),
        ("PRE_ESTABLISHED", CarrierCallState.RINGING),
        ("ESTABLISHED", CarrierCallState.ANSWERED),
        ("FINISHED", CarrierCallState.ENDED),
        ("FAILED", CarrierCallState.ENDED),
        ("CANCELLED", CarrierCallState.ENDED),
        ("NO_ANSWER", CarrierCallState.ENDED),
        ("BUSY", CarrierCallState.ENDED),
        ("TELEPORTED", CarrierCallState.PLACED),
    ],
)
def test_each_call_state(state: str, ours: CarrierCallState) -> None:
    assert carrier_call({"id": "c", "state": state}).state is ours


def test_an_unknown_state_is_read_from_the_times() -> None:
    assert carrier_call({"id": "c", "state": "NEW", **ANSWERED}).state is CarrierCallState.ANSWERED
    ended = {"id": "c", "state": "NEW", **ANSWERED, "endTime": "2026-01-15T12:00:35.000+0000"}
    call = carrier_call(ended)
    assert (call.state, call.duration_s) == (CarrierCallState.ENDED, 60.0)


def test_a_call_log_becomes_a_call() -> None:
    log = {
        "callId": "c-1",
        "endpoint": {"type": "PHONE", "phoneNumber": "447700900101"},
        "state": "FINISHED",
        "startTime": "2026-01-15T11:59:30.000+0000",
        "answerTime": "2026-01-15T11:59:35.000+0000",
        "endTime": "2026-01-15T12:00:35.000+0000",
        "duration": 60,
        "errorCode": {"id": 10000, "name": "NORMAL_HANGUP"},
        "hangupSource": "ENDPOINT",
        "externalId": "attempt-1",
    }
    call = carrier_call(log)
    assert (call.carrier_call_id, call.attempt_id, call.phone) == ("c-1", "attempt-1", "+447700900101")
    assert (call.end_reason, call.hang_up_by, call.duration_s) == (
        EndReason.COMPLETED,
        HangUpBy.PERSON,
        60.0,
    )


def test_our_id_is_found_in_either_place() -> None:
    assert attempt_of({"externalId": "a"}) == "a"
    assert attempt_of({"customData": {"attempt_id": "a"}}) == "a"
    assert attempt_of({"externalId": "", "customData": {"attempt_id": 7}}) is None
    assert attempt_of({"customData": "x"}) is None


@pytest.mark.parametrize(
    "call,leg",
    [
        ({"endpoint": {"type": "PHONE"}}, Leg.PERSON),
        ({"endpoint": {"type": "WEBSOCKET"}}, Leg.MEDIA),
        ({"endpoint": {"type": "WEBSOCKET"}, "customData": {"leg": "person"}}, Leg.MEDIA),
        ({"endpoint": {"type": "PHONE"}, "parentCallId": "p"}, Leg.HUMAN),
        ({"endpoint": {"type": "PHONE"}, "customData": {"leg": "human"}}, Leg.HUMAN),
        ({"customData": {"leg": "media"}}, Leg.MEDIA),
        ({}, Leg.PERSON),
    ],
)
def test_whose_leg_it_is(call: dict[str, Any], leg: Leg) -> None:
    assert leg_of(call) is leg


def test_an_inbound_call_is_not_of_the_person_we_dialled() -> None:
    assert is_person({"endpoint": {"type": "PHONE"}, "direction": "OUTBOUND"})
    assert not is_person({"endpoint": {"type": "PHONE"}, "direction": "INBOUND"})
