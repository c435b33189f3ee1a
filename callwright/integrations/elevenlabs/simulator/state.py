"""What the simulated platform remembers: account, agents, tickets, conversations, webhooks."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from callwright.simulation.recogniser import HearingReport
from callwright.simulation.world import World

Json = dict[str, Any]

TICKET_LIFE = timedelta(minutes=15)
CREDITS_PER_SECOND = 6.2
_ID_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
PERMISSIONS = ("convai_read", "convai_write", "user_read", "workspace_webhooks")


@dataclass(slots=True)
class Account:
    """The workspace: its key with permissions, and its credits; tests change it as they like."""

    api_key: str
    credits_limit: int = 100_000
    credits_used: int = 20_000
    extension: int | str = 0
    tier: str = "pro"
    status: str = "active"
    permissions: set[str] = field(default_factory=lambda: set(PERMISSIONS))

    @property
    def credits_left(self) -> int:
        """Credits left in the period."""
        return self.credits_limit - self.credits_used


@dataclass(slots=True)
class Agent:
    """One hosted agent; `conversation_config` and `platform_settings` are complete, with the vendor's defaults."""

    agent_id: str
    name: str
    conversation_config: Json
    platform_settings: Json
    tags: list[str]
    created: int
    updated: int
    calls: int = 0


@dataclass(slots=True)
class Ticket:
    """A signed URL's signature: good for 15 minutes, and once if it names a conversation."""

    agent_id: str
    conversation_id: str | None
    expires_at: datetime
    used: bool = False


@dataclass(slots=True)
class Webhook:
    """A webhook of the workspace."""

    webhook_id: str
    name: str
    url: str
    secret: str
    created: int
    disabled: bool = False
    retry: bool = False


@dataclass(slots=True)
class Line:
    """One turn of a conversation's transcript, as the platform understood it."""

    role: str
    message: str | None
    at_s: float
    event_id: int
    interrupted: bool = False
    tool_calls: list[Json] = field(default_factory=list)
    tool_results: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class Conversation:
    """One conversation, for the API and for assertions.

    `hearing` tells how well the person's audio arrived; `audio_in` and `audio_out` count bytes of audio;
    `close_code` is how the socket ended, None if it broke; `closed_by` is `client`, `agent` or `error`.
    """

    conversation_id: str
    agent_id: str
    started_at: datetime
    status: str = "initiated"
    initiation: Json = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    updates: list[Json] = field(default_factory=list)
    transcript: list[Line] = field(default_factory=list)
    collected: dict[str, Any] = field(default_factory=dict)
    hearing: HearingReport | None = None
    interruptions: int = 0
    pings: int = 0
    pongs: int = 0
    audio_in: int = 0
    audio_out: int = 0
    duration_s: float = 0.0
    close_code: int | None = None
    closed_by: str = ""
    termination_reason: str = ""
    error: Json | None = None
    summary: str = ""
    stuck: bool = False
    hidden_reads: int = 0

    def texts(self, role: str) -> list[str]:
        """What was said by `agent` or `user`, in order."""
        return [line.message for line in self.transcript if line.role == role and line.message]


class Store:
    """Everything together, with seeded identifiers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._random = random.Random(f"elevenlabs {world.options.seed}")
        self.account = Account(self.identifier("sk"))
        self.agents: dict[str, Agent] = {}
        self.tickets: dict[str, Ticket] = {}
        self.conversations: dict[str, Conversation] = {}
        self.webhooks: dict[str, Webhook] = {}

    def identifier(self, prefix: str) -> str:
        """A new identifier such as `conv_7401k5m9x2p8ec3rqv6dtnhb0fzw`."""
        return f"{prefix}_" + "".join(self._random.choices(_ID_LETTERS, k=28))

    def unix(self) -> int:
        """The world's time in whole seconds."""
        return int(self.world.clock.now().timestamp())
