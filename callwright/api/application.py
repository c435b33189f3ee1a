"""The FastAPI application: its parts, its layers, and what its operations share."""

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

import callwright
from callwright.api import (
    agents,
    calls,
    dialing,
    events,
    integrations,
    live_call,
    openapi,
    probes,
    reference,
    refusals,
    suppressions,
    webhooks,
)
from callwright.api.edge import Edge
from callwright.api.idempotency import Idempotency
from callwright.api.live import Streams
from callwright.api.services import Services
from callwright.api.views import Shower
from callwright.config import secret_values
from callwright.toolkit.redaction import Redactor

LARGEST_BODY = 256 * 1024
"""Bytes of a body, where an operation does not set another limit."""

VERSIONED = "/api/v1"


class Api(FastAPI):
    """FastAPI with our outermost layer around everything, its own error answers too."""

    def build_middleware_stack(self) -> ASGIApp:
        """The application as the server calls it."""
        return Edge(super().build_middleware_stack())

    def close_streams(self) -> None:
        """End the live streams, so that the server can stop; they never end by themselves."""
        streams: Streams = self.state.streams
        streams.close()


def build_api(services: Services) -> Api:
    """Everything that speaks HTTP, for one application; takes no work of its own before it is served."""
    api = Api(
        title="Callwright",
        summary="Outbound phone calls held by AI voice agents.",
        description=openapi.DESCRIPTION,
        version=callwright.__version__,
        openapi_tags=openapi.TAGS,
        docs_url=None,
        redoc_url=None,
        max_body_size=LARGEST_BODY,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    redact = Redactor(secret_values(services.configuration))
    api.state.services = services
    api.state.shower = Shower(redact)
    api.state.idempotency = Idempotency(services)
    api.state.streams = Streams()
    api.state.bodies = webhooks.Bodies()
    refusals.install(api, redact)
    versioned = APIRouter(prefix=VERSIONED)
    for part in (calls, live_call, events, dialing, agents, suppressions, integrations):
        versioned.include_router(part.router)
    for router in (versioned, webhooks.router, probes.router, reference.router):
        api.include_router(router)
    openapi.install(api)
    return api
