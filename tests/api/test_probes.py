"""/health, /ready, /metrics and the reference."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

import callwright
from callwright.domain.errors import VendorNotFound
from callwright.storage import inbox, processes
from callwright.storage.schema import inbox as inbox_table
from callwright.storage.schema import processes as process_table
from tests.api.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_health_asks_nobody(site: Site) -> None:
    response = await site.http.get("/health")
    site.conforms(response)
    assert response.json() == {"name": "callwright", "status": "ok", "version": callwright.__version__}


async def test_ready_names_every_part(site: Site) -> None:
    response = await site.http.get("/ready")
    site.conforms(response)
    assert set(response.json()["parts"].values()) == {"ok"}


async def test_ready_tells_what_is_wrong(site: Site) -> None:
    app = site.stage.app
    app.fenced.set()
    try:
        problem = await site.expect(503, "GET", "/ready")
    finally:
        app.fenced.clear()
    assert [item["where"] for item in problem["errors"]] == ["process"]
    assert "given up" in problem["detail"]


async def test_metrics_count_calls_webhooks_and_media(site: Site) -> None:
    await site.create_call()
    await site.http.post("/webhooks/nobody/x", content=b"{}")
    response = await site.http.get("/metrics")
    site.conforms(response)
    text = response.text
    queued = re.search(r'^callwright_calls\{state="queued"\} (\S+)$', text, re.MULTILINE)
    assert queued is not None, text[-3000:]
    assert float(queued[1]) >= 1
    assert re.search(r'^callwright_calls\{state="talking"\} 0.0$', text, re.MULTILINE)
    assert re.search(
        r'^callwright_webhooks_refused_total\{integration="unknown",reason="unknown_integ', text, re.MULTILINE
    )
    # The CRM's simulator knows no such module.
    with pytest.raises(VendorNotFound):
        await site.stage.app.directory.crm("zoho").fields("Starships")
    text = (await site.http.get("/metrics")).text
    assert re.search(r'^callwright_vendor_errors_total\{kind="\w+",vendor="zoho"\}', text, re.MULTILINE)
    assert "callwright_media_loop_lag_seconds" in text
    assert "_created" not in text


async def test_metrics_tell_what_nobody_else_tells(site: Site) -> None:
    """Webhooks that were given up, and processes that are silent although they live."""
    database, now = site.stage.app.database, site.stage.app.clock.now()
    async with database.write() as conn:
        for number, error in enumerate((inbox.NO_SUCH_CALL, "KeyError: 'id'", "KeyError: 'id'")):
            await inbox.store(conn, "carrier:test", f"parked-{number}", {}, now)
            where = inbox_table.c.dedup_key == f"parked-{number}"
            row = (await conn.execute(select(inbox_table.c.id).where(where))).one()
            await inbox.park(conn, row.id, error)
        await processes.announce(conn, "hung", slot="hung", media_url="")
        then = datetime.now(UTC) - timedelta(seconds=31)
        hung = process_table.c.id == "hung"
        await conn.execute(update(process_table).where(hung).values(heartbeat_at=then))
    try:
        text = (await site.http.get("/metrics")).text
    finally:
        async with database.write() as conn:
            await processes.gone(conn, "hung")
            await inbox.purge(conn, now + timedelta(seconds=1), 1000)
    for line in (
        'callwright_inbox_parked{reason="unknown_call"} 1.0',
        'callwright_inbox_parked{reason="failed"} 2.0',
        "callwright_silent_processes 1.0",
    ):
        assert line in text
    text = (await site.http.get("/metrics")).text
    assert 'callwright_inbox_parked{reason="failed"} 0.0' in text
    assert "callwright_silent_processes 0.0" in text


async def test_the_reference_is_one_page_that_loads_nothing(site: Site) -> None:
    page = await site.http.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"<(script|link|img|iframe)|@import|url\(", page.text)
    assert not [link for link in re.findall(r'href="([^"]*)"', page.text) if not link.startswith(("#", "/"))]
    for operations in site.document["paths"].values():
        for operation in operations.values():
            assert f'id="{operation["operationId"]}"' in page.text
    for link in set(re.findall(r'href="#([^"]*)"', page.text)):
        assert f'id="{link}"' in page.text, link


async def test_the_bare_address_leads_to_the_reference(site: Site) -> None:
    response = await site.http.get("/")
    assert (response.status_code, response.headers["location"]) == (307, "/docs")
