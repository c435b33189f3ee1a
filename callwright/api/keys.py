"""Who asks: API keys in the Authorization header, and the scopes they need."""

from typing import Annotated, Any

import structlog
from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from callwright.api.services import Services
from callwright.domain.errors import Forbidden, Unauthenticated
from callwright.domain.scopes import Scope
from callwright.storage import api_keys
from callwright.storage.api_keys import ApiKey

_REMEDY = "Send `Authorization: Bearer cw_...` with a key made by `callwright keys create`."


_bearer = HTTPBearer(
    scheme_name="ApiKey",
    bearerFormat="cw_...",
    description="A key made by `callwright keys create NAME --scope ...`; it is shown once.",
    auto_error=False,
)


async def _caller(
    request: Request,
    needed: SecurityScopes,
    given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> ApiKey:
    """The key that asks; raises Unauthenticated, or Forbidden when it lacks a scope."""
    if given is None:
        raise Unauthenticated(f"No API key was given. {_REMEDY}")
    services: Services = request.app.state.services
    async with services.database.read() as conn:
        key = await api_keys.verify(conn, given.credentials)
    if key is None:
        raise Unauthenticated(f"This API key is not known, or was revoked. {_REMEDY}")
    structlog.contextvars.bind_contextvars(key_id=key.id)
    now = services.clock.now()
    if key.due_for_touch(now):
        async with services.database.write() as conn:
            await api_keys.touch(conn, key.id, now)
    missing = [scope for scope in needed.scopes if scope not in key.scopes]
    if missing and Scope.ADMIN not in key.scopes:
        raise Forbidden(f"Key {key.name!r} lacks the scope {', '.join(missing)}.")
    return key


def needs(*scopes: Scope) -> Any:
    """The dependency of an operation that needs all of these scopes; its value is the key that asks."""
    return Security(_caller, scopes=[str(scope) for scope in scopes])
