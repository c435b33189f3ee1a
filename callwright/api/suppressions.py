"""/api/v1/suppressions: numbers that must not be called."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from callwright.api import problems
from callwright.api.declared import guarded, with_body
from callwright.api.keys import needs
from callwright.api.requests import SuppressionRequest
from callwright.api.services import Services
from callwright.api.state import ServicesState
from callwright.domain.errors import NotFound
from callwright.domain.phone import to_e164
from callwright.domain.scopes import Scope
from callwright.storage import suppressions
from callwright.storage.api_keys import ApiKey
from callwright.storage.suppressions import Suppression

router = APIRouter(prefix="/suppressions", tags=["suppressions"])

_Phone = Annotated[
    str,
    Path(
        description="The number; E.164, or national with DEFAULT_REGION.",
        min_length=3,
        max_length=40,
        examples=["+447700900123"],
    ),
]
_Reader = Annotated[ApiKey, needs(Scope.SUPPRESSIONS_READ)]
_Writer = Annotated[ApiKey, needs(Scope.SUPPRESSIONS_WRITE)]


class SuppressionView(BaseModel):
    """A number that is not called; for ever when `expires_at` is null."""

    phone: str = Field(examples=["+447700900123"])
    reason: str = Field(examples=["asked by e-mail not to be called"])
    source: str = Field(examples=["api"])
    evidence: str = Field(examples=["ticket 4711"])
    created_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, found: Suppression) -> Self:
        """What the list holds about one number."""
        return cls(
            phone=found.phone,
            reason=found.reason,
            source=found.source,
            evidence=found.evidence,
            created_at=found.created_at,
            expires_at=found.expires_at,
        )


class SuppressionPage(BaseModel):
    """Suppressed numbers, in the order of the numbers."""

    items: list[SuppressionView]
    next_cursor: str | None = Field(
        description="Pass it as `cursor` for the next page; null on the last one."
    )


@router.put(
    "/{phone}",
    operation_id="suppress_phone",
    summary="Never call this number",
    responses=with_body(),
)
async def suppress_phone(
    phone: _Phone, body: SuppressionRequest, _key: _Writer, services: ServicesState
) -> SuppressionView:
    """Put a number on the list. What lasts longer stands: nothing added later shortens it."""
    async with services.database.write() as conn:
        standing = await suppressions.add(
            conn,
            _e164(services, phone),
            reason=body.reason,
            source="api",
            now=services.clock.now(),
            expires_at=body.expires_at,
            evidence=body.evidence,
        )
    return SuppressionView.of(standing)


@router.get(
    "/{phone}",
    operation_id="get_suppression",
    summary="Whether a number may be called",
    responses=guarded(problems.NOT_FOUND, problems.INVALID),
)
async def get_suppression(phone: _Phone, _key: _Reader, services: ServicesState) -> SuppressionView:
    """Why a number is not called; 404 when the list does not hold it."""
    number = _e164(services, phone)
    async with services.database.read() as conn:
        found = await suppressions.find(conn, number, services.clock.now())
    if found is None:
        raise NotFound(f"{number} is not on the suppression list")
    return SuppressionView.of(found)


@router.delete(
    "/{phone}",
    operation_id="allow_phone",
    summary="Take a number off the list",
    status_code=204,
    responses={
        204: {"description": "It may be called again."},
        **guarded(problems.NOT_FOUND, problems.INVALID),
    },
)
async def allow_phone(phone: _Phone, _key: _Writer, services: ServicesState) -> None:
    """Let a number be called again."""
    number = _e164(services, phone)
    async with services.database.write() as conn:
        removed = await suppressions.remove(conn, number)
    if not removed:
        raise NotFound(f"{number} is not on the suppression list")


@router.get(
    "",
    operation_id="list_suppressions",
    summary="The suppression list",
    responses=guarded(problems.INVALID),
)
async def list_suppressions(
    _key: _Reader,
    services: ServicesState,
    *,
    limit: Annotated[int, Query(description="Numbers per page.", ge=1, le=500)] = 100,
    cursor: Annotated[str, Query(description="From the page before.", max_length=20)] = "",
) -> SuppressionPage:
    """All suppressed numbers, a page at a time."""
    async with services.database.read() as conn:
        found = await suppressions.listing(conn, services.clock.now(), after=cursor, limit=limit + 1)
    page = found[:limit]
    following = page[-1].phone if len(found) > limit else None
    return SuppressionPage(items=[SuppressionView.of(item) for item in page], next_cursor=following)


def _e164(services: Services, phone: str) -> str:
    return to_e164(phone, services.settings.default_region)
