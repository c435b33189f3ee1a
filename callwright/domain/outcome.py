"""How a call ended, in words that are the same for every vendor."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EndReason(StrEnum):
    """Why a call is over."""

    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    INVALID_NUMBER = "invalid_number"
    UNREACHABLE = "unreachable"
    BLOCKED = "blocked"
    CANCELED = "canceled"
    MACHINE = "machine"
    CARRIER_ERROR = "carrier_error"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    RATE_LIMITED = "rate_limited"
    MEDIA_FAILED = "media_failed"
    AGENT_FAILED = "agent_failed"
    NOT_ALLOWED = "not_allowed"
    DIAL_UNKNOWN = "dial_unknown"
    PREPARATION_FAILED = "preparation_failed"


REACHED = frozenset({EndReason.COMPLETED, EndReason.MEDIA_FAILED, EndReason.AGENT_FAILED, EndReason.MACHINE})
"""Reasons after which somebody or something had answered."""


class HangUpBy(StrEnum):
    """Who ended the call."""

    PERSON = "person"
    AGENT = "agent"
    HUMAN = "human"
    API = "api"
    CARRIER = "carrier"
    LIMIT = "limit"
    US = "us"


@dataclass(frozen=True, slots=True)
class CallResult:
    """What is known after a call, ready to be written to a CRM."""

    end_reason: EndReason
    end_detail: str = ""
    collected: dict[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    rejected: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    successful: bool | None = None
    opted_out: bool = False
    results_pending: bool = False
