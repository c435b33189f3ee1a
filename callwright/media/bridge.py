"""Joins the two sockets of one call: the person's audio to the agent, the agent's to the person."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from picows import WSCloseCode

from callwright.audio.convert import Converter
from callwright.domain.audio import FRAME_MS, PCM_16K, AudioFormat
from callwright.media.agent_leg import AgentLeg
from callwright.media.ahead_playout import AheadPlayout
from callwright.media.carrier_leg import CarrierLeg
from callwright.media.conversion import converter_between
from callwright.media.counts import AudioCounts
from callwright.media.early_audio import EarlyAudio
from callwright.media.limits import MediaLimits
from callwright.media.loudness import sound_test
from callwright.media.metrics import CountReport, MediaMetrics
from callwright.media.observer import Observer
from callwright.media.pacer import Pacer
from callwright.media.playout import LISTEN_EVERY, Playout
from callwright.media.recording import Recording
from callwright.media.steady_playout import SteadyPlayout
from callwright.media.watch import Watch
from callwright.ports.carrier import MediaDigit, MediaEvent, MediaMark, MediaStopped
from callwright.ports.voice_agent import (
    AgentClosed,
    AgentEvent,
    AgentFailed,
    AgentInterrupted,
    AgentReady,
)


@dataclass(frozen=True, slots=True)
class BridgeContext:
    """What all bridges of a process share; `closed` is called once with each bridge that ends."""

    monotonic: Callable[[], float]
    pacer: Pacer
    limits: MediaLimits
    metrics: MediaMetrics
    closed: Callable[["Bridge"], None]


@dataclass(slots=True)
class BridgeTimes:
    """Moments on the media clock in seconds, None until they come."""

    carrier_joined: float | None = None
    agent_ready: float | None = None
    first_agent_audio: float | None = None
    first_agent_frame: float | None = None


class Bridge:
    """One call's audio. Needs the agent's leg at once; the carrier's may come, go and be replaced.

    Agent audio that comes while there is no carrier is held for 10 s of speech; the person's audio that comes
    before the agent is ready is held for 1.5 s. Where both speak the same format payloads pass untouched.
    """

    def __init__(
        self,
        context: BridgeContext,
        agent: AgentLeg,
        observer: Observer,
        carrier: CarrierLeg | None = None,
        recording: Recording | None = None,
    ) -> None:
        self.counts = AudioCounts()
        self.times = BridgeTimes()
        self._context = context
        self._monotonic = context.monotonic
        self._pacer = context.pacer
        self._observer = observer
        self._agent = agent
        self._recording = recording
        self._carrier: CarrierLeg | None = None
        self._playout: Playout | None = None
        self._ready: AgentReady | None = None
        self._to_agent = agent.audio_writer()
        self._up: Converter | None = None
        self._down: Converter | None = None
        self._up_from: AudioFormat | None = None
        self._flowing = False
        self._early = EarlyAudio(context.limits.held_agent_s, self.counts)
        self._held_person: deque[bytes] = deque(
            maxlen=max(int(context.limits.held_person_s * 1000 / FRAME_MS), 1)
        )
        self._is_loud = sound_test(PCM_16K)
        self._person_loud_at = self._monotonic()
        self._joined = asyncio.Event()
        self._closed = False
        self._watch = Watch(context.limits)
        self._report = CountReport(context.metrics, self.counts)
        if carrier is not None:
            self.replace_carrier(carrier)
        agent.attach(self)

    @property
    def carrier(self) -> CarrierLeg | None:
        """The carrier's leg while there is one."""
        return self._carrier

    @property
    def agent(self) -> AgentLeg:
        """The agent's leg."""
        return self._agent

    @property
    def played_ms(self) -> float:
        """Milliseconds of agent audio that the person has heard so far."""
        return self._playout.played_ms(self._monotonic()) if self._playout is not None else 0.0

    @property
    def queued_ms(self) -> float:
        """Milliseconds of agent audio that wait to be sent."""
        return self._playout.queued_ms if self._playout is not None else self._early.ms

    @property
    def silence_s(self) -> float:
        """Seconds since the person or the agent made a sound, measured on one frame in five."""
        loud_at = self._person_loud_at
        if self._playout is not None:
            if self._playout.queued_ms >= FRAME_MS and self._carrier is not None:
                return 0.0
            loud_at = max(loud_at, self._playout.loud_at)
        return max(self._monotonic() - loud_at, 0.0)

    @property
    def person_quiet_s(self) -> float:
        """Seconds since the person made a sound, measured on one frame in five."""
        return max(self._monotonic() - self._person_loud_at, 0.0)

    def replace_carrier(self, leg: CarrierLeg) -> None:
        """Join the carrier's first socket, or a new one after the last died; a closed bridge closes it.

        Silence is counted anew: who was joined just now has not had a chance to speak.
        """
        assert leg.started is not None, "a leg comes from the media plane, which has seen its start"
        if self._closed:
            leg.close(WSCloseCode.OK, "the call is over")
            return
        now = self._person_loud_at = self._monotonic()
        if self._carrier is not None:
            self._leave_carrier(self._carrier)
        self._carrier = leg
        self.times.carrier_joined = self.times.carrier_joined or now
        audio = leg.started.format
        self._is_loud = sound_test(audio)
        if self._recording is not None:
            self._recording.begin(audio, now)
        playout = self._playout_for(leg, audio)
        self._wire()
        playout.attach(leg, now)
        self._pacer.add(playout)
        self._joined.set()
        leg.attach(self)

    async def drained(self) -> None:
        """Wait until the agent's audio received so far was heard, or dropped by an interruption or by `close`.

        Has no time limit of its own: the carrier may be gone.
        """
        while self._playout is None and self._early.ms and not self._closed:
            self._joined.clear()
            await self._joined.wait()
        if self._playout is not None and not self._closed:
            await self._playout.drained(self._monotonic())

    def send_tool_result(self, tool_call_id: str, result: str, *, is_error: bool = False) -> None:
        """Answer a tool call of the agent."""
        self._agent.send(self._agent.protocol.tool_result(tool_call_id, result, is_error))

    def push_context(self, text: str, key: str) -> bool:
        """Tell the agent something without a turn; False where the platform cannot."""
        message = self._agent.protocol.context_update(text, key)
        if message is None:
            return False
        self._agent.send(message)
        return True

    def interrupt(self) -> float:
        """Drop what the agent said and the person has not heard; answers how many milliseconds that was."""
        if self._playout is None:
            return self._early.clear()
        return self._playout.interrupt(self._monotonic())

    def hush(self) -> None:
        """End the agent's part: nothing of it is heard any more, while the person's socket stays."""
        self.interrupt()
        self._flowing = False
        self._agent.detach()
        self._agent.close()

    def close(self, reason: str = "") -> None:
        """Close both sockets and release everything; closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        self._joined.set()
        if self._carrier is not None:
            self._leave_carrier(self._carrier, reason)
        self._agent.detach()
        self._agent.close(WSCloseCode.OK, reason)
        if self._playout is not None:
            self._playout.release()
        if self._recording is not None:
            self._recording.close()
        self._report.send()
        self._context.closed(self)

    def sweep(self) -> None:
        """Once a second: look for dead and stuck peers, and report the counts."""
        self._watch.look(self._carrier, self._agent)
        self._report.send()

    # The carrier's side

    def person_audio(self, payload: bytes) -> None:
        """A piece of the person's audio: to the agent at once, and a moment to send a frame back."""
        now = self._monotonic()
        counts = self.counts
        counts.heard += 1
        if not self._flowing:
            self._held_person.append(payload)
        elif self._agent.paused:
            counts.dropped_agent_slow += 1
        elif self._up is None:
            self._to_agent(payload)
        else:
            self._to_agent(self._up(payload))
        if self._recording is not None:
            self._recording.person(payload, now)
        playout = self._playout
        assert playout is not None, "there is one since the carrier joined"
        if not counts.heard % LISTEN_EVERY:
            playout.follow(now)
            if self._is_loud(payload):
                self._person_loud_at = now
        if now >= playout.wants_at:
            playout.inbound(now)
        pacer = self._pacer
        if now >= pacer.next_at:
            pacer.hasten(now)

    def carrier_event(self, event: MediaEvent) -> None:
        """A key, a mark, or the stream's end."""
        if isinstance(event, MediaDigit):
            self._person_loud_at = self._monotonic()
            self._observer.person_pressed(event.digit)
        elif isinstance(event, MediaMark):
            if self._playout is not None:
                self._playout.marked(event.name)
        elif isinstance(event, MediaStopped) and self._carrier is not None:
            leg = self._carrier
            self._leave_carrier(leg, "stopped")
            self._lose_carrier(int(WSCloseCode.OK.value), event.detail)

    def carrier_over(self, leg: CarrierLeg, code: int | None, reason: str) -> None:
        """The socket is gone."""
        if leg is not self._carrier:
            return
        refused = leg.refused_for
        self._leave_carrier(leg)
        if refused:
            self._observer.refused(refused)
        self._lose_carrier(code, reason)

    # The agent's side

    def agent_audio(self, payload: bytes) -> None:
        """A piece of the agent's speech, to be played or held."""
        playout = self._playout
        if self._flowing and playout is not None:
            playout.push(payload if self._down is None else self._down(payload))
        else:
            self.times.first_agent_audio = self.times.first_agent_audio or self._monotonic()
            self._early.add(payload)

    def agent_event(self, event: AgentEvent) -> None:
        """All else that the agent's socket tells."""
        if isinstance(event, AgentInterrupted):
            self.interrupt()
        elif isinstance(event, AgentReady):
            self._ready = event
            self._early.bytes_per_second = event.output.bytes_per_second
            self.times.agent_ready = self._monotonic()
            self._wire()
            self._observer.agent_ready(event)
        elif isinstance(event, AgentFailed | AgentClosed):
            self._flowing = False
            if isinstance(event, AgentFailed):
                self._context.metrics.lost.labels("agent").inc()
            self._observer.agent_ended(event)
        else:
            self._observer.agent_event(event)

    def _playout_for(self, leg: CarrierLeg, audio: AudioFormat) -> Playout:
        """The playout that the new leg goes on with; another format than before starts a new one."""
        kind = AheadPlayout if leg.protocol.buffers_audio else SteadyPlayout
        old = self._playout
        if old is not None and old.format == audio and type(old) is kind:
            old.limit_queue(self._context.limits.queued_agent_s)
            return old
        if old is not None:
            self.counts.dropped_queue_full += int(old.queued_ms // FRAME_MS)
            old.release()
        playout = self._playout = kind(
            audio,
            self._context.limits.queued_agent_s,
            self.counts,
            self._first_frame,
            self._monotonic,
        )
        playout.tap = self._recording
        return playout

    def _first_frame(self) -> None:
        times, now = self.times, self._monotonic()
        times.first_agent_audio = times.first_agent_audio or now
        if times.first_agent_frame is None:
            times.first_agent_frame = now
            self._observer.first_agent_frame()

    def _wire(self) -> None:
        """With both formats known: set the converters, and let go what was held."""
        ready, playout = self._ready, self._playout
        if ready is None or playout is None or self._agent.ended is not None:
            return
        if not self._flowing or self._up_from != playout.format:
            self._up_from = playout.format
            self._up = converter_between(playout.format, ready.input)
            self._down = converter_between(ready.output, playout.format)
        self._flowing = True
        if self._down is None:
            self._agent.give_audio_to(playout.push)
        else:
            self._agent.give_audio_to(self.agent_audio)
        for payload in self._early.take():
            self.agent_audio(payload)
        while self._held_person:
            payload = self._held_person.popleft()
            self._to_agent(payload if self._up is None else self._up(payload))

    def _leave_carrier(self, leg: CarrierLeg, reason: str = "") -> None:
        self._carrier = None
        leg.detach()
        leg.close(WSCloseCode.OK, reason)
        if self._playout is not None:
            self._pacer.remove(self._playout)
            self._playout.detach()
            self._playout.limit_queue(self._playout.queued_ms / 1000 + self._context.limits.held_agent_s)

    def _lose_carrier(self, code: int | None, reason: str) -> None:
        self._context.metrics.lost.labels("carrier").inc()
        self._observer.carrier_lost(code, reason)
