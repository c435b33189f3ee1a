"""/webhooks and /hooks: what vendors send. Verified by the vendor's integration, stored, acknowledged at once."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from callwright.api import metrics, problems
from callwright.api.declared import refusals
from callwright.api.problems import ApiError
from callwright.api.services import Services
from callwright.api.state import ServicesState
from callwright.domain.errors import InvalidInput, NotFound, Problem, WebhookRejected
from callwright.ports.carrier import Carrier
from callwright.ports.voice_agent import VoiceAgents
from callwright.ports.webhook import WebhookRequest
from callwright.registry import Role

router = APIRouter(tags=["webhooks"])
log = structlog.get_logger(__name__)

LARGEST_BODY = 8 * 1024 * 1024
_MOST_IN_MEMORY = 64 * 1024 * 1024

_ANY_BODY = {
    "requestBody": {
        "required": False,
        "description": "As the vendor documents it.",
        "content": {"*/*": {"schema": {}, "example": {"type": "CALL_FINISHED"}}},
    }
}
_REFUSALS = refusals(
    problems.WEBHOOK_MALFORMED,
    problems.WEBHOOK_UNPROVEN,
    problems.NOT_FOUND,
    problems.SLOW,
    problems.TOO_LARGE,
    problems.INVALID,
)

_Integration = Annotated[
    str, Path(description="The integration's name.", pattern=r"^[a-z0-9_-]{1,40}$", examples=["acme"])
]


class Receipt(BaseModel):
    """The webhook is stored; it is applied in the background."""

    received: int = Field(description="How many events or results it brought.", examples=[1])


class HookReceipt(BaseModel):
    """The calls that the hook asked for, also those that an earlier hook had made."""

    calls: list[str] = Field(description="Their ids.", examples=[["067aa1c3f4b8e0d1a92c37f55"]])


_Understand = Callable[..., Awaitable[list[Any]]]
_Store = Callable[[str, list[Any]], Awaitable[int]]


class Bodies:
    """Reads bodies; all that are in memory at once have a limit, since anybody may send them."""

    def __init__(self) -> None:
        self._held = 0

    async def read(self, request: Request) -> bytes:
        """The whole body; raises ApiError when too many others are being read, HTTPException 413 or 408."""
        own = 0
        chunks = []
        try:
            async for chunk in request.stream():
                own += len(chunk)
                self._held += len(chunk)
                if self._held > _MOST_IN_MEMORY:
                    raise ApiError(
                        problems.BUSY, "Too many webhooks arrive at once.", headers={"Retry-After": "2"}
                    )
                chunks.append(chunk)
            return b"".join(chunks)
        finally:
            self._held -= own


async def _receive(integration: str, path: str, request: Request, services: Services) -> Receipt:
    takers = _takers(services, integration)
    if not takers:
        metrics.webhooks_refused.labels(integration="unknown", reason="unknown_integration").inc()
        raise NotFound(f"there is no configured integration {integration!r} that takes webhooks")
    arrived = await _arrived(integration, path, request)
    for position, (understand, store) in enumerate(takers):
        try:
            found = await understand(arrived)
        except WebhookRejected as error:
            if position + 1 < len(takers):
                continue  # another role of the same vendor may know it
            _refuse(integration, error)
            raise
        await store(integration, found)
        metrics.webhooks_received.labels(integration=integration).inc()
        return Receipt(received=len(found))
    raise AssertionError("the last taker returns or raises")


def _takers(services: Services, integration: str) -> list[tuple[_Understand, _Store]]:
    """What verifies and understands, and what stores, for each role of the integration that takes webhooks."""
    calls = services.calls

    async def events(carrier: Carrier, arrived: WebhookRequest) -> list[Any]:
        return carrier.webhook(arrived)

    async def results(platform: VoiceAgents, arrived: WebhookRequest) -> list[Any]:
        await platform.load_secrets()
        return platform.webhook(arrived)

    known: dict[Role, tuple[_Understand, _Store]] = {
        Role.CARRIER: (events, calls.receive_events),
        Role.VOICE_AGENTS: (results, calls.receive_results),
    }
    return [
        (partial(known[role][0], built), known[role][1])
        for name, role, built in services.directory.all()
        if name == integration and role in known
    ]


async def _arrived(integration: str, path: str, request: Request) -> WebhookRequest:
    bodies: Bodies = request.app.state.bodies
    try:
        body = await bodies.read(request)
    except HTTPException as error:
        reason = "too_large" if error.status_code == problems.TOO_LARGE.status else "not_read"
        metrics.webhooks_refused.labels(integration=integration, reason=reason).inc()
        raise
    return WebhookRequest(
        method=request.method,
        path=path,
        query=dict(request.query_params),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
    )


def _refuse(integration: str, error: WebhookRejected) -> None:
    metrics.webhooks_refused.labels(integration=integration, reason=error.reason).inc()
    log.warning("webhook refused", integration=integration, reason=error.reason, detail=str(error))


@router.post(
    "/webhooks/{integration}/{path:path}",
    operation_id="receive_webhook",
    summary="A vendor reports",
    responses=_REFUSALS,
    openapi_extra=_ANY_BODY,
    max_body_size=LARGEST_BODY,
)
async def receive_webhook(
    integration: _Integration,
    path: Annotated[str, Path(description="As `callwright setup` told the vendor.", examples=["events"])],
    request: Request,
    services: ServicesState,
) -> Receipt:
    """For vendors only: verified with the secret that both sides know, stored, and acknowledged at once."""
    return await _receive(integration, path, request, services)


@router.get(
    "/webhooks/{integration}/{path:path}",
    operation_id="receive_webhook_by_query",
    summary="A vendor reports in the address",
    responses=_REFUSALS,
)
async def receive_webhook_by_query(
    integration: _Integration,
    path: Annotated[str, Path(description="As `callwright setup` told the vendor.", examples=["events"])],
    request: Request,
    services: ServicesState,
) -> Receipt:
    """As POST, for vendors that put everything into the query."""
    return await _receive(integration, path, request, services)


@router.post(
    "/hooks/crm/{crm}",
    operation_id="receive_crm_hook",
    summary="A CRM asks for calls",
    status_code=202,
    responses=_REFUSALS,
    openapi_extra=_ANY_BODY,
    max_body_size=1024 * 1024,
)
async def receive_crm_hook(
    crm: Annotated[
        str, Path(description="The CRM's name.", pattern=r"^[a-z0-9_-]{1,40}$", examples=["acme"])
    ],
    request: Request,
    services: ServicesState,
) -> HookReceipt:
    """For a workflow rule or a button of the CRM: calls the records whose ids it posts, each once."""
    try:
        system = services.directory.crm(crm)
    except NotFound:
        metrics.webhooks_refused.labels(integration="unknown", reason="unknown_integration").inc()
        raise
    arrived = await _arrived(crm, "", request)
    try:
        hooks = system.webhook(arrived)
    except WebhookRejected as error:
        _refuse(crm, error)
        raise
    try:
        created = await services.calls.receive_hooks(crm, hooks)
    except NotFound as error:
        # To whoever wrote the rule the address is right, and what it names is wrong.
        raise InvalidInput(Problem("agent", f"{error}.", "Name an agent that exists.")) from error
    metrics.webhooks_received.labels(integration=crm).inc()
    return HookReceipt(calls=[call.id for call in created])
