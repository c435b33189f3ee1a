"""What the platform's errors mean, as tables: HTTP statuses with codes, close codes, and error types.

Close codes 1000 to 1011 and the error types are documented (agent.asyncapi, 2026-08); 3000 and 4300 are
observed. HTTP codes: the vendor's error pages and observation; a used-up quota answers 401, not 429.
"""

import re
from typing import Any, Final

from callwright.domain.errors import (
    VendorAuthFailed,
    VendorBusy,
    VendorError,
    VendorNotFound,
    VendorQuotaExceeded,
    VendorRefused,
)
from callwright.ports.voice_agent import AgentClosed, AgentFailed, AgentFault

HTTP_CODES: Final[dict[tuple[int, str], type[VendorError]]] = {
    (400, "voice_not_found"): VendorRefused,
    (400, "invalid_uid"): VendorRefused,
    (400, "max_character_limit_exceeded"): VendorRefused,
    (401, "invalid_api_key"): VendorAuthFailed,
    (401, "missing_permissions"): VendorAuthFailed,
    (401, "quota_exceeded"): VendorQuotaExceeded,
    (401, "detected_unusual_activity"): VendorAuthFailed,
    (402, "payment_required"): VendorQuotaExceeded,
    (403, "only_for_creator+"): VendorRefused,
    (403, "output_format_not_allowed"): VendorRefused,
    (404, "document_not_found"): VendorNotFound,
    (404, "agent_not_found"): VendorNotFound,
    (429, "too_many_concurrent_requests"): VendorBusy,
    (429, "concurrent_limit_exceeded"): VendorBusy,
    (429, "system_busy"): VendorBusy,
}
"""Status and machine code of an answer -> error. Other codes are judged by `HTTP_STATUSES`."""

HTTP_STATUSES: Final[dict[int, type[VendorError]]] = {
    400: VendorRefused,
    401: VendorAuthFailed,
    402: VendorQuotaExceeded,
    403: VendorRefused,
    404: VendorNotFound,
    409: VendorBusy,  # the vendor's own libraries repeat it
    422: VendorRefused,
    429: VendorBusy,
}
"""Status -> error, for codes that are not listed."""

CLOSE_CODES: Final[dict[int | None, AgentFault]] = {
    None: AgentFault.LOST,
    1001: AgentFault.LOST,
    1002: AgentFault.OPERATIONAL,
    1005: AgentFault.LOST,
    1006: AgentFault.LOST,
    1008: AgentFault.BAD_INPUT,
    1009: AgentFault.BAD_INPUT,
    1011: AgentFault.OPERATIONAL,
    1012: AgentFault.LOST,
    1013: AgentFault.OPERATIONAL,
    3000: AgentFault.REFUSED,
    4300: AgentFault.LIMIT,
}
"""Close code -> fault; None is a socket that broke without a close frame. 1000 is the ordinary end."""

ERROR_TYPES: Final[dict[str, AgentFault]] = {
    "unknown": AgentFault.OPERATIONAL,
    "invalid_message": AgentFault.BAD_INPUT,
    "telephony_agent_error": AgentFault.BAD_INPUT,
    "mcp_tool_error": AgentFault.BAD_INPUT,
    "mcp_https_error": AgentFault.BAD_INPUT,
    "value_error": AgentFault.BAD_INPUT,
    "missing_fields": AgentFault.BAD_INPUT,
    "override_error": AgentFault.BAD_INPUT,
    "missing_dynamic_variable_transfer": AgentFault.BAD_INPUT,
    "missing_dynamic_variable": AgentFault.BAD_INPUT,
    "websocket_disconnect": AgentFault.LOST,
    "safety_violation": AgentFault.OPERATIONAL,
    "llm_timeout": AgentFault.OPERATIONAL,
    "transport_receive_timeout": AgentFault.OPERATIONAL,
    "asyncio_timeout": AgentFault.OPERATIONAL,
    "http_exception": AgentFault.OPERATIONAL,
    "llm_error": AgentFault.OPERATIONAL,
    "custom_llm_error": AgentFault.OPERATIONAL,
    "cascade_brain_error": AgentFault.OPERATIONAL,
    "asr_transcription_error": AgentFault.OPERATIONAL,
    "vad_error": AgentFault.OPERATIONAL,
    "turn_probability_error": AgentFault.OPERATIONAL,
    "tts_cascade_error": AgentFault.OPERATIONAL,
    "redis_timeout_error": AgentFault.OPERATIONAL,
    "unknown_websocket_crash": AgentFault.OPERATIONAL,
}
"""`error_event.error_type` -> fault. `max_duration_exceeded` is absent: it announces an ordinary end."""

_NORMAL: Final = 1000
_QUOTA: Final = re.compile(r"quota|out of credits|credits remaining", re.IGNORECASE)
_REFUSAL: Final = re.compile(r"does not exist|could not authorize|misconfigured", re.IGNORECASE)
_UNKNOWN_AGENT: Final = re.compile(r"does not exist", re.IGNORECASE)
_RECEIVED: Final = re.compile(r"received (\d{4})\b")
_REGION: Final = (
    "Check engine.agent_id, and that ELEVENLABS_BASE_URL is the region of the workspace: "
    "an agent of another region looks like one that does not exist."
)


def http_error(status: int, code: str) -> type[VendorError] | None:
    """The kind of error that an answer of this status and machine code is; None leaves it to the toolkit."""
    if code == "quota_exceeded":
        return VendorQuotaExceeded
    return HTTP_CODES.get((status, code)) or HTTP_STATUSES.get(status)


def http_detail(body: Any) -> tuple[str, str]:
    """Machine code and message of an error body, whose `detail` may be a text, an object, or a list (422)."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, dict):
        code = detail.get("status") or detail.get("code") or detail.get("type") or ""
        return str(code), explained(str(detail.get("message") or ""))
    if isinstance(detail, list):
        return "validation_error", "; ".join(_validation(item) for item in detail)
    return "", explained(detail) if isinstance(detail, str) else ""


def explained(message: str) -> str:
    """The platform's message, with what to do where it misleads."""
    return f"{message} {_REGION}" if _UNKNOWN_AGENT.search(message) else message


def error_event(code: int | None, error_type: str | None, message: str) -> AgentFailed | AgentClosed:
    """What an `error` message says; AgentClosed if it only announces an ordinary end."""
    if code is None and (found := _RECEIVED.search(message)):
        code = int(found[1])
    if error_type == "max_duration_exceeded" or (code == _NORMAL and not error_type):
        return AgentClosed(error_type or message)
    fault = _by_text(message) or ERROR_TYPES.get(error_type or "") or _by_code(code)
    return AgentFailed(fault, _told(code, error_type, message))


def close(code: int | None, reason: str, *, began: bool) -> AgentFailed | AgentClosed:
    """What the end of the socket says. Before anybody has spoken even an ordinary close is a refusal."""
    if code == _NORMAL and began:
        return AgentClosed(reason)
    fault = AgentFault.REFUSED if code == _NORMAL else _by_text(reason) or _by_code(code)
    when = "" if began else "before anybody spoke: "
    return AgentFailed(fault, when + _told(code, None, reason))


def _by_text(text: str) -> AgentFault | None:
    if _QUOTA.search(text):
        return AgentFault.QUOTA
    return AgentFault.REFUSED if _REFUSAL.search(text) else None


def _by_code(code: int | None) -> AgentFault:
    return CLOSE_CODES.get(code, AgentFault.OPERATIONAL)


def _told(code: int | None, error_type: str | None, message: str) -> str:
    if code is None and not error_type and not message:
        return "the connection broke"
    where = " ".join(str(part) for part in (code, error_type) if part is not None)
    return f"{where}: {explained(message)}" if where and message else where or explained(message)


def _validation(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    place = ".".join(str(part) for part in item.get("loc", ()))
    return f"{place}: {item.get('msg', 'invalid')}"
