"""/api/v1/calls/{id}/live: who speaks at this moment, and how fast the agent answers."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from callwright.api import problems
from callwright.api.calls import CallId
from callwright.api.declared import guarded
from callwright.api.keys import needs
from callwright.api.state import ServicesState, ShowerState
from callwright.api.views import CALL_ID
from callwright.domain.events import Speaker
from callwright.domain.scopes import Scope
from callwright.domain.states import CallState
from callwright.storage.api_keys import ApiKey

router = APIRouter(prefix="/calls", tags=["calls"])


class LiveCallView(BaseModel):
    """One look at a conversation. A response is the time from the end of what the person said to the agent's answer."""

    call_id: str = Field(examples=[CALL_ID])
    state: CallState
    here: bool = Field(
        description="Whether the process that answers holds the conversation; else the rest is empty."
    )
    speaking: Speaker | None = Field(None, description="Who is heard now.")
    voice_activity: float | None = Field(None, description="The platform's score of the person, 0 to 1.")
    hearing: str = Field("", description="What the person seems to be saying; it may still change.")
    turns: int = Field(0, description="How often the agent has answered the person.")
    last_response_ms: float | None = Field(None, description="The latest response, milliseconds.")
    response_p50_ms: float | None = Field(None, description="Half of the responses were at most this long.")
    response_p95_ms: float | None = Field(None, description="95 % of the responses were at most this long.")


@router.get(
    "/{call_id}/live",
    operation_id="get_call_live",
    summary="A conversation at this moment",
    responses=guarded(problems.NOT_FOUND, problems.INVALID),
)
async def get_call_live(
    call_id: CallId,
    _key: Annotated[ApiKey, needs(Scope.CALLS_READ)],
    services: ServicesState,
    shower: ShowerState,
) -> LiveCallView:
    """Who speaks, what the person seems to be saying, and the agent's response times; ask as often as you like."""
    call = await services.calls.get(call_id)
    view = services.live.view(call_id)
    if view is None:
        return LiveCallView(call_id=call.id, state=call.state, here=False)
    shown = {**asdict(view), "hearing": shower.text(view.hearing)}
    return LiveCallView(call_id=call.id, state=call.state, here=True, **shown)
