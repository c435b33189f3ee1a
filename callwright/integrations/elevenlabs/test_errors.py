"""Every row of the error tables."""

import pytest

from callwright.domain.errors import (
    VendorAuthFailed,
    VendorBusy,
    VendorError,
    VendorNotFound,
    VendorQuotaExceeded,
    VendorRefused,
)
from callwright.integrations.elevenlabs import errors
from callwright.ports.voice_agent import AgentClosed, AgentFailed, AgentFault

HTTP_ROWS: list[tuple[int, str, type[VendorError] | None]] = [
    (400, "voice_not_found", VendorRefused),
    (400, "invalid_uid", VendorRefused),
    (400, "max_character_limit_exceeded", VendorRefused),
    (401, "invalid_api_key", VendorAuthFailed),
    (401, "missing_permissions", VendorAuthFailed),
    (401, "quota_exceeded", VendorQuotaExceeded),
    (401, "detected_unusual_activity", VendorAuthFailed),
    (402, "payment_required", VendorQuotaExceeded),
    (403, "only_for_creator+", VendorRefused),
    (403, "output_format_not_allowed", VendorRefused),
    (404, "document_not_found", VendorNotFound),
    (404, "agent_not_found", VendorNotFound),
    (429, "too_many_concurrent_requests", VendorBusy),
    (429, "concurrent_limit_exceeded", VendorBusy),
    (429, "system_busy", VendorBusy),
    # by status alone
    (400, "new_code", VendorRefused),
    (401, "new_code", VendorAuthFailed),
    (402, "new_code", VendorQuotaExceeded),
    (403, "new_code", VendorRefused),
    (404, "", VendorNotFound),
    (409, "", VendorBusy),
    (422, "validation_error", VendorRefused),
    (429, "", VendorBusy),
    # the code says more than the status
    (429, "quota_exceeded", VendorQuotaExceeded),
    # left to the toolkit
    (500, "", None),
    (503, "system_busy", None),
]


@pytest.mark.parametrize("status, code, kind", HTTP_ROWS)
def test_http_answers(status: int, code: str, kind: type[VendorError] | None) -> None:
    assert errors.http_error(status, code) is kind


def test_no_http_row_is_untested() -> None:
    tested = {(status, code) for status, code, _ in HTTP_ROWS}
    assert set(errors.HTTP_CODES) <= tested
    assert set(errors.HTTP_STATUSES) <= {
        status for status, code in tested if (status, code) not in errors.HTTP_CODES
    }


CLOSE_ROWS: list[tuple[int | None, str, AgentFault]] = [
    (None, "", AgentFault.LOST),
    (1001, "", AgentFault.LOST),
    (1002, "", AgentFault.OPERATIONAL),
    (1005, "", AgentFault.LOST),
    (1006, "", AgentFault.LOST),
    (1008, "Override for field 'voice_id' is not allowed by config", AgentFault.BAD_INPUT),
    (1009, "", AgentFault.BAD_INPUT),
    (1011, "", AgentFault.OPERATIONAL),
    (1012, "", AgentFault.LOST),
    (1013, "", AgentFault.OPERATIONAL),
    (3000, "Request error", AgentFault.REFUSED),
    (4300, "Agent has exceeded its daily call limit of 5.", AgentFault.LIMIT),
    (4999, "", AgentFault.OPERATIONAL),
    # the reason says more than the code
    (3000, "[quota_exceeded] You've run out of credits.", AgentFault.QUOTA),
    (1002, "This request exceeds your quota limit.", AgentFault.QUOTA),
    (3000, "Could not authorize the conversation.", AgentFault.REFUSED),
    (1002, "The AI agent you are trying to reach appears to be misconfigured", AgentFault.REFUSED),
]


@pytest.mark.parametrize("began", [True, False])
@pytest.mark.parametrize("code, reason, fault", CLOSE_ROWS)
def test_close_codes(code: int | None, reason: str, fault: AgentFault, *, began: bool) -> None:
    verdict = errors.close(code, reason, began=began)
    assert isinstance(verdict, AgentFailed)
    assert verdict.fault is fault
    assert reason in verdict.detail
    assert verdict.detail.startswith("before anybody spoke: ") is not began


def test_no_close_code_is_untested() -> None:
    assert set(errors.CLOSE_CODES) <= {code for code, _, _ in CLOSE_ROWS}


def test_the_ordinary_close() -> None:
    assert errors.close(1000, "bye", began=True) == AgentClosed("bye")
    refused = errors.close(1000, "", began=False)
    assert refused == AgentFailed(AgentFault.REFUSED, "before anybody spoke: 1000")


BAD_INPUT = (
    "invalid_message telephony_agent_error mcp_tool_error mcp_https_error value_error missing_fields override_error "
    "missing_dynamic_variable_transfer missing_dynamic_variable"
).split()
OPERATIONAL = (
    "unknown safety_violation llm_timeout transport_receive_timeout asyncio_timeout http_exception llm_error "
    "custom_llm_error cascade_brain_error asr_transcription_error vad_error turn_probability_error tts_cascade_error "
    "redis_timeout_error unknown_websocket_crash"
).split()
TYPE_ROWS = [
    *((name, AgentFault.BAD_INPUT) for name in BAD_INPUT),
    *((name, AgentFault.OPERATIONAL) for name in OPERATIONAL),
    ("websocket_disconnect", AgentFault.LOST),
]


@pytest.mark.parametrize("error_type, fault", TYPE_ROWS)
def test_error_types(error_type: str, fault: AgentFault) -> None:
    verdict = errors.error_event(None, error_type, "why")
    assert verdict == AgentFailed(fault, f"{error_type}: why")


def test_no_error_type_is_untested() -> None:
    assert dict(TYPE_ROWS) == errors.ERROR_TYPES


def test_error_events_without_a_known_type_are_judged_by_their_code() -> None:
    assert errors.error_event(1008, "new_type", "") == AgentFailed(AgentFault.BAD_INPUT, "1008 new_type")
    assert errors.error_event(1011, None, "") == AgentFailed(AgentFault.OPERATIONAL, "1011")
    assert errors.error_event(None, None, "") == AgentFailed(AgentFault.LOST, "the connection broke")


def test_error_events_that_announce_an_ordinary_end() -> None:
    assert errors.error_event(1000, "max_duration_exceeded", "x") == AgentClosed("max_duration_exceeded")
    assert errors.error_event(1000, None, "x") == AgentClosed("x")


@pytest.mark.parametrize(
    "body, expected",
    [
        ({"detail": {"status": "invalid_api_key", "message": "Invalid"}}, ("invalid_api_key", "Invalid")),
        (
            {"detail": {"type": "authentication_error", "code": "invalid_api_key", "message": "Invalid"}},
            ("invalid_api_key", "Invalid"),
        ),
        ({"detail": "Not Found"}, ("", "Not Found")),
        (
            {"detail": [{"loc": ["body", "name"], "msg": "Field required", "type": "missing"}, "odd"]},
            ("validation_error", "body.name: Field required; odd"),
        ),
        ({"detail": None}, ("", "")),
        ([], ("", "")),
        (None, ("", "")),
    ],
)
def test_error_bodies_of_every_shape(body: object, expected: tuple[str, str]) -> None:
    assert errors.http_detail(body) == expected


def test_an_agent_of_another_region_is_explained() -> None:
    message = "The AI agent you are trying to reach does not exist."
    verdict = errors.close(3000, message, began=False)
    assert isinstance(verdict, AgentFailed)
    assert verdict.fault is AgentFault.REFUSED
    assert "ELEVENLABS_BASE_URL" in verdict.detail
    assert "ELEVENLABS_BASE_URL" in errors.http_detail({"detail": message})[1]
