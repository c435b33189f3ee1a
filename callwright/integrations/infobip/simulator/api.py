"""The HTTP side: authorisation, rate limits, strict bodies and queries, pages; then what each operation does."""

import math
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from callwright.integrations.infobip.simulator import orders, schemas
from callwright.integrations.infobip.simulator.calls import LIVE_DIALOGS, LIVE_STATES, SimCall, SimDialog
from callwright.integrations.infobip.simulator.errors import Refusal
from callwright.integrations.infobip.simulator.exchange import Exchange
from callwright.integrations.infobip.simulator.limits import RateLimits
from callwright.integrations.infobip.simulator.setup_api import setup_routes
from callwright.simulation.traffic import Traffic

_Model = TypeVar("_Model", bound=BaseModel)
Endpoint = Callable[[Request], Awaitable[Response]]

_PAGE = frozenset({"page", "size"})
_CALL_FILTERS = _PAGE | {
    "type", "callsConfigurationId", "applicationId", "from", "to", "direction", "status", "startTimeAfter",
    "conferenceId", "dialogId", "bulkId",
}  # fmt: skip
_DIALOG_FILTERS = _PAGE | {
    "callsConfigurationId", "applicationId", "state", "parentCallId", "childCallId", "startTimeAfter",
}  # fmt: skip
_ENDED_STATES = frozenset({"FINISHED", "FAILED", "CANCELLED", "NO_ANSWER", "BUSY"})


class Api:
    """What the routes share."""

    def __init__(self, exchange: Exchange, rates: RateLimits, traffic: Traffic, api_key: str) -> None:
        self.exchange = exchange
        self._rates = rates
        self._traffic = traffic
        self._api_key = api_key

    def operation(self, name: str, work: Endpoint) -> Endpoint:
        """An operation behind authorisation and its rate limit; refusals become the vendor's error bodies."""

        async def endpoint(request: Request) -> Response:
            try:
                if request.headers.get("authorization") != f"App {self._api_key}":
                    raise Refusal(401)
                wait_s = self._rates.take(name)
                if wait_s is not None:
                    raise Refusal(429, retry_after_s=wait_s)
                return await work(request)
            except schemas.Invalid as error:
                self._traffic.violation(f"{request.method} {request.url.path}: {error.problems}")
                return Refusal(400, "Request is invalid.", error.problems).response()
            except Refusal as refusal:
                return refusal.response()

        return endpoint

    async def body(self, request: Request, model: type[_Model]) -> _Model:
        """The request's body, strictly."""
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise schemas.Invalid({"content-type": ["must be application/json"]})
        try:
            body = await request.json()
        except ValueError as error:
            raise schemas.Invalid({"body": ["is not JSON"]}) from error
        return schemas.read(model, body)

    def query(self, request: Request, known: frozenset[str]) -> dict[str, str]:
        """The query, without names that the operation does not have."""
        query = dict(request.query_params)
        unknown = {name: ["is not known"] for name in query if name not in known}
        if unknown:
            raise schemas.Invalid(unknown)
        return query

    def page(self, query: dict[str, str], items: list[dict[str, Any]]) -> JSONResponse:
        """One page of a list, with its paging."""
        number, size = query.get("page", "0"), query.get("size", "20")
        if not number.isdigit() or not size.isdigit() or not 1 <= int(size) <= 100:
            raise schemas.Invalid({"page": ["must be 0 or more"], "size": ["must be 1 to 100"]})
        first = int(number) * int(size)
        paging = {
            "page": int(number),
            "size": int(size),
            "totalPages": math.ceil(len(items) / int(size)),
            "totalResults": len(items),
        }
        return JSONResponse({"results": items[first : first + int(size)], "paging": paging})

    def live_call(self, request: Request) -> SimCall:
        """The call of the path; 404 once it is over."""
        call = self.exchange.calls.get(request.path_params["call_id"])
        if call is None or not call.live:
            raise Refusal(404)
        return call


def build_app(exchange: Exchange, rates: RateLimits, traffic: Traffic, api_key: str) -> Starlette:
    """The whole API."""
    api = Api(exchange, rates, traffic, api_key)
    return Starlette(
        routes=[*CallOperations(api).routes(), *DialogOperations(api).routes(), *setup_routes(api)]
    )


class CallOperations:
    """Calls and their recordings."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._exchange = api.exchange

    def routes(self) -> list[Route]:
        """Every operation with its path."""
        path = "/calls/1/calls"
        return [
            _route(self._api, "POST", path, self._create, "create-call"),
            _route(self._api, "GET", path, self._list_live),
            _route(self._api, "GET", f"{path}/history", self._list_history),
            _route(self._api, "GET", f"{path}/{{call_id}}", self._get),
            _route(self._api, "GET", f"{path}/{{call_id}}/history", self._history),
            _route(self._api, "POST", f"{path}/{{call_id}}/hangup", self._hang_up),
            _route(self._api, "POST", f"{path}/{{call_id}}/say", self._say),
            _route(self._api, "POST", f"{path}/{{call_id}}/play", self._play),
            _route(self._api, "GET", "/calls/1/recordings/calls/{call_id}", self._recordings),
            _route(self._api, "GET", "/calls/1/recordings/files/{file_id}", self._file, "download-recording"),
        ]

    async def _create(self, request: Request) -> Response:
        call = orders.create_call(self._exchange, await self._api.body(request, schemas.CallRequest))
        return JSONResponse(call.shown(), status_code=201)

    async def _list_live(self, request: Request) -> Response:
        query = self._api.query(request, _CALL_FILTERS)
        calls = [call for call in _matching(self._exchange, query) if call.live]
        return self._api.page(query, [call.shown() for call in calls])

    async def _list_history(self, request: Request) -> Response:
        query = self._api.query(request, _CALL_FILTERS)
        calls = [call for call in _matching(self._exchange, query) if call.archived]
        return self._api.page(query, [call.log() for call in calls])

    async def _get(self, request: Request) -> Response:
        return JSONResponse(self._api.live_call(request).shown())

    async def _history(self, request: Request) -> Response:
        call = self._exchange.calls.get(request.path_params["call_id"])
        if call is None or not call.archived:
            raise Refusal(404)
        return JSONResponse(call.log())

    async def _hang_up(self, request: Request) -> Response:
        order = await self._api.body(request, schemas.HangupRequest)
        call = self._api.live_call(request)
        orders.hang_up(self._exchange, call, order.error_code)
        return JSONResponse(call.shown())

    async def _say(self, request: Request) -> Response:
        order = await self._api.body(request, schemas.SayRequest)
        call = self._api.live_call(request)
        orders.speak(self._exchange, call, order.text, order.language, "SAY_FINISHED")
        return JSONResponse({"status": "PENDING"})

    async def _play(self, request: Request) -> Response:
        content = (await self._api.body(request, schemas.PlayRequest)).content
        call = self._api.live_call(request)
        orders.speak(self._exchange, call, content.text, content.language, "PLAY_FINISHED")
        return JSONResponse({"status": "PENDING"})

    async def _recordings(self, request: Request) -> Response:
        self._api.query(request, frozenset({"location"}))
        found = self._exchange.recordings.get(request.path_params["call_id"])
        if found is None:
            raise Refusal(404)
        return JSONResponse(found)

    async def _file(self, request: Request) -> Response:
        self._api.query(request, frozenset({"location"}))
        content = self._exchange.files.get(request.path_params["file_id"])
        if content is None:
            raise Refusal(404)
        return _part(content, request.headers.get("range", ""))


class DialogOperations:
    """Dialogs, which are in no list once they are over."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._exchange = api.exchange

    def routes(self) -> list[Route]:
        """Every operation with its path."""
        path = "/calls/1/dialogs"
        return [
            _route(self._api, "POST", path, self._create, "create-dialog"),
            _route(self._api, "GET", path, self._list_live),
            _route(self._api, "GET", f"{path}/{{dialog_id}}", self._get),
            _route(self._api, "POST", f"{path}/{{dialog_id}}/hangup", self._hang_up),
        ]

    async def _create(self, request: Request) -> Response:
        dialog = orders.create_dialog(self._exchange, await self._api.body(request, schemas.DialogRequest))
        return JSONResponse(dialog.shown(), status_code=201)

    async def _list_live(self, request: Request) -> Response:
        query = self._api.query(request, _DIALOG_FILTERS)
        if query.get("state", "CREATED") not in LIVE_DIALOGS | {"FINISHED", "FAILED", "TRANSFERRING"}:
            raise schemas.Invalid({"state": ["is no dialog state"]})
        found = [
            dialog.shown()
            for dialog in self._exchange.dialogs.values()
            if dialog.live
            and query.get("parentCallId", dialog.parent.id) == dialog.parent.id
            and query.get("childCallId", dialog.child.id) == dialog.child.id
            and query.get("state", dialog.state) == dialog.state
        ]
        return self._api.page(query, found)

    async def _get(self, request: Request) -> Response:
        return JSONResponse(self._find(request).shown())

    async def _hang_up(self, request: Request) -> Response:
        dialog = self._find(request)
        self._exchange.end(dialog.parent, "NORMAL_HANGUP", "API")
        return JSONResponse(dialog.shown())

    def _find(self, request: Request) -> SimDialog:
        dialog = self._exchange.dialogs.get(request.path_params["dialog_id"])
        if dialog is None or not dialog.live:
            raise Refusal(404)
        return dialog


def _matching(exchange: Exchange, query: dict[str, str]) -> list[SimCall]:
    """Calls that pass the filters, oldest first."""
    if query.get("status", "CALLING") not in LIVE_STATES | _ENDED_STATES:
        raise schemas.Invalid({"status": ["is no call state"]})
    if query.get("direction", "OUTBOUND") not in {"INBOUND", "OUTBOUND"}:
        raise schemas.Invalid({"direction": ["is no direction"]})
    after = _moment(query["startTimeAfter"]) if "startTimeAfter" in query else None
    return [
        call
        for call in exchange.calls.values()
        if query.get("to", call.e164.removeprefix("+")) == call.e164.removeprefix("+")
        and query.get("from", call.from_number) == call.from_number
        and query.get("status", call.state) == call.state
        and query.get("direction", "OUTBOUND") == "OUTBOUND"
        and query.get("type", call.endpoint.type) == call.endpoint.type
        and query.get("callsConfigurationId", call.configuration_id) == call.configuration_id
        and query.get("dialogId", call.dialog_id) == call.dialog_id
        and (after is None or call.started > after)
    ]


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
    except ValueError as error:
        raise schemas.Invalid({"startTimeAfter": ["must be like 2026-01-15T11:59:30.000+0000"]}) from error


def _part(content: bytes, wanted: str) -> Response:
    """The file, or the range `bytes=a-b` of it."""
    if not wanted:
        return Response(content, media_type="application/octet-stream")
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    if not first.isdigit() or int(first) >= len(content):
        return Response(status_code=416)
    end = min(int(last) if last.isdigit() else len(content) - 1, len(content) - 1)
    headers = {"Content-Range": f"bytes {first}-{end}/{len(content)}"}
    part = content[int(first) : end + 1]
    return Response(part, status_code=206, headers=headers, media_type="application/octet-stream")


def _route(api: Api, method: str, path: str, work: Endpoint, operation: str = "other") -> Route:
    return Route(path, api.operation(operation, work), methods=[method])
