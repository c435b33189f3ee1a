"""ElevenLabs Agents (formerly Conversational AI): hosted agents reached over a websocket."""

from callwright.integrations.elevenlabs.settings import ElevenLabsSettings
from callwright.integrations.elevenlabs.vocabulary import AUDIO_FORMATS, NAME
from callwright.registry import IntegrationSpec, Role

SPEC = IntegrationSpec(
    name=NAME,
    title="ElevenLabs Agents",
    settings=ElevenLabsSettings,
    roles={Role.VOICE_AGENTS: "callwright.integrations.elevenlabs.voice_agents:ElevenLabsVoiceAgents"},
    simulator="callwright.integrations.elevenlabs.simulator:ElevenLabsSimulator",
    docs_url="https://elevenlabs.io/docs/agents-platform",
    audio_formats=AUDIO_FORMATS,
    notes=(
        "Audio formats belong to the agent, not to the call: `callwright setup elevenlabs` sets them.",
        "The agent starts talking when the socket opens, so it is opened only when the person has answered.",
        "Results come by polling and by the post-call webhook, whichever is first.",
    ),
)
