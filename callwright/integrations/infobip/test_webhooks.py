"""Events: who may send them, and what they say; told apart by leg, the same for repeats, in any order."""

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from callwright.domain.errors import WebhookRejected
from callwright.domain.events import CarrierEvent, CarrierEventKind, Leg
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.integrations.infobip.conftest import fixtures
from callwright.integrations.infobip.settings import InfobipSettings
from callwright.integrations.infobip.webhooks import understand
from callwright.ports.webhook import WebhookRequest
from callwright.toolkit.signatures import basic_header, hmac_hex

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
PERSON = "d8d84155-3831-43fb-91c9-10b5a8d628a0"
MEDIA = "ae024ad1-52e7-45d5-a5d2-cd7c809e03f8"
HUMAN = "5bc37ad2-9f6f-4b42-8d7a-3f2f2a3b7c11"
DIALOG = "034e622a-cc7e-456d-8a10-0ba43b11aa5e"
PAYLOADS = dict(fixtures())
VECTOR_BODY = b'{"type":"CALL_ESTABLISHED","callId":"c1"}'
VECTOR_MAC = "61669f3cbe185aea480b674f8b2a671f69fa7e2856a45ea1237c529929890f0e"
VECTOR_STAMP = "1667951050990"
VECTOR_STAMP_MAC = "5bd2366e822d20eddbc6d73e9a37c98fca6260df225a8aa5358d94c9bad3147d"
VECTOR_NOW = datetime.fromtimestamp(1667951060, UTC)


def settings(**changed: str) -> InfobipSettings:
    return InfobipSettings.model_validate(
        {
            "INFOBIP_API_KEY": "key-0123456789",
            "INFOBIP_BASE_URL": "https://xyz12.api.infobip.com",
            "INFOBIP_CALLER_IDS": "+447700900001",
            "INFOBIP_WEBHOOK_PASSWORD": "pass",
            **changed,
        }
    )


BASIC = settings()
GOOD_HEADERS = {"authorization": basic_header("callwright", "pass")}


def request(body: bytes, headers: dict[str, str] | None = None, path: str = "events") -> WebhookRequest:
    return WebhookRequest("POST", path, {}, GOOD_HEADERS if headers is None else headers, body)


def read(payload: Any) -> list[CarrierEvent]:
    return understand(request(json.dumps(payload).encode()), BASIC, NOW)


def one(name: str) -> CarrierEvent:
    (event,) = read(PAYLOADS[name])
    return event


MEANINGS = [
    ("call_started", CarrierEventKind.ACCEPTED, Leg.PERSON, PERSON),
    ("call_ringing", CarrierEventKind.RINGING, Leg.PERSON, PERSON),
    ("call_pre_established", CarrierEventKind.EARLY_MEDIA, Leg.PERSON, PERSON),
    ("call_established", CarrierEventKind.ANSWERED, Leg.PERSON, PERSON),
    ("call_finished", CarrierEventKind.ENDED, Leg.PERSON, PERSON),
    ("call_failed_busy", CarrierEventKind.ENDED, Leg.PERSON, PERSON),
    ("call_started_websocket", CarrierEventKind.UNKNOWN, Leg.MEDIA, MEDIA),
    ("call_established_websocket", CarrierEventKind.MEDIA_STARTED, Leg.MEDIA, MEDIA),
    ("call_finished_websocket", CarrierEventKind.MEDIA_ENDED, Leg.MEDIA, MEDIA),
    ("call_failed_websocket", CarrierEventKind.MEDIA_ENDED, Leg.MEDIA, MEDIA),
    ("call_established_human", CarrierEventKind.ANSWERED, Leg.HUMAN, HUMAN),
    ("call_finished_human", CarrierEventKind.ENDED, Leg.HUMAN, HUMAN),
    ("call_failed_human", CarrierEventKind.TRANSFER_FAILED, Leg.HUMAN, HUMAN),
    ("dialog_created", CarrierEventKind.UNKNOWN, Leg.MEDIA, MEDIA),
    ("dialog_established", CarrierEventKind.MEDIA_STARTED, Leg.MEDIA, MEDIA),
    ("dialog_finished", CarrierEventKind.MEDIA_ENDED, Leg.MEDIA, MEDIA),
    ("dialog_failed_human", CarrierEventKind.TRANSFER_FAILED, Leg.HUMAN, HUMAN),
    ("machine_detection_human", CarrierEventKind.HUMAN_DETECTED, Leg.PERSON, PERSON),
    ("machine_detection_machine", CarrierEventKind.MACHINE_DETECTED, Leg.PERSON, PERSON),
    ("machine_message_detection_finished", CarrierEventKind.MACHINE_MESSAGE_ENDED, Leg.PERSON, PERSON),
    ("machine_detection_failed", CarrierEventKind.UNKNOWN, Leg.PERSON, PERSON),
    ("dtmf_captured", CarrierEventKind.DTMF, Leg.PERSON, PERSON),
    ("say_finished", CarrierEventKind.PROMPT_FINISHED, Leg.PERSON, PERSON),
    ("error_say", CarrierEventKind.PROMPT_FINISHED, Leg.PERSON, PERSON),
    ("call_recording_ready", CarrierEventKind.RECORDING_READY, Leg.PERSON, PERSON),
    ("call_received_inbound", CarrierEventKind.UNKNOWN, Leg.PERSON, "inbound-1"),
    ("conference_created", CarrierEventKind.UNKNOWN, Leg.PERSON, "c-1"),
    ("type_of_the_future", CarrierEventKind.UNKNOWN, Leg.PERSON, PERSON),
]


@pytest.mark.parametrize("name,kind,leg,call_id", MEANINGS, ids=[row[0] for row in MEANINGS])
def test_each_event(name: str, kind: CarrierEventKind, leg: Leg, call_id: str) -> None:
    event = one(name)
    assert (event.kind, event.leg, event.carrier_call_id) == (kind, leg, call_id)


def test_every_fixture_has_a_meaning() -> None:
    assert {row[0] for row in MEANINGS} == set(PAYLOADS) - {"bucket"}


def test_a_call_that_ended_tells_how() -> None:
    event = one("call_finished")
    assert (event.end_reason, event.hang_up_by, event.duration_s) == (
        EndReason.COMPLETED,
        HangUpBy.PERSON,
        60.0,
    )
    assert event.detail == "10000 NORMAL_HANGUP"
    assert event.answered_at == datetime(2026, 1, 15, 11, 59, 35, tzinfo=UTC)
    busy = one("call_failed_busy")
    assert (busy.end_reason, busy.duration_s, busy.answered_at) == (EndReason.BUSY, 0.0, None)
    assert busy.at == datetime(2026, 1, 15, 11, 59, 33, 20_000, tzinfo=UTC)


def test_legs_name_the_attempt_and_the_persons_leg() -> None:
    for name in ("call_established_websocket", "call_failed_human", "dialog_finished", "call_finished_human"):
        event = one(name)
        assert (event.attempt_id, event.person_call_id) == ("attempt-1", PERSON)
    assert one("call_established").person_call_id is None
    assert one("call_established").attempt_id == "attempt-1"
    assert one("say_finished").attempt_id == "attempt-1"


def test_facts_of_other_events() -> None:
    assert one("dtmf_captured").data == {"digits": "12#"}
    assert one("say_finished").data == {"completed": True, "played_ms": 2100}
    assert one("error_say").data == {"completed": False}
    assert one("call_recording_ready").data == {"file_ids": ["b72cde3c-7d9c-4a5c-8e48-5a947244c013"]}
    assert one("machine_message_detection_finished").detail == "BEEP"
    assert "Detection is not available" in one("machine_detection_failed").detail
    assert one("type_of_the_future").detail == "CALL_TELEPORTED"


def test_a_human_who_never_answered_is_a_failed_transfer_whatever_the_type() -> None:
    payload = json.loads(json.dumps(PAYLOADS["call_finished_human"]))
    del payload["properties"]["callLog"]["answerTime"]
    (event,) = read(payload)
    assert event.kind is CarrierEventKind.TRANSFER_FAILED


def test_follow_ups_are_kept_only_if_they_go_to_infobip() -> None:
    assert one("call_established").data == {"keep": {"api_base_url": "https://api-eu2.infobip.com"}}
    for told in ("https://evil.example", "http://127.0.0.1", "https://xyz12.api.infobip.com", None, 5):
        payload = json.loads(json.dumps(PAYLOADS["call_established"]))
        payload["properties"]["apiBaseUrl"] = told
        assert read(payload)[0].data == {}


def test_nothing_secret_is_kept() -> None:
    for payload in PAYLOADS.values():
        assert "one-time-token" not in repr(read(payload))


def test_repeats_have_the_same_key_and_different_events_do_not() -> None:
    assert one("call_ringing").dedup_key == one("call_ringing").dedup_key
    keys = [one(name).dedup_key for name in PAYLOADS if name != "bucket"]
    pairs = {
        one(first).dedup_key
        for first, second in (
            ("call_established_websocket", "dialog_established"),
            ("call_finished_websocket", "dialog_finished"),
            ("call_failed_human", "dialog_failed_human"),
        )
        if one(first).dedup_key == one(second).dedup_key
    }
    assert len(pairs) == 3, "a leg's event and its dialog's event tell one fact"
    same_moment = 1  # both results of machine detection are of one call, type and time
    another_failure = 1  # the websocket leg ends once: finished and failed are the same fact
    assert len(set(keys)) == len(keys) - len(pairs) - same_moment - another_failure


def test_another_time_is_another_event() -> None:
    later = {**PAYLOADS["call_ringing"], "timestamp": "2026-01-15T12:30:00.000+0000"}
    assert read(later)[0].dedup_key != one("call_ringing").dedup_key


def test_order_does_not_matter() -> None:
    names = [name for name in PAYLOADS if name != "bucket"]
    straight = {name: one(name) for name in names}
    random.Random(1).shuffle(names)
    assert {name: one(name) for name in names} == straight
    events = read([PAYLOADS[name] for name in names])
    assert events == [straight[name] for name in names]


def test_a_list_of_events() -> None:
    assert [event.kind for event in read(PAYLOADS["bucket"])] == [
        CarrierEventKind.ACCEPTED,
        CarrierEventKind.RINGING,
    ]
    assert read([]) == []


def test_an_event_without_a_time_is_of_now() -> None:
    payload = {key: value for key, value in PAYLOADS["call_ringing"].items() if key != "timestamp"}
    assert read(payload)[0].at == NOW


@pytest.mark.parametrize(
    "body,reason",
    [
        (b"", "malformed"),
        (b"{", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[" * 10_000, "malformed"),
        (b"7", "malformed"),
        (b"[7]", "malformed"),
        (b"{}", "malformed"),
        (b'{"type": 7}', "malformed"),
        (b"[" + b"{}," * 2000 + b"{}]", "too_large"),
        (b" " * (4 * 1024 * 1024 + 1), "too_large"),
    ],
    ids=["empty", "torn", "binary", "deep", "number", "numbers", "no_type", "bad_type", "many", "big"],
)
def test_nonsense_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(WebhookRejected) as caught:
        understand(request(body), BASIC, NOW)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "CALL_ESTABLISHED"},
        {"type": "CALL_ESTABLISHED", "properties": None},
        {"type": "CALL_ESTABLISHED", "properties": {"call": "x"}},
        {"type": "CALL_FINISHED", "callId": 7, "properties": {"callLog": {"endpoint": 5, "errorCode": []}}},
        {"type": "DIALOG_FINISHED", "properties": {"dialog": {"childCall": 7, "parentCall": "x"}}},
        {"type": "CALL_RECORDING_READY", "properties": {"recording": {"files": [5, None]}}},
        {"type": "MACHINE_DETECTION_FINISHED", "properties": {"detectionResult": ["x"]}},
        {"type": "ERROR", "properties": {"actionType": {}}, "timestamp": 7},
        {"type": "CALL_FINISHED", "properties": {"callLog": {"duration": 10**400}}},
        {"type": "CALL_FINISHED", "properties": {"callLog": {"duration": -1, "errorCode": {"id": 10**400}}}},
    ],
)
def test_wrong_types_inside_never_crash(payload: dict[str, Any]) -> None:
    assert len(read(payload)) == 1


def test_the_path_is_ours() -> None:
    body = json.dumps(PAYLOADS["call_started"]).encode()
    for path in ("", "events", "events/"):
        assert understand(request(body, path=path), BASIC, NOW)
    with pytest.raises(WebhookRejected, match="unknown_path"):
        understand(request(body, path="other"), BASIC, NOW)


# --- where events come from ------------------------------------------------------------------------------------

HMAC = {"INFOBIP_WEBHOOK_AUTH": "hmac", "INFOBIP_WEBHOOK_SECRET": "secret"}
STAMPED = {**HMAC, "INFOBIP_WEBHOOK_HMAC_SCHEME": "timestamp_body"}
HEADER = {"INFOBIP_WEBHOOK_AUTH": "header", "INFOBIP_WEBHOOK_TOKEN": "token-0123456789"}


def accepts(configured: InfobipSettings, headers: dict[str, str], body: bytes = VECTOR_BODY) -> str:
    """`ok`, or why the request is refused."""
    try:
        understand(request(body, headers), configured, VECTOR_NOW)
    except WebhookRejected as error:
        return error.reason
    return "ok"


def test_basic() -> None:
    assert accepts(BASIC, GOOD_HEADERS) == "ok"
    assert accepts(BASIC, {}) == "no_signature"
    assert accepts(BASIC, {"authorization": ""}) == "bad_signature"
    assert accepts(BASIC, {"authorization": basic_header("callwright", "Pass")}) == "bad_signature"
    assert accepts(BASIC, {"authorization": basic_header("other", "pass")}) == "bad_signature"
    assert accepts(BASIC, {"authorization": "Bearer pass"}) == "bad_signature"


def test_static_header() -> None:
    configured = settings(**HEADER)
    assert accepts(configured, {"x-callwright-token": "token-0123456789"}) == "ok"
    assert accepts(configured, {"x-callwright-token": "token-0123456788"}) == "bad_signature"
    assert accepts(configured, GOOD_HEADERS) == "no_signature"
    renamed = settings(**HEADER, INFOBIP_WEBHOOK_TOKEN_HEADER="X-Mine")
    assert accepts(renamed, {"x-mine": "token-0123456789"}) == "ok"


def test_hmac_of_the_body() -> None:
    configured = settings(**HMAC)
    assert accepts(configured, {"x-ib-hmac-signature": VECTOR_MAC}) == "ok"
    assert accepts(configured, {"x-ib-hmac-signature": VECTOR_MAC.upper()}) == "ok"
    assert (
        accepts(configured, {"x-ib-hmac-signature": "YWafPL4YWupIC2dPiypnH2n6fihWpF6hI3xSmSmJDw4="}) == "ok"
    )
    assert accepts(configured, {"x-ib-hmac-signature": VECTOR_MAC[:-1] + "f"}) == "bad_signature"
    assert accepts(configured, {"x-ib-hmac-signature": "%%%"}) == "bad_signature"
    assert accepts(configured, {}) == "no_signature"
    assert accepts(configured, {"x-ib-hmac-signature": VECTOR_MAC}, VECTOR_BODY + b" ") == "bad_signature"


def test_hmac_of_timestamp_and_body() -> None:
    configured = settings(**STAMPED)
    good = {"x-ib-hmac-signature": VECTOR_STAMP_MAC, "x-ib-exchange-req-timestamp": VECTOR_STAMP}
    assert accepts(configured, good) == "ok"
    assert accepts(configured, {**good, "x-ib-exchange-req-timestamp": "1667951050991"}) == "bad_signature"
    assert accepts(configured, {"x-ib-hmac-signature": VECTOR_STAMP_MAC}) == "bad_signature"
    old = "1667940000000"
    mac = hmac_hex("secret", old.encode() + VECTOR_BODY)
    assert accepts(configured, {"x-ib-hmac-signature": mac, "x-ib-exchange-req-timestamp": old}) == "too_old"
    strange = "9" * 400
    mac = hmac_hex("secret", strange.encode() + VECTOR_BODY)
    stamped = {"x-ib-hmac-signature": mac, "x-ib-exchange-req-timestamp": strange}
    assert accepts(configured, stamped) == "too_old"


@pytest.mark.parametrize("name", ["MD5", "SHA_1", "SHA_224", "SHA_256", "SHA_384", "SHA_512"])
def test_each_algorithm_and_a_header_of_choice(name: str) -> None:
    configured = settings(
        **HMAC, INFOBIP_WEBHOOK_HMAC_ALGORITHM=f"HMAC_{name}", INFOBIP_WEBHOOK_HMAC_HEADER="X-Sig"
    )
    mac = hmac_hex("secret", VECTOR_BODY, name.lower().replace("_", ""))
    assert accepts(configured, {"x-sig": mac}) == "ok"
    assert accepts(configured, {"x-ib-hmac-signature": mac}) == "no_signature"


@pytest.mark.parametrize("stamp", ["²", "٣", "9" * 5000, "", "-1"])
def test_stamps_that_are_no_moments_are_refused(stamp: str) -> None:
    proof = hmac_hex("secret", stamp.encode() + VECTOR_BODY)
    headers = {"x-ib-hmac-signature": proof, "x-ib-exchange-req-timestamp": stamp}
    assert accepts(settings(**STAMPED), headers) == "too_old"
