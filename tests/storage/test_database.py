import asyncio
import re
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, StatementError

from callwright.domain.errors import ConfigurationError
from callwright.ports.clock import SystemClock
from callwright.storage import attempts, rates
from callwright.storage.database import Database, parse_url
from callwright.storage.dbos_engine import engine_for
from callwright.storage.migrations import configuration, upgrade
from callwright.storage.schema import attempts as attempts_table
from callwright.storage.schema import metadata
from tests.databases import SECRET_KEY, OpenDatabase
from tests.storage.samples import NOON, an_attempt, stored


@pytest.mark.parametrize(
    "given,rendered",
    [
        ("", "sqlite+aiosqlite:////data/app.db"),
        ("sqlite:////x/y.db", "sqlite+aiosqlite:////x/y.db"),
        ("postgres://u:p@h/d", "postgresql+psycopg://u:***@h/d"),
        ("postgresql://u:p@h:5/d", "postgresql+psycopg://u:***@h:5/d"),
        ("postgresql+asyncpg://u:p@h/d?ssl=require", "postgresql+psycopg://u:***@h/d?sslmode=require"),
    ],
)
def test_urls_get_our_drivers(given: str, rendered: str) -> None:
    assert str(parse_url(given, Path("/data"))) == rendered


@pytest.mark.parametrize("url", ["mysql://h/d", "nonsense", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused_with_what_to_do(url: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        parse_url(url, Path("/data"))


async def test_sqlite_is_durable_and_strict(tmp_path: Path) -> None:
    database = await Database.open("", data_dir=tmp_path / "new", clock=SystemClock())
    try:
        await database.migrate()
        async with database.write() as conn:
            pragmas = {
                name: (await conn.execute(text(f"PRAGMA {name}"))).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
        assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30000}
        assert (tmp_path / "new" / "app.db").exists()
        assert (tmp_path / "new" / "secret.key").stat().st_mode & 0o777 == 0o600
    finally:
        await database.close()


async def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    attempt = an_attempt()

    async def fail_late() -> None:
        async with database.write() as conn:
            await attempts.insert(conn, attempt)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_late()
    async with database.read() as conn:
        assert await attempts.get(conn, attempt.id) is None


async def test_a_cancelled_writer_lets_the_next_one_write(database: Database) -> None:
    inside = asyncio.Event()

    async def never_ends() -> None:
        async with database.write() as conn:
            await attempts.insert(conn, an_attempt())
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(never_ends())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(5):
        await stored(database)
    async with database.read() as conn:
        found, _ = await attempts.search(conn)
    assert len(found) == 1


async def test_reading_waits_for_no_writer_and_cannot_write(database: Database) -> None:
    async with asyncio.timeout(5), database.write() as writing:
        await attempts.insert(writing, an_attempt())
        async with database.read() as reading:
            assert (await attempts.search(reading))[0] == []

    async def write_while_reading() -> None:
        async with database.read() as conn:
            await attempts.insert(conn, an_attempt())

    with pytest.raises(DBAPIError):
        await write_while_reading()


async def test_moments_come_back_aware_and_in_utc(database: Database) -> None:
    local = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    attempt = await stored(database, not_before=local)
    async with database.read() as conn:
        loaded = await attempts.get(conn, attempt.id)
    assert loaded is not None
    assert loaded.not_before == NOON
    assert loaded.not_before.utcoffset() == timedelta(0)


async def test_naive_moments_are_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="no time zone"):
        await stored(database, not_before=NOON.replace(tzinfo=None))


async def test_text_that_postgresql_refuses_is_stored_readably(database: Database) -> None:
    attempt = await stored(database, summary="a\0b \ud800 é", variables={"x": "\0\ud800"})
    async with database.read() as conn:
        loaded = await attempts.get(conn, attempt.id)
        assert await attempts.get(conn, "no\0such") is None
    assert loaded is not None
    assert loaded.summary == "a\ufffdb \ufffd é"
    assert loaded.variables == {"x": "\0\ud800"}


async def test_metadata_and_migrations_agree(database: Database) -> None:
    def differences(conn: Connection) -> list[object]:
        context = MigrationContext.configure(
            conn, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, metadata))

    async with database.read() as conn:
        assert await conn.run_sync(differences) == []


async def test_migrations_write_the_same_statements_as_the_metadata(tmp_path: Path) -> None:
    by_migration = parse_url(f"sqlite:///{tmp_path / 'a.db'}", tmp_path)
    upgrade(by_migration)
    engines = [create_engine(f"sqlite:///{tmp_path / name}") for name in ("a.db", "b.db")]
    metadata.create_all(engines[1])
    written = []
    for engine in engines:
        with engine.connect() as conn:
            rows = conn.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
            # The order of constraints has no meaning and differs.
            statements = {name: sorted(re.split(r"\s*[(),]\s*", sql)) for name, sql in rows}
        statements.pop("alembic_version", None)
        written.append(statements)
        engine.dispose()
    assert written[0] == written[1]


async def test_migrating_again_and_in_parallel_is_harmless(open_database: OpenDatabase) -> None:
    databases = [await open_database() for _ in range(3)]
    await asyncio.gather(*(database.migrate() for database in databases))
    await databases[0].migrate()
    await databases[0].ping()


async def test_a_schema_of_a_newer_version_is_refused(database: Database) -> None:
    async with database.write() as conn:
        await conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="newest version"):
        await database.migrate()


def test_revisions_have_one_head() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as conn:
        assert len(ScriptDirectory.from_config(configuration(conn)).get_heads()) == 1
    engine.dispose()


async def test_a_named_lock_excludes_others(open_database: OpenDatabase, database: Database) -> None:
    other = await open_database()
    order: list[str] = []

    async def second() -> None:
        async with other.write() as conn:
            await other.lock(conn, "name")
            order.append("second")

    async with database.write() as conn:
        await database.lock(conn, "name")
        task = asyncio.create_task(second())
        await asyncio.sleep(0.2)
        order.append("first")
    await task
    assert order == ["first", "second"]


async def test_fifty_writers_at_once(database: Database) -> None:
    waits: list[float] = []

    async def one() -> None:
        async with database.write() as conn:
            waits.append(await rates.reserve(conn, "scope", NOON, 1.0, 1))

    await asyncio.gather(*(one() for _ in range(50)))
    assert sorted(waits) == [float(second) for second in range(50)]


async def test_connections_that_the_server_dropped_are_made_anew(
    database: Database, open_database: OpenDatabase
) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has no connections to drop")
    attempt = await stored(database)
    other = await open_database()
    async with other.write() as conn:
        await conn.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        )
    await database.ping()
    async with database.read() as conn:
        assert await attempts.get(conn, attempt.id) == attempt
    await stored(database)


async def test_an_error_of_the_database_shows_no_values(database: Database) -> None:
    attempt = await stored(database, phone="+447700900777", summary="said in confidence")
    values = {"id": attempt.id, "summary": "said in confidence"}
    with pytest.raises(IntegrityError) as caught:
        async with database.write() as conn:
            await conn.execute(attempts_table.insert().values(**values))
    for shown in (str(caught.value), repr(caught.value), str(caught.value.orig)):
        assert "confidence" not in shown
        assert attempt.id not in shown


async def test_an_error_of_the_engine_below_the_workflows_shows_no_values(database: Database) -> None:
    engine = engine_for(database)
    try:
        with engine.begin() as conn:
            conn.execute(text("CREATE TABLE secrets_of_people (phone text PRIMARY KEY)"))
            insert = text("INSERT INTO secrets_of_people VALUES (:phone)")
            conn.execute(insert, {"phone": "+447700900777"})
        with pytest.raises(IntegrityError) as caught, engine.begin() as conn:
            conn.execute(insert, {"phone": "+447700900777"})
    finally:
        engine.dispose()
    for shown in (str(caught.value), repr(caught.value), str(caught.value.orig)):
        assert "7700900777" not in shown


async def test_a_server_that_is_away_is_told_whole(tmp_path: Path) -> None:
    database = await Database.open(
        "postgresql://nobody@127.0.0.1:9/none", data_dir=tmp_path, clock=SystemClock(), secret_key=SECRET_KEY
    )
    with pytest.raises(OperationalError, match="Is the server running"):
        await database.ping()
    await database.close()
