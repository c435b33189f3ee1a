"""What the integration says about itself, and its settings."""

from typing import Any

import pytest
from pydantic import ValidationError

from callwright.integrations.elevenlabs import SPEC
from callwright.integrations.elevenlabs.conftest import E164, UNUSED, Vault, definition
from callwright.integrations.elevenlabs.settings import ElevenLabsSettings
from callwright.integrations.elevenlabs.simulator import ElevenLabsSimulator
from callwright.integrations.elevenlabs.voice_agents import ElevenLabsVoiceAgents
from callwright.ports.clock import SystemClock
from callwright.ports.voice_agent import AgentProtocol, AgentTicket, ConversationStart, VoiceAgents
from callwright.registry import IntegrationContext, Role, integrations
from callwright.simulation.vendor import VendorSimulator
from callwright.simulation.world import World

KEY = {"ELEVENLABS_API_KEY": "sk_0123456789"}


def settings(**environment: str) -> ElevenLabsSettings:
    return ElevenLabsSettings.model_validate({**KEY, **environment})


async def test_it_is_found_and_fills_its_role() -> None:
    assert integrations()["elevenlabs"] is SPEC
    context = IntegrationContext(SystemClock(), UNUSED, Vault(), UNUSED)
    built = SPEC.build(Role.VOICE_AGENTS, settings(), context)
    assert isinstance(built, ElevenLabsVoiceAgents)
    agents: VoiceAgents = built
    ticket = AgentTicket(None, SystemClock().now(), {"signed_url": "wss://x"})
    session: AgentProtocol = agents.open(ticket, ConversationStart("att_1", definition(), {}, E164))
    assert session.text_frames
    await agents.close()


def test_the_simulator_is_one() -> None:
    simulator: VendorSimulator = SPEC.build_simulator(World())
    assert isinstance(simulator, ElevenLabsSimulator)
    assert simulator.name == SPEC.name


def test_settings_have_defaults_and_descriptions() -> None:
    made = settings()
    assert made.base_url == "https://api.elevenlabs.io"
    assert (made.minimum_credits, made.audio_format, made.webhook_secret) == (500, "pcm_16000", None)
    assert all(field.description for field in ElevenLabsSettings.model_fields.values())
    assert SPEC.environment_names() == [
        "ELEVENLABS_API_KEY",
        "ELEVENLABS_BASE_URL",
        "ELEVENLABS_WEBHOOK_SECRET",
        "ELEVENLABS_MINIMUM_CREDITS",
        "ELEVENLABS_REQUEST_TIMEOUT_S",
        "ELEVENLABS_AUDIO_FORMAT",
    ]


def test_every_format_that_is_offered_may_be_set() -> None:
    assert [settings(ELEVENLABS_AUDIO_FORMAT=name).audio_format for name in SPEC.audio_formats] == list(
        SPEC.audio_formats
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"ELEVENLABS_API_KEY": ""},
        {"ELEVENLABS_BASE_URL": "api.elevenlabs.io"},
        {"ELEVENLABS_BASE_URL": "https://api.elevenlabs.io/v1"},
        {"ELEVENLABS_MINIMUM_CREDITS": "-1"},
        {"ELEVENLABS_AUDIO_FORMAT": "mp3_44100"},
        {"ELEVENLABS_WEBHOOK_SECRET": "short"},
    ],
)
def test_wrong_settings_are_refused(environment: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**environment)


def test_secrets_are_not_shown() -> None:
    made = settings(ELEVENLABS_WEBHOOK_SECRET="wsec_0123456789")
    assert "0123456789" not in repr(made) + str(made)
