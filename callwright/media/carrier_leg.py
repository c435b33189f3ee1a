"""The carrier's media socket, which came to us."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from picows import WSCloseCode, WSTransport

from callwright.domain.errors import WebhookRejected
from callwright.media.limits import MediaLimits
from callwright.media.metrics import MediaMetrics
from callwright.media.sockets import BINARY, TEXT, MediaSocket, close_number, ignore, message_writer
from callwright.ports.carrier import MediaEvent, MediaProtocol, MediaStarted

logger = logging.getLogger(__name__)


class CarrierSink(Protocol):
    """Who the carrier's audio and events are for."""

    def person_audio(self, payload: bytes) -> None:
        """A piece of the person's audio in the leg's format."""
        ...

    def carrier_event(self, event: MediaEvent) -> None:
        """A key, a mark, or the stream's end."""
        ...

    def carrier_over(self, leg: "CarrierLeg", code: int | None, reason: str) -> None:
        """The socket is gone."""
        ...


class Admission(Protocol):
    """Who decides whether a carrier's socket belongs to a call."""

    def admit(self, leg: "CarrierLeg", started: MediaStarted) -> None:
        """Give the leg to the call that expects it; raises WebhookRejected."""
        ...

    def left(self, leg: "CarrierLeg") -> None:
        """The socket is gone."""
        ...


class CarrierLeg(MediaSocket):
    """A carrier's media socket. Nothing is relayed before its first message proved which call it is of.

    `started` is that first message; `refused_for` says why we closed it, if we did for a breach. Audio that comes
    before a bridge takes the leg is kept for 1.5 s.
    """

    leg = "carrier"

    def __init__(
        self, protocol: MediaProtocol, admission: Admission, limits: MediaLimits, metrics: MediaMetrics
    ) -> None:
        super().__init__(limits, metrics, limits.carrier_message_bytes)
        self.protocol = protocol
        self.started: MediaStarted | None = None
        self.refused_for = ""
        self._admission = admission
        self._receive = protocol.receive
        self._kind = TEXT if protocol.text_frames else BINARY
        self._sink: CarrierSink | None = None
        self._on_audio: Callable[[bytes], None] = self._audio_too_early
        self._held_audio: deque[bytes] = deque(maxlen=max(int(limits.held_person_s / 0.02), 1))
        self._held_events: deque[MediaEvent] = deque(maxlen=limits.held_events)
        self._first_message_timer: asyncio.TimerHandle | None = None
        self._end: tuple[int | None, str] | None = None

    @property
    def alive(self) -> bool:
        """Whether the socket can still be used."""
        return self._end is None and not self.closing

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Wait for the first message, within its time limit."""
        super().on_ws_connected(transport)
        loop = asyncio.get_running_loop()
        self._first_message_timer = loop.call_later(
            self._limits.first_message_s, self.refuse, "no_first_message"
        )

    def attach(self, sink: CarrierSink) -> None:
        """Give audio and events to a bridge from now on, first those that were kept."""
        self._sink = sink
        self._on_audio = sink.person_audio
        while self._held_audio:
            sink.person_audio(self._held_audio.popleft())
        while self._held_events:
            sink.carrier_event(self._held_events.popleft())
        if self._end is not None:
            sink.carrier_over(self, *self._end)

    def detach(self) -> None:
        """Give nothing to anybody any more."""
        self._sink = None
        self._on_audio = ignore

    def audio_writer(self) -> Callable[[bytes], None]:
        """Function that writes one message of whole frames."""
        assert self.transport is not None
        return message_writer(self.transport, self._kind, self.protocol.audio_message)

    def send_clear(self) -> None:
        """Empty the carrier's buffer, where it can be told to."""
        message = self.protocol.clear_message()
        if message is not None and self.transport is not None:
            self.transport.send(TEXT, message)

    def send_mark(self, name: str) -> bool:
        """Ask to be told when all before was played; False where the carrier has no marks."""
        message = self.protocol.mark_message(name)
        if message is None or self.transport is None:
            return False
        self.transport.send(TEXT, message)
        return True

    def refuse(self, reason: str) -> None:
        """Count and close for a breach of policy; nothing when the socket is over already."""
        if self._end is not None:
            return
        self._metrics.refused.labels(reason).inc()
        logger.warning("Carrier's media socket refused", extra={"reason": reason})
        self.refused_for = reason
        self._end = (close_number(WSCloseCode.POLICY_VIOLATION), reason)
        self._on_audio = ignore
        self.close(WSCloseCode.POLICY_VIOLATION, reason)
        if self._sink is not None:
            sink, self._sink = self._sink, None
            sink.carrier_over(self, *self._end)

    def _take(self, is_text: bool, payload: bytes) -> None:
        try:
            event = self._receive(is_text, payload)
        except WebhookRejected as error:
            if not self.closing:
                self.refuse(error.reason)
            return
        if isinstance(event, bytes):
            self._on_audio(event)
        elif event is not None and not self.closing:
            self._take_event(event)

    def _take_event(self, event: MediaEvent) -> None:
        if isinstance(event, MediaStarted):
            self._start(event)
        elif self.started is None:
            self.refuse("no_start")
        elif self._sink is not None:
            self._sink.carrier_event(event)
        else:
            self._held_events.append(event)

    def _start(self, started: MediaStarted) -> None:
        if self.started is not None:
            self.refuse("started_twice")
            return
        if self._first_message_timer is not None:
            self._first_message_timer.cancel()
        self.started = started
        self._on_audio = self._held_audio.append
        try:
            self._admission.admit(self, started)
        except WebhookRejected as error:
            self.refuse(error.reason)

    def _audio_too_early(self, payload: bytes) -> None:
        self.refuse("audio_before_start")

    def _too_big(self) -> None:
        self.refuse("oversize")

    def _fault(self) -> None:
        self.refuse("fault")

    def _over(self, code: int | None, reason: str) -> None:
        if self._first_message_timer is not None:
            self._first_message_timer.cancel()
        self._on_audio = ignore
        self._admission.left(self)
        ended = self._end is not None
        self._end = self._end or (code, reason)
        if self._sink is not None and not ended:
            sink, self._sink = self._sink, None
            sink.carrier_over(self, code, reason)
