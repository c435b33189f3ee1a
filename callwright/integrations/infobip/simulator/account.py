"""What the account has configured: calls configurations, media-stream configurations, subscriptions."""

from dataclasses import dataclass, field
from typing import Any

from callwright.integrations.infobip.simulator.calls import new_id
from callwright.integrations.infobip.simulator.errors import Refusal
from callwright.integrations.infobip.simulator.schemas import (
    ConfigurationRequest,
    ProfileRequest,
    ProfileUpdate,
    SecurityRequest,
    SecurityUpdate,
    SubscriptionRequest,
    SubscriptionUpdate,
    WebsocketConfigRequest,
)


def _shown(model: Any) -> dict[str, Any]:
    shown: dict[str, Any] = model.model_dump(by_alias=True, exclude_none=True, mode="json")
    return shown


@dataclass(slots=True)
class Account:
    """Everything by id, as the API shows it. `mask_secrets` hides credentials and headers in answers."""

    configurations: dict[str, dict[str, Any]] = field(default_factory=dict)
    media_configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    security: dict[str, dict[str, Any]] = field(default_factory=dict)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)
    mask_secrets: bool = False

    def add_configuration(self, request: ConfigurationRequest) -> dict[str, Any]:
        """Create a calls configuration; its id may be taken already."""
        key = request.id or new_id().replace("-", "")[:24]
        _must_be_new(self.configurations, key, "id")
        self.configurations[key] = {"id": key, "name": request.name or key}
        return self.configurations[key]

    def set_media_config(self, request: WebsocketConfigRequest, key: str | None = None) -> dict[str, Any]:
        """Create a media-stream configuration, or replace the one of this id."""
        if key is not None:
            _must_exist(self.media_configs, key)
        key = key or new_id().replace("-", "")[:24]
        self.media_configs[key] = {"id": key, **_shown(request)}
        return self.media_configs[key]

    def set_security(
        self, request: SecurityRequest | SecurityUpdate, key: str | None = None
    ) -> dict[str, Any]:
        """Create security settings, or replace those of this id."""
        if request.type is None or request.credentials is None:
            raise Refusal(400, fields={"credentials": ["must not be null"]})
        if ("password" in _shown(request)["credentials"]) != (request.type == "BASIC"):
            raise Refusal(400, fields={"credentials": [f"are not those of {request.type}"]})
        if isinstance(request, SecurityRequest):
            key = request.auth_id
            _must_be_new(self.security, key, "authId")
        assert key is not None
        if not isinstance(request, SecurityRequest):
            _must_exist(self.security, key)
        self.security[key] = {**_shown(request), "authId": key}
        return {"authId": key}

    def add_profile(self, request: ProfileRequest) -> dict[str, Any]:
        """Create a notification profile, with new security settings if it defines some."""
        _must_be_new(self.profiles, request.profile_id, "profileId")
        if request.webhook is None:
            raise Refusal(400, fields={"webhook": ["must not be null"]})
        if request.security is not None and request.security.type is not None:
            self.set_security(request.security)
        return self._keep_profile(request.profile_id, request)

    def change_profile(self, key: str, request: ProfileUpdate) -> dict[str, Any]:
        """Replace a notification profile."""
        _must_exist(self.profiles, key)
        return self._keep_profile(key, request)

    def add_subscription(self, request: SubscriptionRequest) -> dict[str, Any]:
        """Create a subscription, with a new profile if it defines one."""
        _must_be_new(self.subscriptions, request.subscription_id, "subscriptionId")
        if request.profile.profile_id not in self.profiles:
            self.add_profile(request.profile)
        return self._keep_subscription(request.subscription_id, request)

    def change_subscription(self, key: str, request: SubscriptionUpdate) -> dict[str, Any]:
        """Replace a subscription."""
        _must_exist(self.subscriptions, key)
        return self._keep_subscription(key, request)

    def masked(self, thing: dict[str, Any]) -> dict[str, Any]:
        """A thing as it is shown to whoever asks."""
        if not self.mask_secrets:
            return thing
        hidden: dict[str, Any] = {
            name: dict.fromkeys(thing[name], "******") for name in ("credentials", "headers") if name in thing
        }
        if "credentials" in thing:
            for plain in ("username", "algorithm"):
                if plain in thing["credentials"]:
                    hidden["credentials"][plain] = thing["credentials"][plain]
        return {**thing, **hidden}

    def receivers(self, event: str, configuration_id: str) -> list[dict[str, Any]]:
        """The profiles of all subscriptions to an event of a calls configuration."""
        found = []
        for subscription in self.subscriptions.values():
            wanted = [item.get("callsConfigurationId") for item in subscription.get("criteria", [])]
            if event in subscription["events"] and (not wanted or configuration_id in wanted):
                found.append(self.profiles[subscription["profile"]["profileId"]])
        return found

    def _keep_profile(self, key: str, request: ProfileRequest | ProfileUpdate) -> dict[str, Any]:
        shown = {**_shown(request), "profileId": key}
        if request.security is not None:
            _must_exist(self.security, request.security.auth_id)
            shown["security"] = {"authId": request.security.auth_id}
        self.profiles[key] = shown
        return {name: shown[name] for name in ("profileId", "security") if name in shown}

    def _keep_subscription(
        self, key: str, request: SubscriptionRequest | SubscriptionUpdate
    ) -> dict[str, Any]:
        profile_id = request.profile.profile_id
        _must_exist(self.profiles, profile_id)
        profile = {"profileId": profile_id}
        if "security" in self.profiles[profile_id]:
            profile |= {"security": self.profiles[profile_id]["security"]}
        self.subscriptions[key] = {**_shown(request), "subscriptionId": key, "profile": profile}
        return {"subscriptionId": key, "profile": profile}


def _must_be_new(things: dict[str, Any], key: str, name: str) -> None:
    if key in things:
        raise Refusal(400, fields={name: ["already exists"]})


def _must_exist(things: dict[str, Any], key: str) -> None:
    if key not in things:
        raise Refusal(404)
