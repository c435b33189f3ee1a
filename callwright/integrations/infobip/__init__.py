"""Infobip Calls: dials people, and joins them to us by a two-way websocket of raw PCM."""

from callwright.integrations.infobip.settings import InfobipSettings
from callwright.ports.carrier import CarrierCapabilities
from callwright.registry import IntegrationSpec, Role

CAPABILITIES = CarrierCapabilities(
    machine_detection=True,
    recording=True,
    say=True,
    transfer=True,
    dtmf=True,
    buffers_audio=False,
    dials_per_second=6.0,
    longest_ring_s=60,
)
"""What the carrier can do; 6 calls created each second is the published limit of `POST /calls/1/calls`."""

SPEC = IntegrationSpec(
    name="infobip",
    title="Infobip Calls",
    settings=InfobipSettings,
    roles={Role.CARRIER: "callwright.integrations.infobip.carrier:InfobipCarrier"},
    simulator="callwright.integrations.infobip.simulator:InfobipSimulator",
    docs_url="https://www.infobip.com/docs/api/channels/voice/calls",
    audio_formats=("pcm_8000", "pcm_16000", "pcm_24000"),
    carrier=CAPABILITIES,
    notes=(
        "Media streaming, recording and answering machine detection are enabled by Infobip per account.",
        "A call cannot be created twice safely: what happened to a lost answer is found by our id, not repeated.",
    ),
)
