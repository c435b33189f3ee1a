"""One answered call: opens both sockets in parallel, follows the talk, enforces its limits, and ends it."""

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog

from callwright.calls.agents import AgentBook
from callwright.calls.ear import Ear, FirstWord, Incident, Pressed, SocketLost, SocketRefused
from callwright.calls.farewell import Farewell
from callwright.calls.handover import HANDED_OVER, Handover
from callwright.calls.joining import CarrierJoin, Door, open_agent
from callwright.calls.ledger import Ledger
from callwright.calls.talk_log import TalkLog
from callwright.calls.tools import HttpTools, ToolDesk
from callwright.domain.agent import AgentDefinition, OnMachine
from callwright.domain.attempt import Attempt
from callwright.domain.errors import CallwrightError, VendorError
from callwright.domain.events import CallEvent
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import LIVE, Signal
from callwright.media.bridge import Bridge
from callwright.media.recording import RecordingStore
from callwright.ports.carrier import HangUpCause
from callwright.ports.voice_agent import AgentClosed, AgentFailed, AgentHangsUp, AgentReady, ToolCalled
from callwright.storage import events

log = structlog.get_logger(__name__)

SOURCE = "conversation"
_TICK_S = 0.5
_LOOK_EVERY_S = 3.0
_AGENT_READY_S = 8.0
_FLUSH_EVERY_S = 1.0
_GOODBYE_S = 15.0
_LOST_GRACE_S = 0.4
_ON_THE_WAY_S = 0.4
"""What we wrote last is still in the carrier's jitter buffer and on its way to the phone."""


@dataclass(frozen=True, slots=True)
class ConversationTools:
    """What every conversation of a process shares."""

    ledger: Ledger
    agents: AgentBook
    door: Door
    farewell: Farewell
    http_tools: HttpTools
    recordings: RecordingStore
    process_id: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How a conversation is to end. `apologise`: the person hears why; `drain`: the agent is heard out first."""

    reason: EndReason
    by: HangUpBy
    detail: str = ""
    apologise: bool = False
    drain: bool = False
    cause: HangUpCause = HangUpCause.NORMAL


class Conversation:
    """Runs one call from the answer to the hang-up."""

    def __init__(self, tools: ConversationTools, attempt: Attempt, agent: AgentDefinition) -> None:
        self._tools = tools
        self._attempt = attempt
        self._agent = agent
        clock = tools.ledger.clock
        waited = (clock.now() - (attempt.answered_at or clock.now())).total_seconds()
        self._answered = clock.monotonic() - max(0.0, waited)
        self._talk = TalkLog(tools.ledger, attempt.id)
        self._ear = Ear(self._talk, lambda: (clock.monotonic() - self._answered) * 1000)
        self._bridge: Bridge | None = None
        self._ending: Ending | None = None
        self._row_changed = True
        self._events_seen = 0
        self._rejoins = 0
        self._agent_left = False
        carrier = tools.door.directory.carrier(attempt.carrier)
        self._handover = Handover(tools.ledger, carrier, agent)
        transfer = self._transfer if self._handover.possible else None
        self._desk = ToolDesk(tools.http_tools, agent, attempt.id, transfer=transfer, note=self._note)
        self._join = CarrierJoin(
            tools.door, agent, current=lambda: self._attempt, keep=self._keep, failed=self._join_failed
        )

    @property
    def ending(self) -> bool:
        """Whether it is decided how the call ends."""
        return self._ending is not None

    def notice(self) -> None:
        """The row was changed, here or elsewhere."""
        self._row_changed = True
        self._ear.awake.set()

    def shut_down(self) -> None:
        """The process stops: end the call with an apology."""
        self._end(Ending(EndReason.MEDIA_FAILED, HangUpBy.US, "the server was stopped", apologise=True))

    async def run(self) -> None:
        """From the answer to the end."""
        with structlog.contextvars.bound_contextvars(call_id=self._attempt.id):
            try:
                await self._open()
                await self._follow()
            except Exception as error:  # supervision point: the person must not be left in silence
                log.exception("a conversation failed")
                detail = f"{type(error).__name__}: {error}"
                self._end(Ending(EndReason.MEDIA_FAILED, HangUpBy.US, detail, apologise=True))
            finally:
                await self._close()

    async def _open(self) -> None:
        """Open both sockets side by side and join them; what fails for good decides the ending."""
        agent = asyncio.create_task(self._open_agent())
        carrier = asyncio.create_task(self._join.join(self._attempt.media_token))
        try:
            bridge, leg = await agent, await carrier
        finally:
            for task in (agent, carrier):
                task.cancel()
        if bridge is None:
            if leg is not None:
                leg.close()
        elif leg is not None:
            bridge.replace_carrier(leg)
            async with self._tools.ledger.open(self._attempt.id, SOURCE) as entry:
                await entry.move(Signal.TALK)
                self._attempt = entry.attempt
        else:
            detail = "the carrier's media socket never came"
            self._end(Ending(EndReason.MEDIA_FAILED, HangUpBy.CARRIER, detail, apologise=True))

    async def _open_agent(self) -> Bridge | None:
        try:
            leg = await open_agent(self._tools.door, self._attempt, self._agent)
        except (CallwrightError, TimeoutError) as error:
            detail = str(error) or type(error).__name__
            self._end(Ending(EndReason.AGENT_FAILED, HangUpBy.AGENT, detail, apologise=True))
            return None
        recording = self._tools.recordings.create(self._attempt.id) if self._agent.record else None
        bridge = self._tools.door.plane.bridge(leg, self._ear, recording=recording)
        self._bridge = bridge
        if recording is not None:
            await self._set(recording_path=recording.path.name)
        return bridge

    async def _follow(self) -> None:
        """Until an ending: handle what was told, look at the row, keep the limits, store the transcript."""
        clock = self._tools.ledger.clock
        next_flush = next_look = 0.0
        while not self.ending:
            self._ear.awake.clear()
            await self._handle_all()
            changed, self._row_changed = self._row_changed, False
            if changed and not self.ending:
                await self._look_at_row()
            self._check_limits()
            if clock.monotonic() >= next_flush:
                next_flush = clock.monotonic() + _FLUSH_EVERY_S
                await self._talk.try_flush()
            if clock.monotonic() >= next_look:
                next_look, self._row_changed = clock.monotonic() + _LOOK_EVERY_S, True
            if not self.ending:
                await self._ear.wait(_TICK_S)

    async def _handle_all(self) -> None:
        while not self.ending and (incident := self._ear.take()) is not None:
            await self._handle(incident)

    async def _handle(self, incident: Incident) -> None:
        match incident:
            case AgentReady():
                await self._set(conversation_id=incident.conversation_id)
                await self._note("agent.ready", input=str(incident.input), output=str(incident.output))
            case FirstWord():
                await self._set(first_word_ms=round(incident.after_ms, 1))
            case Pressed():
                await self._note("dtmf", digit=incident.digit)
            case SocketRefused():
                await self._note("media.refused", reason=incident.reason)
            case SocketLost():
                await self._rejoin(incident.detail)
            case ToolCalled():
                self._desk.answer(incident, self._answer_tool)
            case AgentHangsUp() | AgentClosed() | AgentFailed() if self._handover.under_way:
                self._agent_left = True
            case AgentHangsUp() | AgentClosed():
                self._end(Ending(EndReason.COMPLETED, HangUpBy.AGENT, incident.detail, drain=True))
            case AgentFailed():
                detail = f"{incident.fault}: {incident.detail}"
                self._end(Ending(EndReason.AGENT_FAILED, HangUpBy.AGENT, detail, apologise=True))

    async def _look_at_row(self) -> None:
        """Has the call ended, is it to be hung up, is there a machine, were variables changed?"""
        async with self._tools.ledger.database.read() as conn:
            history = await events.history(conn, self._attempt.id)
        if not await self._still_up():
            self._end(Ending(EndReason.COMPLETED, HangUpBy.PERSON))
        elif self._attempt.hang_up_requested:
            self._end(Ending(EndReason.COMPLETED, HangUpBy.API, "hung up by the API"))
        else:
            fresh, self._events_seen = history[self._events_seen :], len(history)
            for event in fresh:
                await self._react(event)

    async def _react(self, event: CallEvent) -> None:
        if event.kind == "context" and self._bridge is not None:
            for name, value in event.data["variables"].items():
                self._bridge.push_context(f"{name}: {value}", name)
        elif event.kind == "carrier.machine_detected":
            detection = self._agent.machine_detection
            if detection.enabled and detection.on_machine is OnMachine.HANG_UP:
                detail = "answering machine"
                self._end(Ending(EndReason.MACHINE, HangUpBy.US, detail, cause=HangUpCause.MACHINE))
        elif event.kind == "carrier.transfer_failed" and self._handover.under_way:
            await self._take_back(event.data.get("detail", ""))

    def _check_limits(self) -> None:
        limits = self._agent.limits
        elapsed = self._tools.ledger.clock.monotonic() - self._answered
        if self._handover.under_way:
            return
        if elapsed > limits.longest_call_s:
            self._end(Ending(EndReason.COMPLETED, HangUpBy.LIMIT, "longest call"))
        elif self._bridge is not None and self._bridge.times.agent_ready is None and elapsed > _AGENT_READY_S:
            detail = f"the agent did not begin within {_AGENT_READY_S:.0f} s"
            self._end(Ending(EndReason.AGENT_FAILED, HangUpBy.AGENT, detail, apologise=True))
        elif self._bridge is not None and self._bridge.silence_s > limits.silence_s:
            self._end(Ending(EndReason.COMPLETED, HangUpBy.LIMIT, f"silence of {limits.silence_s} s"))

    async def _rejoin(self, detail: str) -> None:
        """The media socket is gone: the call is over, or the carrier is asked for a new one, once."""
        if self._handover.under_way:
            return
        await asyncio.sleep(_LOST_GRACE_S)
        if self._ending is not None or not await self._tools.farewell.is_up(self._attempt):
            return
        await self._note("media.lost", detail=detail)
        self._rejoins += 1
        leg = await self._join.join() if self._rejoins == 1 else None
        if leg is not None and self._bridge is not None:
            self._bridge.replace_carrier(leg)
            await self._note("media.rejoined")
        elif await self._tools.farewell.is_up(self._attempt):
            self._end(Ending(EndReason.MEDIA_FAILED, HangUpBy.CARRIER, detail, apologise=True))

    async def _transfer(self) -> None:
        """Hand the person over to a human; the agent comes back if nobody answers."""
        if self._bridge is None:
            return
        try:
            await self._keep(await self._handover.start(self._attempt, self._bridge))
        except (VendorError, TimeoutError) as error:
            await self._take_back(str(error) or "no answer in time")

    async def _take_back(self, detail: str) -> None:
        """No human took the call: the agent goes on."""
        self._handover.failed()
        await self._keep({HANDED_OVER: False})
        await self._note("handover.failed", detail=detail)
        leg = await self._join.join() if await self._still_up() and not self._agent_left else None
        if leg is not None and self._bridge is not None:
            self._bridge.replace_carrier(leg)
            self._bridge.push_context("the human did not answer; go on with the conversation", "handover")
        elif await self._still_up():
            self._end(Ending(EndReason.MEDIA_FAILED, HangUpBy.CARRIER, detail, apologise=True))

    async def _close(self) -> None:
        try:
            stays = self._handover.under_way and self._ending is not None and self._ending.by is HangUpBy.US
            if self._ending is not None and not stays and await self._still_up():
                await self._part(self._ending)
        finally:
            self._handover.failed()
            await self._desk.close()
            if self._bridge is not None:
                self._bridge.close()
            await self._talk.flush()

    async def _part(self, ending: Ending) -> None:
        """End the call as decided: hear the agent out, or apologise; then hang up."""
        await self._tools.farewell.note(self._attempt.id, ending.reason, ending.by, ending.detail)
        bridge = self._bridge
        if ending.drain and bridge is not None and bridge.carrier is not None:
            try:
                async with asyncio.timeout(_GOODBYE_S):
                    await bridge.drained()
                await asyncio.sleep(_ON_THE_WAY_S)
            except TimeoutError:
                log.warning("the goodbye was not heard to its end")
        if ending.apologise:
            if bridge is not None:
                bridge.interrupt()
            await self._tools.farewell.apologise(self._attempt, self._agent)
        await self._tools.farewell.hang_up(self._attempt, self._agent, ending.cause)

    def _end(self, ending: Ending) -> None:
        """Decide how the call ends; the first decision stands."""
        if self._ending is None:
            self._ending = ending
        self._ear.awake.set()

    def _answer_tool(self, tool_call_id: str, result: str, is_error: bool) -> None:
        if self._bridge is not None:
            self._bridge.send_tool_result(tool_call_id, result, is_error=is_error)

    async def _join_failed(self, detail: str) -> bool:
        await self._note("media.no_socket", detail=detail)
        return self._ending is None and await self._still_up()

    async def _still_up(self) -> bool:
        """Whether the person's leg is up, as far as the row tells."""
        self._attempt = await self._tools.ledger.get(self._attempt.id)
        return self._attempt.state in LIVE

    async def _keep(self, data: dict[str, Any]) -> None:
        await self._set(carrier_data={**self._attempt.carrier_data, **data})

    async def _note(self, kind: str, **data: Any) -> None:
        async with self._tools.ledger.open(self._attempt.id, SOURCE) as entry:
            await entry.note(kind, **data)

    async def _set(self, **fields: Any) -> None:
        async with self._tools.ledger.open(self._attempt.id, SOURCE) as entry:
            await entry.set(**fields)
            self._attempt = entry.attempt
