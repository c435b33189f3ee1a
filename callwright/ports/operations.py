"""What an operator asks of an integration: check it, and set it up at the vendor."""

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """The result of one check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of `callwright check`: what was looked at, how it is, and what to do."""

    name: str
    health: Health
    detail: str
    remedy: str = ""


class SetupAction(StrEnum):
    """What `callwright setup` found, or did, about one thing at the vendor."""

    UNCHANGED = "unchanged"
    CREATE = "create"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One thing at the vendor: `applied` tells whether it was mended or only shown."""

    name: str
    action: SetupAction
    detail: str = ""
    applied: bool = False


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """What the vendor set-up is to point at.

    `public_url` is our https address, `media_url` the wss address of this process's media sockets,
    `slot` the stable name of this process, `agents` the vendor's agent ids in use by our agents.
    """

    public_url: str
    media_url: str
    slot: str
    agents: tuple[str, ...] = ()
    apply: bool = False
