"""Suppressions, agents, API keys and idempotency keys."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from callwright.domain.agent import AgentDefinition, parse_agent
from callwright.domain.errors import Conflict, InvalidInput
from callwright.storage import agents, api_keys, idempotency, suppressions
from callwright.storage.database import Database
from callwright.storage.idempotency import KeyReused, Remembered
from tests.databases import OpenDatabase
from tests.storage.samples import NOON, PHONE

HOUR = timedelta(hours=1)


def a_definition(**changes: Any) -> AgentDefinition:
    agent = {
        "name": "survey",
        "carrier": "acme",
        "caller_id": "+442079460000",
        "engine": {"platform": "talker", "agent_id": "a1"},
        "retry": {"busy": {"after_s": 600}},
    }
    return parse_agent({**agent, **changes})


async def test_a_suppressed_number_is_found_until_it_expires(database: Database) -> None:
    async with database.write() as conn:
        await suppressions.add(
            conn, PHONE, reason="asked", source="call", now=NOON, expires_at=NOON + HOUR, evidence="call_1"
        )
        found = await suppressions.find(conn, PHONE, NOON)
        assert found is not None
        assert (found.reason, found.source, found.evidence) == ("asked", "call", "call_1")
        assert await suppressions.find(conn, PHONE, NOON + HOUR) is None
        assert await suppressions.find(conn, "+442079460001", NOON) is None
        assert await suppressions.listing(conn, NOON) == [found]
        assert await suppressions.listing(conn, NOON, after=PHONE) == []
        assert await suppressions.listing(conn, NOON + HOUR) == []
        assert await suppressions.purge(conn, NOON + 2 * HOUR, 9) == 1


async def test_nothing_shortens_a_suppression_but_its_removal(database: Database) -> None:
    async with database.write() as conn:
        await suppressions.add(conn, PHONE, reason="for ever", source="import", now=NOON)
        standing = await suppressions.add(
            conn, PHONE, reason="a day", source="call", now=NOON, expires_at=NOON + HOUR
        )
        assert standing.reason == "for ever"
        found = await suppressions.find(conn, PHONE, NOON + 1000 * HOUR)
        assert found == standing
        assert await suppressions.remove(conn, PHONE)
        assert not await suppressions.remove(conn, PHONE)
        assert await suppressions.find(conn, PHONE, NOON) is None


@pytest.mark.parametrize("phone", ["", "0207 946 0000", "+44 207", "tel:+442079460000"])
async def test_only_e164_is_suppressed(database: Database, phone: str) -> None:
    async with database.write() as conn:
        with pytest.raises(InvalidInput, match=r"E\.164"):
            await suppressions.add(conn, phone, reason="r", source="s", now=NOON)


async def test_the_same_agent_keeps_its_version(database: Database) -> None:
    one, two = a_definition(), a_definition(description="changed")
    async with database.write() as conn:
        assert await agents.put(conn, one) == 1
        assert await agents.put(conn, one) == 1
        assert await agents.put(conn, two) == 2
        assert await agents.put(conn, one) == 3, "an older content is a new version"
        assert await agents.get(conn, "survey") == (3, one)
        assert await agents.get(conn, "survey", 2) == (2, two)
        assert await agents.get(conn, "survey", 9) is None
        assert await agents.get(conn, "none") is None


async def test_an_archived_agent_serves_only_calls_that_have_its_version(database: Database) -> None:
    agent = a_definition()
    async with database.write() as conn:
        await agents.put(conn, agent)
        await agents.put(conn, a_definition(name="other"))
        assert await agents.archive(conn, "survey")
        assert not await agents.archive(conn, "survey")
        assert await agents.get(conn, "survey") is None
        assert await agents.get(conn, "survey", 1) == (1, agent)
        assert [found.name for _, found in await agents.listing(conn)] == ["other"]
        assert await agents.put(conn, agent) == 1, "putting it again brings it back"
        assert await agents.get(conn, "survey") == (1, agent)
        assert [found.name for _, found in await agents.listing(conn)] == ["other", "survey"]


async def test_agents_put_at_once_get_different_versions(
    database: Database, open_database: OpenDatabase
) -> None:
    databases = [database, await open_database()]

    async def put(number: int) -> int:
        async with databases[number % 2].write() as conn:
            return await agents.put(conn, a_definition(description=str(number)))

    assert sorted(await asyncio.gather(*(put(number) for number in range(8)))) == list(range(1, 9))


async def test_a_key_is_known_by_its_hash_only(database: Database) -> None:
    async with database.write() as conn:
        key, secret = await api_keys.create(conn, "crm", ["calls", "agents", "calls"], NOON)
        assert secret.startswith("cw_")
        assert len(secret) == 3 + 43
        row = (await conn.execute(text("SELECT * FROM api_keys"))).one()
        assert secret not in str(row)
        assert key.scopes == ("agents", "calls")
        assert await api_keys.verify(conn, secret) == key
        for wrong in ("", "cw_", secret[:-1], secret + "x", secret[3:], "cw_\ud800"):
            assert await api_keys.verify(conn, wrong) is None


async def test_a_key_is_touched_by_the_minute_and_revoked_at_once(database: Database) -> None:
    async with database.write() as conn:
        key, secret = await api_keys.create(conn, "crm", [], NOON)
        assert key.due_for_touch(NOON)
        await api_keys.touch(conn, key.id, NOON)
        await api_keys.touch(conn, key.id, NOON + timedelta(seconds=59))
        (used,) = await api_keys.listing(conn)
        assert used.last_used_at == NOON
        assert not used.due_for_touch(NOON + timedelta(seconds=59))
        assert used.due_for_touch(NOON + timedelta(seconds=60))
        assert await api_keys.revoke(conn, key.id, NOON)
        assert not await api_keys.revoke(conn, key.id, NOON)
        assert await api_keys.verify(conn, secret) is None
        assert (await api_keys.listing(conn))[0].revoked_at == NOON


async def test_a_repeated_request_gets_the_first_answer(database: Database) -> None:
    async with database.write() as conn:
        assert await idempotency.claim(conn, "k", "key_1", "h1", NOON) is None
        with pytest.raises(Conflict, match="no answer yet"):
            await idempotency.claim(conn, "k", "key_1", "h1", NOON)
        await idempotency.remember(conn, "k", "key_1", response={"id": "c"}, attempt_id="c")
        assert await idempotency.claim(conn, "k", "key_1", "h1", NOON) == Remembered("c", {"id": "c"})
        assert await idempotency.claim(conn, "k", "key_2", "h1", NOON) is None
        with pytest.raises(KeyReused):
            await idempotency.claim(conn, "k", "key_1", "h2", NOON)
        assert await idempotency.claim(conn, "k", "key_1", "h2", NOON + 24 * HOUR) is None
        assert await idempotency.claim(conn, "k", "key_3", "h1", NOON) is None
        assert await idempotency.purge(conn, NOON + 24 * HOUR, 1) == 1, "no more than it was asked to"
        assert await idempotency.purge(conn, NOON + 24 * HOUR, 9) == 1


async def test_of_repeated_requests_at_once_one_is_answered_anew(
    database: Database, open_database: OpenDatabase
) -> None:
    databases = [database, await open_database()]
    made: list[int] = []

    async def request(number: int) -> Any:
        async with databases[number % 2].write() as conn:
            known = await idempotency.claim(conn, "k", "o", "h", NOON)
            if known is not None:
                return known.response
            made.append(number)
            await asyncio.sleep(0.05)
            await idempotency.remember(conn, "k", "o", response={"made": number})
            return {"made": number}

    answers = await asyncio.gather(*(request(number) for number in range(10)))
    assert len(made) == 1
    assert answers == [{"made": made[0]}] * 10
