"""One conversation at the platform's side: strict messages, pings, limits, faults, and its end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import msgspec

from callwright.domain.audio import AudioFormat
from callwright.integrations.elevenlabs.simulator import admission, mischief, shapes
from callwright.integrations.elevenlabs.simulator.admission import Refusal
from callwright.integrations.elevenlabs.simulator.agents import at, questions_of
from callwright.integrations.elevenlabs.simulator.connection import Connection
from callwright.integrations.elevenlabs.simulator.mischief import Mischief
from callwright.integrations.elevenlabs.simulator.output import Output
from callwright.integrations.elevenlabs.simulator.pings import Pings
from callwright.integrations.elevenlabs.simulator.platform import Platform
from callwright.integrations.elevenlabs.simulator.state import Agent, Conversation, Json
from callwright.integrations.elevenlabs.simulator.talk import Talk
from callwright.simulation.agent_script import AgentScript, ToolCall
from callwright.simulation.faults import FaultKind

_INITIATION_WAIT_S: Final = 3.0
_RECEIVE_TIMEOUT_S: Final = 60.0
_NORMAL: Final = 1000
_QUOTA_MID: Final = "received 1002 (protocol error) This request exceeds your quota limit."
_AUDIO_START: Final = b'{"user_audio_chunk"'


class RefusedSession:
    """A client that is sent away: accepted, then closed at once; its conversation, if any, is kept as failed."""

    def __init__(
        self, platform: Platform, connection: Connection, conversation: Conversation | None, refusal: Refusal
    ) -> None:
        if conversation is not None:
            _failed(conversation, refusal, "call_initialization_error")
            platform.ended(conversation, stuck_s=None)
        connection.close(refusal.code, refusal.reason)
        self._platform = platform

    def received(self, payload: bytes, *, is_text: bool) -> None:
        """Nothing is listened to."""

    def unheard(self, payload: bytes) -> None:
        """On record all the same."""
        self._platform.record("in", payload, "")

    def client_closed(self, code: int, reason: str) -> None:
        """Nobody minds."""

    def gone(self) -> None:
        """Nothing is left to do."""


class Session:
    """A conversation that was admitted; it starts when the client has sent its initiation message."""

    def __init__(
        self,
        platform: Platform,
        connection: Connection,
        agent: Agent,
        conversation: Conversation,
        trouble: Mischief,
    ) -> None:
        self._platform = platform
        self._connection = connection
        self._agent = agent
        self._trouble = trouble
        self.conversation = conversation
        self._out = Output(platform, conversation, connection)
        self._initiation: shapes.Initiation | None = None
        self._now = self._opened_at = self._last_input = asyncio.get_running_loop().time()
        self._started_at = 0.0
        self._longest_s: float | None = None
        self._sample_bytes = 2
        self._talk: Talk | None = None
        self._pings: Pings | None = None
        self._subscription = platform.timer.add(self._tick, self._crashed)
        platform.running[conversation.conversation_id] = self

    def received(self, payload: bytes, *, is_text: bool) -> None:
        """A message of the client: audio, or one of the typed messages; anything else ends the conversation."""
        if is_text and payload.startswith(_AUDIO_START):
            self._received_audio(payload)
            return
        self._out.record("in", payload)
        if not is_text:
            self._reject("Binary messages are not supported")
            return
        try:
            message = shapes.decode_message.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._reject(f"Invalid message: {error}")
        else:
            self._understand(message)

    def unheard(self, payload: bytes) -> None:
        """What comes too late is on record all the same, audio excepted."""
        if not payload.startswith(_AUDIO_START):
            self._out.record("in", payload)

    def client_closed(self, code: int, reason: str) -> None:
        """The client hangs up."""
        self.conversation.close_code = code
        self.conversation.closed_by = "client"
        self.conversation.termination_reason = reason or f"Client disconnected: {code}"

    def gone(self) -> None:
        """The connection is over: the conversation is analysed."""
        self._platform.timer.remove(self._subscription)
        conversation = self.conversation
        self._platform.running.pop(conversation.conversation_id, None)
        if self._talk is not None:
            self._talk.finish()
            conversation.duration_s = asyncio.get_running_loop().time() - self._started_at
        if not conversation.closed_by:
            conversation.closed_by = "client"
            conversation.termination_reason = "Client disconnected: 1006"
        conversation.hidden_reads = self._trouble.hidden_reads
        self._platform.ended(conversation, stuck_s=self._trouble.stuck_s)

    def hang_up(self, reason: str) -> None:
        """Close in the ordinary way."""
        if not self._connection.closing:
            self.conversation.closed_by = "agent"
            self.conversation.close_code = _NORMAL
            self.conversation.termination_reason = reason
            self._connection.close(_NORMAL, reason)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the timer; an error in it ends the conversation."""
        self._platform.spawn(work, self._crashed)

    def call_tool(self, name: str, parameters: Json) -> str | None:
        """Let the agent call a client tool now; answers the call's id."""
        return self._talk.call_tool(ToolCall(name, parameters)) if self._talk is not None else None

    def _tick(self, now: float) -> None:
        self._now = now
        if self._talk is None:
            self._try_to_start(now)
            return
        self._talk.tick(now)
        self._break(self._trouble.due(now - self._started_at))
        if self._connection.closing:
            return
        self._ping(now)
        if self._longest_s is not None and now - self._started_at >= self._longest_s:
            self._out.error(_NORMAL, "max_duration_exceeded", "The conversation has lasted too long")
            self.hang_up("Max conversation duration exceeded")
        elif now - self._last_input >= _RECEIVE_TIMEOUT_S:
            self._fail(Refusal(1002, "No user input for 60 seconds", "transport_receive_timeout"))

    def _try_to_start(self, now: float) -> None:
        waited = now - self._opened_at
        if waited < self._trouble.opens_after_s:
            return
        if self._initiation is None and waited >= _INITIATION_WAIT_S:
            self._platform.traffic.violation("no conversation_initiation_client_data within 3 s")
            self._initiation = shapes.Initiation()
        if self._initiation is not None:
            self._start(self._initiation, now)

    def _start(self, initiation: shapes.Initiation, now: float) -> None:
        world, conversation = self._platform.store.world, self.conversation
        questions = questions_of(self._agent.platform_settings)
        config = admission.effective_config(self._agent, initiation)
        texts = (*(question.ask for question in questions if question.ask), world.agent.closing)
        conversation.initiation = msgspec.to_builtins(initiation)
        conversation.variables = admission.variables(self._agent, initiation, conversation.conversation_id)
        self._started_at = now
        refusal = admission.initiation_refusal(self._agent, initiation, config, texts)
        if refusal is not None:
            self._fail(refusal, "call_initialization_error")
            return
        for name in admission.reserved_variables(initiation):
            self._platform.traffic.violation(f"{name} may only be set by the platform")
        heard, spoken = self._formats(config)
        self._out.listed = frozenset(at(config, "conversation", "client_events") or ())
        self._longest_s = at(config, "conversation", "max_duration_seconds")
        self._pings = Pings(world.options.ping_every_s, now)
        conversation.status = "in-progress"
        data = {"conversation_id": conversation.conversation_id}
        data |= {"agent_output_audio_format": spoken, "user_input_audio_format": heard}
        kind = "conversation_initiation_metadata"
        self._out.message({"type": kind, f"{kind}_event": data})
        for message in self._trouble.oddities:
            self._out.raw(message)
        first = "" if self._trouble.mute else str(at(config, "agent", "first_message") or "")
        script = AgentScript(first, questions, world.agent.closing, conversation.variables)
        formats = (AudioFormat.parse(heard), AudioFormat.parse(spoken))
        self._sample_bytes = formats[0].sample_bytes
        self._talk = Talk(
            self._out, self, conversation, script, config, formats, world.options.agent_thinks_s
        )
        self._talk.begin(now)

    def _formats(self, config: Json) -> tuple[str, str]:
        """What the agent hears and speaks."""
        name = self._trouble.audio_format
        heard, spoken = (
            at(config, "asr", "user_input_audio_format"),
            at(config, "tts", "agent_output_audio_format"),
        )
        return (name, name) if name else (heard, spoken)

    def _received_audio(self, payload: bytes) -> None:
        try:
            audio = shapes.decode_audio(payload).user_audio_chunk
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._out.record("in", payload)
            self._reject(f"Invalid message: {error}")
        else:
            self._hear(audio)

    def _hear(self, payload: bytes) -> None:
        self._last_input = self._now
        if self.conversation.audio_in == 0:
            self._out.record("in", shapes.encode({"user_audio_chunk": payload[:6]}))
        self.conversation.audio_in += len(payload)
        if self._talk is None:
            self._platform.traffic.violation("audio before the conversation was open")
        elif len(payload) % self._sample_bytes:
            self._platform.traffic.violation("audio with half a sample")
        else:
            self._talk.hear(payload)

    def _understand(self, message: shapes.ClientMessage) -> None:
        if isinstance(message, shapes.Pong):
            self._ponged(message)
            return
        self._last_input = self._now
        if isinstance(message, shapes.Initiation):
            if self._initiation is not None:
                self._reject("conversation_initiation_client_data was sent before")
                return
            self._initiation = message
            self._find_trouble(message)
        elif self._talk is None:
            self._platform.traffic.violation(f"{type(message).__name__} before the conversation was open")
        elif isinstance(message, shapes.ClientToolResult):
            waited_for = self._talk.tool_answered(
                message.tool_call_id, message.result, is_error=message.is_error
            )
            if not waited_for:
                self._platform.traffic.violation(f"nobody waits for the tool call {message.tool_call_id}")
        elif isinstance(message, shapes.ContextualUpdate):
            self.conversation.updates.append({"text": message.text, "context_id": message.context_id})
            self._talk.update(message.text)
        elif isinstance(message, shapes.UserMessage) and message.text:
            self._talk.typed(message.text)
        elif isinstance(message, shapes.UserActivity):
            self._talk.active()

    def _find_trouble(self, initiation: shapes.Initiation) -> None:
        """Look for a fault that waits for a variable of this conversation."""
        for name, value in (initiation.dynamic_variables or {}).items():
            fault = self._platform.faults.draw(f"variable {name}={value}", FaultKind.CUSTOM)
            if fault is not None:
                self._trouble = Mischief(fault)
        if self._trouble.refusal is not None:
            self._fail(self._trouble.refusal, "call_initialization_error")

    def _ponged(self, pong: shapes.Pong) -> None:
        self.conversation.pongs += 1
        if self._pings is None or not self._pings.answered(pong.event_id, self._now):
            self._platform.traffic.violation(f"a pong for {pong.event_id}, which was no open ping")

    def _ping(self, now: float) -> None:
        assert self._pings is not None
        for event_id in self._pings.overdue(now):
            self._platform.traffic.violation(f"ping {event_id} was not answered within 5 s")
        if self._pings.due(now):
            event_id = self._out.next_event()
            self.conversation.pings += 1
            self._pings.sent(event_id, now)
            self._out.send("ping", "ping_event", {"event_id": event_id, "ping_ms": self._pings.latest_ms})
            for message in self._trouble.oddities:
                self._out.raw(message)

    def _break(self, what: str | None) -> None:
        """Do what a fault wants in mid-call."""
        if what == mischief.CLOSE_1002:
            self._fail(Refusal(1002, "LLM response took over 20 seconds", "llm_timeout"), "dependency_error")
        elif what == mischief.ERROR_FLAT:
            self._out.message({"type": "error", "message": _QUOTA_MID})
            self._fail(Refusal(1002, "This request exceeds your quota limit."), "dependency_error")
        elif what == mischief.DROP:
            self.conversation.closed_by = "error"
            self.conversation.termination_reason = "The connection broke"
            self._connection.abort()

    def _reject(self, reason: str) -> None:
        self._platform.traffic.violation(reason)
        self._fail(Refusal(1008, reason, "invalid_message"))

    def _crashed(self) -> None:
        self._platform.traffic.violation(f"the simulator failed in {self.conversation.conversation_id}")
        self._fail(Refusal(1011, "An unexpected error occurred", "unknown_websocket_crash"))

    def _fail(self, refusal: Refusal, error_type: str = "") -> None:
        """End the conversation for an error: say why, then close."""
        if self._connection.closing:
            return
        if refusal.error_type:
            self._out.error(refusal.code, refusal.error_type, refusal.reason)
        _failed(self.conversation, refusal, error_type or refusal.error_type)
        self._connection.close(refusal.code, refusal.reason)


def _failed(conversation: Conversation, refusal: Refusal, error_type: str) -> None:
    conversation.closed_by = "error"
    conversation.close_code = refusal.code
    conversation.termination_reason = refusal.reason
    conversation.error = {"code": refusal.code, "reason": refusal.reason, "error_type": error_type}
