"""The HTTP side: tokens, scopes, limits, and the way to what a path means."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from callwright.integrations.zoho.simulator import coql, metadata, reading, replies, writing
from callwright.integrations.zoho.simulator.accounts import covers
from callwright.integrations.zoho.simulator.modules import Module
from callwright.integrations.zoho.simulator.replies import Refusal
from callwright.integrations.zoho.simulator.state import State

_SCHEME = "Zoho-oauthtoken "
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_OPERATIONS = {"GET": "READ", "POST": "CREATE", "PUT": "UPDATE"}

Answer = tuple[int, dict[str, Any] | None]


class Api:
    """Serves one organisation; `base_url` is told once the port is known."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.base_url = ""

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/oauth/v2/token", self._token, methods=["POST"]),
                Route("/oauth/v2/token/revoke", self._revoke, methods=["POST"]),
                Route("/__admin", self._admin, methods=["GET"]),
                Route("/crm/v8/{path:path}", self._crm, methods=_METHODS),
            ],
            exception_handlers={404: _not_found, 405: _not_found},
        )

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        status, body = self._state.accounts.exchange({**request.query_params, **form}, self.base_url)
        return JSONResponse(body, status)

    async def _revoke(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        token = {**request.query_params, **form}.get("token")
        if token != self._state.accounts.refresh_token:
            return JSONResponse({"error": "invalid_code"})
        self._state.accounts.revoke_grant()
        return JSONResponse({"status": "success"})

    async def _admin(self, _request: Request) -> Response:
        usage = self._state.usage
        told = {
            "credits": usage.credits,
            "in_flight": usage.in_flight,
            "peak": usage.peak,
            "complex_peak": usage.complex_peak,
            "requests": usage.requests,
            "tokens_issued": self._state.accounts.issued,
        }
        return JSONResponse(told)

    async def _crm(self, request: Request) -> Response:
        parts = request.path_params["path"].strip("/").split("/")
        try:
            self._authenticate(request)
            async with self._turn(request.method, parts):
                status, body = self._route(request, parts, await _body(request, self._state))
        except Refusal as refusal:
            return JSONResponse(refusal.body, refusal.status, dict(refusal.headers))
        return Response(status_code=status) if body is None else JSONResponse(body, status)

    def _authenticate(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if not given.startswith(_SCHEME):
            self._state.traffic.violation(f"authorization is not of the form {_SCHEME}<token>")
            raise Refusal(401, "INVALID_TOKEN", "invalid oauth token")
        if not self._state.accounts.accepts(given.removeprefix(_SCHEME)):
            raise Refusal(401, "INVALID_TOKEN", "invalid oauth token")

    @asynccontextmanager
    async def _turn(self, method: str, parts: list[str]) -> AsyncIterator[None]:
        """Count a request and its credits; 429 when too many are in flight."""
        usage, behaviour = self._state.usage, self._state.behaviour
        heavy = parts == ["coql"] or parts[-1] == "search"
        usage.requests[f"{method} {parts[0]}"] += 1
        usage.credits += 3 if parts[-1] == "search" else 1
        usage.in_flight += 1
        usage.complex_in_flight += heavy
        usage.peak = max(usage.peak, usage.in_flight)
        usage.complex_peak = max(usage.complex_peak, usage.complex_in_flight)
        try:
            crowded = (
                usage.in_flight > behaviour.in_flight or usage.complex_in_flight > behaviour.complex_in_flight
            )
            if behaviour.latency_s:
                await asyncio.sleep(behaviour.latency_s)
            if crowded:
                raise replies.too_many()
            yield
        finally:
            usage.in_flight -= 1
            usage.complex_in_flight -= heavy

    def _route(self, request: Request, parts: list[str], body: dict[str, Any]) -> Answer:
        method, query = request.method, dict(request.query_params)
        if parts[0] == "settings":
            return self._settings(method, parts[1:], query)
        if parts == ["org"]:
            self._demand("ZohoCRM.org.READ", "ZohoCRM.org.ALL")
            return 200, {"org": [metadata.organisation_entry()]}
        if parts == ["coql"]:
            return self._coql(method, body)
        module = self._module(parts[0])
        self._demand_module(method, module)
        rest = parts[1:]
        if method == "GET":
            return self._get(module, rest, query)
        if method == "POST":
            return self._post(module, rest, body)
        if method == "PUT" and len(rest) <= 1:
            record_id = rest[0] if rest else None
            return writing.update(self._state, module, record_id, body, dict(request.headers))
        raise replies.invalid_method()

    def _get(self, module: Module, rest: list[str], query: dict[str, str]) -> Answer:
        if not rest:
            return reading.many(self._state, module, query)
        if rest == ["search"]:
            self._demand("ZohoSearch.securesearch.READ")
            return reading.search(self._state, module, query)
        if len(rest) == 1:
            return reading.one(self._state, module, rest[0])
        if len(rest) == 2:
            return reading.related(self._state, module, rest[0], rest[1], query)
        raise replies.invalid_url()

    def _post(self, module: Module, rest: list[str], body: dict[str, Any]) -> Answer:
        if not rest:
            return writing.insert(self._state, module, body)
        if rest == ["upsert"]:
            return writing.upsert(self._state, module, body)
        raise replies.invalid_url()

    def _settings(self, method: str, parts: list[str], query: dict[str, str]) -> Answer:
        if method != "GET":
            raise replies.invalid_method()
        modules = self._state.tables.organisation.modules
        if parts[:1] == ["modules"]:
            self._demand("ZohoCRM.settings.modules.READ", "ZohoCRM.settings.ALL")
            chosen = [self._module(parts[1])] if len(parts) > 1 else list(modules.values())
            return 200, {"modules": [metadata.module_entry(module) for module in chosen]}
        if parts == ["fields"]:
            self._demand(
                "ZohoCRM.settings.fields.READ", "ZohoCRM.settings.fields.ALL", "ZohoCRM.settings.ALL"
            )
            if "module" not in query:
                raise replies.missing("module")
            module = modules.get(query["module"])
            if module is None:
                raise replies.invalid_module(api_name="module")
            return 200, {"fields": [metadata.field_entry(field) for field in module.fields.values()]}
        raise replies.invalid_url()

    def _coql(self, method: str, body: dict[str, Any]) -> Answer:
        if method != "POST":
            raise replies.invalid_method()
        self._demand("ZohoCRM.coql.READ")
        text = body.get("select_query")
        if not isinstance(text, str):
            raise Refusal(
                400, "MANDATORY_NOT_FOUND", "required field not found", {"api_name": "select_query"}
            )
        try:
            query = coql.parse(text, self._state.tables.organisation.modules)
        except Refusal as refusal:
            self._state.traffic.violation(f"{refusal.code} {refusal.details}: {text}")
            raise
        self._demand_module("GET", self._module(query.module))
        rows, more = query.run(row.values for row in self._state.tables.rows[query.module].values())
        if not rows:
            return 204, None
        return 200, {"data": rows, "info": {"count": len(rows), "more_records": more}}

    def _module(self, name: str) -> Module:
        module = self._state.tables.organisation.modules.get(name)
        if module is None:
            raise replies.invalid_module(resource_path_index=0)
        return module

    def _demand_module(self, method: str, module: Module) -> None:
        name, operation = module.name.lower(), _OPERATIONS.get(method, "ALL")
        self._demand(
            "ZohoCRM.modules.ALL",
            f"ZohoCRM.modules.{operation}",
            f"ZohoCRM.modules.{name}.ALL",
            f"ZohoCRM.modules.{name}.{operation}",
        )

    def _demand(self, *alternatives: str) -> None:
        if not covers(self._state.accounts.scope, alternatives):
            raise Refusal(401, "OAUTH_SCOPE_MISMATCH", "Unauthorized")


async def _body(request: Request, state: State) -> dict[str, Any]:
    raw = await request.body()
    if request.method == "GET" or not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        state.traffic.violation("a body is not a JSON object")
        raise Refusal(400, "INVALID_DATA", "body", {"expected_data_type": "jsonobject"})
    return body


async def _not_found(_request: Request, _error: Exception) -> Response:
    refusal = replies.invalid_url()
    return JSONResponse(refusal.body, refusal.status)
