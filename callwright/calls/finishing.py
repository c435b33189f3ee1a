"""The `finish` workflow: collect, classify, write back, plan the next attempt, clean up. Each round is short."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from callwright.calls import results
from callwright.calls.agents import AgentBook
from callwright.calls.directory import Directory
from callwright.calls.ledger import Ledger, TimerKind
from callwright.calls.writeback import CrmWriter
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt
from callwright.domain.errors import Conflict, NotFound, VendorError
from callwright.domain.states import CallState, Signal
from callwright.ports.voice_agent import ResultState
from callwright.ports.workflows import Workflows
from callwright.storage import attempts

log = structlog.get_logger(__name__)

SOURCE = "finish"
_REPORT_AFTER_S = 30.0
_PAUSES_S = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 60.0)
_MOST_FAULTS = 8
_FAULT_PAUSE_S = 10.0


class Finisher:
    """Runs the workflow; a repeated step finds in the rows what was done already."""

    def __init__(
        self, ledger: Ledger, directory: Directory, agents: AgentBook, writer: CrmWriter, workflows: Workflows
    ) -> None:
        self._ledger = ledger
        self._directory = directory
        self._agents = agents
        self._writer = writer
        self._workflows = workflows

    async def run(self, attempt_id: str) -> None:
        """One round. It ends with the call DONE, or with a timer for the next round."""
        with structlog.contextvars.bound_contextvars(call_id=attempt_id):
            try:
                await self._round(attempt_id)
            except Exception as error:  # supervision point: a fault in one call must not lose its outcome
                log.exception("a round of finishing failed")
                await self._fault(attempt_id, error)

    async def _round(self, attempt_id: str) -> None:
        step = self._workflows.step
        await step("collect", lambda: self._collect(attempt_id))
        await step("plan", lambda: self._plan_next(attempt_id))
        again_in = await step("write", lambda: self._write(attempt_id))
        await step("close", lambda: self._close(attempt_id, again_in))

    async def _collect(self, attempt_id: str) -> None:
        """Ask the platform for results, unless they came by webhook or there was no conversation."""
        attempt = await self._ledger.get(attempt_id)
        if attempt.state is not CallState.ENDED or attempt.results_state in results.SETTLED - {results.NONE}:
            return
        if attempt.conversation_id is None or attempt.answered_at is None:
            return
        agent = await self._agents.of(attempt)
        state = await self._fetch(attempt, agent)
        if state is None:
            return
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            if entry.attempt.results_state in {results.READY, results.FAILED}:
                return
            waited = _seconds_since_end(entry.attempt, entry.now())
            settled = waited > agent.limits.results_wait_s
            late = (
                results.MISSING if settled else results.LATE if waited > _REPORT_AFTER_S else results.PENDING
            )
            if late != entry.attempt.results_state:
                await entry.set(results_state=late)
                await entry.note("results", state=late, waited_s=round(waited, 1), platform=state)

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
        following = _next_attempt(attempt, self._ledger.clock.now(), rule.after_s)
        async with self._ledger.database.write() as conn:
            try:
                await attempts.insert(conn, following)
            except Conflict:
                return
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            await entry.note("retry", call_id=following.id, not_before=following.not_before.isoformat())

    async def _write(self, attempt_id: str) -> float | None:
        """Write to the CRM once the results are settled or late; returns seconds until the next try."""
        attempt = await self._ledger.get(attempt_id)
        if attempt.state is not CallState.ENDED or attempt.results_state == results.PENDING:
            return None
        written = await self._writer.write(attempt, await self._agents.of(attempt))
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            known = {
                name: entry.attempt.crm_detail[name] for name in _KEPT if name in entry.attempt.crm_detail
            }
            detail = {**known, **written.detail}
            if entry.attempt.crm_state != written.state or entry.attempt.crm_detail != detail:
                await entry.set(crm_state=written.state, crm_detail=detail)
                await entry.note("crm", state=written.state, **written.detail)
        return written.retry_in_s

    async def _close(self, attempt_id: str, again_in: float | None) -> None:
        """Plan the next round, or delete the remote conversation if asked, and be done."""
        attempt = await self._ledger.get(attempt_id)
        if attempt.state is not CallState.ENDED:
            return
        agent = await self._agents.of(attempt)
        settled = attempt.results_state in results.SETTLED
        if settled and again_in is None:
            await self._delete_conversation(attempt, agent)
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            if entry.attempt.state is not CallState.ENDED:
                return
            if entry.attempt.results_state in results.SETTLED and again_in is None and settled:
                await entry.move(Signal.FINISH)
                return
            pause = again_in if again_in is not None else self._next_poll(entry.attempt, agent)
            if not settled:
                pause = min(pause, self._next_poll(entry.attempt, agent))
            await entry.set(finish_round=entry.attempt.finish_round + 1)
            await entry.timer(TimerKind.FINISH, pause)

    def _next_poll(self, attempt: Attempt, agent: AgentDefinition) -> float:
        waited = _seconds_since_end(attempt, self._ledger.clock.now())
        pause = next((pause for pause in _PAUSES_S if pause * 2 >= waited), _PAUSES_S[-1])
        return max(0.5, min(pause, agent.limits.results_wait_s + 1 - waited))

    async def _delete_conversation(self, attempt: Attempt, agent: AgentDefinition) -> None:
        if (
            not agent.engine.delete_conversation
            or attempt.conversation_id is None
            or attempt.answered_at is None
        ):
            return
        try:
            await self._directory.voice_agents(attempt.engine).delete(attempt.conversation_id)
        except (VendorError, NotFound) as error:
            log.warning("the remote conversation was not deleted", error=str(error))
            async with self._ledger.open(attempt.id, SOURCE) as entry:
                await entry.note("fault", detail=f"the remote conversation was not deleted: {error}")

    async def _fault(self, attempt_id: str, error: Exception) -> None:
        async with self._ledger.open(attempt_id, SOURCE) as entry:
            failures = entry.attempt.failures + 1
            await entry.note("fault", detail=f"{type(error).__name__}: {error}", failures=failures)
            await entry.set(failures=failures, finish_round=entry.attempt.finish_round + 1)
            if failures < _MOST_FAULTS:
                await entry.timer(TimerKind.FINISH, _FAULT_PAUSE_S * failures)


_KEPT = ("read_at", "rejected_values")


def _seconds_since_end(attempt: Attempt, now: datetime) -> float:
    return (now - (attempt.ended_at or now)).total_seconds()


def _next_attempt(attempt: Attempt, now: datetime, after_s: int) -> Attempt:
    fresh: dict[str, Any] = {
        field: getattr(_BLANK, field) for field in Attempt.__dataclass_fields__ if field not in _INHERITED
    }
    digest = hashlib.sha256(f"{attempt.id}:next".encode()).hexdigest()[:16]
    return replace(
        attempt,
        **fresh
        | {
            "id": f"{attempt.id[:9]}{digest}",
            "state": CallState.QUEUED,
            "created_at": now,
            "not_before": now + timedelta(seconds=after_s),
            "attempt_number": attempt.attempt_number + 1,
            "previous_id": attempt.id,
            "source": "retry",
        },
    )


_INHERITED = frozenset(
    {"agent_name", "agent_version", "carrier", "engine", "phone", "crm", "variables", "tags"}
)
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_BLANK = Attempt("", "", 0, "", "", CallState.QUEUED, 0, "", _EPOCH, _EPOCH)
