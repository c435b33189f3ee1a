"""The operations that configure the account."""

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from callwright.integrations.infobip.simulator import schemas
from callwright.integrations.infobip.simulator.errors import Refusal

if TYPE_CHECKING:
    from callwright.integrations.infobip.simulator.api import Api, Endpoint

_PAGE = frozenset({"page", "size"})


def setup_routes(api: "Api") -> list[Route]:
    """Configurations, media-stream configurations, security settings, profiles and subscriptions."""
    return [*_configuration_routes(api), *_media_routes(api), *_subscription_routes(api)]


def _configuration_routes(api: "Api") -> list[Route]:
    account = api.exchange.account

    async def create(request: Request) -> Response:
        order = await api.body(request, schemas.ConfigurationRequest)
        return JSONResponse(account.add_configuration(order), status_code=201)

    async def change(request: Request) -> Response:
        order = await api.body(request, schemas.ConfigurationUpdate)
        found = _find(account.configurations, request)
        found["name"] = order.name or found["name"]
        return JSONResponse(found)

    path = "/calls/1/configurations"
    return [
        Route(path, api.operation("create-configuration", create), methods=["POST"]),
        Route(f"{path}/{{key}}", api.operation("other", change), methods=["PUT"]),
        *_readers(api, path, account.configurations),
    ]


def _media_routes(api: "Api") -> list[Route]:
    account = api.exchange.account

    async def create(request: Request) -> Response:
        order = await api.body(request, schemas.WebsocketConfigRequest)
        return JSONResponse(account.set_media_config(order), status_code=201)

    async def change(request: Request) -> Response:
        order = await api.body(request, schemas.WebsocketConfigRequest)
        return JSONResponse(account.set_media_config(order, request.path_params["key"]))

    path = "/calls/1/media-stream-configs"
    return [
        Route(path, api.operation("create-configuration", create), methods=["POST"]),
        Route(f"{path}/{{key}}", api.operation("other", change), methods=["PUT"]),
        *_readers(api, path, account.media_configs),
    ]


def _subscription_routes(api: "Api") -> list[Route]:
    account = api.exchange.account

    async def create_security(request: Request) -> Response:
        order = await api.body(request, schemas.SecurityRequest)
        return JSONResponse(account.set_security(order), status_code=201)

    async def change_security(request: Request) -> Response:
        order = await api.body(request, schemas.SecurityUpdate)
        return JSONResponse(account.set_security(order, request.path_params["key"]))

    async def create_profile(request: Request) -> Response:
        order = await api.body(request, schemas.ProfileRequest)
        return JSONResponse(account.add_profile(order), status_code=201)

    async def change_profile(request: Request) -> Response:
        order = await api.body(request, schemas.ProfileUpdate)
        return JSONResponse(account.change_profile(request.path_params["key"], order))

    async def create_subscription(request: Request) -> Response:
        order = await api.body(request, schemas.SubscriptionRequest)
        return JSONResponse(account.add_subscription(order), status_code=201)

    async def change_subscription(request: Request) -> Response:
        order = await api.body(request, schemas.SubscriptionUpdate)
        return JSONResponse(account.change_subscription(request.path_params["key"], order))

    things: list[tuple[str, dict[str, dict[str, Any]], Endpoint, Endpoint]] = [
        ("/subscriptions/1/security", account.security, create_security, change_security),
        ("/subscriptions/1/profiles", account.profiles, create_profile, change_profile),
        (
            "/subscriptions/1/subscription/VOICE_VIDEO",
            account.subscriptions,
            create_subscription,
            change_subscription,
        ),
    ]
    routes = []
    for path, kept, create, change in things:
        routes.append(Route(path, api.operation("other", create), methods=["POST"]))
        routes.append(Route(f"{path}/{{key}}", api.operation("other", change), methods=["PUT"]))
        routes.extend(_readers(api, path, kept))
    return routes


def _readers(api: "Api", path: str, things: dict[str, dict[str, Any]]) -> list[Route]:
    """List, get and delete."""

    async def list_all(request: Request) -> Response:
        query = api.query(request, _PAGE)
        return api.page(query, [api.exchange.account.masked(thing) for thing in things.values()])

    async def get(request: Request) -> Response:
        return JSONResponse(api.exchange.account.masked(_find(things, request)))

    async def delete(request: Request) -> Response:
        found = _find(things, request)
        del things[request.path_params["key"]]
        return JSONResponse(found)

    return [
        Route(path, api.operation("other", list_all), methods=["GET"]),
        Route(f"{path}/{{key}}", api.operation("other", get), methods=["GET"]),
        Route(f"{path}/{{key}}", api.operation("other", delete), methods=["DELETE"]),
    ]


def _find(things: dict[str, dict[str, Any]], request: Request) -> dict[str, Any]:
    found = things.get(request.path_params["key"])
    if found is None:
        raise Refusal(404)
    return found
