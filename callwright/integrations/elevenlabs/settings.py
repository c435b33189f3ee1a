"""How the platform is reached and paid for, from the environment."""

from typing import Literal

from pydantic import Field, SecretStr

from callwright.registry import IntegrationSettings

AudioFormatName = Literal["pcm_8000", "pcm_16000", "pcm_24000", "pcm_48000", "ulaw_8000"]
"""The formats of `vocabulary.AUDIO_FORMATS`, as a type that settings can check."""


class ElevenLabsSettings(IntegrationSettings):
    """Settings of ElevenLabs Agents."""

    api_key: SecretStr = Field(
        validation_alias="ELEVENLABS_API_KEY",
        min_length=1,
        description="API key (sk_...). It needs access to ElevenLabs Agents and workspace webhooks, and "
        "user_read so that credits can be read before dialling.",
    )
    base_url: str = Field(
        "https://api.elevenlabs.io",
        validation_alias="ELEVENLABS_BASE_URL",
        pattern=r"^https?://[^/\s]+/?$",
        description="Where the API is. Workspaces with data residency use "
        "https://api.eu.residency.elevenlabs.io, https://api.in.residency.elevenlabs.io or "
        "https://api.sg.residency.elevenlabs.io; https://api.us.elevenlabs.io is the United States.",
    )
    webhook_secret: SecretStr | None = Field(
        None,
        validation_alias="ELEVENLABS_WEBHOOK_SECRET",
        min_length=8,
        description="Secret of the post-call webhook (wsec_...), if you created the webhook yourself. "
        "`callwright setup elevenlabs` creates one and keeps its secret, so this is rarely needed.",
    )
    minimum_credits: int = Field(
        500,
        validation_alias="ELEVENLABS_MINIMUM_CREDITS",
        ge=0,
        description="Do not dial when fewer credits are left than this; a minute of talk costs about 400.",
    )
    request_timeout_s: float = Field(
        10.0,
        validation_alias="ELEVENLABS_REQUEST_TIMEOUT_S",
        gt=0,
        le=60,
        description="Seconds to wait for an answer of the platform's REST interface.",
    )
    audio_format: AudioFormatName = Field(
        "pcm_16000",
        validation_alias="ELEVENLABS_AUDIO_FORMAT",
        description="Audio format that `callwright setup elevenlabs` gives the agents, in both directions: "
        "pcm_8000, pcm_16000, pcm_24000, pcm_48000 or ulaw_8000. Audio in the carrier's own format passes "
        "untouched.",
    )
