"""The application behind its port, and a client that holds every answer against the OpenAPI document."""

import json
import re
from typing import Any

import httpx2
from jsonschema import Draft202012Validator

from callwright.api.application import Api
from callwright.storage import api_keys
from tests.scenarios.stage import Stage

LATER = "2099-01-01T10:00:00Z"
"""Calls that tests only look at are not dialled before this."""

PROBLEM = "application/problem+json"


class Site:
    """One stage, seen from outside. Keys are made as they are needed, one for each set of scopes."""

    def __init__(self, stage: Stage, api: Api) -> None:
        self.stage = stage
        self.api = api
        self.document: dict[str, Any] = api.openapi()
        self.http = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{stage.port}", timeout=20, trust_env=False)
        self._keys: dict[tuple[str, ...], str] = {}
        self._paths = [(_pattern(path), path) for path in self.document["paths"]]

    async def key(self, *scopes: str) -> str:
        """A key with these scopes, `admin` if none is named."""
        wanted = scopes or ("admin",)
        if wanted not in self._keys:
            app = self.stage.app
            async with app.database.write() as conn:
                _, self._keys[wanted] = await api_keys.create(conn, "test", wanted, app.clock.now())
        return self._keys[wanted]

    async def ask(
        self,
        method: str,
        path: str,
        *,
        scopes: tuple[str, ...] = ("admin",),
        key: str | None = None,
        **options: Any,
    ) -> httpx2.Response:
        """Send a request with a key, and check the answer against the document."""
        secret = await self.key(*scopes) if key is None else key
        headers = {"authorization": f"Bearer {secret}", **options.pop("headers", {})}
        response = await self.http.request(method, path, headers=headers, **options)
        self.conforms(response)
        return response

    async def expect(self, status: int, method: str, path: str, **options: Any) -> Any:
        """The decoded answer of a request whose status must be this one."""
        response = await self.ask(method, path, **options)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    async def create_call(self, **body: Any) -> dict[str, Any]:
        """A call that is not dialled during the tests."""
        wanted = {"agent": "test-agent", "phone": "+447700900777", "not_before": LATER, **body}
        created: dict[str, Any] = await self.expect(201, "POST", "/api/v1/calls", json=wanted)
        return created

    def conforms(self, response: httpx2.Response) -> None:
        """Fail unless the document declares this answer to this request, in this form."""
        assert response.headers["x-request-id"]
        assert response.headers["x-content-type-options"] == "nosniff"
        kind = response.headers.get("content-type", "").partition(";")[0]
        if response.status_code >= 400:
            assert kind == PROBLEM, response.text
            self._check(response.json(), {"$ref": "#/components/schemas/ProblemDocument"})
            assert response.json()["status"] == response.status_code
        operation = self.operation(response.request.method, response.url.path)
        if operation is None:
            assert response.status_code in {404, 405}
            return
        name = operation["operationId"]
        declared = operation["responses"]
        assert str(response.status_code) in declared, f"{name} does not declare {response.status_code}"
        if not response.content:
            return
        content = declared[str(response.status_code)]["content"]
        assert kind in content, f"{name} does not declare {kind}"
        if kind.endswith("json"):
            self._check(response.json(), content[kind]["schema"])

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """What the document says about a request; None when it knows none."""
        for pattern, template in self._paths:
            found: dict[str, Any] | None = self.document["paths"][template].get(method.lower())
            if found is not None and pattern.fullmatch(path):
                return found
        return None

    def _check(self, value: Any, schema: dict[str, Any]) -> None:
        whole = {**schema, "components": self.document["components"]}
        errors = [error.message for error in Draft202012Validator(whole).iter_errors(value)]
        assert errors == [], json.dumps(value)[:500]

    async def close(self) -> None:
        """Close the client's connections."""
        await self.http.aclose()


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+\})", template)
    return re.compile(
        "".join(_placeholder(part) if part.startswith("{") else re.escape(part) for part in parts)
    )


def _placeholder(part: str) -> str:
    return ".*" if part == "{path}" else "[^/]+"
