"""What we ask of a telephone carrier."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from callwright.domain.audio import AudioFormat
from callwright.domain.events import CarrierEvent
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.ports.operations import CheckResult, SetupPlan, SetupStep
from callwright.ports.webhook import WebhookRequest


@dataclass(frozen=True, slots=True)
class CarrierCapabilities:
    """What a carrier can do; the capability matrix is generated from it."""

    machine_detection: bool
    recording: bool
    say: bool
    transfer: bool
    dtmf: bool
    buffers_audio: bool
    dials_per_second: float
    longest_ring_s: int = 60


@dataclass(frozen=True, slots=True)
class DialOrder:
    """One call to place. `attempt_id` is our id, echoed by the carrier where it can."""

    attempt_id: str
    phone: str
    caller_id: str
    ring_s: int
    longest_call_s: int
    detect_machine: bool = False
    record: bool = False


@dataclass(frozen=True, slots=True)
class DialReceipt:
    """The carrier's word that it took the call; `data` is kept with the attempt and given back later."""

    carrier_call_id: str
    data: dict[str, Any] = field(default_factory=dict)


class CarrierCallState(StrEnum):
    """The state of the person's leg as the carrier tells it when asked."""

    PLACED = "placed"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class CarrierCall:
    """A call as the carrier knows it."""

    carrier_call_id: str
    state: CarrierCallState
    attempt_id: str | None
    phone: str
    started_at: datetime | None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: float | None = None
    end_reason: EndReason | None = None
    hang_up_by: HangUpBy | None = None
    detail: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallHandle:
    """A call of ours at the carrier, and what we were told about it so far."""

    attempt_id: str
    carrier_call_id: str
    phone: str
    caller_id: str
    answered: bool
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MediaOrder:
    """Where the carrier's media socket is to come: the one-time token proves that it belongs to this call."""

    token: str
    slot: str
    longest_call_s: int
    rejoin: bool = False


class RecordingState(StrEnum):
    """How far the carrier is with its own recording of a call."""

    PENDING = "pending"
    READY = "ready"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class CarrierRecording:
    """The carrier's own recording. A finished one has a `file_id`, a `format` (the file's ending, such as wav) and
    a `size` in bytes where the carrier tells it; `detail` says why there is none.
    """

    state: RecordingState
    file_id: str = ""
    format: str = "wav"
    size: int | None = None
    detail: str = ""


class HangUpCause(StrEnum):
    """Why we hang up, for the carrier's records."""

    NORMAL = "normal"
    MACHINE = "machine"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """The carrier's media socket introduced itself; `attempt_id` and `token` are what it echoed."""

    format: AudioFormat
    token: str
    attempt_id: str | None = None
    carrier_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class MediaDigit:
    """The person pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class MediaMark:
    """The carrier has played everything before the mark of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class MediaStopped:
    """The carrier says that the stream is over."""

    detail: str = ""


MediaEvent = MediaStarted | MediaDigit | MediaMark | MediaStopped


class MediaProtocol(Protocol):
    """One media socket's wire protocol, without I/O. The carrier is the websocket's client.

    `buffers_audio`: the carrier plays from a buffer of its own (we may send ahead, and must `clear` it);
    otherwise frames leave at exactly one each 20 ms, continuously. `text_frames`: audio travels in text frames.
    """

    buffers_audio: bool
    text_frames: bool

    def receive(self, is_text: bool, payload: bytes) -> bytes | MediaEvent | None:
        """Understand one message: audio payload, an event, or None for what does not matter.

        Raises WebhookRejected for what breaks the protocol (malformed, oversize, before the start).
        """
        ...

    def audio_message(self, payload: bytes) -> bytes:
        """One message that carries `payload` (one or more whole frames in the stream's format)."""
        ...

    def clear_message(self) -> bytes | None:
        """The text message that empties the carrier's buffer, or None if there is none."""
        ...

    def mark_message(self, name: str) -> bytes | None:
        """The text message that asks for MediaMark(name) when all before it was played, or None."""
        ...


class Carrier(Protocol):
    """A telephone carrier. Every method has its own time limit and raises VendorError sub-classes."""

    name: str
    capabilities: CarrierCapabilities

    def owned_numbers(self) -> frozenset[str]:
        """Caller ids (E.164) that we may show."""
        ...

    async def dial(self, order: DialOrder) -> DialReceipt:
        """Place a call. VendorRefused, VendorBusy, VendorUnreachable: it was not placed.

        VendorAmbiguous: it may have been. Never repeats the request by itself.
        """
        ...

    async def find(self, attempt_id: str, phone: str, since: datetime) -> CarrierCall | None:
        """Look for a call by our id, live ones and history; None if the carrier knows none."""
        ...

    async def status(self, call: CallHandle) -> CarrierCall | None:
        """Ask for the person's leg; None if the carrier does not know it any more."""
        ...

    async def attach_media(self, call: CallHandle, order: MediaOrder) -> dict[str, Any]:
        """Make the carrier open a media socket to us for an answered call; returns data to keep."""
        ...

    async def detach_media(self, call: CallHandle) -> None:
        """End the media leg and keep the person's leg; no error when there is none."""
        ...

    async def hang_up(self, call: CallHandle, cause: HangUpCause) -> None:
        """End the person's leg; no error when it is over already."""
        ...

    async def say(self, call: CallHandle, text: str, language: str) -> None:
        """Speak a text with the carrier's own voice; returns when the carrier accepted it."""
        ...

    async def transfer(self, call: CallHandle, number: str, announcement: str | None) -> dict[str, Any]:
        """Connect the person with a human at `number` and take ourselves out; returns data to keep."""
        ...

    async def human_leg(self, call: CallHandle) -> CarrierCall | None:
        """The leg of the human that a transfer joined, or is joining, with the person; None when there is none."""
        ...

    async def recording(self, call: CallHandle) -> CarrierRecording:
        """Look for the carrier's own recording of a call that was dialled with `record`.

        PENDING also where the carrier cannot tell yet whether there will be one; NONE is final.
        """
        ...

    def recorded(self, call: CallHandle, recording: CarrierRecording) -> AsyncIterator[bytes]:
        """A finished recording's file, in pieces that fit into memory; raises VendorError sub-classes."""
        ...

    def webhook(self, request: WebhookRequest) -> list[CarrierEvent]:
        """Verify and understand a webhook; raises WebhookRejected."""
        ...

    def media_protocol(self, path: str) -> MediaProtocol:
        """The protocol of a socket that came to /media/<name>/<path>; raises WebhookRejected for a wrong path."""
        ...

    async def check(self) -> list[CheckResult]:
        """Test credentials, set-up and funds."""
        ...

    async def setup(self, plan: SetupPlan) -> list[SetupStep]:
        """Compare the vendor's set-up with the plan and, if asked, mend it. Idempotent."""
        ...

    async def close(self) -> None:
        """Release sockets and clients."""
        ...
