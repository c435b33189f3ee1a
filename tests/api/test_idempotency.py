"""The same Idempotency-Key gives the same call: again, at once, after a crash, and never to somebody else."""

import asyncio
import uuid

import pytest

from callwright.api.idempotency import _fingerprint
from callwright.api.requests import CallRequest
from callwright.storage import api_keys, idempotency
from tests.api.site import LATER, Site

pytestmark = pytest.mark.asyncio(loop_scope="package")

CALL = {"agent": "test-agent", "phone": "+447700900779", "not_before": LATER}


def fresh() -> dict[str, str]:
    return {"idempotency-key": uuid.uuid4().hex}


async def count(site: Site, phone: str) -> int:
    page = await site.expect(200, "GET", "/api/v1/calls", params={"phone": phone, "limit": 200})
    return len(page["items"])


async def test_a_repeat_gets_the_same_answer(site: Site) -> None:
    headers = fresh()
    first = await site.ask("POST", "/api/v1/calls", json=CALL, headers=headers)
    # The same content in another order and another writing of the same moment.
    again = {"not_before": "2099-01-01T10:00:00+00:00", **{name: CALL[name] for name in ("phone", "agent")}}
    second = await site.ask("POST", "/api/v1/calls", json=again, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first.headers["location"] == second.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"


async def test_the_answer_stays_the_same_when_the_call_has_changed(site: Site) -> None:
    headers = fresh()
    first = await site.expect(201, "POST", "/api/v1/calls", json=CALL, headers=headers)
    await site.expect(202, "POST", f"/api/v1/calls/{first['id']}/hang-up")
    assert await site.expect(201, "POST", "/api/v1/calls", json=CALL, headers=headers) == first


async def test_another_body_under_the_key_is_refused(site: Site) -> None:
    headers = fresh()
    await site.expect(201, "POST", "/api/v1/calls", json=CALL, headers=headers)
    other = {**CALL, "tags": {"a": "b"}}
    problem = await site.expect(422, "POST", "/api/v1/calls", json=other, headers=headers)
    assert problem["type"] == "/problems/idempotency-key-reused"


async def test_keys_of_others_do_not_meet(site: Site) -> None:
    headers = fresh()
    mine = await site.expect(201, "POST", "/api/v1/calls", json=CALL, headers=headers)
    theirs = await site.expect(
        201, "POST", "/api/v1/calls", json=CALL, headers=headers, scopes=("calls:write",)
    )
    assert mine["id"] != theirs["id"]


async def test_many_at_once_make_one_call(site: Site) -> None:
    headers = fresh()
    phone = "+447700900780"
    body = {**CALL, "phone": phone}
    answers = await asyncio.gather(
        *(site.ask("POST", "/api/v1/calls", json=body, headers=headers) for _ in range(8))
    )
    made = [answer for answer in answers if answer.status_code == 201]
    busy = [answer for answer in answers if answer.status_code == 409]
    assert made
    assert len(made) + len(busy) == 8
    assert len({answer.json()["id"] for answer in made}) == 1
    assert all(answer.json()["type"] == "/problems/idempotency-key-in-progress" for answer in busy)
    assert all(answer.headers["retry-after"] == "1" for answer in busy)
    assert await count(site, phone) == 1


async def test_a_crash_between_claim_and_answer_does_not_block_the_repeat(site: Site) -> None:
    phone = "+447700900781"
    body = CallRequest.model_validate({**CALL, "phone": phone})
    headers = fresh()
    secret = await site.key("calls:write", "calls:read")
    app = site.stage.app
    async with app.database.read() as conn:
        key = await api_keys.verify(conn, secret)
    assert key is not None
    async with app.database.write() as conn:
        claimed = await idempotency.claim(
            conn, headers["idempotency-key"], key.id, _fingerprint(body), app.clock.now()
        )
    assert claimed is None  # and now the process dies

    ids = set()
    for _ in range(2):
        made = await site.expect(
            201, "POST", "/api/v1/calls", json={**CALL, "phone": phone}, headers=headers, key=secret
        )
        ids.add(made["id"])
    assert len(ids) == 1
    assert await count(site, phone) == 1


async def test_a_refused_request_may_be_repeated(site: Site) -> None:
    headers = fresh()
    body = {**CALL, "agent": "comes-later"}
    for _ in range(2):
        await site.expect(404, "POST", "/api/v1/calls", json=body, headers=headers)


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_impossible_keys_are_refused(site: Site, key: str) -> None:
    problem = await site.expect(422, "POST", "/api/v1/calls", json=CALL, headers={"idempotency-key": key})
    assert problem["errors"][0]["where"] == "header idempotency-key"
