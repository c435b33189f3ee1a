"""One attempt to reach one person: the row that, with its event log, is the only truth about a call."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import CallState


@dataclass(frozen=True, slots=True)
class CrmReference:
    """The CRM record that a call is about."""

    system: str
    module: str
    record_id: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A snapshot of one attempt's row. Times are aware UTC; `phone` is E.164, empty until it is known.

    `given` is what the caller named, `variables` what the agent gets, read at `record_read_at`. `round` counts the
    starts of the dial workflow, `finish_round` those of the finish workflow, `failures` the tries to prepare or
    dial that failed without effect, `finish_failures` the rounds of finishing that did; `dial_slot_at` is the
    moment of the carrier's rate that the call has reserved; `revision` grows with every change; `owner` is the
    process that holds the media.
    """

    id: str
    agent_name: str
    agent_version: int
    carrier: str
    engine: str
    state: CallState
    revision: int
    source: str
    created_at: datetime
    not_before: datetime
    phone: str = ""
    crm: CrmReference | None = None
    given: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    record_read_at: datetime | None = None
    attempt_number: int = 1
    previous_id: str | None = None
    round: int = 0
    finish_round: int = 0
    failures: int = 0
    finish_failures: int = 0
    dial_slot_at: datetime | None = None
    owner: str | None = None
    media_token: str | None = None
    carrier_call_id: str | None = None
    carrier_data: dict[str, Any] = field(default_factory=dict)
    conversation_id: str | None = None
    agent_ticket: dict[str, Any] = field(default_factory=dict)
    dialed_at: datetime | None = None
    answered_at: datetime | None = None
    first_word_ms: float | None = None
    ended_at: datetime | None = None
    done_at: datetime | None = None
    end_reason: EndReason | None = None
    end_detail: str = ""
    hang_up_by: HangUpBy | None = None
    hang_up_requested: bool = False
    duration_s: float | None = None
    collected: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    summary: str = ""
    successful: bool | None = None
    opted_out: bool = False
    results_state: str = "none"
    crm_state: str = "none"
    crm_detail: dict[str, Any] = field(default_factory=dict)
    recording_path: str | None = None
    carrier_recording_path: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
