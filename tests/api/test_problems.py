"""Every error is a problem document with a request id, whoever raises it."""

import asyncio
import io
import json
import re
from typing import Any

import httpx2
import pytest
from sqlalchemy.exc import IntegrityError
from starlette.types import Message, Receive, Scope, Send

from callwright.api import edge, problems
from callwright.api.edge import Edge
from callwright.domain import errors
from callwright.storage.attempts import NumberBusy
from callwright.storage.idempotency import KeyReused
from callwright.toolkit.logs import configure_logs
from tests.api.site import PROBLEM, Site

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.mark.parametrize(
    "error,status,name",
    [
        (errors.InvalidInput(errors.Problem("a", "b")), 422, "invalid-input"),
        (errors.ConfigurationError(errors.Problem("a", "b")), 500, "internal"),
        (errors.NotFound("x"), 404, "not-found"),
        (errors.Conflict("x"), 409, "conflict"),
        (NumberBusy("x"), 409, "conflict"),
        (KeyReused("x"), 422, "idempotency-key-reused"),
        (errors.IllegalTransition("x"), 500, "internal"),
        (errors.Unauthenticated("x"), 401, "unauthenticated"),
        (errors.Forbidden("x"), 403, "forbidden"),
        (errors.WebhookRejected("bad_signature"), 401, "webhook-unproven"),
        (errors.WebhookRejected("too_large"), 413, "too-large"),
        (errors.WebhookRejected("unknown_path"), 404, "not-found"),
        (errors.WebhookRejected("malformed"), 400, "webhook-malformed"),
        (errors.VendorBusy("v", "m"), 503, "vendor-busy"),
        (errors.VendorRefused("v", "m"), 502, "vendor-failed"),
        (errors.VendorAuthFailed("v", "m"), 502, "vendor-failed"),
        (errors.VendorNotFound("v", "m"), 502, "vendor-failed"),
        (errors.VendorQuotaExceeded("v", "m"), 502, "vendor-failed"),
        (errors.VendorUnreachable("v", "m"), 502, "vendor-failed"),
        (errors.VendorAmbiguous("v", "m"), 502, "vendor-failed"),
        (errors.CallwrightError("x"), 500, "internal"),
    ],
)
async def test_the_table_knows_every_error(error: Exception, status: int, name: str) -> None:
    kind = problems.kind_of_error(error)
    assert (kind.status, kind.name) == (status, name)


async def test_no_error_of_the_tree_is_missing_from_the_table() -> None:
    tree = [errors.CallwrightError]
    for kind in tree:
        tree += kind.__subclasses__()
    unmapped = [
        kind.__name__
        for kind in tree
        if kind.__module__ == errors.__name__
        and not kind.__name__.startswith("_")
        and kind is not errors.WebhookRejected  # by its reason
        and next(base for base in kind.__mro__ if base in problems.BY_ERROR) is errors.CallwrightError
    ]
    assert unmapped == ["CallwrightError"]


@pytest.mark.parametrize(
    "method,path,status",
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1", 404),
        ("GET", "/api/v2/calls", 404),
        ("GET", "/media/nobody/x", 404),
        ("DELETE", "/api/v1/calls", 405),
        ("POST", "/health", 405),
        ("PROPFIND", "/api/v1/calls", 405),
    ],
)
async def test_unknown_addresses_and_methods(site: Site, method: str, path: str, status: int) -> None:
    problem = await site.expect(status, method, path)
    assert problem["instance"] == path
    if status == 405:
        response = await site.ask(method, path)
        assert response.headers["allow"]


async def test_each_type_leads_to_its_meaning(site: Site) -> None:
    assert len(problems.KINDS) > 15
    for name, kind in problems.KINDS.items():
        response = await site.http.get(f"/problems/{name}")
        assert response.json() == {
            "type": f"/problems/{name}",
            "title": kind.title,
            "status": kind.status,
            "meaning": kind.meaning,
        }
    assert (await site.http.get("/problems/none")).status_code == 404


async def test_a_given_request_id_is_kept_if_it_is_harmless(site: Site) -> None:
    response = await site.ask("GET", "/health", headers={"x-request-id": "trace-0123456789"})
    assert response.headers["x-request-id"] == "trace-0123456789"
    for bad in ("short", "x" * 65, "with space in it", '"><script>'):
        response = await site.ask("GET", "/health", headers={"x-request-id": bad})
        assert response.headers["x-request-id"] != bad


async def test_a_body_above_the_limit_is_refused_announced_or_not(site: Site) -> None:
    large = b"x" * (256 * 1024 + 1)

    async def pieces() -> Any:
        for start in range(0, len(large), 64 * 1024):
            yield large[start : start + 64 * 1024]

    headers = {"content-type": "application/json"}
    for content in (large, pieces()):
        problem = await site.expect(413, "POST", "/api/v1/calls", content=content, headers=headers)
        assert problem["type"] == "/problems/too-large"


async def test_a_body_that_does_not_come_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "BODY_TIMEOUT_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.stage.port)
    head = (
        "POST /api/v1/calls HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {await site.key()}\r\ncontent-length: 100\r\n\r\n"
    )
    writer.write(head.encode() + b'{"agent":')
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["type"] == "/problems/request-timeout"


async def test_a_range_beyond_the_file_and_plain_errors_become_problems() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"content-type", b"text/plain"),
            (b"content-range", b"bytes */5"),
            (b"content-length", b"3"),
        ]
        await send({"type": "http.response.start", "status": 416, "headers": headers})
        await send({"type": "http.response.body", "body": b"bad"})

    response = await _through_edge(app)
    assert response.status_code == 416
    assert response.headers["content-type"] == PROBLEM
    assert response.headers["content-range"] == "bytes */5"
    assert response.json()["type"] == "/problems/range-not-satisfiable"


async def test_an_unexpected_error_says_nothing_about_itself() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("the password is hunter2")

    response = await _through_edge(app)
    assert response.status_code == 500
    assert response.json()["type"] == "/problems/internal"
    assert "hunter2" not in response.text


async def test_a_fault_of_ours_says_nothing_about_itself(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[Exception] = [
        RuntimeError("Ada Archer"),
        errors.CallwrightError("Ada Archer"),
        errors.IllegalTransition("Ada Archer"),
        IntegrityError("INSERT", {"name": "Ada Archer"}, Exception("DETAIL: Ada Archer")),
    ]

    async def fail(*_: Any, **__: Any) -> None:
        raise faults.pop()

    monkeypatch.setattr(site.stage.app.calls, "search", fail)
    written = io.StringIO()
    configure_logs("ERROR", (), written)
    try:
        while faults:
            problem = await site.expect(500, "GET", "/api/v1/calls")
            assert problem["request_id"] in written.getvalue().splitlines()[-1]
            assert "Ada" not in json.dumps(problem)
    finally:
        configure_logs("ERROR")
    logged = [json.loads(line) for line in written.getvalue().splitlines()]
    assert len(logged) == 4
    assert all(re.fullmatch(r"\w+", line["key_id"]) for line in logged)


async def test_help_about_keys_is_readable(site: Site) -> None:
    bare = await site.http.get("/api/v1/calls")
    site.conforms(bare)
    for problem in (bare.json(), await site.expect(401, "GET", "/api/v1/calls", key="cw_unknown")):
        assert "Send `Authorization: Bearer cw_...` with a key made by `callwright keys" in problem["detail"]
        assert "***" not in problem["detail"]


async def test_half_an_answer_is_not_passed_off_as_a_whole_one() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        await _through_edge(app)


async def _through_edge(app: Any) -> httpx2.Response:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "GET", "path": "/x", "headers": [], "query_string": b""}
    await Edge(app)(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return httpx2.Response(sent[0]["status"], headers=sent[0]["headers"], content=body)
