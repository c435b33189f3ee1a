"""/api/v1/dialing: hold dialling, and release it."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import BaseModel, Field

from callwright.api.declared import guarded, with_body
from callwright.api.keys import needs
from callwright.api.requests import HoldRequest
from callwright.api.state import ServicesState
from callwright.domain.scopes import Scope
from callwright.storage.api_keys import ApiKey
from callwright.storage.holds import Hold

router = APIRouter(prefix="/dialing", tags=["dialing"])

_Reader = Annotated[ApiKey, needs(Scope.CALLS_READ)]
_Holder = Annotated[ApiKey, needs(Scope.DIALING_HOLD)]


class HoldView(BaseModel):
    """Whether dialling is on hold, why, and since when."""

    held: bool
    reason: str | None = Field(examples=["the office is closed"])
    since: datetime | None

    @classmethod
    def of(cls, hold: Hold | None) -> Self:
        """What stands."""
        if hold is None:
            return cls(held=False, reason=None, since=None)
        return cls(held=True, reason=hold.reason, since=hold.since)


@router.get("/hold", operation_id="get_hold", summary="Is dialling on hold", responses=guarded())
async def get_hold(_key: _Reader, services: ServicesState) -> HoldView:
    """Whether calls are dialled at present."""
    return HoldView.of(await services.calls.held())


@router.put("/hold", operation_id="hold_dialing", summary="Dial nobody", responses=with_body())
async def hold_dialing(body: HoldRequest, _key: _Holder, services: ServicesState) -> HoldView:
    """Dial nobody until released, in every process and across restarts. Running calls go on, new ones wait."""
    return HoldView.of(await services.calls.hold(body.reason))


@router.delete(
    "/hold",
    operation_id="release_dialing",
    summary="Dial again",
    status_code=204,
    responses={204: {"description": "Waiting calls are dialled as soon as the rules allow."}, **guarded()},
)
async def release_dialing(_key: _Holder, services: ServicesState) -> None:
    """End the hold, if there is one."""
    await services.calls.release()
