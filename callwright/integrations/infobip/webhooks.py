"""Understands what Infobip posts to us: verifies where an event comes from and puts it into our words. Pure.

Events: the `calls-event-webhook` of Infobip's OpenAPI. Every CALL_* event is also sent for the websocket leg
and for a human's leg: the endpoint's type, the parent call and our own custom data tell them apart.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from callwright.domain.errors import WebhookRejected
from callwright.domain.events import CarrierEvent, CarrierEventKind, Leg
from callwright.integrations.infobip.addresses import follow_up_base, our_time
from callwright.integrations.infobip.settings import HmacScheme, InfobipSettings, WebhookAuth
from callwright.integrations.infobip.statuses import (
    attempt_of,
    duration_s,
    end_detail,
    end_reason,
    hang_up_by,
    leg_of,
)
from callwright.ports.webhook import WebhookRequest
from callwright.toolkit.signatures import basic_header, hmac_matches, same

PATHS = frozenset({"", "events"})
LARGEST_BODY = 4 * 1024 * 1024
MOST_EVENTS = 2000
_LONGEST_STAMP = 16
_ALGORITHMS = {
    "HMAC_MD5": "md5",
    "HMAC_SHA_1": "sha1",
    "HMAC_SHA_224": "sha224",
    "HMAC_SHA_256": "sha256",
    "HMAC_SHA_384": "sha384",
    "HMAC_SHA_512": "sha512",
}
_PERSON = {
    "CALL_STARTED": CarrierEventKind.ACCEPTED,
    "CALL_RINGING": CarrierEventKind.RINGING,
    "CALL_PRE_ESTABLISHED": CarrierEventKind.EARLY_MEDIA,
    "CALL_ESTABLISHED": CarrierEventKind.ANSWERED,
    "CALL_FINISHED": CarrierEventKind.ENDED,
    "CALL_FAILED": CarrierEventKind.ENDED,
}
_MEDIA = {
    "CALL_ESTABLISHED": CarrierEventKind.MEDIA_STARTED,
    "CALL_FINISHED": CarrierEventKind.MEDIA_ENDED,
    "CALL_FAILED": CarrierEventKind.MEDIA_ENDED,
}
_HUMAN = {
    "CALL_ESTABLISHED": CarrierEventKind.ANSWERED,
    "CALL_FINISHED": CarrierEventKind.ENDED,
    "CALL_FAILED": CarrierEventKind.TRANSFER_FAILED,
}
_BY_LEG = {Leg.PERSON: _PERSON, Leg.MEDIA: _MEDIA, Leg.HUMAN: _HUMAN}
_DETECTED = {"HUMAN": CarrierEventKind.HUMAN_DETECTED, "MACHINE": CarrierEventKind.MACHINE_DETECTED}
_ENDS = frozenset({"CALL_FINISHED", "CALL_FAILED"})
_ONCE_PER_LEG = frozenset(
    {CarrierEventKind.MEDIA_STARTED, CarrierEventKind.MEDIA_ENDED, CarrierEventKind.TRANSFER_FAILED}
)
_PROMPTS = frozenset({"SAY", "PLAY"})


def understand(request: WebhookRequest, settings: InfobipSettings, now: datetime) -> list[CarrierEvent]:
    """The events of one request, one object or a list of them; raises WebhookRejected."""
    if request.path.strip("/") not in PATHS:
        raise WebhookRejected("unknown_path", request.path[:100])
    if len(request.body) > LARGEST_BODY:
        raise WebhookRejected("too_large", f"{len(request.body)} bytes")
    verify(request, settings, now)
    try:
        decoded = msgspec.json.decode(request.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WebhookRejected("malformed", "the body is not JSON") from error
    items = decoded if isinstance(decoded, list) else [decoded]
    if len(items) > MOST_EVENTS:
        raise WebhookRejected("too_large", f"{len(items)} events")
    return [_event(item, settings, now) for item in items]


def verify(request: WebhookRequest, settings: InfobipSettings, now: datetime) -> None:
    """Prove that a request comes from our account, as configured; raises WebhookRejected."""
    if settings.webhook_auth is WebhookAuth.HMAC:
        _verify_hmac(request, settings, now)
        return
    if settings.webhook_auth is WebhookAuth.BASIC and settings.webhook_password is not None:
        name = "authorization"
        expected = basic_header(settings.webhook_username, settings.webhook_password.get_secret_value())
    elif settings.webhook_token is not None:
        name, expected = settings.webhook_token_header.lower(), settings.webhook_token.get_secret_value()
    else:
        raise WebhookRejected("not_configured", "no secret to compare with")
    given = request.headers.get(name)
    if given is None:
        raise WebhookRejected("no_signature", f"header {name} is missing")
    if not same(given, expected):
        raise WebhookRejected("bad_signature", f"header {name} is wrong")


def _verify_hmac(request: WebhookRequest, settings: InfobipSettings, now: datetime) -> None:
    if settings.webhook_secret is None:
        raise WebhookRejected("not_configured", "no secret to compare with")
    given = request.headers.get(settings.webhook_hmac_header.lower())
    if given is None:
        raise WebhookRejected("no_signature", f"header {settings.webhook_hmac_header} is missing")
    message = request.body
    stamp = ""
    if settings.webhook_hmac_scheme is HmacScheme.TIMESTAMP_BODY:
        stamp = request.headers.get(settings.webhook_timestamp_header.lower(), "")
        message = stamp.encode() + message
    algorithm = _ALGORITHMS[settings.webhook_hmac_algorithm]
    if not hmac_matches(given, settings.webhook_secret.get_secret_value(), message, algorithm):
        raise WebhookRejected("bad_signature", f"header {settings.webhook_hmac_header} is wrong")
    if settings.webhook_hmac_scheme is HmacScheme.TIMESTAMP_BODY:
        readable = stamp.isascii() and stamp.isdigit() and len(stamp) <= _LONGEST_STAMP
        age_s = now.timestamp() - int(stamp) / 1000 if readable else float("inf")
        if abs(age_s) > settings.webhook_longest_age_s:
            raise WebhookRejected("too_old", "the signed timestamp is too far from now")


def _event(item: Any, settings: InfobipSettings, now: datetime) -> CarrierEvent:
    if not isinstance(item, dict):
        raise WebhookRejected("malformed", "an event is not an object")
    kind = item.get("type")
    if not isinstance(kind, str) or not kind:
        raise WebhookRejected("malformed", "an event has no type")
    properties = item.get("properties")
    facts: Mapping[str, Any] = properties if isinstance(properties, dict) else {}
    call = facts.get("call") or facts.get("callLog")
    if kind.startswith("CALL_") and isinstance(call, dict):
        return _leg_event(item, kind, facts, call, settings, now)
    if kind.startswith("DIALOG_") and isinstance(facts.get("dialog"), dict):
        return _dialog_event(item, kind, facts, now)
    return _plain_event(item, kind, facts, now)


def _leg_event(
    item: Mapping[str, Any],
    name: str,
    facts: Mapping[str, Any],
    call: Mapping[str, Any],
    settings: InfobipSettings,
    now: datetime,
) -> CarrierEvent:
    """A CALL_* event that shows its call."""
    leg = leg_of(call)
    kind = _BY_LEG[leg].get(name, CarrierEventKind.UNKNOWN)
    if call.get("direction") == "INBOUND":
        kind = CarrierEventKind.UNKNOWN
    if kind is CarrierEventKind.ENDED and leg is Leg.HUMAN and not call.get("answerTime"):
        kind = CarrierEventKind.TRANSFER_FAILED
    ended = name in _ENDS
    call_id = _id(item.get("callId") or call.get("id") or call.get("callId"))
    data: dict[str, Any] = {}
    base = follow_up_base(facts.get("apiBaseUrl"), settings.base_url)
    if base is not None and base != settings.base_url:
        data["keep"] = {"api_base_url": base}
    if leg is not Leg.PERSON and call.get("dialogId"):
        data["dialog_id"] = _id(call["dialogId"])
    return CarrierEvent(
        kind=kind,
        carrier_call_id=call_id,
        dedup_key=_dedup_key(item, name, kind, call_id),
        at=our_time(item.get("timestamp")) or now,
        leg=leg,
        attempt_id=attempt_of(call),
        person_call_id=_id(call.get("parentCallId")) or None if leg is not Leg.PERSON else None,
        end_reason=end_reason(call) if ended else None,
        hang_up_by=hang_up_by(call) if ended else None,
        duration_s=duration_s(call) if ended else None,
        answered_at=our_time(call.get("answerTime")) if ended else None,
        detail=end_detail(call) if ended else name,
        data=data,
    )


def _dialog_event(
    item: Mapping[str, Any], name: str, facts: Mapping[str, Any], now: datetime
) -> CarrierEvent:
    """A DIALOG_* event: the end of one tells the end of its media or human leg, should that event be lost."""
    dialog = facts["dialog"]
    child = dialog.get("childCall")
    parent = dialog.get("parentCall")
    child = child if isinstance(child, dict) else {}
    parent = parent if isinstance(parent, dict) else {}
    leg = leg_of(child) if child else Leg.MEDIA
    kind = CarrierEventKind.UNKNOWN
    if leg is Leg.MEDIA and name in {"DIALOG_FINISHED", "DIALOG_FAILED"}:
        kind = CarrierEventKind.MEDIA_ENDED
    elif leg is Leg.MEDIA and name == "DIALOG_ESTABLISHED":
        kind = CarrierEventKind.MEDIA_STARTED
    elif leg is Leg.HUMAN and name == "DIALOG_FAILED":
        kind = CarrierEventKind.TRANSFER_FAILED
    call_id = _id(child.get("id"))
    dialog_id = _id(item.get("dialogId") or dialog.get("id"))
    ended = {"errorCode": facts.get("errorCode"), "state": dialog.get("state")}
    return CarrierEvent(
        kind=kind,
        carrier_call_id=call_id or dialog_id,
        dedup_key=_dedup_key(item, name, kind, call_id or dialog_id),
        at=our_time(item.get("timestamp")) or now,
        leg=leg,
        attempt_id=attempt_of(child) or attempt_of(parent),
        person_call_id=_id(parent.get("id")) or None,
        detail=end_detail(ended) if facts.get("errorCode") else name,
        data={"dialog_id": dialog_id},
    )


def _plain_event(item: Mapping[str, Any], name: str, facts: Mapping[str, Any], now: datetime) -> CarrierEvent:
    """An event that names its call only by id, or none; what is not understood is kept as UNKNOWN."""
    kind, detail, data = _meaning(name, facts)
    call_id = _id(item.get("callId") or item.get("dialogId") or item.get("conferenceId"))
    return CarrierEvent(
        kind=kind,
        carrier_call_id=call_id,
        dedup_key=_dedup_key(item, name, kind, call_id),
        at=our_time(item.get("timestamp")) or now,
        attempt_id=attempt_of(facts),
        detail=detail,
        data=data,
    )


def _meaning(name: str, facts: Mapping[str, Any]) -> tuple[CarrierEventKind, str, dict[str, Any]]:
    """Kind, detail and data of an event without a call object."""
    match name:
        case "MACHINE_DETECTION_FINISHED":
            result = str(facts.get("detectionResult"))
            kind = _DETECTED.get(result, CarrierEventKind.UNKNOWN)
            return kind, result, {"confidence": facts.get("confidenceRating")}
        case "MACHINE_MESSAGE_DETECTION_FINISHED":
            return CarrierEventKind.MACHINE_MESSAGE_ENDED, str(facts.get("detectionResult")), {}
        case "DTMF_CAPTURED":
            return CarrierEventKind.DTMF, name, {"digits": str(facts.get("dtmf") or "")}
        case "SAY_FINISHED" | "PLAY_FINISHED":
            data = {"completed": facts.get("playedCompletely") is True, "played_ms": facts.get("duration")}
            return CarrierEventKind.PROMPT_FINISHED, name, data
        case "ERROR" if str(facts.get("actionType")) in _PROMPTS:
            detail = f"{facts.get('actionType')} {facts.get('errorCode')}: {facts.get('errorDetails')}"
            return CarrierEventKind.PROMPT_FINISHED, detail, {"completed": False}
        case "CALL_RECORDING_READY":
            recording = facts.get("recording")
            files = recording.get("files") if isinstance(recording, dict) else None
            names = [file.get("id") for file in files if isinstance(file, dict)] if files else []
            return CarrierEventKind.RECORDING_READY, name, {"file_ids": names}
        case _:
            reason = facts.get("reason") or facts.get("errorDetails")
            return CarrierEventKind.UNKNOWN, f"{name}: {reason}" if reason else name, {}


def _dedup_key(item: Mapping[str, Any], name: str, kind: CarrierEventKind, call_id: str) -> str:
    """The same for repeats: of one event, and of one fact that a leg's and its dialog's events both tell."""
    if kind in _ONCE_PER_LEG:
        return f"{call_id}:{kind.value}"
    subject = _id(item.get("callId") or item.get("dialogId") or item.get("conferenceId") or call_id)
    return f"{subject}:{name}:{item.get('timestamp') or ''}"


def _id(value: object) -> str:
    return value[:128] if isinstance(value, str) else ""
