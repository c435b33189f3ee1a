"""Dialling is held and released, and a finished call is written to the CRM again."""

import asyncio
import re

import pytest

from callwright.calls.gatekeeper import LOCK
from callwright.domain.states import CallState
from callwright.simulation.faults import Fault, FaultKind
from callwright.storage import holds
from tests.api.conftest import BUSY
from tests.api.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")

HOLD = "/api/v1/dialing/hold"


async def test_dialling_is_held_told_and_released(site: Site) -> None:
    free = {"held": False, "reason": None, "since": None}
    assert await site.expect(200, "GET", HOLD) == free
    held = await site.expect(200, "PUT", HOLD, json={"reason": "the office is closed"})
    try:
        assert (held["held"], held["reason"]) == (True, "the office is closed")
        assert await site.expect(200, "GET", HOLD) == held
        again = await site.expect(200, "PUT", HOLD, json={})
        assert (again["reason"], again["since"]) == ("no reason was given", held["since"])
        ready = await site.expect(200, "GET", "/ready")
        assert ready["held_since"] == held["since"]
        assert re.search(
            r"^callwright_dialing_held 1.0$", (await site.http.get("/metrics")).text, re.MULTILINE
        )
    finally:
        await site.expect(204, "DELETE", HOLD)
    await site.expect(204, "DELETE", HOLD)
    assert await site.expect(200, "GET", HOLD) == free
    assert (await site.expect(200, "GET", "/ready"))["held_since"] is None
    assert re.search(r"^callwright_dialing_held 0.0$", (await site.http.get("/metrics")).text, re.MULTILINE)


@pytest.mark.parametrize(
    "body", [{"reason": ""}, {"reason": "x" * 201}, {"reason": 1}, {"until": "later"}, []]
)
async def test_a_hold_needs_a_usable_reason(site: Site, body: object) -> None:
    await site.expect(422, "PUT", HOLD, json=body)
    assert (await site.expect(200, "GET", HOLD))["held"] is False


async def test_holding_needs_a_right_of_its_own(site: Site) -> None:
    """A key that places calls, as an integration's, must not lift what an operator has put on hold."""
    for scope in ("calls:read", "calls:write"):
        refused = await site.expect(403, "PUT", HOLD, json={}, scopes=(scope,))
        assert "dialing:hold" in refused["detail"]
        await site.expect(403, "DELETE", HOLD, scopes=(scope,))
    await site.expect(403, "GET", HOLD, scopes=("dialing:hold",))
    await site.expect(200, "PUT", HOLD, json={}, scopes=("dialing:hold",))
    await site.expect(204, "DELETE", HOLD, scopes=("dialing:hold",))


async def test_nobody_is_dialled_by_a_decision_from_before_the_hold(site: Site) -> None:
    """Who looked before the hold and commits after it would dial: so the hold waits for whoever decides."""
    app = site.stage.app
    held: asyncio.Task[object] | None = None
    try:
        async with app.database.write() as conn:
            await app.database.lock(conn, LOCK)
            assert await holds.find(conn, holds.DIALING) is None
            held = asyncio.create_task(app.calls.hold("now"))
            await asyncio.wait({held}, timeout=1)
            assert not held.done()
        await held
    finally:
        if held is not None:
            await asyncio.wait({held})
        await app.calls.release()


async def test_a_call_waits_while_dialling_is_held(site: Site) -> None:
    await site.expect(200, "PUT", HOLD, json={"reason": "test"})
    try:
        call = await site.create_call(phone=BUSY, not_before=None)
        waiting = await site.expect(200, "GET", f"/api/v1/calls/{call['id']}")
    finally:
        await site.expect(204, "DELETE", HOLD)
        released_at = site.stage.app.clock.now()
    assert waiting["state"] in {"queued", "preparing"}
    ended = await site.stage.until(call["id"])
    assert ended.dialed_at is not None
    assert ended.dialed_at >= released_at


async def test_what_the_crm_refused_is_written_again(site: Site) -> None:
    site.stage.crm.faults.add(Fault("POST /crm/v8/Calls", FaultKind.STATUS, status=400, body={}))
    record = site.stage.record_of[BUSY]
    call = await site.expect(201, "POST", "/api/v1/calls", json={"agent": "test-agent", "record": record})
    path = f"/api/v1/calls/{call['id']}/crm"
    before = await site.stage.until(call["id"])
    assert before.crm_state == "partly", await site.stage.story(call["id"])
    logged = len(site.stage.crm.calls_logged)

    await site.expect(403, "POST", path, scopes=("calls:read",))
    again = await site.expect(202, "POST", path)
    assert again["id"] == call["id"]
    after = await site.stage.until_row(
        call["id"], lambda row: row.state is CallState.DONE and row.crm_state == "written"
    )
    assert after.end_reason == before.end_reason
    assert len(site.stage.crm.calls_logged) == logged + 1
    problem = await site.expect(409, "POST", path)
    assert "has taken all" in problem["detail"]


async def test_what_cannot_be_written_again_is_told(site: Site) -> None:
    await site.expect(404, "POST", "/api/v1/calls/067a/crm")
    call = await site.create_call()
    problem = await site.expect(409, "POST", f"/api/v1/calls/{call['id']}/crm")
    assert "has no CRM record" in problem["detail"]
