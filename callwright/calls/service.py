"""What the API, the command line and hooks may do with calls."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from callwright.calls.agents import AgentBook
from callwright.calls.directory import Directory
from callwright.calls.gatekeeper import LOCK
from callwright.calls.inbox import Inbox
from callwright.calls.ledger import Ledger, TimerKind
from callwright.calls.live import LiveCalls
from callwright.calls.preparing import variables_for
from callwright.calls.tracking import HANG_UP_WITHIN_S
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt, CrmReference
from callwright.domain.errors import Conflict, InvalidInput, NotFound, Problem
from callwright.domain.events import CallEvent, CarrierEvent, TranscriptLine
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.phone import to_e164
from callwright.domain.states import CallState, Signal
from callwright.media.recording import finished
from callwright.ports.crm import CrmHook
from callwright.ports.voice_agent import ConversationResult
from callwright.storage import attempts, crm_writes, events, holds, transcripts
from callwright.storage.holds import Hold

_FEED_BATCH = 200
_FEED_PAUSE_S = 2.0
_HOOK_SOURCE = "hook"


@dataclass(frozen=True, slots=True)
class NewCall:
    """A wish to call: a record of the agent's CRM, or a number. `dedup_key` makes a repeat harmless."""

    agent: str
    phone: str | None = None
    record_id: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    not_before: datetime | None = None
    source: str = "api"
    tags: dict[str, str] = field(default_factory=dict)
    dedup_key: str | None = None


class CallService:
    """Creates, shows and ends calls, and takes in what vendors report."""

    def __init__(
        self,
        ledger: Ledger,
        directory: Directory,
        agents: AgentBook,
        inbox: Inbox,
        live: LiveCalls,
        *,
        region: str | None,
    ) -> None:
        self._ledger = ledger
        self._directory = directory
        self._agents = agents
        self._inbox = inbox
        self._live = live
        self._region = region

    async def create(self, new: NewCall) -> Attempt:
        """Commit a call; it is dialled in the background. Raises InvalidInput or NotFound.

        With a `dedup_key` that was used before, the call created then is returned.
        """
        version, agent = await self._agents.get(new.agent)
        attempt = self._attempt(new, version, agent)
        async with self._ledger.database.write() as conn:
            try:
                await attempts.insert(conn, attempt)
            except Conflict:
                earlier = await attempts.get(conn, attempt.id) if new.dedup_key is not None else None
                if earlier is None:
                    raise
                return earlier
            created = CallEvent(
                "created", attempt.created_at, new.source, {"agent": f"{new.agent}@{version}"}
            )
            await events.append(conn, attempt.id, created)
        await self._ledger.announce(attempt.id)
        return attempt

    async def get(self, call_id: str) -> Attempt:
        """One call; raises NotFound."""
        return await self._ledger.get(call_id)

    async def search(self, **filters: Any) -> tuple[list[Attempt], str | None]:
        """Calls, newest first, and a cursor when there are more; filters as in storage.attempts.search."""
        async with self._ledger.database.read() as conn:
            return await attempts.search(conn, **filters)

    async def history(self, call_id: str) -> list[CallEvent]:
        """The log of a call; raises NotFound."""
        await self._ledger.get(call_id)
        async with self._ledger.database.read() as conn:
            return await events.history(conn, call_id)

    async def transcript(self, call_id: str) -> list[TranscriptLine]:
        """What was said, in order; raises NotFound."""
        await self._ledger.get(call_id)
        async with self._ledger.database.read() as conn:
            return await transcripts.lines(conn, call_id)

    async def hang_up(self, call_id: str) -> Attempt:
        """End a call, wherever it is; raises NotFound, or Conflict when it is over."""
        async with self._ledger.open(call_id, "api") as entry:
            state = entry.attempt.state
            if state in {CallState.ENDED, CallState.DONE}:
                raise Conflict(f"call {call_id} is over ({entry.attempt.end_reason})")
            await entry.note("hang_up_requested")
            if state in {CallState.QUEUED, CallState.PREPARING}:
                await entry.move(Signal.END, end_reason=EndReason.CANCELED, hang_up_by=HangUpBy.API)
            else:
                await entry.set(hang_up_requested=True, hang_up_by=entry.attempt.hang_up_by or HangUpBy.API)
                if state in {CallState.PLACED, CallState.RINGING}:
                    await entry.timer(TimerKind.ASK, 0)
                elif state in {CallState.ANSWERED, CallState.TALKING}:
                    # Where no conversation runs, as after a restart during a handover, nobody else would.
                    await entry.timer(TimerKind.LONGEST_CALL, HANG_UP_WITHIN_S)
            return entry.attempt

    async def push_context(self, call_id: str, variables: dict[str, Any]) -> None:
        """Tell the agent changed variables in mid-call; raises NotFound, InvalidInput, or Conflict."""
        agent = await self._agents.of(await self._ledger.get(call_id))
        _refuse_undeclared(agent, variables)
        async with self._ledger.open(call_id, "api") as entry:
            if entry.attempt.state is not CallState.TALKING:
                raise Conflict(f"call {call_id} is {entry.attempt.state}, not talking")
            changed = variables_for(agent, {**entry.attempt.variables, **variables})
            await entry.set(variables=changed)
            await entry.note("context", variables={name: changed[name] for name in variables})

    async def write_again(self, call_id: str) -> Attempt:
        """Write again what the CRM did not take of a finished call; raises NotFound, or Conflict with the reason."""
        async with self._ledger.open(call_id, "api") as entry:
            attempt = entry.attempt
            if attempt.crm is None:
                raise Conflict(f"call {call_id} has no CRM record")
            if attempt.state is not CallState.DONE:
                raise Conflict(
                    f"call {call_id} is {attempt.state}: what it owes the CRM is still being written"
                )
            if (
                not await crm_writes.reopen(entry.conn, call_id, entry.now())
                and attempt.crm_state == "written"
            ):
                raise Conflict(f"the CRM has taken all of call {call_id}")
            await entry.note("crm.again")
            await entry.move(Signal.REOPEN, finish_failures=0)
            await entry.timer(TimerKind.FINISH, 0)
            return entry.attempt

    async def hold(self, reason: str) -> Hold:
        """Dial nobody until released, in every process and across restarts; calls that run go on.

        Once this returns, nobody decides by what held before.
        """
        async with self._ledger.database.write() as conn:
            await self._ledger.database.lock(conn, LOCK)
            return await holds.put(conn, holds.DIALING, reason, self._ledger.clock.now())

    async def release(self) -> bool:
        """Dial again; False when dialling was not on hold."""
        async with self._ledger.database.write() as conn:
            lifted = await holds.lift(conn, holds.DIALING)
        self._live.wake()
        return lifted

    async def held(self) -> Hold | None:
        """Why nobody is dialled, and since when; None when dialling is not on hold."""
        async with self._ledger.database.read() as conn:
            return await holds.find(conn, holds.DIALING)

    async def recording(self, call_id: str) -> Path:
        """The stereo WAV file of a call; raises NotFound, also while it is being written."""
        attempt = await self._ledger.get(call_id)
        if attempt.recording_path is None:
            raise NotFound(f"call {call_id} has no recording")
        if attempt.ended_at is None:
            raise NotFound(f"the recording of call {call_id} can be had when the call is over")
        path = await self._kept(attempt.recording_path, call_id)
        if not await asyncio.to_thread(finished, path):
            raise NotFound(f"the recording of call {call_id} is not finished")
        return path

    async def carrier_recording(self, call_id: str) -> Path:
        """The recording that the carrier made, in its own format; raises NotFound, also before it was fetched."""
        attempt = await self._ledger.get(call_id)
        if attempt.carrier_recording_path is None:
            raise NotFound(f"there is no recording of the carrier's of call {call_id}, or not yet")
        return await self._kept(attempt.carrier_recording_path, call_id)

    async def _kept(self, name: str, call_id: str) -> Path:
        path = self._live.recording_path(name)
        if not await asyncio.to_thread(path.is_file):
            raise NotFound(f"the recording of call {call_id} is gone")
        return path

    async def receive_events(self, carrier: str, received: list[CarrierEvent]) -> int:
        """Store a carrier's events durably; they are applied in the background. Returns how many were new."""
        fresh = await self._inbox.store_events(carrier, received)
        self._live.wake()
        return fresh

    async def receive_results(self, engine: str, received: list[ConversationResult]) -> int:
        """Store an agent platform's results durably; they are applied in the background."""
        fresh = await self._inbox.store_results(engine, received)
        self._live.wake()
        return fresh

    async def receive_hooks(self, crm: str, hooks: list[CrmHook]) -> list[Attempt]:
        """Create the calls that a CRM asks for, each once; raises InvalidInput or NotFound."""
        created = []
        for hook in hooks:
            if hook.agent is None:
                remedy = "Add `agent` to the hook's address or body, or set the default agent."
                raise InvalidInput(Problem("agent", "the hook does not name an agent.", remedy))
            _, agent = await self._agents.get(hook.agent)
            if agent.crm is None or agent.crm.system != crm or agent.crm.module != hook.module:
                what = f"agent {hook.agent!r} is not mapped to {hook.module} of {crm}"
                raise InvalidInput(Problem("agent", f"{what}."))
            key = f"{crm}:{hook.dedup_key}"
            new = NewCall(hook.agent, record_id=hook.record_id, source=_HOOK_SOURCE, dedup_key=key)
            created.append(await self.create(new))
        return created

    async def feed(self, cursor: int | None) -> AsyncGenerator[tuple[int, str, CallEvent], None]:
        """Events of all calls from behind a cursor on (None: from now on), as they are committed."""
        async with self._ledger.database.read() as conn:
            position = await events.latest_cursor(conn) if cursor is None else cursor
        while True:
            async with self._ledger.database.read() as conn:
                batch = await events.after(conn, position, _FEED_BATCH)
            for position, call_id, event in batch:
                yield position, call_id, event
            if len(batch) < _FEED_BATCH:
                await self._ledger.news(_FEED_PAUSE_S)

    def _attempt(self, new: NewCall, version: int, agent: AgentDefinition) -> Attempt:
        if (new.phone is None) == (new.record_id is None):
            raise InvalidInput(
                Problem("call", "needs either a phone number or a CRM record.", "Give one of them.")
            )
        _refuse_undeclared(agent, new.variables)
        crm = None
        if new.record_id is not None:
            if agent.crm is None:
                raise InvalidInput(
                    Problem("record", f"agent {agent.name!r} has no CRM mapping.", "Give a phone.")
                )
            crm = CrmReference(agent.crm.system, agent.crm.module, new.record_id)
        now = self._ledger.clock.now()
        return Attempt(
            id=_new_id(now, new),
            agent_name=agent.name,
            agent_version=version,
            carrier=agent.carrier,
            engine=agent.engine.platform,
            state=CallState.QUEUED,
            revision=0,
            source=new.source,
            created_at=now,
            not_before=max(new.not_before or now, now),
            phone=to_e164(new.phone, self._region) if new.phone is not None else "",
            crm=crm,
            given=new.variables,
            variables=new.variables if new.phone is None else variables_for(agent, new.variables),
            tags=new.tags,
        )


def _refuse_undeclared(agent: AgentDefinition, variables: dict[str, Any]) -> None:
    declared = {variable.name for variable in agent.variables}
    remedy = f"The agent declares: {', '.join(sorted(declared)) or 'none'}."
    unknown = sorted(set(variables) - declared)
    if unknown:
        raise InvalidInput(*(Problem(f"variables.{name}", "is not declared.", remedy) for name in unknown))


def _new_id(now: datetime, new: NewCall) -> str:
    """25 hex digits: seconds since 1970 and random ones, or what follows from the `dedup_key`."""
    if new.dedup_key is not None:
        return hashlib.sha256(f"{new.source}:{new.agent}:{new.dedup_key}".encode()).hexdigest()[:25]
    return f"{int(now.timestamp()):09x}{secrets.token_hex(8)}"
