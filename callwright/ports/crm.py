"""What we ask of a customer relationship management system."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from callwright.domain.agent import AgentDefinition
from callwright.domain.errors import Problem
from callwright.domain.outcome import EndReason
from callwright.ports.operations import CheckResult, SetupPlan, SetupStep
from callwright.ports.webhook import WebhookRequest


@dataclass(frozen=True, slots=True)
class CrmRecord:
    """One record; `modified` is an opaque mark for conditional updates."""

    module: str
    record_id: str
    values: dict[str, Any]
    modified: str | None = None


@dataclass(frozen=True, slots=True)
class CrmField:
    """What the CRM says about one field; `max_length` in characters."""

    name: str
    label: str
    type: str
    writable: bool
    required: bool = False
    max_length: int | None = None
    options: tuple[str, ...] = ()
    restricted: bool = False
    is_phone: bool = False


@dataclass(frozen=True, slots=True)
class FieldRefusal:
    """A value that the CRM will never take, and why; `field` is None when it is about the whole record."""

    field: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of an update: which fields hold what we wanted, which never will, which kept what they held."""

    written: tuple[str, ...]
    refused: tuple[FieldRefusal, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallActivity:
    """A call to be logged. `attempt_id` is written into the entry and looked up before an insert."""

    attempt_id: str
    module: str
    record_id: str
    phone: str
    started_at: datetime
    duration_s: float
    end_reason: EndReason
    agent_name: str
    summary: str
    detail: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CrmNote:
    """A note on a record; `attempt_id` marks it so that it is not written twice."""

    attempt_id: str
    module: str
    record_id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class CrmHook:
    """A CRM's request to call a record; `agent` may be left to the endpoint's default."""

    module: str
    record_id: str
    agent: str | None
    dedup_key: str


class Crm(Protocol):
    """A CRM. VendorBusy and VendorUnreachable and VendorAmbiguous are worth a durable retry; refusals are not."""

    name: str

    async def get(self, module: str, record_id: str) -> CrmRecord | None:
        """Read one record; None if there is none."""
        ...

    async def find_by_phone(self, module: str, e164: str) -> list[CrmRecord]:
        """Records with this number (E.164) in any phone field; raises InvalidInput for what is no number."""
        ...

    async def query(
        self, module: str, condition: str, fields: tuple[str, ...], limit: int
    ) -> list[CrmRecord]:
        """Records that match a condition in the CRM's own query language, at most `limit`.

        Raises InvalidInput or VendorRefused for what is no condition.
        """
        ...

    async def fields(self, module: str) -> list[CrmField]:
        """Field metadata, cached; raises VendorNotFound for an unknown module."""
        ...

    async def mapping_problems(self, agent: AgentDefinition) -> list[Problem]:
        """Everything wrong with an agent's mapping (unknown, read-only, type, length, option)."""
        ...

    async def update(
        self,
        module: str,
        record_id: str,
        values: dict[str, Any],
        *,
        triggers: tuple[str, ...] = (),
        modified: str | None = None,
        keep_filled: bool = False,
    ) -> WriteResult:
        """Write fields; those that the CRM refuses for good do not keep the others from being written.

        `keep_filled` writes empty fields only (a box that is not ticked is empty), whatever people change meanwhile.
        Raises Conflict when `modified` is given and the record was changed since.
        """
        ...

    async def log_call(self, activity: CallActivity, *, triggers: tuple[str, ...] = ()) -> str:
        """Log a call once, looking for our mark before inserting; returns the entry's id."""
        ...

    async def add_note(self, note: CrmNote) -> str:
        """Attach a note once, looking for our mark before inserting; returns its id."""
        ...

    def webhook(self, request: WebhookRequest) -> list[CrmHook]:
        """Verify and understand a hook that asks for calls; raises WebhookRejected."""
        ...

    async def check(self) -> list[CheckResult]:
        """Test credentials, scopes and limits."""
        ...

    async def setup(self, plan: SetupPlan) -> list[SetupStep]:
        """Compare the vendor's set-up with the plan and, if asked, mend it. Idempotent."""
        ...

    async def close(self) -> None:
        """Release sockets and clients."""
        ...
