"""The simulated platform's REST interface, with the vendor's error bodies."""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from callwright.integrations.elevenlabs.simulator import agents, records
from callwright.integrations.elevenlabs.simulator.state import (
    TICKET_LIFE,
    Agent,
    Json,
    Store,
    Ticket,
    Webhook,
)
from callwright.simulation.traffic import Traffic

Handler = Callable[[Request], Awaitable[Response]]

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})
_PAGE: Final = 30


class RestApi:
    """Agents, signed URLs, conversations, workspace webhooks and the subscription."""

    def __init__(self, store: Store, traffic: Traffic) -> None:
        self._store = store
        self._traffic = traffic
        self.socket_url = ""
        """Where signed URLs point, such as ws://127.0.0.1:41000."""

    def app(self) -> Starlette:
        """The ASGI application."""
        agent, conversation = "/v1/convai/agents/{agent_id}", "/v1/convai/conversations/{conversation_id}"
        hook = "/v1/workspace/webhooks/{webhook_id}"
        rows: list[tuple[str, str, Handler, str]] = [
            ("POST", "/v1/convai/agents/create", self._create_agent, "convai_write"),
            ("GET", "/v1/convai/agents", self._list_agents, "convai_read"),
            ("GET", agent, self._get_agent, "convai_read"),
            ("PATCH", agent, self._patch_agent, "convai_write"),
            ("DELETE", agent, self._delete_agent, "convai_write"),
            ("GET", "/v1/convai/conversation/get-signed-url", self._signed_url, "convai_write"),
            ("GET", "/v1/convai/conversations", self._list_conversations, "convai_read"),
            ("GET", conversation, self._get_conversation, "convai_read"),
            ("DELETE", conversation, self._delete_conversation, "convai_write"),
            ("GET", "/v1/workspace/webhooks", self._list_webhooks, "workspace_webhooks"),
            ("POST", "/v1/workspace/webhooks", self._create_webhook, "workspace_webhooks"),
            ("PATCH", hook, self._patch_webhook, "workspace_webhooks"),
            ("DELETE", hook, self._delete_webhook, "workspace_webhooks"),
            ("GET", "/v1/user/subscription", self._subscription, "user_read"),
        ]
        routes = [Route(path, self._guarded(run, need), methods=[verb]) for verb, path, run, need in rows]
        return Starlette(routes=routes)

    def _guarded(self, run: Handler, permission: str) -> Handler:
        async def handle(request: Request) -> Response:
            account = self._store.account
            if request.headers.get("xi-api-key") != account.api_key:
                return _error(401, "invalid_api_key", "Invalid API key")
            if permission not in account.permissions:
                text = (
                    f"The API key you used is missing the permission {permission} to execute this operation."
                )
                return _error(401, "missing_permissions", text)
            try:
                return await run(request)
            except _Invalid as error:
                return JSONResponse({"detail": error.problems}, 422)

        return handle

    async def _create_agent(self, request: Request) -> Response:
        body = await self._agent_body(request, required=("conversation_config",))
        now = self._store.unix()
        agent = Agent(
            self._store.identifier("agent"),
            str(body.get("name") or "New agent"),
            agents.merged(agents.default_conversation_config(), body["conversation_config"]),
            agents.merged(agents.default_platform_settings(), body.get("platform_settings") or {}),
            list(body.get("tags") or []),
            now,
            now,
        )
        self._store.agents[agent.agent_id] = agent
        return JSONResponse({"agent_id": agent.agent_id})

    async def _list_agents(self, request: Request) -> Response:
        items = sorted(self._store.agents.values(), key=lambda agent: agent.created, reverse=True)
        page, cursor = _page(request, items)
        rows = [records.agent_summary(agent) for agent in page]
        return JSONResponse({"agents": rows, "next_cursor": cursor, "has_more": cursor is not None})

    async def _get_agent(self, request: Request) -> Response:
        agent = self._store.agents.get(request.path_params["agent_id"])
        return _no_agent(request) if agent is None else JSONResponse(records.agent_object(agent))

    async def _patch_agent(self, request: Request) -> Response:
        agent = self._store.agents.get(request.path_params["agent_id"])
        if agent is None:
            return _no_agent(request)
        body = await self._agent_body(request)
        config, settings = body.get("conversation_config") or {}, body.get("platform_settings") or {}
        agent.conversation_config = agents.merged(agent.conversation_config, config)
        agent.platform_settings = agents.merged(agent.platform_settings, settings)
        agent.name = str(body.get("name") or agent.name)
        agent.tags = list(agent.tags if body.get("tags") is None else body["tags"])
        agent.updated = self._store.unix()
        return JSONResponse(records.agent_object(agent))

    async def _delete_agent(self, request: Request) -> Response:
        found = self._store.agents.pop(request.path_params["agent_id"], None)
        return _no_agent(request) if found is None else Response(status_code=204)

    async def _signed_url(self, request: Request) -> Response:
        agent_id = request.query_params.get("agent_id")
        if agent_id is None:
            raise _Invalid(_missing("query", "agent_id"))
        if agent_id not in self._store.agents:
            return _error(404, "agent_not_found", "The AI agent you are trying to reach does not exist.")
        named = request.query_params.get("include_conversation_id", "false").lower() in {"true", "1"}
        conversation_id = self._store.identifier("conv") if named else None
        signature = self._store.identifier("cvtkn")
        expires_at = self._store.world.clock.now() + TICKET_LIFE
        self._store.tickets[signature] = Ticket(agent_id, conversation_id, expires_at)
        query = {"agent_id": agent_id, "conversation_signature": signature}
        if conversation_id is not None:
            query["conversation_id"] = conversation_id
        url = f"{self.socket_url}/v1/convai/conversation?{urlencode(query)}"
        return JSONResponse({"signed_url": url})

    async def _list_conversations(self, request: Request) -> Response:
        wanted = {key: request.query_params.get(key) for key in ("agent_id", "user_id")}
        items = [
            item
            for item in reversed(self._store.conversations.values())
            if wanted["agent_id"] in {None, item.agent_id}
            and wanted["user_id"] in {None, item.initiation.get("user_id")}
        ]
        page, cursor = _page(request, items)
        rows = [records.conversation_summary(self._store, item) for item in page]
        return JSONResponse({"conversations": rows, "next_cursor": cursor, "has_more": cursor is not None})

    async def _get_conversation(self, request: Request) -> Response:
        found = self._store.conversations.get(request.path_params["conversation_id"])
        if found is None:
            return _no_conversation(request)
        if found.hidden_reads > 0 and found.status in {"processing", "done"}:
            found.hidden_reads -= 1
            return _no_conversation(request)
        return JSONResponse(records.conversation_object(self._store, found))

    async def _delete_conversation(self, request: Request) -> Response:
        found = self._store.conversations.pop(request.path_params["conversation_id"], None)
        return _no_conversation(request) if found is None else JSONResponse({})

    async def _list_webhooks(self, _request: Request) -> Response:
        hooks = [records.webhook_object(hook, self._traffic) for hook in self._store.webhooks.values()]
        return JSONResponse({"webhooks": hooks})

    async def _create_webhook(self, request: Request) -> Response:
        settings = (await _body(request)).get("settings")
        if not isinstance(settings, dict):
            raise _Invalid(_missing("body", "settings"))
        for name in ("auth_type", "name", "webhook_url"):
            if not isinstance(settings.get(name), str):
                raise _Invalid(_missing("body", "settings", name))
        url = urlsplit(settings["webhook_url"])
        secure = url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK)
        if settings["auth_type"] != "hmac" or not secure:
            raise _Invalid(_problem("webhook_url must use HTTPS, auth_type hmac", "value_error", "settings"))
        hook = Webhook(
            self._store.identifier("wh"),
            settings["name"],
            settings["webhook_url"],
            self._store.identifier("wsec"),
            self._store.unix(),
        )
        self._store.webhooks[hook.webhook_id] = hook
        return JSONResponse({"webhook_id": hook.webhook_id, "webhook_secret": hook.secret})

    async def _patch_webhook(self, request: Request) -> Response:
        hook = self._store.webhooks.get(request.path_params["webhook_id"])
        if hook is None:
            return _error(404, "webhook_not_found", "Webhook not found")
        body = await _body(request)
        for name, kind in (("is_disabled", bool), ("name", str)):
            if not isinstance(body.get(name), kind):
                raise _Invalid(_missing("body", name))
        for name in sorted(set(body) - {"is_disabled", "name", "retry_enabled", "request_headers", "events"}):
            self._traffic.violation(f"PATCH of a webhook has no {name}")
        hook.disabled, hook.name = body["is_disabled"], body["name"]
        hook.retry = bool(body.get("retry_enabled", hook.retry))
        return JSONResponse({"status": "ok"})

    async def _delete_webhook(self, request: Request) -> Response:
        webhook_id = request.path_params["webhook_id"]
        if webhook_id not in self._store.webhooks:
            return _error(404, "webhook_not_found", "Webhook not found")
        if any(records.attached_webhook(agent) == webhook_id for agent in self._store.agents.values()):
            return _error(400, "webhook_in_use", "Webhook is used by an agent")
        del self._store.webhooks[webhook_id]
        return JSONResponse({"status": "ok"})

    async def _subscription(self, _request: Request) -> Response:
        return JSONResponse(records.subscription_object(self._store))

    async def _agent_body(self, request: Request, required: tuple[str, ...] = ()) -> Json:
        body = await _body(request)
        for name in required:
            if name not in body:
                raise _Invalid(_missing("body", name))
        found = agents.problems(body, set(self._store.webhooks))
        if found:
            raise _Invalid(*found)
        for name in agents.unknown_keys(body):
            self._traffic.violation(f"{request.method} of an agent has no {name}")
        return body


class _Invalid(Exception):
    """A request that does not fit its schema."""

    def __init__(self, *problems: Json) -> None:
        super().__init__()
        self.problems = list(problems)


async def _body(request: Request) -> Json:
    try:
        body = await request.json()
    except ValueError as error:
        raise _Invalid(_problem("JSON decode error", "json_invalid")) from error
    if not isinstance(body, dict):
        raise _Invalid(_problem("Input should be a valid dictionary", "dict_type"))
    return body


def _page(request: Request, items: list[Any]) -> tuple[list[Any], str | None]:
    raw, cursor = request.query_params.get("page_size", str(_PAGE)), request.query_params.get("cursor", "0")
    if not raw.isdigit() or not 1 <= int(raw) <= 100 or not cursor.isdigit():
        raise _Invalid(_problem("page_size should be 1 to 100", "int_range", "query", "page_size"))
    start, size = int(cursor), int(raw)
    following = start + size
    return items[start:following], str(following) if following < len(items) else None


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"detail": {"status": code, "message": message}}, status)


def _no_agent(request: Request) -> JSONResponse:
    name = request.path_params["agent_id"]
    return _error(404, "document_not_found", f"Document with id {name} not found.")


def _no_conversation(request: Request) -> JSONResponse:
    name = request.path_params["conversation_id"]
    return _error(404, "document_not_found", f"Document with id {name} not found.")


def _missing(*path: str) -> Json:
    return {"loc": list(path), "msg": "Field required", "type": "missing"}


def _problem(message: str, kind: str, *path: str) -> Json:
    return {"loc": ["body", *path], "msg": message, "type": kind}
