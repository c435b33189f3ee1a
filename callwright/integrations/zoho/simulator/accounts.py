"""The accounts server: grants, access tokens, and their limits (token-validity page)."""

import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from callwright.ports.clock import Clock

GRANTED = (
    "ZohoCRM.modules.ALL ZohoCRM.settings.modules.READ ZohoCRM.settings.fields.READ ZohoCRM.coql.READ "
    "ZohoCRM.org.READ ZohoSearch.securesearch.READ"
)


@dataclass(slots=True)
class TokenLimits:
    """Zoho's limits per refresh token; times in seconds."""

    life_s: float = 3600.0
    live: int = 15
    per_window: int = 10
    window_s: float = 600.0


@dataclass(slots=True)
class Accounts:
    """One self client with one refresh token. `denied_status` is 400 today and was 200 in older posts."""

    clock: Clock
    client_id: str = "1000.SIMULATEDCLIENT"
    client_secret: str = field(default_factory=lambda: secrets.token_hex(20))
    refresh_token: str = field(
        default_factory=lambda: f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
    )
    scope: str = GRANTED
    limits: TokenLimits = field(default_factory=TokenLimits)
    denied_status: int = 400
    issued: int = 0
    _live: deque[tuple[str, float]] = field(default_factory=deque)
    _given: deque[float] = field(default_factory=deque)

    def exchange(self, form: dict[str, str], api_domain: str) -> tuple[int, dict[str, Any]]:
        """Answer POST /oauth/v2/token: status and body."""
        if form.get("client_id") != self.client_id or form.get("client_secret") != self.client_secret:
            return 200, {"error": "invalid_client"}
        if form.get("grant_type") != "refresh_token":
            return 200, {"error": "invalid_code"}
        if not self.refresh_token or form.get("refresh_token") != self.refresh_token:
            return 200, {"error": "invalid_code"}
        if self._throttled():
            description = "You have made too many requests continuously. Please try again after some time."
            body = {"error": "Access Denied", "error_description": description, "status": "failure"}
            return self.denied_status, body
        return 200, {
            "access_token": self._issue(),
            "scope": self.scope,
            "api_domain": api_domain,
            "token_type": "Bearer",
            "expires_in": int(self.limits.life_s),
        }

    def accepts(self, token: str) -> bool:
        """Whether an access token is alive."""
        now = self.clock.monotonic()
        return any(value == token and now < until for value, until in self._live)

    def revoke_access(self) -> None:
        """End every access token; the refresh token stays."""
        self._live.clear()

    def revoke_grant(self) -> None:
        """End the refresh token and every access token."""
        self.refresh_token = ""
        self._live.clear()

    def _throttled(self) -> bool:
        now = self.clock.monotonic()
        while self._given and now - self._given[0] > self.limits.window_s:
            self._given.popleft()
        return len(self._given) >= self.limits.per_window

    def _issue(self) -> str:
        now = self.clock.monotonic()
        token = f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
        self._live.append((token, now + self.limits.life_s))
        while len(self._live) > self.limits.live:
            self._live.popleft()
        self._given.append(now)
        self.issued += 1
        return token


def covers(granted: str, needed: tuple[str, ...]) -> bool:
    """Whether one of the alternatives is granted."""
    return bool(set(granted.replace(",", " ").split()) & set(needed))
