"""The far end of a conversation: a hosted agent reached over a websocket, or an engine of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from callwright.domain.agent import AgentDefinition
from callwright.domain.audio import AudioFormat
from callwright.domain.events import Speaker
from callwright.ports.operations import CheckResult, SetupPlan, SetupStep
from callwright.ports.webhook import WebhookRequest


@dataclass(frozen=True, slots=True)
class AgentTicket:
    """The right to open one conversation, got before dialling.

    `data` is JSON-friendly and stored encrypted with the attempt; `conversation_id` may be known already.
    """

    conversation_id: str | None
    expires_at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ConversationStart:
    """All that the platform is told when the conversation opens."""

    attempt_id: str
    agent: AgentDefinition
    variables: Mapping[str, Any]
    phone: str


@dataclass(frozen=True, slots=True)
class AgentReady:
    """The conversation is open. `input` is what the platform hears, `output` what it sends."""

    conversation_id: str
    input: AudioFormat
    output: AudioFormat


@dataclass(frozen=True, slots=True)
class AgentAudio:
    """A piece of the agent's speech in its output format, any length."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class AgentInterrupted:
    """The person spoke over the agent: drop what was not played yet."""


@dataclass(frozen=True, slots=True)
class Said:
    """A final utterance; a later one with the same `key` replaces it."""

    speaker: Speaker
    text: str
    key: str
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Hearing:
    """A tentative transcript of what the person is saying, for live display."""

    text: str


@dataclass(frozen=True, slots=True)
class SpeechLevel:
    """The platform's voice activity score of the person, 0 to 1."""

    score: float


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The agent wants a tool of ours; answer with `tool_result`."""

    tool_call_id: str
    name: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AgentHangsUp:
    """The agent ends the call by itself: play out what it said, then hang up."""

    detail: str = ""


class AgentFault(StrEnum):
    """Why a conversation could not start or go on."""

    REFUSED = "refused"
    QUOTA = "quota"
    BAD_INPUT = "bad_input"
    OPERATIONAL = "operational"
    LIMIT = "limit"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class AgentFailed:
    """The platform reports an error or closed for one; the conversation is over."""

    fault: AgentFault
    detail: str


@dataclass(frozen=True, slots=True)
class AgentClosed:
    """The platform closed the conversation in the ordinary way."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A message that has to go back to the platform at once (such as a pong)."""

    message: bytes


AgentEvent = (
    AgentReady
    | AgentAudio
    | AgentInterrupted
    | Said
    | Hearing
    | SpeechLevel
    | ToolCalled
    | AgentHangsUp
    | AgentFailed
    | AgentClosed
    | Reply
)


class AgentProtocol(Protocol):
    """One conversation's wire protocol, without I/O. We are the websocket's client; messages are text frames
    unless `text_frames` is False.
    """

    text_frames: bool

    def connection(self) -> tuple[str, Mapping[str, str]]:
        """URL (ws or wss) and headers to connect with; never logged."""
        ...

    def opening(self) -> Sequence[bytes]:
        """Messages to send as soon as the socket is open."""
        ...

    def receive(self, is_text: bool, payload: bytes) -> AgentEvent | Sequence[AgentEvent] | None:
        """Understand one message; what does not matter is None. Raises WebhookRejected for nonsense."""
        ...

    def closed(self, code: int | None, reason: str) -> AgentFailed | AgentClosed:
        """Understand the end of the socket; `code` is None when it broke without a close frame."""
        ...

    def audio_message(self, payload: bytes) -> bytes:
        """One message with a piece of the person's audio in the platform's input format."""
        ...

    def tool_result(self, tool_call_id: str, result: str, is_error: bool) -> bytes:
        """Answer a tool call."""
        ...

    def context_update(self, text: str, key: str) -> bytes | None:
        """Tell the agent something without a turn; None where the platform cannot."""
        ...


class ResultState(StrEnum):
    """Whether the platform has finished its analysis."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class ConversationResult:
    """What the platform collected. `collected` holds raw values, None for what was not found."""

    conversation_id: str
    state: ResultState
    collected: dict[str, Any] = field(default_factory=dict)
    summary: str = ""
    successful: bool | None = None
    transcript: tuple[Said, ...] = ()
    transcript_ms: tuple[int, ...] = ()
    duration_s: float | None = None
    failure: str = ""
    cost: dict[str, Any] = field(default_factory=dict)


class VoiceAgents(Protocol):
    """A platform of hosted agents, as a call needs it. Methods raise VendorError sub-classes."""

    name: str

    async def prepare(self, start: ConversationStart) -> AgentTicket:
        """Check quota and get a ticket before dialling. VendorRefused: do not dial."""
        ...

    def open(self, ticket: AgentTicket, start: ConversationStart) -> AgentProtocol:
        """The protocol of the conversation that this ticket admits."""
        ...

    async def result(self, conversation_id: str) -> ConversationResult:
        """Ask for the results; state GONE if the platform does not know the conversation."""
        ...

    async def load_secrets(self) -> None:
        """Have at hand what `webhook` needs, such as a stored secret that `setup` may have replaced meanwhile.

        Awaited before each `webhook`; cheap, because what was read is kept for a while.
        """
        ...

    def webhook(self, request: WebhookRequest) -> list[ConversationResult]:
        """Verify and understand a webhook; raises WebhookRejected."""
        ...

    async def delete(self, conversation_id: str) -> None:
        """Delete the remote conversation; no error if it is gone.

        VendorBusy: try again later. VendorRefused: it will not be deleted.
        """
        ...

    def problems(self, agent: AgentDefinition) -> list[str]:
        """What in an agent definition this platform cannot do, without asking the vendor."""
        ...

    async def check(self) -> list[CheckResult]:
        """Test credentials, agents and quota."""
        ...

    async def setup(self, plan: SetupPlan) -> list[SetupStep]:
        """Compare the vendor's set-up with the plan and, if asked, mend it. Idempotent."""
        ...

    async def close(self) -> None:
        """Release sockets and clients."""
        ...
