"""What Infobip accepts: the request schemas of its OpenAPI 3.210.0, strict about names, types and limits."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

_NUMBER = r"^\+?[1-9]\d{4,14}$"
ErrorName = Literal[
    "NORMAL_HANGUP",
    "MACHINE_DETECTED",
    "NO_ANSWER",
    "BUSY",
    "CANCELLED",
    "REJECTED",
    "FORBIDDEN",
    "DESTINATION_NOT_FOUND",
    "DESTINATION_UNAVAILABLE",
    "INVALID_DESTINATION",
    "INVALID_REQUEST",
    "REQUEST_TIMEOUT",
    "SERVICE_UNAVAILABLE",
]
SayLanguage = Literal[
    "ar", "ar-ma", "ar_xa", "bg", "bn", "bn-in", "ca", "cmn-cn", "cs", "da", "de", "de-at", "de-ch", "el", "en",
    "en-au", "en-ca", "en-gb", "en-gb-wls", "en-ie", "en-in", "en-ph", "es", "es-419", "es-ar", "es-co", "es-mx",
    "es-us", "et-ee", "fi", "fil-ph", "fr", "fr-ca", "fr-ch", "gu", "he", "hi", "hr", "hu", "id", "is", "it", "ja",
    "kk-kz", "kn", "ko", "lt", "lv", "ml", "mr-in", "ms", "nb-no", "nl", "nl-be", "no", "pa-in", "pl", "pt-br",
    "pt-pt", "ro", "ru", "sk", "sl", "sr-rs", "sv", "sw-ke", "sw-tz", "ta", "te", "th", "tr", "uk", "ur-in",
    "ur-pk", "uz-uz", "vi", "wls", "yue-hk", "zh-cn", "zh-tw",
]  # fmt: skip
VoiceEvent = Literal[
    "APPLICATION_TRANSFER_FAILED", "APPLICATION_TRANSFER_FINISHED", "APPLICATION_TRANSFER_REQUESTED",
    "BULK_CALL_STATUS", "CALL_DISCONNECTED", "CALL_ESTABLISHED", "CALL_FAILED", "CALL_FINISHED",
    "CALL_MEDIA_CHANGED", "CALL_PRE_ESTABLISHED", "CALL_RECEIVED", "CALL_RECONNECTED", "CALL_RECORDING_DELETED",
    "CALL_RECORDING_FAILED", "CALL_RECORDING_READY", "CALL_RECORDING_STARTED", "CALL_RECORDING_STOPPED",
    "CALL_RINGING", "CALL_STARTED", "CONFERENCE_COMPOSITION_FAILED", "CONFERENCE_COMPOSITION_FINISHED",
    "CONFERENCE_CREATED", "CONFERENCE_FINISHED", "CONFERENCE_RECORDING_DELETED", "CONFERENCE_RECORDING_FAILED",
    "CONFERENCE_RECORDING_READY", "CONFERENCE_RECORDING_STARTED", "CONFERENCE_RECORDING_STOPPED", "DELIVERY",
    "DIALOG_COMPOSITION_FAILED", "DIALOG_COMPOSITION_FINISHED", "DIALOG_CREATED", "DIALOG_ESTABLISHED",
    "DIALOG_FAILED", "DIALOG_FINISHED", "DIALOG_RECORDING_DELETED", "DIALOG_RECORDING_FAILED",
    "DIALOG_RECORDING_READY", "DIALOG_RECORDING_STARTED", "DIALOG_RECORDING_STOPPED", "DIALOG_TRANSFER_FAILED",
    "DIALOG_TRANSFER_FINISHED", "DIALOG_TRANSFER_REQUESTED", "DTMF_CAPTURED", "ERROR", "MACHINE_DETECTION_FAILED",
    "MACHINE_DETECTION_FINISHED", "MACHINE_MESSAGE_DETECTION_FAILED", "MACHINE_MESSAGE_DETECTION_FINISHED",
    "MEDIA_STREAM_FAILED", "MEDIA_STREAM_FINISHED", "MEDIA_STREAM_STARTED", "MISSED_CALL", "NUMBER_MASKING",
    "PARTICIPANT_JOINED", "PARTICIPANT_JOINING", "PARTICIPANT_JOIN_FAILED", "PARTICIPANT_MEDIA_CHANGED",
    "PARTICIPANT_RECORDING_FAILED", "PARTICIPANT_REMOVED", "PARTICIPANT_ROLE_CHANGED",
    "PARTICIPANT_ROLE_CHANGE_FAILED", "PARTICIPANT_STARTED_TALKING", "PARTICIPANT_STOPPED_TALKING",
    "PLAY_FINISHED", "SAY_FINISHED", "SILENT_VERIFICATION_DELIVERY", "SPEECH_CAPTURED", "TRANSCRIPTION",
]  # fmt: skip

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass
class Invalid(Exception):
    """A request breaks its schema: field -> problems."""

    problems: dict[str, list[str]]


CustomData = Annotated[dict[str, str], Field(default_factory=dict)]
Id = Annotated[str, Field(min_length=1, max_length=255)]


class _Strict(BaseModel):
    """Unknown fields and wrong types are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", alias_generator=to_camel)


class PhoneEndpoint(_Strict):
    """A telephone."""

    type: Literal["PHONE"]
    phone_number: str = Field(pattern=_NUMBER)


class WebsocketEndpoint(_Strict):
    """A media socket at the address of a media-stream configuration."""

    type: Literal["WEBSOCKET"]
    websocket_endpoint_config_id: str = Field(min_length=1)
    identifier: str | None = None


Endpoint = Annotated[PhoneEndpoint | WebsocketEndpoint, Field(discriminator="type")]


class Platform(_Strict):
    """Application and entity."""

    entity_id: str = Field(default="", max_length=255)
    application_id: str = Field(default="", max_length=255)


class CallRecording(_Strict):
    """How a call is recorded."""

    recording_type: Literal["AUDIO", "AUDIO_AND_VIDEO"]
    custom_data: CustomData
    file_prefix: str | None = Field(default=None, pattern=r"^[a-zA-Z0-9_-]{1,214}$")
    channels: Literal["MONO", "STEREO"] = "MONO"


class MachineDetection(_Strict):
    """Answering machine detection."""

    enabled: bool
    message_detection_timeout: int = Field(default=0, ge=0, le=60)
    detection_time: float = Field(default=3.7, ge=1, le=5)


class CallRequest(_Strict):
    """POST /calls/1/calls."""

    endpoint: Endpoint
    from_: str | None = Field(default=None, alias="from", pattern=_NUMBER)
    from_display_name: str | None = None
    connect_timeout: int = Field(default=60, ge=1, le=60)
    recording: CallRecording | None = None
    machine_detection: MachineDetection | None = None
    max_duration: int = Field(default=28800, ge=1, le=2**31 - 1)
    custom_data: CustomData
    calls_configuration_id: str
    platform: Platform | None = None
    parent_call_id: str | None = Field(default=None, max_length=128)
    external_id: str | None = None


class DialogCall(_Strict):
    """The child call of a new dialog."""

    endpoint: Endpoint
    from_: str | None = Field(default=None, alias="from")
    from_display_name: str | None = None
    connect_timeout: int = Field(default=60, ge=1, le=60)
    machine_detection: MachineDetection | None = None
    custom_data: CustomData


class DialogComposition(_Strict):
    """Whether both legs are recorded into one file."""

    enabled: bool = False


class DialogRecording(_Strict):
    """How a dialog is recorded."""

    recording_type: Literal["AUDIO", "AUDIO_AND_VIDEO"]
    dialog_composition: DialogComposition | None = None
    custom_data: CustomData
    file_prefix: str | None = None


class Ringback(_Strict):
    """A ringing tone of the platform's own."""

    enabled: bool = False


class Propagation(_Strict):
    """What one leg's fate does to the other."""

    child_call_hangup: bool = True
    child_call_ringing: bool = False
    ringback_generation: Ringback | None = None


class DialogRequest(_Strict):
    """POST /calls/1/dialogs."""

    parent_call_id: str = Field(max_length=128)
    child_call_request: DialogCall
    recording: DialogRecording | None = None
    max_duration: int = Field(default=28800, ge=1, le=2**31 - 1)
    propagation_options: Propagation = Field(default_factory=Propagation)


class HangupRequest(_Strict):
    """POST /calls/1/calls/{callId}/hangup."""

    error_code: ErrorName | None = None


class StopOn(_Strict):
    """A key that stops a prompt."""

    type: Literal["DTMF"]
    terminator: str | None = None


class VoicePreferences(_Strict):
    """Which voice speaks."""

    voice_gender: Literal["FEMALE", "MALE"] | None = None
    voice_name: str | None = None


class SayRequest(_Strict):
    """POST /calls/1/calls/{callId}/say."""

    text: str = Field(min_length=1)
    language: SayLanguage
    speech_rate: float = Field(default=1.0, ge=0.5, le=2.0)
    loop_count: int = Field(default=1, ge=1)
    preferences: VoicePreferences | None = None
    stop_on: StopOn | None = None
    custom_data: CustomData


class TextContent(_Strict):
    """A text to play."""

    type: Literal["TEXT"]
    text: str = Field(min_length=1)
    language: SayLanguage
    speech_rate: float = Field(default=1.0, ge=0.5, le=2.0)
    preferences: VoicePreferences | None = None


class PlayRequest(_Strict):
    """POST /calls/1/calls/{callId}/play; of its contents this simulator knows TEXT."""

    content: TextContent
    loop_count: int = Field(default=1, ge=1)
    timeout: int | None = Field(default=None, ge=0)
    offset: int | None = Field(default=None, ge=0)
    stop_on: StopOn | None = None
    custom_data: CustomData


class ConfigurationRequest(_Strict):
    """POST /calls/1/configurations."""

    id: str | None = Field(default=None, pattern=r"^[a-zA-Z0-9_-]{1,128}$")
    name: str | None = Field(default=None, min_length=1, max_length=128)


class ConfigurationUpdate(_Strict):
    """PUT /calls/1/configurations/{id}."""

    name: str | None = Field(default=None, min_length=1, max_length=128)


class WebsocketConfigRequest(_Strict):
    """A media-stream configuration of type WEBSOCKET_ENDPOINT; the sample rate is a string."""

    type: Literal["WEBSOCKET_ENDPOINT"]
    name: str = Field(max_length=128)
    url: str = Field(pattern=r"^wss?://[^\s]+$")
    sample_rate: Literal["8000", "16000", "24000", "32000"] = "8000"


class BasicCredentials(_Strict):
    """User name and password."""

    username: Id
    password: Id


class HmacCredentials(_Strict):
    """A key, and the algorithm it is used with."""

    secret_key: Id
    algorithm: Literal[
        "HMAC_MD5", "HMAC_SHA_1", "HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512"
    ]


class SecurityUpdate(_Strict):
    """PUT /subscriptions/1/security/{authId}; this simulator signs with BASIC and HMAC."""

    type: Literal["BASIC", "HMAC"] | None = None
    credentials: BasicCredentials | HmacCredentials | None = None


class SecurityRequest(SecurityUpdate):
    """POST /subscriptions/1/security; inside a profile it may only name an existing one."""

    auth_id: Id


class SecurityReference(_Strict):
    """Names security settings that exist."""

    auth_id: Id


class Webhook(_Strict):
    """Where notifications go."""

    content_type: str | None = Field(default=None, max_length=255)
    notify_url: str = Field(max_length=512, pattern=r"^https?://[^\s]+$")


class _ProfileFields(_Strict):
    """What a notification profile may say besides its id."""

    webhook: Webhook | None = None
    client_certificate_id: str | None = Field(default=None, max_length=255)
    max_bucket_size: int | None = Field(default=None, ge=1, le=2000)
    window_size: int | None = Field(default=None, ge=20, le=10000)
    connect_timeout: int | None = Field(default=None, ge=300, le=30000)
    read_timeout: int | None = Field(default=None, ge=1000, le=90000)
    enabled_ssl_protocols: list[Literal["TLSv1.2", "TLSv1.3"]] | None = Field(
        default=None, alias="enabledSSLProtocols"
    )
    headers: dict[str, str] | None = None
    response_regex: str | None = None
    response_body_regex: str | None = None
    rate_limit: int | None = Field(default=None, ge=1, le=5000)


class ProfileRequest(_ProfileFields):
    """POST /subscriptions/1/profiles, and the profile of a new subscription."""

    profile_id: Id
    security: SecurityRequest | None = None


class ProfileUpdate(_ProfileFields):
    """PUT /subscriptions/1/profiles/{profileId}."""

    security: SecurityReference | None = None


class Criterion(_Strict):
    """Which calls a subscription is about."""

    application_id: str | None = Field(default=None, max_length=255)
    entity_id: str | None = Field(default=None, max_length=255)
    calls_configuration_id: str | None = Field(default=None, max_length=255)


class _SubscriptionFields(_Strict):
    """What a subscription says besides its id and profile."""

    name: Id | None = None
    events: list[VoiceEvent] = Field(max_length=255)
    criteria: list[Criterion] = Field(default_factory=list, max_length=255)
    resources: list[str] = Field(default_factory=list, max_length=255)
    users: list[str] = Field(default_factory=list, max_length=255)


class SubscriptionRequest(_SubscriptionFields):
    """POST /subscriptions/1/subscription/VOICE_VIDEO."""

    subscription_id: Id
    profile: ProfileRequest


class ProfileReference(_Strict):
    """Names a profile that exists."""

    profile_id: Id


class SubscriptionUpdate(_SubscriptionFields):
    """PUT /subscriptions/1/subscription/VOICE_VIDEO/{subscriptionId}."""

    profile: ProfileReference


def read(model: type[_Model], body: Any) -> _Model:
    """The request; raises Invalid with what is wrong, null included: no field of this vendor may be null."""
    problems = {place: ["must not be null"] for place in _nulls(body, "")}
    try:
        request = TypeAdapter(model).validate_python(body)
    except ValidationError as error:
        for item in error.errors():
            place = ".".join(str(part) for part in item["loc"]) or "body"
            problems.setdefault(place, []).append(item["msg"])
    else:
        if not problems:
            return request
    raise Invalid(problems)


def _nulls(value: Any, place: str) -> Iterator[str]:
    if value is None:
        yield place or "body"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _nulls(item, f"{place}.{key}".lstrip("."))
