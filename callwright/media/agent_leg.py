"""The agent's socket, which we opened."""

from collections.abc import Callable, Sequence
from typing import Protocol

from picows import WSTransport

from callwright.domain.errors import WebhookRejected
from callwright.media.limits import MediaLimits
from callwright.media.metrics import MediaMetrics
from callwright.media.sockets import BINARY, TEXT, MediaSocket, ignore, message_writer
from callwright.ports.voice_agent import (
    AgentAudio,
    AgentClosed,
    AgentEvent,
    AgentFailed,
    AgentFault,
    AgentProtocol,
    Reply,
)


class AgentSink(Protocol):
    """Who the agent's audio and events are for."""

    def agent_audio(self, payload: bytes) -> None:
        """A piece of the agent's speech in its output format."""
        ...

    def agent_event(self, event: AgentEvent) -> None:
        """All else; AgentFailed or AgentClosed comes once, at the end."""
        ...


class AgentLeg(MediaSocket):
    """The socket of one conversation with an agent; what comes before a bridge takes it is kept, within limits."""

    leg = "agent"

    def __init__(self, protocol: AgentProtocol, limits: MediaLimits, metrics: MediaMetrics) -> None:
        super().__init__(limits, metrics, limits.agent_message_bytes)
        self.protocol = protocol
        self.abandoned = False
        self.ended: AgentFailed | AgentClosed | None = None
        self.rejected = 0
        self._receive = protocol.receive
        self._kind = TEXT if protocol.text_frames else BINARY
        self._sink: AgentSink | None = None
        self._on_audio: Callable[[bytes], None] = self._hold_audio
        self._held: list[AgentEvent] = []
        self._held_bytes = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Open the conversation, unless nobody waits for it any more."""
        super().on_ws_connected(transport)
        if self.abandoned:
            self.abort()
            return
        for message in self.protocol.opening():
            transport.send(self._kind, message)

    def attach(self, sink: AgentSink) -> None:
        """Give audio and events to a bridge from now on, first those that were kept, in order."""
        self._sink = sink
        self._on_audio = sink.agent_audio
        held, self._held = self._held, []
        for event in held:
            if isinstance(event, AgentAudio):
                sink.agent_audio(event.payload)
            else:
                sink.agent_event(event)

    def give_audio_to(self, on_audio: Callable[[bytes], None]) -> None:
        """Give audio to this function from now on, which saves every frame the way through the bridge."""
        if self._sink is not None:
            self._on_audio = on_audio

    def detach(self) -> None:
        """Give nothing to anybody any more."""
        self._sink = None
        self._on_audio = ignore

    def audio_writer(self) -> Callable[[bytes], None]:
        """Function that writes one message with a piece of the person's audio in the agent's input format."""
        assert self.transport is not None
        return message_writer(self.transport, self._kind, self.protocol.audio_message)

    def send(self, message: bytes) -> None:
        """Write any other message of the protocol."""
        if self.transport is not None and not self.closing:
            self.transport.send(self._kind, message)

    def fail(self, fault: AgentFault, detail: str) -> None:
        """Give the conversation up and cut the socket."""
        self._finish(AgentFailed(fault, detail))
        self.abort()

    def _take(self, is_text: bool, payload: bytes) -> None:
        try:
            event = self._receive(is_text, payload)
        except WebhookRejected as error:
            self._reject(error.reason)
            return
        if isinstance(event, AgentAudio):
            self._on_audio(event.payload)
        elif event is None:
            return
        elif isinstance(event, Sequence):
            for each in event:
                self._take_event(each)
        else:
            self._take_event(event)

    def _take_event(self, event: AgentEvent) -> None:
        if isinstance(event, AgentAudio):
            self._on_audio(event.payload)
        elif isinstance(event, Reply):
            self.send(event.message)
        elif isinstance(event, AgentFailed | AgentClosed):
            self._finish(event)
            self.close()
        elif self._sink is not None:
            self._sink.agent_event(event)
        elif len(self._held) < self._limits.held_events:
            self._held.append(event)

    def _hold_audio(self, payload: bytes) -> None:
        self._held_bytes += len(payload)
        if self._held_bytes <= self._limits.agent_message_bytes:
            self._held.append(AgentAudio(payload))

    def _reject(self, reason: str) -> None:
        """One strange message does not end a call; many do."""
        self._metrics.refused.labels(reason).inc()
        self.rejected += 1
        if self.rejected > self._limits.rejected_messages:
            self.fail(AgentFault.OPERATIONAL, f"too many messages that break the protocol: {reason}")

    def _too_big(self) -> None:
        if self.ended is not None:
            return
        self._metrics.refused.labels("oversize").inc()
        self.fail(AgentFault.OPERATIONAL, "message too big")

    def _fault(self) -> None:
        self._metrics.refused.labels("fault").inc()
        self.fail(AgentFault.OPERATIONAL, "a fault in handling what it sent")

    def _over(self, code: int | None, reason: str) -> None:
        self._finish(self.protocol.closed(code, reason))

    def _finish(self, ended: AgentFailed | AgentClosed) -> None:
        if self.ended is not None:
            return
        self.ended = ended
        self._on_audio = ignore
        if self._sink is not None:
            sink, self._sink = self._sink, None
            sink.agent_event(ended)
        else:
            self._held.append(ended)
