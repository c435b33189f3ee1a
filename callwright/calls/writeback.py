"""Writes a call's outcome to the CRM: each part once, whatever crashes between the request and our record of it."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.calls.directory import Directory
from callwright.calls.ledger import Ledger
from callwright.calls.results import MISSING, READY, SETTLED
from callwright.calls.tracking import EXPLAINED
from callwright.domain.agent import AgentDefinition, CrmMapping, NoteKind
from callwright.domain.attempt import Attempt
from callwright.domain.errors import Conflict, NotFound, VendorAuthFailed, VendorError, VendorRefused
from callwright.domain.outcome import EndReason
from callwright.ports.crm import CallActivity, Crm, CrmNote, WriteResult
from callwright.storage import crm_writes, events, transcripts

log = structlog.get_logger(__name__)

SOURCE = "crm"
MOST_TRIES = 48
"""Half an hour apart at last: about 20 hours, which outlasts a night without the CRM or a lapsed credential."""

_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 1800.0
_LEASE_S = 45.0
"""For so long a part belongs to the process that sends it."""

_WRITE_LIMIT_S = 40.0
"""From the beginning of the lease; after it nothing is sent any more."""

_LOOK_AGAIN_S = 5.0
_NOTE_TITLE = 120
_DONE, _REFUSED, _PARKED, _RETRY = "done", "refused", "parked", "retry"
_EXPECTED = (VendorError, Conflict, TimeoutError)
FINAL = frozenset({_DONE, _REFUSED, _PARKED})


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to write; `send` returns what to remember of it."""

    kind: str
    send: Callable[[bool], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class WriteBack:
    """How far the CRM got: `retry_in_s` is set when a part has to be tried again."""

    state: str
    retry_in_s: float | None
    detail: dict[str, Any]


class CrmWriter:
    """Writes the parts of one call's outcome that are due and not written yet."""

    def __init__(self, ledger: Ledger, directory: Directory, process_id: str) -> None:
        self._ledger = ledger
        self._directory = directory
        self._process_id = process_id

    async def write(self, attempt: Attempt, agent: AgentDefinition) -> WriteBack:
        """Write what is due; parts that are refused or fail do not block the others."""
        if attempt.crm is None or agent.crm is None:
            return WriteBack("none", None, {})
        try:
            crm = self._directory.crm(attempt.crm.system)
        except NotFound as error:
            return WriteBack("failed", None, {"error": str(error)})
        states: dict[str, str] = {}
        detail: dict[str, Any] = {}
        pauses = []
        for part in await self._parts(attempt, agent.crm, crm):
            state, info, pause = await self._write_once(attempt.id, part)
            states[part.kind] = state
            if info:
                detail[part.kind] = info
            if pause is not None:
                pauses.append(pause)
        return WriteBack(_summary(states, detail), min(pauses) if pauses else None, detail)

    async def _parts(self, attempt: Attempt, mapping: CrmMapping, crm: Crm) -> list[Part]:
        """What can be written now. While results may still come, what they would fill is not counted as written."""
        parts = []
        outcome = outcome_values(attempt, mapping)
        complete = attempt.results_state in SETTLED - {MISSING}
        if complete and not await self._was_started(attempt.id, "outcome"):
            parts.append(
                self._update("record", {**outcome, **result_values(attempt, mapping)}, attempt, mapping, crm)
            )
        else:
            parts.append(self._update("outcome", outcome, attempt, mapping, crm))
            if complete:
                late = {**result_values(attempt, mapping), **opt_out_values(attempt, mapping)}
                parts.append(self._update("results", late, attempt, mapping, crm))
        if mapping.outcome_field and await self._was_explained_late(attempt):
            parts.append(Part("explained", lambda _again: self._correct(attempt, mapping, crm)))
        if mapping.log_call:
            parts.append(Part("call", lambda _again: self._log_call(attempt, mapping, crm)))
        noted = complete or (mapping.note is NoteKind.TRANSCRIPT and attempt.results_state == MISSING)
        if mapping.note is not NoteKind.NONE and noted and attempt.answered_at:
            parts.append(Part("note", lambda _again: self._add_note(attempt, mapping, crm)))
        return parts

    def _update(
        self, kind: str, values: dict[str, Any], attempt: Attempt, mapping: CrmMapping, crm: Crm
    ) -> Part:
        async def send(again: bool) -> dict[str, Any]:
            if not values:
                return {}
            assert attempt.crm is not None
            module, record_id = attempt.crm.module, attempt.crm.record_id
            wanted = await _still_needed(crm, module, record_id, values) if again else values
            if not wanted:
                return {"written": sorted(values)}
            result = await crm.update(
                module, record_id, wanted, triggers=mapping.triggers, keep_filled=not mapping.overwrite
            )
            return _tell(result)

        return Part(kind, send)

    async def _was_explained_late(self, attempt: Attempt) -> bool:
        """Whether why the call ended became known when its end may have been written already."""
        async with self._ledger.database.read() as conn:
            told = any(event.kind == EXPLAINED for event in await events.history(conn, attempt.id))
            sent = [await crm_writes.get(conn, attempt.id, kind) for kind in ("record", "outcome")]
        return told and any(part is not None and part.state in FINAL for part in sent)

    async def _correct(self, attempt: Attempt, mapping: CrmMapping, crm: Crm) -> dict[str, Any]:
        """Replace the outcome that we wrote before we knew better; another one is somebody else's, and stays."""
        assert attempt.crm is not None
        module, record_id = attempt.crm.module, attempt.crm.record_id
        field = mapping.outcome_field or ""
        wrong, right = (
            outcome_values(replace(attempt, end_reason=reason), mapping).get(field)
            for reason in (EndReason.COMPLETED, attempt.end_reason)
        )
        record = await crm.get(module, record_id)
        if record is None or _same(wrong, right) or not _same(record.values.get(field), wrong):
            return {}
        return _tell(await crm.update(module, record_id, {field: right}, triggers=mapping.triggers))

    async def _log_call(self, attempt: Attempt, mapping: CrmMapping, crm: Crm) -> dict[str, Any]:
        assert attempt.crm is not None
        activity = CallActivity(
            attempt_id=attempt.id,
            module=attempt.crm.module,
            record_id=attempt.crm.record_id,
            phone=attempt.phone,
            started_at=attempt.answered_at or attempt.dialed_at or attempt.created_at,
            duration_s=attempt.duration_s or 0.0,
            end_reason=attempt.end_reason or EndReason.CARRIER_ERROR,
            agent_name=attempt.agent_name,
            summary=attempt.summary,
            detail={"detail": attempt.end_detail} if attempt.end_detail else {},
        )
        return {"id": await crm.log_call(activity, triggers=mapping.triggers)}

    async def _add_note(self, attempt: Attempt, mapping: CrmMapping, crm: Crm) -> dict[str, Any]:
        assert attempt.crm is not None
        text = attempt.summary
        if mapping.note is NoteKind.TRANSCRIPT:
            async with self._ledger.database.read() as conn:
                lines = await transcripts.lines(conn, attempt.id)
            said = "\n".join(f"{line.speaker}: {line.text}" for line in lines)
            text = f"{text}\n\n{said}".strip()
        if not text:
            return {}
        title = f"AI call by {attempt.agent_name}: {attempt.end_reason}"[:_NOTE_TITLE]
        note = CrmNote(attempt.id, attempt.crm.module, attempt.crm.record_id, title, text)
        return {"id": await crm.add_note(note)}

    async def _was_started(self, attempt_id: str, kind: str) -> bool:
        async with self._ledger.database.read() as conn:
            return await crm_writes.get(conn, attempt_id, kind) is not None

    async def _write_once(self, attempt_id: str, part: Part) -> tuple[str, dict[str, Any], float | None]:
        """State, detail, and the pause before the next try. One process at a time sends a part."""
        clock = self._ledger.clock
        started = clock.monotonic()
        async with self._ledger.database.write() as conn:
            before = await crm_writes.begin(conn, attempt_id, part.kind, clock.now())
            if before is not None:
                pause = await self._waits_for(conn, before)
                if pause != 0.0:
                    return before.state, before.detail, pause
            made = crm_writes.Try(
                attempt_id, part.kind, self._process_id, before.tries + 1 if before is not None else 1
            )
            await crm_writes.hold(conn, made, _LEASE_S, clock.now())
        try:
            async with asyncio.timeout(_WRITE_LIMIT_S - (clock.monotonic() - started)):
                detail = await part.send(before is not None)
        except Exception as error:  # supervision point: a fault in one part must not stop the others
            return await self._failed(made, error)
        state = _REFUSED if detail.get("refused") and not detail.get("written") else _DONE
        return await self._settle(made, state, detail, None)

    async def _waits_for(self, conn: AsyncConnection, before: crm_writes.CrmWrite) -> float | None:
        """0 when a part may be sent now, None when it is settled, else the pause in seconds."""
        if before.state in FINAL:
            return None
        held = await crm_writes.held_for(conn, before)
        if held > 0:
            return min(held, _LOOK_AGAIN_S)
        if before.next_try_at is None:
            return 0.0
        return max(0.0, (before.next_try_at - self._ledger.clock.now()).total_seconds())

    async def _failed(
        self, made: crm_writes.Try, error: Exception
    ) -> tuple[str, dict[str, Any], float | None]:
        told = type(error).__name__
        if isinstance(error, _EXPECTED):
            told = str(error) or told
        else:
            log.error(
                "a part could not be made", call_id=made.attempt_id, part=made.kind, at=_place_of(error)
            )
        definite = isinstance(error, VendorRefused) and not isinstance(error, VendorAuthFailed)
        detail = {"error": told, "tries": made.number}
        pause = None
        state = _REFUSED if definite else _PARKED
        if not definite and made.number < MOST_TRIES:
            state = _RETRY
            wanted = getattr(error, "retry_after_s", None) or 0.0
            pause = max(wanted, min(_FIRST_PAUSE_S * 2 ** (made.number - 1), _LONGEST_PAUSE_S))
        log.warning(
            "the CRM did not take a part", call_id=made.attempt_id, part=made.kind, state=state, **detail
        )
        return await self._settle(made, state, detail, pause)

    async def _settle(
        self, made: crm_writes.Try, state: str, detail: dict[str, Any], pause: float | None
    ) -> tuple[str, dict[str, Any], float | None]:
        now = self._ledger.clock.now()
        async with self._ledger.database.write() as conn:
            kept = await crm_writes.settle(
                conn,
                made,
                state,
                now,
                detail=detail,
                external_id=detail.get("id"),
                next_try_at=now + timedelta(seconds=pause) if pause is not None else None,
            )
        if kept:
            return state, detail, pause
        log.warning("another process has taken over a part", call_id=made.attempt_id, part=made.kind)
        return crm_writes.SENDING, {}, _LOOK_AGAIN_S


def _place_of(error: Exception) -> str:
    """The class of an error and where it was raised: its text may hold what the person said."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}"


def outcome_values(attempt: Attempt, mapping: CrmMapping) -> dict[str, Any]:
    """CRM fields that tell how the call ended."""
    values: dict[str, Any] = {}
    if mapping.outcome_field and attempt.end_reason is not None:
        values[mapping.outcome_field] = mapping.outcome_values.get(
            attempt.end_reason, str(attempt.end_reason)
        )
    return {**values, **opt_out_values(attempt, mapping)}


def opt_out_values(attempt: Attempt, mapping: CrmMapping) -> dict[str, Any]:
    """The CRM field that tells of a wish not to be called."""
    return {mapping.opt_out_field: True} if mapping.opt_out_field and attempt.opted_out else {}


def result_values(attempt: Attempt, mapping: CrmMapping) -> dict[str, Any]:
    """CRM fields for what was collected; nothing is overwritten with emptiness."""
    if attempt.results_state != READY:
        return {}
    return {
        field: attempt.collected[name] for name, field in mapping.results.items() if name in attempt.collected
    }


async def _still_needed(crm: Crm, module: str, record_id: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values that a record lacks after a write whose answer was lost."""
    record = await crm.get(module, record_id)
    if record is None:
        return values
    return {name: value for name, value in values.items() if not _same(record.values.get(name), value)}


def _same(have: Any, want: Any) -> bool:
    return have == want or (have is not None and str(have) == str(want))


def _tell(result: WriteResult) -> dict[str, Any]:
    refused = [{"field": item.field, "code": item.code, "message": item.message} for item in result.refused]
    kept = sorted(result.kept)
    return {
        "written": sorted(result.written),
        **({"refused": refused} if refused else {}),
        **({"kept": kept} if kept else {}),
    }


def _summary(states: dict[str, str], detail: dict[str, Any]) -> str:
    """The attempt's `crm_state`: written, partly, retrying or failed."""
    if any(state in {_RETRY, crm_writes.SENDING} for state in states.values()):
        return "retrying"
    if all(state == _DONE for state in states.values()):
        return "partly" if any(info.get("refused") for info in detail.values()) else "written"
    return "partly" if any(state == _DONE for state in states.values()) else "failed"
