"""What happens to a call: the carrier's events in our words, and the append-only log."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from callwright.domain.outcome import EndReason, HangUpBy


class Leg(StrEnum):
    """Whose leg of the call an event is about."""

    PERSON = "person"
    MEDIA = "media"
    HUMAN = "human"


class CarrierEventKind(StrEnum):
    """A carrier's event, normalised. UNKNOWN keeps what we do not understand as data."""

    ACCEPTED = "accepted"
    RINGING = "ringing"
    EARLY_MEDIA = "early_media"
    ANSWERED = "answered"
    MEDIA_STARTED = "media_started"
    MEDIA_ENDED = "media_ended"
    HUMAN_DETECTED = "human_detected"
    MACHINE_DETECTED = "machine_detected"
    MACHINE_MESSAGE_ENDED = "machine_message_ended"
    DTMF = "dtmf"
    PROMPT_FINISHED = "prompt_finished"
    RECORDING_READY = "recording_ready"
    TRANSFER_FAILED = "transfer_failed"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CarrierEvent:
    """One event of a carrier.

    `attempt_id` is our id where the carrier echoes it; `carrier_call_id` its id of the leg concerned;
    `person_call_id` its id of the person's leg when that is another; `dedup_key` is the same for repeats;
    `answered_at` tells of a leg that is over when it was answered, should that event come later or never;
    what is under `keep` in `data` is remembered with the attempt and given back in CallHandle.data.
    """

    kind: CarrierEventKind
    carrier_call_id: str
    dedup_key: str
    at: datetime
    leg: Leg = Leg.PERSON
    attempt_id: str | None = None
    person_call_id: str | None = None
    end_reason: EndReason | None = None
    hang_up_by: HangUpBy | None = None
    duration_s: float | None = None
    answered_at: datetime | None = None
    detail: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One line of a call's append-only log; `kind` is a short word such as `gate`, `state`, `carrier.ringing`."""

    kind: str
    at: datetime
    source: str
    data: dict[str, Any] = field(default_factory=dict)
    dedup_key: str | None = None


class Speaker(StrEnum):
    """Who said a line of the transcript."""

    AGENT = "agent"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    """One utterance; `at_ms` counts from the moment the person answered.

    A line with the `key` of an earlier one replaces it (a correction after an interruption).
    """

    key: str
    speaker: Speaker
    text: str
    at_ms: int
    interrupted: bool = False
