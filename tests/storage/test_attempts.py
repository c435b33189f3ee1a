import asyncio
from dataclasses import fields, replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from callwright.domain.attempt import Attempt, CrmReference
from callwright.domain.errors import ConfigurationError, Conflict, InvalidInput
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import CallState
from callwright.storage import attempts, processes
from callwright.storage.attempts import NumberBusy
from callwright.storage.database import Database
from callwright.storage.schema import metadata
from tests.databases import OpenDatabase
from tests.storage.samples import NOON, PHONE, an_attempt, stored

OTHER_PHONE = "+447700900999"


def test_the_table_mirrors_the_attempt() -> None:
    names = {field.name for field in fields(Attempt)} - {"crm"} | {
        "crm_system",
        "crm_module",
        "crm_record_id",
        "words_deleted_of",
    }
    assert {column.name for column in metadata.tables["attempts"].columns} == names


async def test_every_field_comes_back(database: Database) -> None:
    attempt = await stored(
        database,
        crm=CrmReference("acme-crm", "Leads", "42"),
        variables={"name": "Ann", "n": 1},
        carrier_data={"a": [1, {"b": None}]},
        agent_ticket={"signed_url": "wss://secret"},
        dialed_at=NOON,
        answered_at=NOON + timedelta(seconds=5),
        first_word_ms=612.5,
        end_reason=EndReason.COMPLETED,
        hang_up_by=HangUpBy.AGENT,
        hang_up_requested=True,
        collected={"city": "Bath"},
        missing=["age"],
        successful=True,
        tags={"k": "v"},
    )
    async with database.read() as conn:
        assert await attempts.get(conn, attempt.id) == attempt
        assert await attempts.get(conn, attempt.id, for_update=False) == attempt
        assert await attempts.get(conn, "none") is None


async def test_the_agent_ticket_is_encrypted_at_rest(database: Database, open_database: OpenDatabase) -> None:
    attempt = await stored(database, agent_ticket={"signed_url": "wss://secret"})
    async with database.read() as conn:
        column = (await conn.execute(text("SELECT agent_ticket FROM attempts"))).scalar_one()
    assert "secret" not in column
    stranger = await open_database(secret_key="another key that is long enough to be one")
    async with stranger.read() as conn:
        with pytest.raises(ConfigurationError, match=r"agent ticket .* cannot be decrypted .* SECRET_KEY"):
            await attempts.get(conn, attempt.id)


async def test_an_id_is_stored_once(database: Database) -> None:
    attempt = await stored(database)
    async with database.write() as conn:
        with pytest.raises(Conflict):
            await attempts.insert(conn, attempt)


async def test_save_writes_only_over_the_revision_it_has_seen(database: Database) -> None:
    first = await stored(database)
    async with database.write() as conn:
        second = await attempts.save(
            conn, first, state=CallState.PREPARING, crm=CrmReference("s", "m", "r"), agent_ticket={"t": 1}
        )
    assert second.revision == first.revision + 1
    async with database.write() as conn:
        with pytest.raises(Conflict, match="somebody else"):
            await attempts.save(conn, first, summary="late")
        await attempts.save(conn, second, summary="the transaction goes on")
    async with database.read() as conn:
        loaded = await attempts.get(conn, first.id, for_update=False)
    assert loaded == replace(second, summary="the transaction goes on", revision=3)


async def test_a_field_that_does_not_exist_is_an_error(database: Database) -> None:
    attempt = await stored(database)
    async with database.write() as conn:
        with pytest.raises(TypeError):
            await attempts.save(conn, attempt, no_such_field=1)


async def test_one_attempt_per_number_is_in_flight(database: Database) -> None:
    first, second = await stored(database), await stored(database)
    async with database.write() as conn:
        first = await attempts.save(conn, first, state=CallState.PREPARING)
        with pytest.raises(NumberBusy, match="700900123"):
            await attempts.save(conn, second, state=CallState.PREPARING)
        with pytest.raises(NumberBusy):
            await attempts.insert(conn, an_attempt(state=CallState.DIALING))
        assert await attempts.in_flight(conn, PHONE) == first.id
        assert await attempts.in_flight(conn, PHONE, but=first.id) is None
        assert await attempts.count_in_progress(conn) == 1
        first = await attempts.save(conn, first, state=CallState.ENDED)
        await attempts.save(conn, second, state=CallState.PREPARING)


async def test_a_number_that_becomes_known_in_flight_is_locked_too(database: Database) -> None:
    first = await stored(database, state=CallState.PREPARING, phone="")
    second = await stored(database, state=CallState.PREPARING, phone="")
    async with database.write() as conn:
        await attempts.save(conn, first, phone=PHONE)
        with pytest.raises(NumberBusy):
            await attempts.save(conn, second, phone=PHONE)
        assert await attempts.in_flight(conn, "") is None


async def test_of_many_processes_one_gets_the_number(database: Database, open_database: OpenDatabase) -> None:
    waiting = [await stored(database) for _ in range(20)]
    processes = [database, await open_database()]

    async def start(index: int) -> bool:
        try:
            async with processes[index % 2].write() as conn:
                await attempts.save(conn, waiting[index], state=CallState.PREPARING)
        except NumberBusy:
            return False
        return True

    assert sum(await asyncio.gather(*(start(index) for index in range(20)))) == 1


async def test_attempts_are_found_by_the_ids_of_vendors(database: Database) -> None:
    attempt = await stored(database, carrier_call_id="c1", conversation_id="v1")
    await stored(database, carrier="other", engine="other", carrier_call_id="c1", conversation_id="v1")
    async with database.read() as conn:
        assert await attempts.by_carrier_call(conn, "acme", "c1") == attempt
        assert await attempts.by_conversation(conn, "talker", "v1") == attempt
        assert await attempts.by_carrier_call(conn, "acme", "v1") is None


async def test_due_and_states(database: Database) -> None:
    late = await stored(database, not_before=NOON - timedelta(hours=1))
    now = await stored(database)
    await stored(database, not_before=NOON + timedelta(microseconds=1))
    talking = await stored(
        database, state=CallState.TALKING, owner="p1", not_before=NOON - timedelta(hours=2)
    )
    async with database.read() as conn:
        assert await attempts.due(conn, NOON, 10) == [late.id, now.id]
        assert await attempts.due(conn, NOON, 1) == [late.id]
        assert await attempts.in_states(conn, {CallState.TALKING, CallState.RINGING}, limit=9) == [talking]
        assert await attempts.in_states(conn, [CallState.TALKING], owner="p2", limit=9) == []
        assert await attempts.in_states(conn, [CallState.TALKING], owner="p1", limit=9) == [talking]


async def test_search_pages_newest_first(database: Database) -> None:
    made = [
        # Pairs share a moment, so that the cursor has to tell them apart by id.
        await stored(database, created_at=NOON + timedelta(seconds=number // 2))
        for number in range(7)
    ]
    expected = sorted(made, key=lambda attempt: (attempt.created_at, attempt.id), reverse=True)
    seen, cursor = [], None
    while True:
        async with database.read() as conn:
            page, cursor = await attempts.search(conn, limit=2, cursor=cursor)
        seen += page
        if cursor is None:
            break
    assert seen == expected


async def test_search_filters(database: Database) -> None:
    one = await stored(
        database,
        agent_name="a",
        phone=OTHER_PHONE,
        state=CallState.DONE,
        end_reason=EndReason.BUSY,
        crm=CrmReference("s", "m", "r1"),
        created_at=NOON + timedelta(hours=1),
    )
    await stored(database)
    async with database.read() as conn:
        for wanted in (
            {"state": CallState.DONE},
            {"phone": OTHER_PHONE},
            {"agent": "a"},
            {"outcome": EndReason.BUSY},
            {"crm_record": "r1"},
            {"since": NOON + timedelta(hours=1)},
            {"state": CallState.DONE, "agent": "a", "phone": None},
        ):
            assert await attempts.search(conn, **wanted) == ([one], None), wanted
        assert await attempts.search(conn, agent="a", state=CallState.QUEUED) == ([], None)
        assert len((await attempts.search(conn, before=NOON + timedelta(hours=1)))[0]) == 1


@pytest.mark.parametrize("cursor", ["x", "é", "AAAA", "MjAyNg==", "bm9uc2Vuc2UgeA=="])
async def test_a_strange_cursor_is_refused(database: Database, cursor: str) -> None:
    async with database.read() as conn:
        with pytest.raises(InvalidInput, match="cursor"):
            await attempts.search(conn, cursor=cursor)


async def test_calls_of_processes_that_do_not_run_are_orphans(database: Database) -> None:
    async with database.write() as conn:
        for process_id in ("lives", "stopped"):
            await processes.announce(conn, process_id, slot=process_id, media_url="")
        await processes.gone(conn, "stopped")
    owners = {"lives": "01", "stopped": "02", "unknown": "03", None: "04"}
    for owner, number in owners.items():
        await stored(database, id=number, owner=owner, state=CallState.PLACED, phone=f"+4477009000{number}")
    await stored(database, id="05", owner="stopped", state=CallState.QUEUED, phone="+447700900005")
    async with database.read() as conn:
        found = await attempts.orphaned(conn, [CallState.PLACED, CallState.TALKING], limit=10)
        assert [attempt.id for attempt in found] == ["02", "03", "04"]
        assert len(await attempts.orphaned(conn, [CallState.PLACED], limit=2)) == 2


async def test_a_process_that_starts_while_orphans_are_sought_is_not_taken_for_dead(
    database: Database, open_database: OpenDatabase
) -> None:
    """Between any two statements of the search another process is announced and places a call."""
    other = await open_database()
    if database.is_sqlite:
        pytest.skip("SQLite has one process")
    placed: list[str] = []

    async def place() -> None:
        async with other.write() as conn:
            process_id = f"p{len(placed)}"
            await processes.announce(conn, process_id, slot=process_id, media_url="")
            placed.append(process_id)
            phone = f"+4477009001{len(placed):02}"
            await attempts.insert(conn, an_attempt(owner=process_id, state=CallState.PLACED, phone=phone))

    async def find() -> list[Attempt]:
        async with database.read() as conn:
            return await attempts.orphaned(conn, [CallState.PLACED], limit=10)

    stop = asyncio.Event()

    async def keep_placing() -> None:
        while not stop.is_set() and len(placed) < 90:
            await place()

    placing = asyncio.create_task(keep_placing())
    for _ in range(60):
        assert await find() == []
    stop.set()
    await placing
    assert placed
