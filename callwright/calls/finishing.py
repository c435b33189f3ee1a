"""The `finish` workflow: collect, classify, write back, plan the next attempt, clean up. Each round is short."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

import structlog

from callwright.calls import results
from callwright.calls.agents import AgentBook
from callwright.calls.carrier_recordings import LONGEST_WAIT, CarrierRecordings
from callwright.calls.directory import Directory
from callwright.calls.ledger import Ledger, TimerKind
from callwright.calls.writeback import CrmWriter
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt
from callwright.domain.errors import (
    Conflict,
    NotFound,
    VendorAuthFailed,
    VendorError,
    VendorRefused,
    in_words,
)
from callwright.domain.events import CallEvent
from callwright.domain.states import CallState, Signal
from callwright.ports.voice_agent import ResultState
from callwright.ports.workflows import Workflows
from callwright.storage import attempts, events

log = structlog.get_logger(__name__)

SOURCE = "finish"
FINISH = "finish"
"""The workflow's name."""

_REPORT_AFTER_S = 30.0
_PAUSES_S = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 60.0)
MOST_FAULTS = 16
"""With pauses that grow to half an hour: about four hours."""

_FAULT_PAUSE_S = 10.0
_LONGEST_FAULT_PAUSE_S = 1800.0
_GONE_AFTER_S = 60.0
_UNOPENED_S = 30.0
_MOST_DELETIONS = 48
_RECORDING = "carrier_recording"
_RECORDING_PAUSE_S = 30.0
_DELETED, _NOT_DELETED, _LEFT = "conversation.deleted", "conversation.not_deleted", "conversation.left"
AGENT_READY = "agent.ready"
"""The event that tells that the conversation was opened."""


class Finisher:
    """Runs the workflow; a repeated step finds in the rows what was done already.

    The rounds of a call follow each other and never overlap: only the round itself, at its end, counts the call's
    `finish_round` up, and a workflow of the next number cannot start before.
    """

    def __init__(
        self,
        ledger: Ledger,
        directory: Directory,
        agents: AgentBook,
        writer: CrmWriter,
        recordings: CarrierRecordings,
        workflows: Workflows,
    ) -> None:
        self._ledger = ledger
        self._directory = directory
        self._agents = agents
        self._writer = writer
        self._recordings = recordings
        self._workflows = workflows

    async def run(self, attempt_id: str) -> None:
        """One round. It ends with the call DONE, or with a timer for the next round."""
        step = self._workflows.step
        number: int | None = None
        with structlog.contextvars.bound_contextvars(call_id=attempt_id):
            try:
                number = await step("collect", lambda: self._collect(attempt_id))
                await step("plan", lambda: self._plan_next(attempt_id))
                written = await step("write", lambda: self._write(attempt_id))
                fetched = await step("recording", lambda: self._fetch_recording(attempt_id))
                pauses = [pause for pause in (written["again_in"], fetched) if pause is not None]
                written["again_in"] = min(pauses, default=None)
                await step("close", lambda: self._close(attempt_id, number, written))
            except Exception as error:  # supervision point: a fault in one call must not lose its outcome
                log.exception("a round of finishing failed")
                await self._fault(attempt_id, number, in_words(error))

    async def _collect(self, attempt_id: str) -> int:
        """Ask the platform for results, unless there are none to wait for; returns the number of the round."""
        attempt = await self._ledger.get(attempt_id)
        talked = attempt.conversation_id is not None and attempt.answered_at is not None
        known = attempt.results_state in results.SETTLED - {results.NONE}
        if attempt.state is CallState.ENDED and talked and not known:
            await self._ask_for_results(attempt)
        return attempt.finish_round

    async def _ask_for_results(self, attempt: Attempt) -> None:
        agent = await self._agents.of(attempt)
        limit_s = await self._longest_wait(attempt, agent)
        state = await self._fetch(attempt, agent)
        if state is None:
            return
        async with self._ledger.open(attempt.id, SOURCE) as entry:
            if entry.attempt.results_state in {results.READY, results.FAILED}:
                return
            waited = _seconds_since_end(entry.attempt, entry.now())
            gone = state == ResultState.GONE and waited > _GONE_AFTER_S
            settled = gone or waited > limit_s
            late = (
                results.MISSING if settled else results.LATE if waited > _REPORT_AFTER_S else results.PENDING
            )
            if late != entry.attempt.results_state:
                await entry.set(results_state=late)
                await entry.note("results", state=late, waited_s=round(waited, 1), platform=state)

    async def _longest_wait(self, attempt: Attempt, agent: AgentDefinition) -> float:
        """How long to wait for results, seconds: not long where the conversation never opened."""
        async with self._ledger.database.read() as conn:
            opened = any(event.kind == AGENT_READY for event in await events.history(conn, attempt.id))
        return agent.limits.results_wait_s if opened else min(_UNOPENED_S, agent.limits.results_wait_s)

    async def _fetch(self, attempt: Attempt, agent: AgentDefinition) -> str | None:
        """Ask once; None when results were stored, else what the platform says."""
        try:
            platform = self._directory.voice_agents(attempt.engine)
            result = await platform.result(attempt.conversation_id or "")
        except (VendorError, NotFound) as error:
            log.warning("results cannot be asked for", error=str(error))
            return str(error)
        if result.state in {ResultState.READY, ResultState.FAILED}:
            async with self._ledger.open(attempt.id, SOURCE) as entry:
                await results.store(entry, agent, result)
            return None
        return str(result.state)

    async def _plan_next(self, attempt_id: str) -> None:
        """Create the next attempt where the agent's retry rule wants one; its id follows from this one's."""
        attempt = await self._ledger.get(attempt_id)
        agent = await self._agents.of(attempt)
        rule = agent.retry.get(attempt.end_reason) if attempt.end_reason else None
        if rule is None or attempt.attempt_number >= rule.attempts or attempt.opted_out:
            return
        now = self._ledger.clock.now()
        following = next_attempt(attempt, now, rule.after_s)
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            try:
                await attempts.insert(entry.conn, following)
            except Conflict:
                return
            told = {"agent": f"{following.agent_name}@{following.agent_version}", "previous": attempt_id}
            await events.append(entry.conn, following.id, CallEvent("created", now, "retry", told))
            await entry.note("retry", call_id=following.id, not_before=following.not_before.isoformat())

    async def _write(self, attempt_id: str) -> dict[str, Any]:
        """Write to the CRM once the results are settled or late; returns what was known then, and when to try again."""
        attempt = await self._ledger.get(attempt_id)
        told = {"results": attempt.results_state, "again_in": None}
        if attempt.state is not CallState.ENDED or attempt.results_state == results.PENDING:
            return told
        written = await self._writer.write(attempt, await self._agents.of(attempt))
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            known = {
                name: entry.attempt.crm_detail[name] for name in _KEPT if name in entry.attempt.crm_detail
            }
            detail = {**known, **written.detail}
            if entry.attempt.crm_state != written.state or entry.attempt.crm_detail != detail:
                await entry.set(crm_state=written.state, crm_detail=detail)
                await entry.note("crm", state=written.state, **written.detail)
        return {**told, "again_in": written.retry_in_s}

    async def _fetch_recording(self, attempt_id: str) -> float | None:
        """Fetch the carrier's own recording where the agent wants it; returns when to try again, in seconds."""
        attempt = await self._ledger.get(attempt_id)
        agent = await self._agents.of(attempt)
        if not agent.carrier_recording or attempt.state is not CallState.ENDED:
            return None
        async with self._ledger.database.read() as conn:
            history = await events.history(conn, attempt_id)
        if any(event.kind == _RECORDING for event in history):
            return None
        told: dict[str, Any] = {}
        name: str | None = None
        try:
            name = await self._recordings.fetch(attempt, agent)
        except (VendorError, NotFound, OSError) as error:
            wanted = error.retry_after_s if isinstance(error, VendorError) else None
            late = _seconds_since_end(attempt, self._ledger.clock.now()) > LONGEST_WAIT.total_seconds()
            if not late and not _is_final(error):
                return wanted or _RECORDING_PAUSE_S
            log.warning("the carrier's recording was not fetched", error=in_words(error))
            told = {"error": in_words(error)}
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            await entry.note(_RECORDING, file=name, **told)
            if name is not None:
                await entry.set(carrier_recording_path=name)
        return None

    async def _close(self, attempt_id: str, number: int | None, written: dict[str, Any]) -> None:
        """Plan the next round, or delete the remote conversation if asked, and be done."""
        attempt = await self._ledger.get(attempt_id)
        agent = await self._agents.of(attempt)
        again_in = written["again_in"]
        if written["results"] in {results.READY, results.FAILED} and again_in is None:
            again_in = await self._delete_conversation(attempt, agent)
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            if entry.attempt.state is not CallState.ENDED or entry.attempt.finish_round != number:
                return
            have = entry.attempt.results_state
            pause: float | None = again_in
            if have != written["results"]:
                pause = 0.0  # they came after the writing
            elif have not in results.SETTLED:
                next_poll = self._next_poll(entry.attempt, agent)
                pause = next_poll if again_in is None else min(next_poll, again_in)
            if pause is None:
                await entry.move(Signal.FINISH, finish_failures=0)
                return
            await entry.set(finish_round=entry.attempt.finish_round + 1, finish_failures=0)
            await entry.timer(TimerKind.FINISH, pause)

    def _next_poll(self, attempt: Attempt, agent: AgentDefinition) -> float:
        waited = _seconds_since_end(attempt, self._ledger.clock.now())
        pause = next((pause for pause in _PAUSES_S if pause * 2 >= waited), _PAUSES_S[-1])
        marks = [
            mark + 1 - waited for mark in (_REPORT_AFTER_S, agent.limits.results_wait_s) if mark + 1 > waited
        ]
        return max(0.5, min(pause, *marks)) if marks else pause

    async def _delete_conversation(self, attempt: Attempt, agent: AgentDefinition) -> float | None:
        """Delete it where the agent wants that; returns in how many seconds to try again, None when that is over."""
        wanted = agent.engine.delete_conversation and attempt.answered_at is not None
        if not wanted or attempt.conversation_id is None:
            return None
        async with self._ledger.database.read() as conn:
            history = await events.history(conn, attempt.id)
        if any(event.kind in {_DELETED, _LEFT} for event in history):
            return None
        tries = 1 + sum(event.kind == _NOT_DELETED for event in history)
        try:
            await self._directory.voice_agents(attempt.engine).delete(attempt.conversation_id)
        except (VendorError, NotFound) as error:
            log.warning("the remote conversation was not deleted", error=str(error), tries=tries)
            hopeless = _is_final(error) or tries >= _MOST_DELETIONS
            async with self._ledger.open(attempt.id, SOURCE) as entry:
                await entry.note(_LEFT if hopeless else _NOT_DELETED, error=str(error), tries=tries)
            if hopeless:
                return None
            asked = error.retry_after_s if isinstance(error, VendorError) else None
            return float(max(_fault_pause_s(tries), asked or 0.0))
        async with self._ledger.open(attempt.id, SOURCE) as entry:
            await entry.note(_DELETED, tries=tries)
        return None

    async def unstick(self, attempt_id: str, number: int) -> None:
        """The workflow of this round is over without having closed it: its fault was not noted."""
        await self._fault(attempt_id, number, "a round of finishing ended without a trace")

    async def _fault(self, attempt_id: str, number: int | None, detail: str) -> None:
        """Try the round again later; after 16 faults in a row the call is done, and tells what was not."""
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            attempt = entry.attempt
            if attempt.state is not CallState.ENDED or number not in {None, attempt.finish_round}:
                return
            failures = attempt.finish_failures + 1
            await entry.note("fault", detail=detail, failures=failures)
            await entry.set(finish_failures=failures, finish_round=attempt.finish_round + 1)
            if failures < MOST_FAULTS:
                await entry.timer(TimerKind.FINISH, _fault_pause_s(failures))
                return
            untold = attempt.crm is not None and attempt.crm_state not in {"written", "partly"}
            unknown = attempt.results_state in {results.PENDING, results.LATE}
            await entry.move(
                Signal.FINISH,
                crm_state="failed" if untold else attempt.crm_state,
                crm_detail={**attempt.crm_detail, "error": detail},
                results_state=results.MISSING if unknown else attempt.results_state,
            )


_KEPT = ("rejected_values",)


def workflow_of(attempt: Attempt) -> str:
    """The id of the workflow of the attempt's next round."""
    return f"{FINISH}-{attempt.id}-{attempt.finish_round}"


def next_attempt(attempt: Attempt, now: datetime, after_s: float) -> Attempt:
    """The attempt that follows this one; its id follows too, so that it is created once."""
    digest = hashlib.sha256(f"{attempt.id}:next".encode()).hexdigest()[:16]
    return Attempt(
        id=f"{attempt.id[:9]}{digest}",
        agent_name=attempt.agent_name,
        agent_version=attempt.agent_version,
        carrier=attempt.carrier,
        engine=attempt.engine,
        state=CallState.QUEUED,
        revision=0,
        source="retry",
        created_at=now,
        not_before=now + timedelta(seconds=after_s),
        phone=attempt.phone,
        crm=attempt.crm,
        given=attempt.given,
        variables=attempt.variables,
        attempt_number=attempt.attempt_number + 1,
        previous_id=attempt.id,
        tags=attempt.tags,
    )


def _is_final(error: Exception) -> bool:
    """Whether asking again is of no use; wrong credentials are mended by somebody."""
    refused = isinstance(error, VendorRefused) and not isinstance(error, VendorAuthFailed)
    return refused or isinstance(error, NotFound)


def _fault_pause_s(tries: int) -> float:
    return float(min(_FAULT_PAUSE_S * 2 ** min(tries - 1, 16), _LONGEST_FAULT_PAUSE_S))


def _seconds_since_end(attempt: Attempt, now: datetime) -> float:
    return (now - (attempt.ended_at or now)).total_seconds()
