"""Calls as the API shows them: everything that was decided, learnt and said, and nothing secret."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from callwright.domain.attempt import Attempt
from callwright.domain.events import CallEvent, Speaker, TranscriptLine
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import CallState
from callwright.storage.columns import storable
from callwright.toolkit.redaction import Redactor

CALL_ID = "067aa1c3f4b8e0d1a92c37f55"

Data = Annotated[dict[str, Any], Field(json_schema_extra={"additionalProperties": True})]


class CrmRecordView(BaseModel):
    """The CRM record that a call is about."""

    system: str = Field(description="The CRM's integration.", examples=["acme"])
    module: str = Field(description="The kind of record there.", examples=["Leads"])
    record_id: str = Field(description="Its id there.", examples=["3652397000000649013"])


class AgentVersion(BaseModel):
    """Which agent holds the call."""

    name: str = Field(examples=["lead-qualifier"])
    version: int = Field(examples=[3])


class CallView(BaseModel):
    """One call. Times are UTC; `phone` is E.164 and empty until the CRM record was read."""

    id: str = Field(examples=[CALL_ID])
    state: CallState = Field(description="Where the call is; `done` is final.")
    agent: AgentVersion
    carrier: str
    engine: str = Field(description="The agent platform.")
    source: str = Field(description="Who asked for it: api, hook, ...", examples=["api"])
    phone: str = Field(examples=["+447700900123"])
    crm: CrmRecordView | None
    variables: Data = Field(
        description="What the agent is told before the call.", examples=[{"first_name": "Ada"}]
    )
    tags: dict[str, str] = Field(examples=[{"batch": "spring"}])
    attempt_number: int = Field(description="1 for the first try to reach the person.")
    previous_id: str | None = Field(description="The try before this one.")
    created_at: datetime
    not_before: datetime = Field(description="It is not dialled earlier than this.")
    dialed_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    done_at: datetime | None = Field(description="When everything was written back.")
    first_word_ms: float | None = Field(
        description="From the answer to the agent's first word, milliseconds."
    )
    duration_s: float | None = Field(description="From the answer to the end, seconds.")
    end_reason: EndReason | None
    end_detail: str
    hang_up_by: HangUpBy | None
    hang_up_requested: bool
    collected: Data = Field(description="The answers, typed.", examples=[{"interested": True}])
    missing: list[str] = Field(description="Required answers that were not given.")
    summary: str
    successful: bool | None
    opted_out: bool = Field(description="The person asked not to be called again.")
    results_state: str = Field(description="Whether the agent platform's analysis has come.")
    crm_state: str = Field(description="Whether the outcome is in the CRM.")
    crm_detail: Data = Field(description="What the CRM took, and what it refused.")
    carrier_call_id: str | None
    conversation_id: str | None
    has_recording: bool
    has_carrier_recording: bool = Field(description="Whether the carrier's own recording was fetched.")


class CallPage(BaseModel):
    """Calls, newest first."""

    items: list[CallView]
    next_cursor: str | None = Field(
        description="Pass it as `cursor` for the next page; null on the last one."
    )


class EventView(BaseModel):
    """One line of a call's append-only log."""

    kind: str = Field(examples=["state"])
    at: datetime
    source: str = Field(description="Who reported or decided it.", examples=["dial"])
    data: Data = Field(examples=[{"from": "dialing", "to": "placed", "signal": "accept"}])


class EventList(BaseModel):
    """The whole log, oldest first."""

    items: list[EventView]


class FeedItem(EventView):
    """One event of the live feed. `cursor` is the event's SSE id."""

    cursor: int
    call_id: str


class TranscriptLineView(BaseModel):
    """One utterance; `at_ms` counts from the moment the person answered."""

    key: str
    speaker: Speaker
    text: str = Field(examples=["Good morning, is this Ada?"])
    at_ms: int = Field(examples=[620])
    interrupted: bool = Field(description="The person spoke over it: `text` is what was heard of it.")


class TranscriptView(BaseModel):
    """What was said, in order."""

    items: list[TranscriptLineView]


class Shower:
    """Turns what the services give into views; known secrets and unprintable characters are replaced."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact

    def data(self, value: Any) -> Any:
        """JSON-friendly data that may leave the house."""
        return _printable(self._redact.data(value))

    def text(self, value: str) -> str:
        """A text that may leave the house."""
        return storable(self._redact(value))

    def call(self, attempt: Attempt) -> CallView:
        """A call; the media token, the agent's ticket and the carrier's own data stay here."""
        crm = attempt.crm
        return CallView(
            id=attempt.id,
            state=attempt.state,
            agent=AgentVersion(name=attempt.agent_name, version=attempt.agent_version),
            carrier=attempt.carrier,
            engine=attempt.engine,
            source=attempt.source,
            phone=attempt.phone,
            crm=CrmRecordView(system=crm.system, module=crm.module, record_id=crm.record_id) if crm else None,
            variables=_printable(attempt.variables),
            tags=_printable(attempt.tags),
            attempt_number=attempt.attempt_number,
            previous_id=attempt.previous_id,
            created_at=attempt.created_at,
            not_before=attempt.not_before,
            dialed_at=attempt.dialed_at,
            answered_at=attempt.answered_at,
            ended_at=attempt.ended_at,
            done_at=attempt.done_at,
            first_word_ms=attempt.first_word_ms,
            duration_s=attempt.duration_s,
            end_reason=attempt.end_reason,
            end_detail=self.text(attempt.end_detail),
            hang_up_by=attempt.hang_up_by,
            hang_up_requested=attempt.hang_up_requested,
            collected=_printable(attempt.collected),
            missing=attempt.missing,
            summary=storable(attempt.summary),
            successful=attempt.successful,
            opted_out=attempt.opted_out,
            results_state=attempt.results_state,
            crm_state=attempt.crm_state,
            crm_detail=self.data(attempt.crm_detail),
            carrier_call_id=attempt.carrier_call_id,
            conversation_id=attempt.conversation_id,
            has_recording=attempt.recording_path is not None,
            has_carrier_recording=attempt.carrier_recording_path is not None,
        )

    def event(self, event: CallEvent) -> EventView:
        """One line of a call's log."""
        return EventView(kind=event.kind, at=event.at, source=event.source, data=self.data(event.data))

    def feed_item(self, cursor: int, call_id: str, event: CallEvent) -> FeedItem:
        """One event of the live feed."""
        data = self.data(event.data)
        return FeedItem(
            cursor=cursor, call_id=call_id, kind=event.kind, at=event.at, source=event.source, data=data
        )

    def line(self, line: TranscriptLine) -> TranscriptLineView:
        """One utterance."""
        return TranscriptLineView(
            key=line.key,
            speaker=line.speaker,
            text=storable(line.text),
            at_ms=line.at_ms,
            interrupted=line.interrupted,
        )


def _printable(value: Any) -> Any:
    """Replace characters that UTF-8 cannot carry, however deep they are."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(str(name)): _printable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value
