"""What configures the Infobip integration."""

import re
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from callwright.integrations.infobip.addresses import base_url_problem
from callwright.registry import IntegrationSettings

_E164 = re.compile(r"\+[1-9]\d{6,14}")

SampleRate = Literal[8000, 16000, 24000]
HmacAlgorithm = Literal[
    "HMAC_MD5", "HMAC_SHA_1", "HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512"
]


class WebhookAuth(StrEnum):
    """How an event proves that it comes from our Infobip account."""

    BASIC = "basic"
    HMAC = "hmac"
    HEADER = "header"


class HmacScheme(StrEnum):
    """What the HMAC is computed over: the raw body, or the timestamp header's value followed by the raw body."""

    BODY = "body"
    TIMESTAMP_BODY = "timestamp_body"


class InfobipSettings(IntegrationSettings):
    """Credentials, numbers, and how events are signed."""

    api_key: SecretStr = Field(
        validation_alias="INFOBIP_API_KEY",
        min_length=1,
        description="API key with the scopes calls:manage and subscriptions:manage.",
    )
    base_url: str = Field(
        validation_alias="INFOBIP_BASE_URL",
        description="Your account's own address, such as https://xxxxx.api.infobip.com.",
    )
    caller_ids: tuple[str, ...] = Field(
        validation_alias="INFOBIP_CALLER_IDS",
        description="Numbers of yours that may be shown, E.164, separated by commas.",
    )
    calls_configuration_id: str = Field(
        default="callwright",
        validation_alias="INFOBIP_CALLS_CONFIGURATION_ID",
        pattern=r"^[a-zA-Z0-9_-]{1,100}$",
        description="Id of the calls configuration; names of all that `callwright setup infobip` makes begin with it.",
    )
    sample_rate: SampleRate = Field(
        default=16000,
        validation_alias="INFOBIP_SAMPLE_RATE",
        description="Samples per second of the media socket, both ways: 8000, 16000 or 24000.",
    )
    webhook_auth: WebhookAuth = Field(
        default=WebhookAuth.BASIC,
        validation_alias="INFOBIP_WEBHOOK_AUTH",
        description="How events prove where they come from: basic, hmac, or header (a static secret header).",
    )
    webhook_username: str = Field(
        default="callwright",
        validation_alias="INFOBIP_WEBHOOK_USERNAME",
        min_length=1,
        max_length=255,
        description="User name of events with basic authentication.",
    )
    webhook_password: SecretStr | None = Field(
        default=None,
        validation_alias="INFOBIP_WEBHOOK_PASSWORD",
        max_length=255,
        description="Password of events with basic authentication; choose a long random one.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        validation_alias="INFOBIP_WEBHOOK_SECRET",
        max_length=255,
        description="Secret key of events with an HMAC.",
    )
    webhook_hmac_header: str = Field(
        default="X-Ib-Hmac-Signature",
        validation_alias="INFOBIP_WEBHOOK_HMAC_HEADER",
        description="Header that carries the HMAC; it depends on how Infobip configured your account.",
    )
    webhook_hmac_algorithm: HmacAlgorithm = Field(
        default="HMAC_SHA_256",
        validation_alias="INFOBIP_WEBHOOK_HMAC_ALGORITHM",
        description="Algorithm of the HMAC, as Infobip names it.",
    )
    webhook_hmac_scheme: HmacScheme = Field(
        default=HmacScheme.BODY,
        validation_alias="INFOBIP_WEBHOOK_HMAC_SCHEME",
        description="What the HMAC covers: body, or timestamp_body (the timestamp header's value, then the body).",
    )
    webhook_timestamp_header: str = Field(
        default="X-Ib-Exchange-Req-Timestamp",
        validation_alias="INFOBIP_WEBHOOK_TIMESTAMP_HEADER",
        description="Header with the milliseconds that an HMAC of scheme timestamp_body covers.",
    )
    webhook_longest_age_s: int = Field(
        default=3600,
        validation_alias="INFOBIP_WEBHOOK_LONGEST_AGE_S",
        ge=60,
        description="Seconds after which a timestamp covered by the HMAC is too old.",
    )
    webhook_token: SecretStr | None = Field(
        default=None,
        validation_alias="INFOBIP_WEBHOOK_TOKEN",
        description="Value of the static header; choose a long random one.",
    )
    webhook_token_header: str = Field(
        default="X-Callwright-Token",
        validation_alias="INFOBIP_WEBHOOK_TOKEN_HEADER",
        pattern=r"^[A-Za-z0-9-]+$",
        description="Name of the static header.",
    )
    dials_per_second: float = Field(
        default=6.0,
        validation_alias="INFOBIP_DIALS_PER_SECOND",
        gt=0,
        le=1000,
        description="Calls created each second; Infobip's published limit is 6, more needs an agreement.",
    )
    request_timeout_s: float = Field(
        default=10.0,
        validation_alias="INFOBIP_REQUEST_TIMEOUT_S",
        gt=0,
        le=60,
        description="Seconds to wait for an answer of Infobip's API.",
    )
    media_connect_s: int = Field(
        default=10,
        validation_alias="INFOBIP_MEDIA_CONNECT_S",
        ge=1,
        le=60,
        description="Seconds that Infobip may take to open the media socket.",
    )
    transfer_ring_s: int = Field(
        default=30,
        validation_alias="INFOBIP_TRANSFER_RING_S",
        ge=5,
        le=60,
        description="Seconds that the phone of a human rings to whom a call is handed over.",
    )
    detection_s: float = Field(
        default=3.7,
        validation_alias="INFOBIP_DETECTION_S",
        ge=1,
        le=5,
        description="Seconds of listening before answering machine detection decides.",
    )
    message_detection_s: int = Field(
        default=0,
        validation_alias="INFOBIP_MESSAGE_DETECTION_S",
        ge=0,
        le=60,
        description="Seconds to wait for the end of an answering machine's greeting; 0 does not wait for it.",
    )

    @field_validator("caller_ids", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(item.strip() for item in value.split(",") if item.strip())
        return value

    @field_validator("sample_rate", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value

    @field_validator("caller_ids")
    @classmethod
    def _are_numbers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [number for number in value if not _E164.fullmatch(number)]
        if wrong or not value:
            raise ValueError(f"give at least one number, each like +447700900001 (wrong: {wrong})")
        return value

    @field_validator("base_url")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        if problem := base_url_problem(value):
            raise ValueError(problem)
        return value.rstrip("/")

    @field_validator("webhook_password", "webhook_secret", "webhook_token", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: Any) -> Any:
        return value or None

    @model_validator(mode="after")
    def _has_what_proves(self) -> Self:
        needed = {
            WebhookAuth.BASIC: ("INFOBIP_WEBHOOK_PASSWORD", self.webhook_password),
            WebhookAuth.HMAC: ("INFOBIP_WEBHOOK_SECRET", self.webhook_secret),
            WebhookAuth.HEADER: ("INFOBIP_WEBHOOK_TOKEN", self.webhook_token),
        }
        name, secret = needed[self.webhook_auth]
        if secret is None:
            raise ValueError(f"INFOBIP_WEBHOOK_AUTH={self.webhook_auth.value} needs {name}")
        if 0 < self.message_detection_s <= self.detection_s:
            raise ValueError("INFOBIP_MESSAGE_DETECTION_S must be above INFOBIP_DETECTION_S, or 0")
        return self

    def secret_values(self) -> tuple[str, ...]:
        """Every secret, for redaction."""
        secrets = (self.api_key, self.webhook_password, self.webhook_secret, self.webhook_token)
        return tuple(secret.get_secret_value() for secret in secrets if secret is not None)
