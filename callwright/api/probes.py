"""/health, /ready and /metrics: for whoever keeps the process running."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

import callwright
from callwright.api import metrics, problems
from callwright.api.declared import refusals
from callwright.api.problems import ApiError
from callwright.api.state import ServicesState
from callwright.domain.errors import Problem

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    """The process lives."""

    name: Literal["callwright"] = "callwright"
    status: Literal["ok"] = "ok"
    version: str = Field(examples=["0.1.0"])


class Readiness(BaseModel):
    """Every part that is needed works."""

    parts: dict[str, str] = Field(examples=[{"calls": "ok", "database": "ok"}])
    held_since: datetime | None = Field(
        description="Since when dialling is on hold; the server is ready nevertheless."
    )


@router.get("/health", operation_id="get_health", summary="Does the process live", responses=refusals())
async def get_health() -> Health:
    """Answers as long as the process does; asks nobody else."""
    return Health(version=callwright.__version__)


@router.get(
    "/ready",
    operation_id="get_readiness",
    summary="Can it take work",
    responses=refusals(problems.NOT_READY),
)
async def get_readiness(services: ServicesState) -> Readiness:
    """Whether the database answers and calls are taken up; 503 names what does not."""
    parts = await services.ready()
    wrong = {name: state for name, state in parts.items() if state != "ok"}
    if wrong:
        items = [Problem(name, state) for name, state in wrong.items()]
        detail = "; ".join(f"{name}: {state}" for name, state in wrong.items())
        raise ApiError(problems.NOT_READY, detail, items=items, headers={"Retry-After": "5"})
    hold = await services.calls.held()
    return Readiness(parts=parts, held_since=None if hold is None else hold.since)


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "The text format of Prometheus.",
            "content": {
                "text/plain": {"schema": {"type": "string"}, "example": 'callwright_calls{state="queued"} 3'}
            },
        },
        **refusals(),
    },
)
async def get_metrics(services: ServicesState) -> Response:
    """Counts and gauges: calls by state, webhooks, vendors' errors, media, loop lag.

    Without the database those of this process alone, and `callwright_database_up 0`.
    """
    return Response(await metrics.exposition(services), media_type=metrics.CONTENT_TYPE)


@router.get("/problems/{kind}", operation_id="get_problem_kind", include_in_schema=False)
async def get_problem_kind(kind: str, request: Request) -> dict[str, str | int]:
    """What a problem document's `type` means."""
    known = problems.KINDS.get(kind)
    if known is None:
        raise ApiError(problems.NOT_FOUND, f"There is nothing at {request.url.path}.")
    return {"type": request.url.path, "title": known.title, "status": known.status, "meaning": known.meaning}
