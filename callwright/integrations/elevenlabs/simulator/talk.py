"""How a simulated agent converses: it hears only the in-band code of the audio that truly arrived."""

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

from callwright.audio import g711
from callwright.domain.audio import AudioFormat, Encoding
from callwright.integrations.elevenlabs.simulator.agents import at
from callwright.integrations.elevenlabs.simulator.mouth import SPOKEN_RATES, Mouth, voice
from callwright.integrations.elevenlabs.simulator.output import Output
from callwright.integrations.elevenlabs.simulator.state import Conversation, Json, Line
from callwright.simulation.agent_script import AgentScript, ToolCall, Turn
from callwright.simulation.recogniser import Partial, Recogniser, SpeechEnded, SpeechStarted, Utterance

TOOL_LIMIT_S: Final = 20.0
END_CALL: Final = "end_call"
NOBODY_FREE: Final = "I am sorry, nobody is available right now."

_DRAIN_S: Final = 0.2
_TENTATIVE_EVERY_S: Final = 0.3


class Host(Protocol):
    """What a talk needs of its session."""

    def hang_up(self, reason: str) -> None:
        """Close in the ordinary way."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the timer; an error in it ends the conversation."""
        ...


@dataclass(slots=True)
class _PendingTool:
    """A client tool that the agent waits for."""

    tool_call_id: str
    name: str
    line: Line
    until: float


class Talk:
    """One conversation's turns, moved by `tick` alone; times are those of the event loop, in seconds."""

    def __init__(
        self,
        out: Output,
        host: Host,
        conversation: Conversation,
        script: AgentScript,
        config: Json,
        formats: tuple[AudioFormat, AudioFormat],
        thinks_s: float,
    ) -> None:
        self._out = out
        self._host = host
        self._conversation = conversation
        self._script = script
        self._thinks_s = thinks_s
        self._input, self._output = formats
        self._mouth = Mouth(self._output)
        self._recogniser = Recogniser(self._input.rate_hz) if self._input.rate_hz in SPOKEN_RATES else None
        self._turn_timeout_s = float(at(config, "turn", "turn_timeout") or -1)
        self._silence_limit_s = float(at(config, "turn", "silence_end_call_timeout") or -1)
        self._protect_first = at(config, "agent", "disable_first_message_interruptions") is True
        self._arrived = bytearray()
        self._began = self._now = self._last_user = self._next_tentative_at = self._protected_until = 0.0
        self._busy = self._ending = False
        self._line: Line | None = None
        self._after: Turn | None = None
        self._texts: list[str] = []
        self._all_complete = True
        self._reply_at: float | None = None
        self._hang_up_at: float | None = None
        self._tool: _PendingTool | None = None

    def begin(self, now: float) -> None:
        """The conversation is open: say the first message, if there is one."""
        self._began = self._now = self._last_user = now
        opening = self._script.opening()
        if opening:
            self._perform(Turn(opening))

    def hear(self, payload: bytes) -> None:
        """Take a piece of the person's audio; it is understood at the next tick."""
        self._arrived += payload

    def typed(self, text: str) -> None:
        """A turn of the user in writing."""
        self._user_said(text, complete=True)

    def active(self) -> None:
        """The user is there, even if nothing is said."""
        self._last_user = self._now

    def update(self, text: str) -> None:
        """News for the agent: `name: value` changes a variable, from the next turn on."""
        name, separator, value = text.partition(":")
        if separator and name.strip() in self._conversation.variables:
            self._conversation.variables[name.strip()] = value.strip()
            self._script.update_variables({name.strip(): value.strip()})

    def call_tool(self, call: ToolCall) -> str | None:
        """Ask for a client tool; None when the agent's `client_events` do not let it."""
        event_id = self._out.next_event()
        tool_call_id = f"tc_{event_id}"
        data: Json = {
            "tool_name": call.name,
            "tool_call_id": tool_call_id,
            "parameters": call.arguments,
            "event_id": event_id,
        }
        if not self._out.send("client_tool_call", "client_tool_call", data):
            return None
        record: Json = {"type": "client", "request_id": tool_call_id, "tool_name": call.name}
        record |= {"params_as_json": json.dumps(call.arguments), "tool_has_been_called": True}
        line = Line("agent", None, self._elapsed(), event_id, tool_calls=[record])
        self._conversation.transcript.append(line)
        self._tool = _PendingTool(tool_call_id, call.name, line, self._now + TOOL_LIMIT_S)
        return tool_call_id

    def tool_answered(self, tool_call_id: str, result: str, *, is_error: bool) -> bool:
        """Take a client tool's result; False when nobody waits for it."""
        tool = self._tool
        if tool is None or tool.tool_call_id != tool_call_id:
            return False
        self._tool = None
        self._last_user = self._now
        record: Json = {"type": "client", "request_id": tool_call_id, "tool_name": tool.name}
        record |= {"result_value": result, "is_error": is_error, "tool_has_been_called": True}
        tool.line.tool_results.append(record)
        if is_error:
            self._perform(Turn(NOBODY_FREE))
        return True

    def tick(self, now: float) -> None:
        """Listen, speak, and do what is due."""
        self._now = now
        self._listen()
        self._send_due()
        if self._hang_up_at is not None:
            if now >= self._hang_up_at:
                self._host.hang_up("end_call tool was called")
        elif self._busy or self._mouth.speaking(now):
            return
        elif self._tool is not None:
            if now >= self._tool.until:
                self.tool_answered(self._tool.tool_call_id, "no answer within 20 s", is_error=True)
        elif self._reply_at is None:
            self._watch_silence()
        elif now >= self._reply_at:
            self._reply()

    def finish(self) -> None:
        """The conversation is over: understand what is left, and keep what was collected."""
        if self._recogniser is not None:
            self._listen(last=True)
            self._conversation.hearing = self._recogniser.report()
        if self._texts and not self._ending:
            self._script.heard(" ".join(self._texts), complete=self._all_complete)
        if self._mouth.speaking(self._now):
            self._cut_line()
        self._conversation.collected = self._script.collected()
        self._conversation.summary = self._script.summary()

    def _elapsed(self) -> float:
        return self._now - self._began

    def _listen(self, *, last: bool = False) -> None:
        payload = bytes(self._arrived)
        self._arrived.clear()
        if self._recogniser is None or not (payload or last):
            return
        pcm = g711.ulaw_to_pcm(payload) if self._input.encoding is Encoding.ULAW else payload
        events = self._recogniser.feed(pcm)
        if last:
            events += self._recogniser.finish()
        for event in events:
            match event:
                case SpeechStarted():
                    self._out.send("vad_score", "vad_score_event", {"vad_score": 0.95})
                case SpeechEnded():
                    self._out.send("vad_score", "vad_score_event", {"vad_score": 0.05})
                case Partial():
                    self._on_partial(event)
                case Utterance():
                    if not self._ignored(event.start_ms):
                        self._user_said(event.text, complete=event.complete and not event.faults)
        if self._recogniser.sounding:
            self._last_user = self._now

    def _ignored(self, start_ms: float) -> bool:
        """Whether speech began while the protected first message was playing: it is not even transcribed."""
        assert self._recogniser is not None
        began = self._now - (self._recogniser.now_ms - start_ms) / 1000
        return began < self._protected_until

    def _on_partial(self, partial: Partial) -> None:
        if self._ending or self._ignored(partial.start_ms):
            return
        self._reply_at = None
        self._last_user = self._now
        if self._mouth.speaking(self._now):
            self._interrupt()
        if self._now >= self._next_tentative_at:
            self._next_tentative_at = self._now + _TENTATIVE_EVERY_S
            data = {"user_transcript": partial.text, "event_id": self._out.next_event()}
            self._out.send("tentative_user_transcript", "tentative_user_transcription_event", data)

    def _user_said(self, text: str, *, complete: bool) -> None:
        event_id = self._out.next_event()
        self._conversation.transcript.append(Line("user", text, self._elapsed(), event_id))
        data = {"user_transcript": text, "event_id": event_id}
        self._out.send("user_transcript", "user_transcription_event", data)
        self._last_user = self._now
        if not self._ending:
            self._texts.append(text)
            self._all_complete = self._all_complete and complete
            self._reply_at = self._now + self._thinks_s

    def _interrupt(self) -> None:
        """The person speaks over the agent: stop, and correct what it said. One late chunk still goes out."""
        self._conversation.interruptions += 1
        original = self._cut_line()
        late = self._mouth.stop(self._now)
        self._after = None
        self._out.send("interruption", "interruption_event", {"event_id": self._out.next_event()})
        if late is not None:
            self._out.send_audio(*late)
        if self._line is not None:
            data = {
                "original_agent_response": original,
                "corrected_agent_response": self._line.message,
                "event_id": self._line.event_id,
            }
            self._out.send("agent_response_correction", "agent_response_correction_event", data)

    def _cut_line(self) -> str:
        """Leave in the transcript what was played; answers what would have been said."""
        if self._line is None:
            return ""
        original = self._line.message or ""
        self._line.message = self._mouth.played(original, self._now)
        self._line.interrupted = True
        return original

    def _reply(self) -> None:
        text, complete = " ".join(self._texts), self._all_complete
        self._reply_at = None
        self._texts.clear()
        self._all_complete = True
        self._perform(self._script.heard(text, complete=complete))

    def _watch_silence(self) -> None:
        if 0 < self._silence_limit_s <= self._now - self._last_user:
            self._host.hang_up("silence_end_call_timeout")
        elif 0 < self._turn_timeout_s <= self._now - max(self._mouth.ends_at, self._last_user):
            self._perform(self._script.silence())

    def _perform(self, turn: Turn) -> None:
        self._ending = self._ending or turn.end_call
        self._busy = True
        self._host.spawn(self._speak(turn))

    async def _speak(self, turn: Turn) -> None:
        text = turn.say or ""
        payload = await voice(text, self._output)
        self._busy = False
        self._now = max(self._now, asyncio.get_running_loop().time())
        self._after = turn
        if payload:
            chunks = [(self._out.next_event(), piece) for piece in self._mouth.pieces(payload)]
            self._line = Line("agent", text, self._elapsed(), chunks[0][0])
            self._conversation.transcript.append(self._line)
            data = {"agent_response": text, "event_id": self._line.event_id}
            self._out.send("agent_response", "agent_response_event", data)
            self._mouth.say(chunks, self._now)
            if self._protect_first and len(self._conversation.transcript) == 1:
                self._protected_until = self._mouth.ends_at
        self._send_due()

    def _send_due(self) -> None:
        for event_id, audio in self._mouth.due(self._now):
            self._out.send_audio(event_id, audio)
        if self._after is None or not self._mouth.all_sent:
            return
        turn, self._after = self._after, None
        if turn.tool is not None:
            self.call_tool(turn.tool)
        if turn.end_call:
            self._end_call()

    def _end_call(self) -> None:
        event_id = self._out.next_event()
        data: Json = {
            "tool_name": END_CALL,
            "tool_call_id": f"tc_{event_id}",
            "tool_type": "system",
            "is_error": False,
            "is_called": True,
            "event_id": event_id,
        }
        self._out.send("agent_tool_response", "agent_tool_response", data)
        self._hang_up_at = max(self._mouth.ends_at, self._now) + _DRAIN_S
