"""Every operation under /api/v1 needs a key, and the key the operation's scope."""

from datetime import timedelta
from typing import Any

import pytest

from callwright.storage import api_keys
from tests.api.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")

VALUES = {"call_id": "067aa1c3f", "name": "test-agent", "phone": "+447700900999"}


def secured(site: Site) -> list[tuple[str, str, list[str]]]:
    """Method, path and scopes of each operation under /api/v1."""
    found = []
    for path, operations in site.document["paths"].items():
        for method, operation in operations.items():
            if path.startswith("/api/v1"):
                (requirement,) = operation["security"]
                found.append((method.upper(), path.format(**VALUES), requirement["ApiKey"]))
    return found


async def test_without_a_key_nothing_is_told(site: Site) -> None:
    operations = secured(site)
    assert len(operations) > 15
    for method, path, scopes in operations:
        assert scopes, f"{method} {path} declares no scope"
        response = await site.http.request(method, path, json={})
        site.conforms(response)
        assert response.status_code == 401, (method, path)
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_another_scope_does_not_do(site: Site) -> None:
    for method, path, scopes in secured(site):
        other = "agents:read" if scopes == ["calls:read"] else "calls:read"
        problem = await site.expect(403, method, path, scopes=(other,), json={})
        assert scopes[0] in problem["detail"]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer cw_",
        "Bearer cw_" + "a" * 43,
        "Bearer cw_\xe4\xf6",
        "Basic dXNlcjpwYXNz",
        "cw_abc",
        "Bearer " + "x" * 5000,
    ],
)
async def test_what_is_not_a_key_is_refused(site: Site, header: str) -> None:
    response = await site.http.get("/api/v1/calls", headers={"authorization": header.encode("latin-1")})
    site.conforms(response)
    assert response.status_code == 401


async def test_a_revoked_key_is_refused_at_once(site: Site) -> None:
    app = site.stage.app
    async with app.database.write() as conn:
        key, secret = await api_keys.create(conn, "gone", ["calls:read"], app.clock.now())
    await site.expect(200, "GET", "/api/v1/calls", key=secret)
    async with app.database.write() as conn:
        await api_keys.revoke(conn, key.id, app.clock.now())
    problem = await site.expect(401, "GET", "/api/v1/calls", key=secret)
    assert "revoked" in problem["detail"]


async def test_the_last_use_is_noted_to_the_minute(site: Site) -> None:
    app = site.stage.app
    async with app.database.write() as conn:
        key, secret = await api_keys.create(conn, "used", ["calls:read"], app.clock.now())

    async def last_used() -> Any:
        async with app.database.read() as conn:
            return next(item.last_used_at for item in await api_keys.listing(conn) if item.id == key.id)

    assert await last_used() is None
    await site.expect(200, "GET", "/api/v1/calls", key=secret)
    first = await last_used()
    assert first is not None
    await site.expect(200, "GET", "/api/v1/calls", key=secret)
    assert await last_used() == first
    async with app.database.write() as conn:
        await api_keys.touch(conn, key.id, first + timedelta(minutes=2))
    assert await last_used() == first + timedelta(minutes=2)


async def test_admin_may_do_everything(site: Site) -> None:
    for method, path, _ in secured(site):
        if method == "GET" and not path.endswith("/events"):
            response = await site.ask(method, path)
            assert response.status_code in {200, 404}, (method, path)
