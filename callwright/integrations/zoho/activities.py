"""Logs calls and notes once: our mark is looked for before anything is added.

Zoho has no idempotent insert and no upsert for Calls. The mark `callwright:<attempt id>` ends the subject of a call
(lists show it whole) and its description, and the title of a note. Pages: insert-records (Calls), create-notes,
get-related-records; COQL knows Calls but not Notes.
"""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

from callwright.domain.errors import VendorAmbiguous, VendorError, VendorNotFound
from callwright.domain.outcome import EndReason
from callwright.integrations.zoho.client import VENDOR, ZohoClient
from callwright.integrations.zoho.conditions import quote
from callwright.integrations.zoho.metadata import PICKLISTS, FieldMeta, Metadata
from callwright.integrations.zoho.records import Records, demand_module, is_record_id
from callwright.integrations.zoho.values import cut, iso
from callwright.integrations.zoho.writes import Writes
from callwright.ports.crm import CallActivity, CrmNote

_MODULE = "Calls"
_STATUS_FIELDS = ("Outgoing_Call_Status", "Outbound_Call_Status")
_NEEDED = frozenset({"Subject", "Call_Type", "Call_Start_Time", "Call_Duration"})
_LOOK_AROUND = timedelta(days=1)
_PAGE = 200
_MOST_PAGES = 10
_TITLE_LENGTH = 120
_CONTENT_LENGTH = 65_535
_SUBJECT_LENGTH = 255
_DESCRIPTION_LENGTH = 32_000

_RESULTS: dict[EndReason, tuple[str, ...]] = {
    EndReason.NO_ANSWER: ("No response/Busy", "No response", "No Answer"),
    EndReason.BUSY: ("No response/Busy", "Busy"),
    EndReason.REJECTED: ("No response/Busy", "Rejected"),
    EndReason.UNREACHABLE: ("Unavailable", "No response/Busy"),
    EndReason.INVALID_NUMBER: ("Invalid number", "Invalid Number"),
    EndReason.MACHINE: ("Voicemail", "No response/Busy"),
}
"""Call_Result by reason: the first that the organisation's picklist has; other reasons leave it empty."""


def mark(attempt_id: str) -> str:
    """What an entry about an attempt carries."""
    return f"callwright:{attempt_id}"


class Activities:
    """Calls and notes of records."""

    def __init__(self, client: ZohoClient, metadata: Metadata, records: Records, writes: Writes) -> None:
        self._client = client
        self._metadata = metadata
        self._records = records
        self._writes = writes

    async def log_call(self, activity: CallActivity, triggers: tuple[str, ...]) -> str:
        """The id of the entry about this attempt, added if there is none yet."""
        _demand_id(activity.module, activity.record_id)
        found = await self._find_call(activity)
        if found is not None:
            return found
        fields = await self._metadata.fields(_MODULE)
        entry = _entry(activity, fields)
        optional = frozenset(entry) - _NEEDED - _link(activity).keys()
        try:
            return await self._writes.insert(_MODULE, entry, optional, triggers)
        except VendorAmbiguous as doubt:
            return await self._after_doubt(self._find_call(activity), doubt)

    async def add_note(self, note: CrmNote) -> str:
        """The id of the note of this attempt with this title, added if there is none yet."""
        _demand_id(note.module, note.record_id)
        title = _marked(note.title, mark(note.attempt_id), _TITLE_LENGTH)
        found = await self._find_note(note, title)
        if found is not None:
            return found
        entry = {
            "Parent_Id": {"module": {"api_name": note.module}, "id": note.record_id},
            "Note_Title": title,
            "Note_Content": cut(note.text or note.title, _CONTENT_LENGTH),
        }
        try:
            return await self._writes.insert("Notes", entry, frozenset(), None)
        except VendorAmbiguous as doubt:
            return await self._after_doubt(self._find_note(note, title), doubt)

    async def _after_doubt(self, look: Awaitable[str | None], doubt: VendorAmbiguous) -> str:
        """What a lost answer left behind, or the doubt itself for the caller to try again later."""
        try:
            found = await look
        except VendorError:
            found = None
        if found is None:
            raise doubt from None
        return found

    async def _find_call(self, activity: CallActivity) -> str | None:
        earliest, latest = activity.started_at - _LOOK_AROUND, activity.started_at + _LOOK_AROUND
        link = "Who_Id" if activity.module == "Contacts" else "What_Id"
        condition = (
            f"{link} = {quote(activity.record_id)} and "
            f"Call_Start_Time between {quote(iso(earliest))} and {quote(iso(latest))}"
        )
        columns = ("id", "Subject", "Description")
        body = await self._records.select(columns, _MODULE, condition, 0, _PAGE)
        sought = mark(activity.attempt_id)
        for row in (body or {}).get("data", ()):
            if any(_carries(row.get(name), sought) for name in ("Subject", "Description")):
                return str(row["id"])
        return None

    async def _find_note(self, note: CrmNote, title: str) -> str | None:
        path = f"{note.module}/{note.record_id}/Notes"
        for page in range(1, _MOST_PAGES + 1):
            params: dict[str, str | int] = {"fields": "id,Note_Title", "page": page, "per_page": _PAGE}
            try:
                body = await self._client.read("GET", path, params=params)
            except VendorNotFound:
                return None
            for row in (body or {}).get("data", ()):
                if row.get("Note_Title") == title:
                    return str(row["id"])
            if not (body or {}).get("info", {}).get("more_records"):
                return None
        return None


def _demand_id(module: str, record_id: str) -> None:
    demand_module(module)
    if not is_record_id(record_id):
        raise VendorNotFound(VENDOR, f"{module} has no record {record_id}")


def _carries(text: Any, sought: str) -> bool:
    """Whether a text holds the mark as a whole word: attempt 1 is not attempt 12."""
    if not isinstance(text, str):
        return False
    return sought in text.replace("(", " ").replace(")", " ").split()


def _marked(text: str, sought: str, length: int) -> str:
    room = length - len(sought) - 3
    return f"{cut(text.strip(), room)} ({sought})"


def _link(activity: CallActivity) -> dict[str, Any]:
    if activity.module == "Contacts":
        return {"Who_Id": {"id": activity.record_id}}
    return {"What_Id": {"id": activity.record_id}, "$se_module": activity.module}


def _entry(activity: CallActivity, fields: dict[str, FieldMeta]) -> dict[str, Any]:
    sought = mark(activity.attempt_id)
    words = activity.end_reason.value.replace("_", " ")
    entry: dict[str, Any] = {
        "Subject": _marked(f"AI call: {words}", sought, _length(fields, "Subject", _SUBJECT_LENGTH)),
        "Call_Type": "Outbound",
        "Call_Start_Time": iso(activity.started_at),
        "Call_Duration": _duration(activity.duration_s),
        **_link(activity),
    }
    extra = {
        "Description": _description(activity, _length(fields, "Description", _DESCRIPTION_LENGTH)),
        "Dialled_Number": activity.phone,
        "Call_Result": _result(activity.end_reason, fields.get("Call_Result")),
        **{name: _completed(fields[name]) for name in _STATUS_FIELDS if name in fields},
    }
    for name, value in extra.items():
        field = fields.get(name)
        if value is not None and field is not None and field.creatable:
            entry[name] = value
    return entry


def _duration(seconds: float) -> str:
    """Minutes and seconds; Zoho refuses zero (DEPENDENT_MISMATCH), so an unanswered call lasts a second."""
    whole = max(round(seconds), 1)
    return f"{whole // 60:02d}:{whole % 60:02d}"


def _description(activity: CallActivity, length: int) -> str:
    lines = [activity.summary, f"Agent: {activity.agent_name}", f"Number: {activity.phone}"]
    lines += [f"{name}: {value}" for name, value in activity.detail.items()]
    ending = "\n" + mark(activity.attempt_id)
    return cut("\n".join(line for line in lines if line), length - len(ending)) + ending


def _completed(field: FieldMeta) -> str | None:
    if field.type in PICKLISTS and "Completed" not in {option.actual for option in field.options}:
        return None
    return "Completed"


def _result(reason: EndReason, field: FieldMeta | None) -> str | None:
    if field is None:
        return None
    known = {option.actual for option in field.options}
    return next((text for text in _RESULTS.get(reason, ()) if text in known), None)


def _length(fields: dict[str, FieldMeta], name: str, otherwise: int) -> int:
    field = fields.get(name)
    return field.length if field is not None and field.length is not None else otherwise
