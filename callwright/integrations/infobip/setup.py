"""What Infobip has to know about us: a calls configuration, where media sockets go, and who gets events.

Everything is looked up before it is made, and mended with PUT where it differs. Names begin with the calls
configuration's id, so that two installations can share one account.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any

from callwright.integrations.infobip import drift
from callwright.integrations.infobip.client import VENDOR, InfobipClient
from callwright.integrations.infobip.settings import InfobipSettings, WebhookAuth
from callwright.ports.operations import SetupAction, SetupPlan, SetupStep
from callwright.ports.storage import SecretStore

CONFIGURATIONS = "/calls/1/configurations"
MEDIA_CONFIGS = "/calls/1/media-stream-configs"
SUBSCRIPTIONS = "/subscriptions/1/subscription/VOICE_VIDEO"
PROFILES = "/subscriptions/1/profiles"
SECURITY = "/subscriptions/1/security"

EVENTS = (
    "CALL_STARTED",
    "CALL_RINGING",
    "CALL_PRE_ESTABLISHED",
    "CALL_ESTABLISHED",
    "CALL_FINISHED",
    "CALL_FAILED",
    "DIALOG_CREATED",
    "DIALOG_ESTABLISHED",
    "DIALOG_FINISHED",
    "DIALOG_FAILED",
    "MACHINE_DETECTION_FINISHED",
    "MACHINE_DETECTION_FAILED",
    "MACHINE_MESSAGE_DETECTION_FINISHED",
    "MACHINE_MESSAGE_DETECTION_FAILED",
    "SAY_FINISHED",
    "DTMF_CAPTURED",
    "CALL_RECORDING_READY",
    "CALL_RECORDING_FAILED",
    "ERROR",
)
"""The events we ask for."""

_FINGERPRINT = "webhook_auth"


@dataclass(frozen=True, slots=True)
class Names:
    """Ids of what belongs to one installation."""

    subscription: str
    profile: str
    security: str

    @classmethod
    def of(cls, settings: InfobipSettings) -> "Names":
        """The ids that follow from the calls configuration's id."""
        base = settings.calls_configuration_id
        return cls(f"{base}-events", f"{base}-webhook", f"{base}-auth")


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """A media-stream configuration of ours: its id at the vendor, and the secret last part of its address."""

    id: str
    path: str


class MediaConfigs:
    """The media-stream configuration of each slot, kept encrypted, and the paths that this process knows."""

    def __init__(self, store: SecretStore) -> None:
        self._store = store
        self._paths: dict[str, str] = {}

    def paths(self) -> list[str]:
        """Paths that media sockets may come to."""
        return list(self._paths.values())

    async def load(self, slot: str) -> MediaConfig | None:
        """The configuration of a slot, or None before set-up."""
        raw = await self._store.read(VENDOR, f"media:{slot}")
        if raw is None:
            return None
        config = MediaConfig(**json.loads(raw))
        self._paths[slot] = config.path
        return config

    async def save(self, slot: str, config: MediaConfig) -> None:
        """Keep the configuration of a slot."""
        raw = json.dumps({"id": config.id, "path": config.path})
        await self._store.write(VENDOR, f"media:{slot}", raw)
        self._paths[slot] = config.path


class Setup:
    """One comparison of the vendor's side with a plan."""

    def __init__(
        self, client: InfobipClient, settings: InfobipSettings, store: SecretStore, media: MediaConfigs
    ) -> None:
        self._client = client
        self._settings = settings
        self._store = store
        self._media = media
        self._names = Names.of(settings)

    async def run(self, plan: SetupPlan) -> list[SetupStep]:
        """Look at everything in the order of dependence; mend it if the plan says so."""
        steps = [await self._configuration(plan), await self._media_config(plan)]
        if self._settings.webhook_auth is not WebhookAuth.HEADER:
            steps.append(await self._security(plan))
        steps += [await self._profile(plan), await self._subscription(plan)]
        if plan.apply:
            await self._store.write(VENDOR, _FINGERPRINT, _fingerprint(self._settings))
        return steps

    async def _configuration(self, plan: SetupPlan) -> SetupStep:
        wanted = self._settings.calls_configuration_id
        name = f"calls configuration {wanted}"
        if await self._client.get_or_none(f"{CONFIGURATIONS}/{wanted}") is not None:
            return SetupStep(name, SetupAction.UNCHANGED)
        if plan.apply:
            await self._client.send_once("POST", CONFIGURATIONS, {"id": wanted, "name": "Callwright"})
        return SetupStep(name, SetupAction.CREATE, applied=plan.apply)

    async def _media_config(self, plan: SetupPlan) -> SetupStep:
        name = f"{self._settings.calls_configuration_id}-{plan.slot}"[:128]
        prefix = f"{plan.media_url.rstrip('/')}/media/{VENDOR}/"
        found, path = await self._find_media_config(plan.slot, name, prefix)
        wanted = {
            "type": "WEBSOCKET_ENDPOINT",
            "name": name,
            "url": prefix + path,
            "sampleRate": str(self._settings.sample_rate),
        }
        differences = drift.differences(found, wanted) if found else []
        title = f"media-stream configuration {name}"
        config_id = str(found["id"]) if found else ""
        if plan.apply and found is None:
            made = await self._client.send_once("POST", MEDIA_CONFIGS, wanted)
            config_id = str(made["id"])
        elif plan.apply and differences:
            await self._client.send("PUT", f"{MEDIA_CONFIGS}/{config_id}", wanted)
        if plan.apply or (found and not differences):
            await self._media.save(plan.slot, MediaConfig(config_id, path))
        return _step(title, found, differences, plan)

    async def _find_media_config(
        self, slot: str, name: str, prefix: str
    ) -> tuple[dict[str, Any] | None, str]:
        """The vendor's configuration, by the id we kept or by its name, and the path it is to have."""
        kept = await self._media.load(slot)
        if kept is not None:
            found = await self._client.get_or_none(f"{MEDIA_CONFIGS}/{kept.id}")
            if found is not None:
                return found, kept.path
        for config in await self._client.pages(MEDIA_CONFIGS):
            if config.get("name") == name and config.get("type") == "WEBSOCKET_ENDPOINT" and config.get("id"):
                shown = str(config.get("url") or "")
                told = shown.removeprefix(prefix) if shown.startswith(prefix) else ""
                path = kept.path if kept else told
                return config, path or secrets.token_urlsafe(24)
        return None, kept.path if kept else secrets.token_urlsafe(24)

    async def _security(self, plan: SetupPlan) -> SetupStep:
        path = f"{SECURITY}/{self._names.security}"
        found = await self._client.get_or_none(path)
        wanted = _security_body(self._settings)
        differences = await self._credential_differences(found, wanted) if found else []
        if plan.apply and found is None:
            await self._client.send_once("POST", SECURITY, {"authId": self._names.security, **wanted})
        elif plan.apply and differences:
            await self._client.send("PUT", path, wanted)
        return _step(f"webhook security {self._names.security}", found, differences, plan)

    async def _profile(self, plan: SetupPlan) -> SetupStep:
        path = f"{PROFILES}/{self._names.profile}"
        found = await self._client.get_or_none(path)
        wanted = _profile_body(self._settings, self._names, plan.public_url)
        plain = {key: value for key, value in wanted.items() if key != "headers"}
        differences = drift.differences(found, plain) if found else []
        if found and self._settings.webhook_auth is WebhookAuth.HEADER:
            differences += await self._secret_differences(found.get("headers"), wanted["headers"], "headers")
            differences += [drift.not_wanted("security")] if found.get("security") else []
        if plan.apply and found is None:
            await self._client.send_once("POST", PROFILES, {"profileId": self._names.profile, **wanted})
        elif plan.apply and differences:
            await self._client.send("PUT", path, wanted)
        title = f"notification profile {self._names.profile} -> {wanted['webhook']['notifyUrl']}"
        return _step(title, found, differences, plan)

    async def _subscription(self, plan: SetupPlan) -> SetupStep:
        path = f"{SUBSCRIPTIONS}/{self._names.subscription}"
        found = await self._client.get_or_none(path)
        wanted = {
            "name": "Callwright",
            "events": list(EVENTS),
            "criteria": [{"callsConfigurationId": self._settings.calls_configuration_id}],
            "profile": {"profileId": self._names.profile},
        }
        differences = drift.differences(found, wanted) if found else []
        if plan.apply and found is None:
            body = {"subscriptionId": self._names.subscription, **wanted}
            await self._client.send_once("POST", SUBSCRIPTIONS, body)
        elif plan.apply and differences:
            await self._client.send("PUT", path, wanted)
        return _step(f"event subscription {self._names.subscription}", found, differences, plan)

    async def _credential_differences(self, found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
        if found.get("type") != wanted["type"]:
            return drift.differences({"type": found.get("type")}, {"type": wanted["type"]})
        return await self._secret_differences(found.get("credentials"), wanted["credentials"], "credentials")

    async def _secret_differences(self, shown: Any, wanted: dict[str, str], name: str) -> list[str]:
        """Compare what may be shown masked: then by the fingerprint of what we set last."""
        if not isinstance(shown, dict) or shown.keys() != wanted.keys():
            return [drift.another_secret(name)]
        masked = [key for key, value in shown.items() if not str(value).strip("*•")]
        wrong = [key for key in wanted if key not in masked and shown[key] != wanted[key]]
        last = await self._store.read(VENDOR, _FINGERPRINT) if masked else None
        if masked and last != _fingerprint(self._settings):
            wrong += masked
        return [drift.another_secret(f"{name}.{key}") for key in wrong]


def notify_url(public_url: str) -> str:
    """Where Infobip posts events."""
    return f"{public_url.rstrip('/')}/webhooks/{VENDOR}/events"


def _security_body(settings: InfobipSettings) -> dict[str, Any]:
    if settings.webhook_auth is WebhookAuth.HMAC and settings.webhook_secret is not None:
        credentials = {
            "secretKey": settings.webhook_secret.get_secret_value(),
            "algorithm": settings.webhook_hmac_algorithm,
        }
        return {"type": "HMAC", "credentials": credentials}
    password = settings.webhook_password.get_secret_value() if settings.webhook_password else ""
    return {"type": "BASIC", "credentials": {"username": settings.webhook_username, "password": password}}


def _profile_body(settings: InfobipSettings, names: Names, public_url: str) -> dict[str, Any]:
    """One event in each request, as JSON, with the proof that the settings ask for."""
    body: dict[str, Any] = {
        "webhook": {"notifyUrl": notify_url(public_url), "contentType": "application/json"},
        "maxBucketSize": 1,
        "connectTimeout": 10_000,
        "readTimeout": 10_000,
    }
    if settings.webhook_auth is WebhookAuth.HEADER and settings.webhook_token is not None:
        body["headers"] = {settings.webhook_token_header: settings.webhook_token.get_secret_value()}
    else:
        body["security"] = {"authId": names.security}
    return body


def _step(name: str, found: Any, differences: list[str], plan: SetupPlan) -> SetupStep:
    if found is None:
        return SetupStep(name, SetupAction.CREATE, applied=plan.apply)
    if not differences:
        return SetupStep(name, SetupAction.UNCHANGED)
    return SetupStep(name, SetupAction.CHANGE, "; ".join(differences), applied=plan.apply)


def _fingerprint(settings: InfobipSettings) -> str:
    """A digest of what proves an event, to see whether a masked value is still the one we set."""
    parts = (
        settings.webhook_auth.value,
        settings.webhook_username,
        settings.webhook_hmac_algorithm,
        settings.webhook_token_header,
        *settings.secret_values()[1:],
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
