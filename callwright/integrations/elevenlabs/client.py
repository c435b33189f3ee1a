"""The platform's REST interface, the only I/O of this integration (paths: openapi of 2026-08-22)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2

from callwright.domain.errors import VendorAmbiguous, VendorError
from callwright.integrations.elevenlabs import errors
from callwright.integrations.elevenlabs.settings import ElevenLabsSettings
from callwright.integrations.elevenlabs.vocabulary import NAME
from callwright.ports.clock import Clock
from callwright.toolkit.http import VendorHttp
from callwright.toolkit.redaction import Redactor

Json = dict[str, Any]

_LONGEST_MOMENT = 11
_LONGEST_PAUSE_S = 86_400.0


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """A webhook just created; the platform shows its secret this once."""

    webhook_id: str
    secret: str


class ElevenLabsClient:
    """Requests to the platform; every method raises VendorError sub-classes."""

    def __init__(self, settings: ElevenLabsSettings, clock: Clock) -> None:
        key = settings.api_key.get_secret_value()
        own = settings.webhook_secret
        self._clock = clock
        self._secrets = [key, *([own.get_secret_value()] if own else [])]
        self._http = VendorHttp(
            NAME,
            settings.base_url.rstrip("/"),
            headers={"xi-api-key": key},
            timeout_s=settings.request_timeout_s,
            secrets=self._secrets,
            classify=self._classify,
            clock=clock,
        )

    def hide(self, secret: str) -> None:
        """Keep one more secret, such as a webhook's, out of errors and stored bodies."""
        if secret not in self._secrets:
            self._secrets.append(secret)
            self._http.redact = Redactor(self._secrets)

    async def subscription(self) -> Json:
        """Plan and credits: GET /v1/user/subscription."""
        return await self._read("/v1/user/subscription")

    async def signed_url(self, agent_id: str) -> str:
        """A URL that admits one conversation within 15 minutes; it is a secret."""
        body = await self._read(
            "/v1/convai/conversation/get-signed-url",
            params={"agent_id": agent_id, "include_conversation_id": "true"},
        )
        url = body.get("signed_url")
        if not isinstance(url, str) or not url.startswith(("ws://", "wss://")):
            raise VendorAmbiguous(NAME, "answered without a signed URL")
        return url

    async def conversation(self, conversation_id: str) -> Json:
        """One conversation, with its analysis once that is done."""
        return await self._read(f"/v1/convai/conversations/{_path(conversation_id)}")

    async def delete_conversation(self, conversation_id: str) -> None:
        """Delete a conversation; VendorNotFound if there is none."""
        await self._http.read("DELETE", f"/v1/convai/conversations/{_path(conversation_id)}")

    async def agents(self) -> list[Json]:
        """The first page of the workspace's agents, enough to prove that the key may see them."""
        return _objects((await self._read("/v1/convai/agents", params={"page_size": "30"})).get("agents"))

    async def agent(self, agent_id: str) -> Json:
        """An agent's whole configuration."""
        return await self._read(f"/v1/convai/agents/{_path(agent_id)}")

    async def change_agent(self, agent_id: str, changes: Json) -> None:
        """Change parts of an agent; objects are merged, lists replaced."""
        await self._http.send("PATCH", f"/v1/convai/agents/{_path(agent_id)}", json=changes)

    async def webhooks(self) -> list[Json]:
        """The workspace's webhooks, without their secrets."""
        return _objects((await self._read("/v1/workspace/webhooks")).get("webhooks"))

    async def create_webhook(self, name: str, url: str) -> NewWebhook:
        """Create a webhook whose deliveries are signed by HMAC."""
        settings = {"auth_type": "hmac", "name": name, "webhook_url": url}
        body = await self._http.json("POST", "/v1/workspace/webhooks", json={"settings": settings})
        if not isinstance(body, dict) or not body.get("webhook_id") or not body.get("webhook_secret"):
            raise VendorAmbiguous(NAME, "created a webhook without telling its id and secret")
        return NewWebhook(str(body["webhook_id"]), str(body["webhook_secret"]))

    async def enable_webhook(self, webhook_id: str, name: str) -> None:
        """Switch a webhook on, with repeats after 5xx, 429 and time-outs (which are off by default)."""
        body = {"is_disabled": False, "name": name, "retry_enabled": True}
        await self._http.send("PATCH", f"/v1/workspace/webhooks/{_path(webhook_id)}", json=body)

    async def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook; VendorNotFound if there is none."""
        await self._http.send("DELETE", f"/v1/workspace/webhooks/{_path(webhook_id)}")

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def _read(self, path: str, **options: Any) -> Json:
        body = self._http.decode(await self._http.read("GET", path, **options))
        if not isinstance(body, dict):
            raise VendorAmbiguous(NAME, f"answered GET {path} with something other than an object")
        return body

    def _classify(self, response: httpx2.Response) -> VendorError | None:
        if response.status_code < httpx2.codes.BAD_REQUEST:
            return None
        code, message = errors.http_detail(_json_or_none(response))
        kind = errors.http_error(response.status_code, code)
        if kind is None:
            return None
        said = message or f"answered {response.status_code} to {response.request.method}"
        error = self._http.error(kind, response, said, code)
        error.retry_after_s = self._pause(response, error.retry_after_s)
        return error

    def _pause(self, response: httpx2.Response, told_s: float | None) -> float | None:
        """Seconds by `retry-after-ms`, else as told by Retry-After, else until `x-ratelimit-reset` (Unix seconds)."""
        raw = response.headers.get("retry-after-ms", "").strip()
        if raw.isascii() and raw.isdigit():
            return min(int(raw[:_LONGEST_MOMENT]) / 1000, _LONGEST_PAUSE_S)
        if told_s is not None:
            return told_s
        moment = response.headers.get("x-ratelimit-reset", "").strip()
        if not moment.isascii() or not moment.isdigit() or len(moment) > _LONGEST_MOMENT:
            return None
        return min(max(0.0, int(moment) - self._clock.now().timestamp()), _LONGEST_PAUSE_S)


def _path(part: str) -> str:
    return quote(part, safe="")


def _objects(items: Any) -> list[Json]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, Iterable) else []


def _json_or_none(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
