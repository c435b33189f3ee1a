"""What an API key may do."""

from enum import StrEnum


class Scope(StrEnum):
    """One permission; ADMIN covers all."""

    CALLS_READ = "calls:read"
    CALLS_WRITE = "calls:write"
    DIALING_HOLD = "dialing:hold"
    AGENTS_READ = "agents:read"
    AGENTS_WRITE = "agents:write"
    SUPPRESSIONS_READ = "suppressions:read"
    SUPPRESSIONS_WRITE = "suppressions:write"
    ADMIN = "admin"
