"""/api/v1/integrations: which vendors are configured, and what they can do."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from callwright.api.declared import guarded
from callwright.api.keys import needs
from callwright.api.state import ServicesState
from callwright.config import Configuration
from callwright.domain.scopes import Scope
from callwright.registry import IntegrationSpec, Role, integrations
from callwright.storage.api_keys import ApiKey

router = APIRouter(tags=["integrations"])


class SettingView(BaseModel):
    """One setting of an integration; its value is never shown."""

    name: str = Field(description="The environment variable.", examples=["ACME_API_KEY"])
    description: str
    required: bool
    is_set: bool


class CarrierView(BaseModel):
    """What a carrier can do."""

    machine_detection: bool
    recording: bool
    say: bool
    transfer: bool
    dtmf: bool
    buffers_audio: bool
    dials_per_second: float
    longest_ring_s: int


class IntegrationView(BaseModel):
    """One vendor."""

    name: str = Field(examples=["acme"])
    title: str = Field(examples=["Acme"])
    configured: bool
    roles: list[Role]
    audio_formats: list[str] = Field(examples=[["pcm_16000"]])
    carrier: CarrierView | None = Field(description="For carriers only.")
    settings: list[SettingView]
    docs_url: str = Field(description="The vendor's own pages.")
    notes: list[str]


class IntegrationList(BaseModel):
    """Every integration that is installed."""

    items: list[IntegrationView]


@router.get(
    "/integrations",
    operation_id="list_integrations",
    summary="Vendors and what they can do",
    responses=guarded(),
)
async def list_integrations(
    _key: Annotated[ApiKey, needs(Scope.AGENTS_READ)], services: ServicesState
) -> IntegrationList:
    """Every integration that is installed, whether it is configured, and its capabilities."""
    configuration = services.configuration
    return IntegrationList(items=[_view(spec, configuration) for _, spec in sorted(integrations().items())])


def _view(spec: IntegrationSpec, configuration: Configuration) -> IntegrationView:
    used = configuration.integrations.get(spec.name)
    given = used[1].model_fields_set if used is not None else set()
    carrier = spec.carrier
    return IntegrationView(
        name=spec.name,
        title=spec.title,
        configured=used is not None,
        roles=sorted(spec.roles),
        audio_formats=list(spec.audio_formats),
        carrier=None
        if carrier is None
        else CarrierView(
            machine_detection=carrier.machine_detection,
            recording=carrier.recording,
            say=carrier.say,
            transfer=carrier.transfer,
            dtmf=carrier.dtmf,
            buffers_audio=carrier.buffers_audio,
            dials_per_second=carrier.dials_per_second,
            longest_ring_s=carrier.longest_ring_s,
        ),
        settings=[
            SettingView(
                name=str(field.validation_alias),
                description=field.description or "",
                required=field.is_required(),
                is_set=name in given,
            )
            for name, field in spec.settings.model_fields.items()
        ],
        docs_url=spec.docs_url,
        notes=list(spec.notes),
    )
