"""How an agent's configuration at the platform differs from what calls need, and the change that mends it. Pure."""

from dataclasses import dataclass, field
from typing import Any, Final

from callwright.integrations.elevenlabs.vocabulary import AUDIO_FORMATS, CLIENT_EVENTS, WEBHOOK_EVENTS

Json = dict[str, Any]

_OVERRIDES: Final = (
    ("agent", "first_message"),
    ("agent", "language"),
    ("agent", "prompt", "prompt"),
    ("tts", "voice_id"),
)
"""Flags below `platform_settings.overrides.conversation_config_override`: without its flag an override ends the
conversation with 1008."""


@dataclass(slots=True)
class Drift:
    """What differs, in words; whether calls cannot work so; and the body of the PATCH that mends it."""

    differences: list[str] = field(default_factory=list)
    breaks_calls: bool = False
    changes: Json = field(default_factory=dict)

    def differs(self, text: str, path: tuple[str, ...], value: Any) -> None:
        """Note a difference, and the value that is to be at `path`."""
        self.differences.append(text)
        place = self.changes
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = value


def agent_drift(agent: Json, audio_format: str, webhook_id: str | None) -> Drift:
    """Compare an agent with the format wanted, the events, the override flags and the post-call webhook.

    `webhook_id` None leaves the webhook alone.
    """
    drift = Drift()
    _formats(agent, audio_format, drift)
    _events(agent, drift)
    _flags(agent, drift)
    if webhook_id is not None:
        _webhook(agent, webhook_id, drift)
    return drift


def audio_formats(agent: Json) -> tuple[str, str]:
    """What the agent hears and what it speaks; `pcm_16000` is the platform's default."""
    heard = _at(agent, "conversation_config", "asr", "user_input_audio_format")
    spoken = _at(agent, "conversation_config", "tts", "agent_output_audio_format")
    return str(heard or "pcm_16000"), str(spoken or "pcm_16000")


def _formats(agent: Json, wanted: str, drift: Drift) -> None:
    heard, spoken = audio_formats(agent)
    if heard != wanted:
        path = ("conversation_config", "asr", "user_input_audio_format")
        drift.differs(f"hears {heard} instead of {wanted}", path, wanted)
    if spoken != wanted:
        path = ("conversation_config", "tts", "agent_output_audio_format")
        drift.differs(f"speaks {spoken} instead of {wanted}", path, wanted)
    drift.breaks_calls |= heard not in AUDIO_FORMATS or spoken not in AUDIO_FORMATS


def _events(agent: Json, drift: Drift) -> None:
    listed = _names(_at(agent, "conversation_config", "conversation", "client_events"))
    missing = [name for name in CLIENT_EVENTS if name not in listed]
    if missing:
        path = ("conversation_config", "conversation", "client_events")
        drift.differs(f"does not send {', '.join(missing)}", path, [*listed, *missing])
        drift.breaks_calls = True


def _flags(agent: Json, drift: Drift) -> None:
    for flag in _OVERRIDES:
        path = ("platform_settings", "overrides", "conversation_config_override", *flag)
        if _at(agent, *path) is not True:
            drift.differs(f"does not let {'.'.join(flag)} be overridden", path, True)


def _webhook(agent: Json, webhook_id: str, drift: Drift) -> None:
    base = ("platform_settings", "workspace_overrides", "webhooks")
    attached = _at(agent, *base, "post_call_webhook_id")
    if attached != webhook_id:
        now = "has no post-call webhook" if not attached else f"has another post-call webhook ({attached})"
        drift.differs(now, (*base, "post_call_webhook_id"), webhook_id)
    listed = _names(_at(agent, *base, "events"))
    missing = [name for name in WEBHOOK_EVENTS if name not in listed]
    if missing:
        drift.differs(f"posts no {', '.join(missing)}", (*base, "events"), [*listed, *missing])


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
