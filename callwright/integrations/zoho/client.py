"""All that is sent to Zoho: the token, shared by every process, and requests within Zoho's limits.

OAuth: https://www.zoho.com/crm/developer/docs/api/v8/refresh.html and token-validity.html. The API host is
the `api_domain` of the token answer, never computed from the data center.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import httpx2
import stamina

from callwright.domain.errors import (
    VendorAmbiguous,
    VendorAuthFailed,
    VendorBusy,
    VendorError,
    VendorUnreachable,
)
from callwright.integrations.zoho import answers
from callwright.integrations.zoho.limits import Limits
from callwright.integrations.zoho.settings import ZohoSettings
from callwright.ports.storage import SharedToken
from callwright.registry import IntegrationContext
from callwright.toolkit.http import VendorHttp
from callwright.toolkit.redaction import Redactor

VENDOR = "zoho"
_EARLY_S = 300
_SHORTEST_LIFE_S = 60
_USUAL_LIFE_S = 3600
_LONGEST_LIFE_S = 86_400
_FRESH_S = 30.0
_ATTEMPTS = 3
_PATIENCE_S = 2.0
_PAUSE_KEY = "token_pause_until"
_READABLE = frozenset({200, 201, 202, 204, 207, 304})
_JUDGED_BY_ITEM = frozenset({400, 412})


class ZohoClient:
    """Requests to one organisation. `read` and `write` raise the VendorError classes of domain.errors."""

    def __init__(self, settings: ZohoSettings, context: IntegrationContext) -> None:
        self._settings = settings
        self._context = context
        self._clock = context.clock
        self.limits = Limits(
            VENDOR,
            context.clock,
            in_flight=settings.max_concurrent,
            complex_in_flight=settings.max_complex,
        )
        self._known_secrets = tuple(
            secret.get_secret_value()
            for secret in (settings.client_secret, settings.refresh_token, settings.hook_secret)
        )
        self._accounts = VendorHttp(
            VENDOR,
            settings.accounts_host,
            timeout_s=settings.timeout_s,
            secrets=self._known_secrets,
            classify=self._classify_token,
            clock=context.clock,
        )
        self._api = VendorHttp(
            VENDOR,
            "",
            timeout_s=settings.timeout_s,
            secrets=self._known_secrets,
            classify=self._classify,
            clock=context.clock,
        )
        credentials = f"{settings.accounts_host}|{settings.client_id}|{self._known_secrets[1]}"
        self._token_name = f"{VENDOR}:{hashlib.sha256(credentials.encode()).hexdigest()[:16]}"
        self._token: SharedToken | None = None
        self._replaced_at: float | None = None

    async def token(self, *, stale: str | None = None) -> SharedToken:
        """The access token that all processes share; `stale` is one that Zoho has just refused."""
        cached = self._token
        if cached is not None and cached.value != stale and self._clock.now() < cached.expires_at:
            return cached

        async def refresh() -> SharedToken:
            return await self._refresh(again=stale is not None)

        self._token = await self._context.tokens.get(self._token_name, refresh, stale=stale)
        self._api.redact = self._accounts.redact = Redactor((*self._known_secrets, self._token.value))
        return self._token

    async def read(
        self, method: str, path: str, *, heavy: bool = False, credit: int = 1, **options: Any
    ) -> Any:
        """A request that changes nothing; repeated up to three times. None for an empty answer (204, 304)."""
        response = await _patiently(
            lambda: self._request(method, path, heavy=heavy, credit=credit, options=options),
            _worth_reading_again,
        )
        return self._api.decode(response)

    async def write(self, method: str, path: str, body: dict[str, Any], **options: Any) -> list[answers.Item]:
        """A write of records, repeated only when it surely had no effect; the fate of each, in their order."""
        sent = len(body["data"])
        options["json"] = body
        try:
            response = await _patiently(
                lambda: self._request(method, path, heavy=False, credit=1, options=options),
                _worth_writing_again,
            )
        except answers.RecordsAnswered as answered:
            found = answered.items
        else:
            found = answers.items(answers.decode(response.content))
        if len(found) != sent:
            raise VendorAmbiguous(VENDOR, f"told the fate of {len(found)} records, {sent} were sent")
        return list(found)

    async def close(self) -> None:
        """Close all connections."""
        await self._accounts.close()
        await self._api.close()

    async def _request(
        self, method: str, path: str, *, heavy: bool, credit: int, options: dict[str, Any]
    ) -> httpx2.Response:
        token = await self.token()
        try:
            return await self._send(token, method, path, heavy=heavy, credit=credit, options=options)
        except answers.TokenRefused:
            token = await self.token(stale=token.value)
        return await self._send(token, method, path, heavy=heavy, credit=credit, options=options)

    async def _send(
        self,
        token: SharedToken,
        method: str,
        path: str,
        *,
        heavy: bool,
        credit: int,
        options: dict[str, Any],
    ) -> httpx2.Response:
        headers = {**options.get("headers", {}), "Authorization": f"Zoho-oauthtoken {token.value}"}
        url = f"{token.facts['api_domain']}/crm/v8/{path}"
        async with self.limits.turn(heavy=heavy, credit=credit):
            response = await self._api.send(method, url, **{**options, "headers": headers})
        if response.status_code not in _READABLE:
            raise VendorAmbiguous(VENDOR, f"answered {response.status_code} to {method} {path}")
        return response

    def _classify(self, response: httpx2.Response) -> VendorError | None:
        status = response.status_code
        if status < httpx2.codes.BAD_REQUEST:
            self.limits.answered()
            return None
        body = answers.decode(response.content)
        if answers.access_denied(body):
            return self._denied(self._api, response)
        found = answers.items(body)
        if found and status in _JUDGED_BY_ITEM:
            refused = answers.RecordsAnswered(VENDOR, "refused records", status=status)
            refused.items = found
            return refused
        kind = answers.kind(status, body)
        if kind is None:
            return None
        text = answers.message(body, f"answered {status}")
        error = self._api.error(kind, response, text, answers.code_of(body.get("code")))
        if status == httpx2.codes.TOO_MANY_REQUESTS or error.code == "TOO_MANY_REQUESTS":
            hint = error.retry_after_s
            error.retry_after_s = self.limits.throttled(answers.pause_hint(body) if hint is None else hint)
        elif isinstance(error, VendorBusy) and error.retry_after_s is None:
            error.retry_after_s = answers.LOCKED_PAUSE_S
        return error

    def _classify_token(self, response: httpx2.Response) -> VendorError | None:
        body = answers.decode(response.content)
        if answers.access_denied(body):
            return self._denied(self._accounts, response)
        if response.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR or not body:
            return None
        wrong = answers.token_error(body)
        if wrong is None:
            return None
        return self._accounts.error(VendorAuthFailed, response, wrong, answers.code_of(body.get("error")))

    def _denied(self, http: VendorHttp, response: httpx2.Response) -> VendorError:
        error = http.error(VendorBusy, response, "Access Denied: too many tokens were asked for")
        error.retry_after_s = max(error.retry_after_s or 0.0, answers.ACCESS_DENIED_PAUSE_S)
        return error

    async def _refresh(self, *, again: bool) -> SharedToken:
        """Get a new token from the accounts server, unless it has asked for a pause that is not over.

        Nothing was asked of the CRM yet, so whatever goes wrong here is definite for the caller.
        """
        await self._respect_pause()
        now = self._clock.monotonic()
        if again:
            if self._replaced_at is not None and now - self._replaced_at < _FRESH_S:
                raise VendorBusy(VENDOR, "refuses one new token after the other", retry_after_s=_FRESH_S)
            self._replaced_at = now
        form = {
            "grant_type": "refresh_token",
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.get_secret_value(),
            "refresh_token": self._settings.refresh_token.get_secret_value(),
        }
        try:
            body = await self._accounts.json("POST", "/oauth/v2/token", data=form)
        except VendorAmbiguous as error:
            raise VendorUnreachable(VENDOR, f"no token: {error.message}", status=error.status) from error
        except VendorBusy as busy:
            await self._pause_tokens(busy.retry_after_s or answers.ACCESS_DENIED_PAUSE_S)
            raise
        return self._shared(body)

    def _shared(self, body: Any) -> SharedToken:
        api_domain = body.get("api_domain") if isinstance(body, dict) else None
        if not isinstance(api_domain, str) or not api_domain.startswith(("https://", "http://")):
            raise VendorAuthFailed(VENDOR, "the token answer names no api_domain")
        told = body.get("expires_in")
        known = isinstance(told, int) and not isinstance(told, bool) and 0 <= told <= _LONGEST_LIFE_S
        life = max((told if known else _USUAL_LIFE_S) - _EARLY_S, _SHORTEST_LIFE_S)
        facts = {"api_domain": api_domain.rstrip("/"), "scope": str(body.get("scope", ""))}
        return SharedToken(body["access_token"], self._clock.now() + timedelta(seconds=life), facts)

    async def _pause_tokens(self, seconds: float) -> None:
        until = self._clock.now() + timedelta(seconds=seconds)
        await self._context.secrets.write(VENDOR, _PAUSE_KEY, until.isoformat())

    async def _respect_pause(self) -> None:
        stored = await self._context.secrets.read(VENDOR, _PAUSE_KEY)
        if stored is None:
            return
        remaining = (datetime.fromisoformat(stored) - self._clock.now()).total_seconds()
        if remaining > 0:
            message = "Access Denied a moment ago: too many tokens were asked for"
            raise VendorBusy(VENDOR, message, retry_after_s=remaining)


async def _patiently(
    send: Callable[[], Awaitable[httpx2.Response]], again: Callable[[Exception], bool | float]
) -> httpx2.Response:
    async for attempt in stamina.retry_context(
        on=again, attempts=_ATTEMPTS, timeout=30.0, wait_initial=0.2, wait_max=_PATIENCE_S
    ):
        with attempt:
            return await send()
    raise AssertionError("stamina returns or raises")


def _worth_writing_again(error: Exception) -> bool | float:
    if isinstance(error, VendorBusy):
        pause = error.retry_after_s
        return pause if pause is not None and pause <= _PATIENCE_S else False
    return isinstance(error, VendorUnreachable)


def _worth_reading_again(error: Exception) -> bool | float:
    return isinstance(error, VendorAmbiguous) or _worth_writing_again(error)
