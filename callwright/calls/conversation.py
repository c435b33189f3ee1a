"""One answered call: opens both sockets in parallel, follows the talk, enforces its limits, and ends it."""

import asyncio
from dataclasses import dataclass

import structlog

from callwright.calls.agents import AgentBook
from callwright.calls.ear import Ear, FirstWord, Incident, Pressed, SocketLost, SocketRefused
from callwright.calls.farewell import Farewell
from callwright.calls.handover import Handover
from callwright.calls.joining import CarrierJoin, Door, open_agent
from callwright.calls.journal import Journal
from callwright.calls.keeping import begin_recording, end_recording
from callwright.calls.ledger import Ledger
from callwright.calls.live_state import LiveState
from callwright.calls.person_leg import Ending, PersonLeg
from callwright.calls.talk_log import TalkLog
from callwright.calls.tools import HttpTools, ToolDesk
from callwright.calls.works import Works
from callwright.domain.agent import AgentDefinition, OnMachine
from callwright.domain.attempt import Attempt
from callwright.domain.errors import CallwrightError, in_words
from callwright.domain.events import CallEvent
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import Signal
from callwright.media.bridge import Bridge
from callwright.media.carrier_leg import CarrierLeg
from callwright.media.recording import Recording, RecordingStore
from callwright.ports.carrier import HangUpCause
from callwright.ports.voice_agent import AgentClosed, AgentFailed, AgentHangsUp, AgentReady, ToolCalled

log = structlog.get_logger(__name__)

_TICK_S = 0.5
_AGENT_READY_S = 8.0
_DATABASE_AWAY_S = 25.0
"""An outage of the database that is shorter is not noticed by the person."""

_STORED_WITHIN_S = 900.0
"""How long the end of a call is kept in memory for a database that is away."""

_LOST_GRACE_S = 0.4


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


class Conversation:
    """Runs one call from the answer to the hang-up.

    What takes time is done in tasks beside `_follow`, so that an ending is acted upon at once, whatever is under way.
    """

    def __init__(self, tools: ConversationTools, attempt: Attempt, agent: AgentDefinition) -> None:
        self._tools = tools
        self._agent = agent
        clock = tools.ledger.clock
        waited = (clock.now() - (attempt.answered_at or clock.now())).total_seconds()
        self._answered = clock.monotonic() - max(0.0, waited)
        self.live = LiveState(clock.monotonic)
        talk = TalkLog()
        self._ear = Ear(talk, self.live, lambda: (clock.monotonic() - self._answered) * 1000)
        self._journal = Journal(tools.ledger, attempt, talk, self._ear.awake.set)
        self._person = PersonLeg(self._journal, tools.farewell, agent)
        self._bridge: Bridge | None = None
        self._leg: CarrierLeg | None = None
        self._recording: Recording | None = None
        self._ending: Ending | None = None
        self._works = Works(self._fail)
        self._rejoins = 0
        self._media = asyncio.Lock()  # the carrier is asked for a media socket, or for a human, not for both
        self._agent_left = False
        carrier = tools.door.directory.carrier(attempt.carrier)
        self._handover = Handover(self._journal, carrier, agent)
        transfer = self._transfer if self._handover.possible else None
        self._desk = ToolDesk(tools.http_tools, agent, attempt.id, transfer=transfer, note=self._journal.note)
        self._join = CarrierJoin(
            tools.door,
            agent,
            current=lambda: self._journal.attempt,
            keep=self._journal.keep,
            failed=self._join_failed,
        )

    @property
    def ending(self) -> bool:
        """Whether it is decided how the call ends."""
        return self._ending is not None

    def notice(self) -> None:
        """The row was changed, here or elsewhere."""
        self._journal.look()

    def shut_down(self) -> None:
        """The process stops: end the call with an apology."""
        self._end(Ending(EndReason.MEDIA_FAILED, HangUpBy.US, "the server was stopped", apologise=True))

    async def run(self) -> None:
        """From the answer to the end."""
        attempt = self._journal.attempt
        with structlog.contextvars.bound_contextvars(call_id=attempt.id):
            try:
                self._journal.start()
                self._works.begin(self._open_agent(), "open agent")
                self._works.begin(self._open_carrier(attempt.media_token), "open carrier")
                await self._follow()
            except Exception as error:  # supervision point: the person must not be left in silence
                self._fail(error)
            finally:
                await self._close()

    def _fail(self, error: BaseException) -> None:
        """A fault of ours ends the call, with an apology."""
        log.error("a conversation failed", exc_info=error)
        self._end(Ending(EndReason.MEDIA_FAILED, HangUpBy.US, in_words(error), apologise=True))

    async def _open_agent(self) -> None:
        try:
            leg = await open_agent(self._tools.door, self._journal.attempt, self._agent)
        except (CallwrightError, TimeoutError) as error:
            detail = str(error) or type(error).__name__
            self._end(Ending(EndReason.AGENT_FAILED, HangUpBy.AGENT, detail, apologise=True))
            return
        try:
            if self._agent.record:
                self._recording = begin_recording(self._tools.recordings, self._journal)
            self._bridge = self._tools.door.plane.bridge(leg, self._ear, recording=self._recording)
        except BaseException:
            leg.abort()
            raise
        self.live.follow(self._bridge)
        self._meet()

    async def _open_carrier(self, token: str | None) -> None:
        async with self._media:
            self._leg = await self._join.join(token)
        if self._leg is not None:
            self._meet()
        elif self._person.is_live:
            detail = "the carrier's media socket never came"
            self._end(Ending(EndReason.MEDIA_FAILED, HangUpBy.CARRIER, detail, apologise=True))

    def _meet(self) -> None:
        """Join the two sockets when both are there."""
        if self._bridge is not None and self._leg is not None:
            leg, self._leg = self._leg, None
            self._bridge.replace_carrier(leg)
            self._journal.change(lambda entry: entry.move(Signal.TALK))

    async def _follow(self) -> None:
        """Until an ending: handle what was told, look at the row, keep the limits."""
        while not self.ending:
            self._ear.awake.clear()
            self._look_at_row()
            self._check_limits()
            while (incident := self._ear.take()) is not None:
                self._handle(incident)
            if not self.ending:
                await self._ear.wait(_TICK_S)

    def _handle(self, incident: Incident) -> None:
        match incident:
            case AgentReady():
                self._journal.set(conversation_id=incident.conversation_id)
                self._journal.note("agent.ready", input=str(incident.input), output=str(incident.output))
            case FirstWord():
                self._journal.set(first_word_ms=round(incident.after_ms, 1))
            case Pressed():
                self._journal.note("dtmf", digit=incident.digit)
            case SocketRefused():
                self._journal.note("media.refused", reason=incident.reason)
            case SocketLost():
                self._works.begin(self._rejoin(incident.detail), "rejoin")
            case ToolCalled():
                self._desk.answer(incident, self._answer_tool)
            case AgentHangsUp() | AgentClosed() | AgentFailed() if self._handover.under_way:
                self._agent_left = True
            case AgentHangsUp() | AgentClosed():
                self._end(Ending(EndReason.COMPLETED, HangUpBy.AGENT, incident.detail, drain=True))
            case AgentFailed():
                detail = f"{incident.fault}: {incident.detail}"
                self._end(Ending(EndReason.AGENT_FAILED, HangUpBy.AGENT, detail, apologise=True))

    def _look_at_row(self) -> None:
        """Has the call ended, is it to be hung up, is there a machine, were variables changed?"""
        attempt = self._journal.attempt
        if not self._person.is_live:
            self._end(Ending(EndReason.COMPLETED, HangUpBy.PERSON, gone=True))
        elif attempt.hang_up_requested and attempt.hang_up_by is HangUpBy.US:
            self._end(Ending(EndReason.MEDIA_FAILED, HangUpBy.US, attempt.end_detail, apologise=True))
        elif attempt.hang_up_requested:
            self._end(Ending(EndReason.COMPLETED, HangUpBy.API, "hung up by the API"))
        else:
            for event in self._journal.take():
                self._react(event)
            if self._handover.failed:
                self._handover.take_back()
                self._works.begin(self._take_back(), "take back")

    def _react(self, event: CallEvent) -> None:
        if event.kind == "context" and self._bridge is not None:
            for name, value in event.data["variables"].items():
                self._bridge.push_context(f"{name}: {value}", name)
        elif event.kind == "carrier.machine_detected":
            detection = self._agent.machine_detection
            if detection.enabled and detection.on_machine is OnMachine.HANG_UP:
                detail = "answering machine"
                self._end(Ending(EndReason.MACHINE, HangUpBy.US, detail, cause=HangUpCause.MACHINE))

    def _check_limits(self) -> None:
        limits = self._agent.limits
        elapsed = self._tools.ledger.clock.monotonic() - self._answered
        if self._handover.under_way:
            return
        if self._journal.away_s > _DATABASE_AWAY_S:
            detail = f"the database was away for {_DATABASE_AWAY_S:.0f} s"
            self._end(Ending(EndReason.MEDIA_FAILED, HangUpBy.US, detail, apologise=True))
        elif elapsed > limits.longest_call_s:
            self._end(Ending(EndReason.COMPLETED, HangUpBy.LIMIT, "longest call"))
        elif self._bridge is not None and self._bridge.times.agent_ready is None and elapsed > _AGENT_READY_S:
            detail = f"the agent did not begin within {_AGENT_READY_S:.0f} s"
            self._end(Ending(EndReason.AGENT_FAILED, HangUpBy.AGENT, detail, apologise=True))
        elif self._bridge is not None and self._bridge.silence_s > limits.silence_s:
            self._end(Ending(EndReason.COMPLETED, HangUpBy.LIMIT, f"silence of {limits.silence_s} s"))

    async def _rejoin(self, detail: str) -> None:
        """The media socket is gone: the call is over, or the carrier is asked for a new one, once."""
        await asyncio.sleep(_LOST_GRACE_S)
        async with self._media:
            if not self._handover.under_way and not self._has_media and await self._person.is_up():
                await self._join_again(detail)

    async def _join_again(self, detail: str) -> None:
        self._journal.note("media.lost", detail=detail)
        self._rejoins += 1
        leg = await self._join.join() if self._rejoins == 1 else None
        if leg is not None and self._bridge is not None:
            self._bridge.replace_carrier(leg)
            self._journal.note("media.rejoined")
        elif await self._person.is_up():
            self._end(Ending(EndReason.MEDIA_FAILED, HangUpBy.CARRIER, detail, apologise=True))

    @property
    def _has_media(self) -> bool:
        return self._bridge is not None and self._bridge.carrier is not None

    async def _transfer(self) -> None:
        """Hand the person over to a human; the agent comes back if nobody answers."""
        bridge = self._bridge
        async with self._media:
            tried = bridge is None or await self._handover.start(bridge, self._person.is_over)
        if bridge is not None and not tried:
            bridge.push_context("no human can be reached now; go on with the conversation", "handover")

    async def _take_back(self) -> None:
        """No human took the call: the agent goes on."""
        leg = None if self._agent_left else await self._join.join()
        if leg is not None and self._bridge is not None:
            self._handover.end()
            self._bridge.replace_carrier(leg)
            self._bridge.push_context("the human did not answer; go on with the conversation", "handover")
        elif await self._person.is_up() and not await self._handover.has_human():
            self._handover.end()
            detail = "no human took the call, and the agent could not come back"
            self._end(Ending(EndReason.MEDIA_FAILED, HangUpBy.CARRIER, detail, apologise=True))

    async def _close(self) -> None:
        ending = self._ending
        stays = self._handover.with_human and ending is not None and ending.by is HangUpBy.US
        parts = ending is not None and not ending.gone and not stays and self._person.is_live
        try:
            await self._works.drop()
            await self._desk.close()
            if parts and ending is not None:
                await self._person.part(ending, self._bridge)
        finally:
            if self._bridge is not None:
                self._bridge.close()
            if self._leg is not None:
                self._leg.close()
            try:
                await self._store(parts=parts)
            finally:
                await self._journal.close()

    async def _store(self, *, parts: bool) -> None:
        """Write what is still to be written, however long the database stays away; nobody is on the line any more."""
        journal = self._journal
        if self._recording is not None:
            await end_recording(self._recording, journal)
        if self.live.view().turns:
            journal.note("turns", **self.live.summary())
        if not await journal.written(_STORED_WITHIN_S):
            log.error("the database stayed away: a call's end was not stored", changes=journal.waiting)
        elif parts:
            await self._person.settle()

    def _end(self, ending: Ending) -> None:
        """Decide how the call ends; the first decision stands."""
        if self._ending is None:
            self._ending = ending
        self._ear.awake.set()

    def _answer_tool(self, tool_call_id: str, result: str, is_error: bool) -> None:
        if self._bridge is not None:
            self._bridge.send_tool_result(tool_call_id, result, is_error=is_error)

    def _join_failed(self, detail: str) -> bool:
        self._journal.note("media.no_socket", detail=detail)
        return not self.ending and self._person.is_live
