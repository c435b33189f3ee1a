"""What Infobip's call states and error codes mean in our words.

Codes: "Voice and WebRTC error codes" of Infobip's response status and error codes page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from callwright.domain.events import Leg
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.integrations.infobip.addresses import our_number, our_time
from callwright.ports.carrier import CarrierCall, CarrierCallState


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the vendor's list: its number, its name, and our word for it."""

    id: int
    name: str
    reason: EndReason


ERROR_CODES = (
    ErrorCode(10000, "NORMAL_HANGUP", EndReason.COMPLETED),
    ErrorCode(10001, "ANSWERED_ELSEWHERE", EndReason.NO_ANSWER),
    ErrorCode(10002, "MACHINE_DETECTED", EndReason.MACHINE),
    ErrorCode(10003, "HUMAN_DETECTED", EndReason.COMPLETED),
    ErrorCode(10004, "MAX_DURATION_REACHED", EndReason.COMPLETED),
    ErrorCode(10100, "DEVICE_FORBIDDEN", EndReason.UNREACHABLE),
    ErrorCode(10101, "DEVICE_NOT_FOUND", EndReason.UNREACHABLE),
    ErrorCode(10102, "DEVICE_UNAVAILABLE", EndReason.UNREACHABLE),
    ErrorCode(10103, "MEDIA_ERROR", EndReason.MEDIA_FAILED),
    ErrorCode(10200, "NO_ANSWER", EndReason.NO_ANSWER),
    ErrorCode(10201, "BUSY", EndReason.BUSY),
    ErrorCode(10202, "CANCELLED", EndReason.CANCELED),
    ErrorCode(10203, "REJECTED", EndReason.REJECTED),
    ErrorCode(10204, "TEMPORARILY_UNAVAILABLE", EndReason.UNREACHABLE),
    ErrorCode(10300, "FORBIDDEN", EndReason.BLOCKED),
    ErrorCode(10301, "INSUFFICIENT_FUNDS", EndReason.INSUFFICIENT_FUNDS),
    ErrorCode(10302, "UNAUTHENTICATED", EndReason.CARRIER_ERROR),
    ErrorCode(10303, "DESTINATION_NOT_FOUND", EndReason.INVALID_NUMBER),
    ErrorCode(10304, "DESTINATION_UNAVAILABLE", EndReason.UNREACHABLE),
    ErrorCode(10305, "INVALID_DESTINATION", EndReason.INVALID_NUMBER),
    ErrorCode(10306, "INVALID_REQUEST", EndReason.CARRIER_ERROR),
    ErrorCode(10307, "REQUEST_TIMEOUT", EndReason.CARRIER_ERROR),
    ErrorCode(10308, "NETWORK_ERROR", EndReason.CARRIER_ERROR),
    ErrorCode(10309, "SERVICE_UNAVAILABLE", EndReason.CARRIER_ERROR),
    ErrorCode(10310, "UNKNOWN", EndReason.CARRIER_ERROR),
    ErrorCode(10311, "FEATURE_UNAVAILABLE", EndReason.CARRIER_ERROR),
    ErrorCode(10312, "CONGESTION", EndReason.CARRIER_ERROR),
    ErrorCode(10313, "UNAUTHORIZED", EndReason.BLOCKED),
    ErrorCode(10400, "URL_NOT_FOUND", EndReason.MEDIA_FAILED),
    ErrorCode(10401, "URL_UNREACHABLE", EndReason.MEDIA_FAILED),
    ErrorCode(10402, "INVALID_RESPONSE", EndReason.MEDIA_FAILED),
)
"""Every code a call can end with."""

CALL_STATES: dict[str, CarrierCallState] = {
    "CALLING": CarrierCallState.PLACED,
    "RINGING": CarrierCallState.RINGING,
    "PRE_ESTABLISHED": CarrierCallState.RINGING,
    "ESTABLISHED": CarrierCallState.ANSWERED,
    "FINISHED": CarrierCallState.ENDED,
    "FAILED": CarrierCallState.ENDED,
    "CANCELLED": CarrierCallState.ENDED,
    "NO_ANSWER": CarrierCallState.ENDED,
    "BUSY": CarrierCallState.ENDED,
}
"""CallState of the Calls API in our words."""

HANGUP_SOURCES: dict[str, HangUpBy] = {
    "ENDPOINT": HangUpBy.PERSON,
    "API": HangUpBy.US,
    "PLATFORM": HangUpBy.CARRIER,
}
"""HangupSource of the Calls API: the API is used by nobody but us."""

_LONGEST_CALL_S = 7 * 86_400
_BY_ID = {code.id: code for code in ERROR_CODES}
_BY_NAME = {code.name: code for code in ERROR_CODES}
_BY_STATE = {
    "FINISHED": EndReason.COMPLETED,
    "CANCELLED": EndReason.CANCELED,
    "NO_ANSWER": EndReason.NO_ANSWER,
    "BUSY": EndReason.BUSY,
}


def end_reason(log: Mapping[str, Any]) -> EndReason:
    """Why the call of a Call or CallLog ended: by its error code, else by its state."""
    code = _code(log)
    told = log.get("errorCode")
    if code is not None:
        reason = code.reason
    elif isinstance(told, Mapping) and (told.get("id") or told.get("name")):
        return EndReason.CARRIER_ERROR
    else:
        reason = _BY_STATE.get(str(log.get("state")), EndReason.CARRIER_ERROR)
    if reason is EndReason.COMPLETED and not log.get("answerTime"):
        return EndReason.CANCELED if log.get("hangupSource") == "API" else EndReason.NO_ANSWER
    return reason


def hang_up_by(log: Mapping[str, Any]) -> HangUpBy | None:
    """Who ended the call of a CallLog; a call at its longest duration ended by the limit."""
    code = _code(log)
    if code is not None and code.name == "MAX_DURATION_REACHED":
        return HangUpBy.LIMIT
    return HANGUP_SOURCES.get(str(log.get("hangupSource")))


def end_detail(log: Mapping[str, Any]) -> str:
    """The vendor's own words for the end of a call, such as `10201 BUSY`."""
    told = log.get("errorCode")
    if not isinstance(told, Mapping):
        return str(log.get("state") or "")
    return " ".join(str(told[key]) for key in ("id", "name") if told.get(key))


def attempt_of(call: Mapping[str, Any]) -> str | None:
    """Our id in a Call or CallLog: its externalId, or what we put into its customData."""
    custom = call.get("customData")
    candidates = (call.get("externalId"), custom.get("attempt_id") if isinstance(custom, Mapping) else None)
    return next((value for value in candidates if isinstance(value, str) and value), None)


def leg_of(call: Mapping[str, Any]) -> Leg:
    """Whose leg a Call or CallLog is: a websocket is ours, a phone with a parent call is a human's."""
    endpoint = call.get("endpoint")
    custom = call.get("customData")
    told = custom.get("leg") if isinstance(custom, Mapping) else None
    if (isinstance(endpoint, Mapping) and endpoint.get("type") == "WEBSOCKET") or told == "media":
        return Leg.MEDIA
    if call.get("parentCallId") or told == "human":
        return Leg.HUMAN
    return Leg.PERSON


def is_person(call: Mapping[str, Any]) -> bool:
    """Whether a Call or CallLog is the leg of the person whom we dialled."""
    return leg_of(call) is Leg.PERSON and call.get("direction") != "INBOUND"


def carrier_call(call: Mapping[str, Any]) -> CarrierCall:
    """A Call (live) or CallLog (history) of the Calls API as a CarrierCall."""
    state = _state(call)
    ended = state is CarrierCallState.ENDED
    endpoint = call.get("endpoint")
    number = endpoint.get("phoneNumber") if isinstance(endpoint, Mapping) else None
    return CarrierCall(
        carrier_call_id=str(call.get("id") or call.get("callId") or ""),
        state=state,
        attempt_id=attempt_of(call),
        phone=our_number(number or call.get("to")),
        started_at=our_time(call.get("startTime")),
        answered_at=our_time(call.get("answerTime")),
        ended_at=our_time(call.get("endTime")) if ended else None,
        duration_s=duration_s(call) if ended else None,
        end_reason=end_reason(call) if ended else None,
        hang_up_by=hang_up_by(call) if ended else None,
        detail=end_detail(call) if ended else str(call.get("state") or ""),
    )


def duration_s(call: Mapping[str, Any]) -> float | None:
    """Seconds that the call lasted after the answer, as told or by its times."""
    told = call.get("duration")
    if isinstance(told, int | float) and not isinstance(told, bool) and 0 <= told <= _LONGEST_CALL_S:
        return float(told)
    answered, ended = our_time(call.get("answerTime")), our_time(call.get("endTime"))
    return max(0.0, (ended - answered).total_seconds()) if answered and ended else None


def _state(call: Mapping[str, Any]) -> CarrierCallState:
    known = CALL_STATES.get(str(call.get("state")))
    if known is not None:
        return known
    if call.get("endTime"):
        return CarrierCallState.ENDED
    return CarrierCallState.ANSWERED if call.get("answerTime") else CarrierCallState.PLACED


def _code(log: Mapping[str, Any]) -> ErrorCode | None:
    told = log.get("errorCode")
    if not isinstance(told, Mapping):
        return None
    number, name = told.get("id"), told.get("name")
    by_id = _BY_ID.get(number) if isinstance(number, int) else None
    return by_id or (_BY_NAME.get(name) if isinstance(name, str) else None)
