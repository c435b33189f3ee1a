"""Calls and dialogs as the platform keeps them, and how it shows them (Call, CallLog, DialogResponse)."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from callwright.integrations.infobip.simulator.errors import error_code
from callwright.integrations.infobip.simulator.schemas import (
    CallRecording,
    MachineDetection,
    PhoneEndpoint,
    WebsocketEndpoint,
)

LIVE_STATES = frozenset({"CALLING", "RINGING", "PRE_ESTABLISHED", "ESTABLISHED"})
LIVE_DIALOGS = frozenset({"CREATED", "PRE_ESTABLISHED", "ESTABLISHED"})


def new_id() -> str:
    """An id as the platform makes them."""
    return str(uuid.uuid4())


def wire_time(moment: datetime) -> str:
    """2026-01-15T11:59:30.000+0000."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


@dataclass(slots=True)
class SimCall:
    """One leg: a telephone or a websocket. `e164` has the plus sign and is empty for a websocket."""

    endpoint: PhoneEndpoint | WebsocketEndpoint
    from_number: str
    configuration_id: str
    started: datetime
    custom_data: dict[str, str] = field(default_factory=dict)
    external_id: str | None = None
    parent_call_id: str | None = None
    connect_timeout_s: int = 60
    longest_s: int = 28800
    recording: CallRecording | None = None
    detection: MachineDetection | None = None
    id: str = field(default_factory=new_id)
    state: str = "CALLING"
    ringing_at: datetime | None = None
    answered: datetime | None = None
    ended: datetime | None = None
    end_code: str = ""
    hangup_source: str = ""
    dialog_id: str | None = None
    detected: str | None = None
    archived: bool = False
    silent_s: float = 0.0

    @property
    def live(self) -> bool:
        """Whether the leg is not over."""
        return self.state in LIVE_STATES

    @property
    def e164(self) -> str:
        """The number called, with the plus sign; empty for a websocket."""
        if isinstance(self.endpoint, PhoneEndpoint):
            return "+" + self.endpoint.phone_number.removeprefix("+")
        return ""

    def shown(self) -> dict[str, Any]:
        """The Call object."""
        return {
            "id": self.id,
            **self._common(),
            "callsConfigurationId": self.configuration_id,
            "media": {"audio": {"muted": False, "userMuted": False, "deaf": False}},
        }

    def log(self) -> dict[str, Any]:
        """The CallLog object of the history and of final events."""
        shown = {
            "callId": self.id,
            **self._common(),
            "callsConfigurationIds": [self.configuration_id],
            "conferenceIds": [],
            "duration": self.duration_s(),
            "hasCameraVideo": False,
            "hasScreenshareVideo": False,
        }
        if self.end_code:
            shown["errorCode"] = error_code(self.end_code)
        if self.hangup_source:
            shown["hangupSource"] = self.hangup_source
        return shown

    def duration_s(self) -> int:
        """Whole seconds from the answer to the end."""
        if self.answered is None or self.ended is None:
            return 0
        return round((self.ended - self.answered).total_seconds())

    def _common(self) -> dict[str, Any]:
        endpoint = self.endpoint.model_dump(by_alias=True, exclude_none=True)
        optional = {
            "answerTime": wire_time(self.answered) if self.answered else None,
            "endTime": wire_time(self.ended) if self.ended else None,
            "parentCallId": self.parent_call_id,
            "ringDuration": self._ring_s(),
            "dialogId": self.dialog_id,
            "externalId": self.external_id,
            "machineDetection": {"detectionResult": self.detected} if self.detected else None,
        }
        return {
            "endpoint": endpoint,
            "from": self.from_number,
            "to": self.e164.removeprefix("+"),
            "direction": "OUTBOUND",
            "state": self.state,
            "startTime": wire_time(self.started),
            "customData": dict(self.custom_data),
            **{key: value for key, value in optional.items() if value is not None},
        }

    def _ring_s(self) -> int | None:
        until = self.answered or self.ended
        if self.ringing_at is None or until is None:
            return None
        return round((until - self.ringing_at).total_seconds())


@dataclass(slots=True)
class SimDialog:
    """Two legs joined: the parent's audio to the child and back."""

    parent: SimCall
    child: SimCall
    started: datetime
    longest_s: int
    hangs_up_parent: bool
    id: str = field(default_factory=new_id)
    state: str = "CREATED"
    established: datetime | None = None
    ended: datetime | None = None
    end_code: str = ""
    hangup_source: str = ""

    @property
    def live(self) -> bool:
        """Whether the dialog is not over."""
        return self.state in LIVE_DIALOGS

    def shown(self) -> dict[str, Any]:
        """The DialogResponse object."""
        shown = {
            "id": self.id,
            "callsConfigurationId": self.parent.configuration_id,
            "state": self.state,
            "startTime": wire_time(self.started),
            "parentCall": self.parent.shown(),
            "childCall": self.child.shown(),
        }
        if self.established:
            shown["establishTime"] = wire_time(self.established)
        if self.ended:
            shown["endTime"] = wire_time(self.ended)
        return shown

    def end_facts(self) -> dict[str, Any]:
        """The properties of DIALOG_FINISHED and DIALOG_FAILED."""
        return {
            "dialog": self.shown(),
            "errorCode": error_code(self.end_code),
            "hangupSource": self.hangup_source,
        }
