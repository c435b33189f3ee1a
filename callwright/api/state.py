"""What the operations share, as dependencies: the services, the shower of calls, and what is remembered."""

from typing import Annotated

from fastapi import Depends, Request

from callwright.api.idempotency import Idempotency
from callwright.api.live import Streams
from callwright.api.services import Services
from callwright.api.views import Shower


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _shower(request: Request) -> Shower:
    shower: Shower = request.app.state.shower
    return shower


async def _idempotency(request: Request) -> Idempotency:
    idempotency: Idempotency = request.app.state.idempotency
    return idempotency


async def _streams(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


ServicesState = Annotated[Services, Depends(_services)]
ShowerState = Annotated[Shower, Depends(_shower)]
IdempotencyState = Annotated[Idempotency, Depends(_idempotency)]
StreamsState = Annotated[Streams, Depends(_streams)]
