"""The database: opened by URL, written to in short transactions, migrated to the newest schema."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, cast

import psycopg
from sqlalchemy import ColumnElement, Engine, Interval, delete, event, func, literal, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.schema import Table

from callwright.domain.errors import ConfigurationError, Problem
from callwright.ports.clock import Clock
from callwright.storage.cipher import Cipher
from callwright.storage.columns import Moment, to_json

SQLITE_FILE = "app.db"
WAIT_S = 30
"""Longest wait for a turn to write, a pooled connection, or a lock of the database, in seconds."""

QUIET: dict[str, Any] = {"hide_parameters": True}
"""What every engine is created with: numbers, names and tokens do not belong into the text of an error."""

_PING_S = 5
_SQLITE_READERS = 4
_POSTGRES_POOL = 10
_FACTS = "callwright"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the query functions need besides their connection."""

    clock: Clock
    cipher: Cipher


class Database:
    """One database; many of these, in many processes, may be open on it at once."""

    def __init__(self, url: URL, *, data_dir: Path, clock: Clock, cipher: Cipher) -> None:
        self.url = url
        self.data_dir = data_dir
        self.clock = clock
        self.cipher = cipher
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._turn = asyncio.Lock()
        self._writer, self._reader = self._engines(Facts(clock, cipher))

    @classmethod
    async def open(
        cls, url: str | None, *, data_dir: Path, clock: Clock, secret_key: str | None = None
    ) -> Self:
        """Open by URL, or the SQLite file of the data folder when it is empty; connects on first use.

        Raises ConfigurationError for a URL of another database and for an unusable key.
        """
        parsed = parse_url(url, data_dir)
        await asyncio.to_thread(_make_folders, parsed, data_dir)
        cipher = await asyncio.to_thread(Cipher.load, data_dir, secret_key)
        return cls(parsed, data_dir=data_dir, clock=clock, cipher=cipher)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write: committed on exit, rolled back on an error, never repeated.

        On SQLite it excludes every other writer from its start; PostgreSQL runs it as READ COMMITTED.
        """
        if not self.is_sqlite:
            async with self._writer.begin() as conn:
                yield conn
            return
        async with asyncio.timeout(WAIT_S):
            await self._turn.acquire()
        try:
            async with self._writer.begin() as conn:
                yield conn
        finally:
            self._turn.release()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads; it waits for no writer."""
        async with self._reader.begin() as conn:
            yield conn

    async def lock(self, conn: AsyncConnection, name: str) -> None:
        """Hold a named lock until the transaction ends."""
        await lock(conn, name)

    async def migrate(self) -> None:
        """Bring the schema to the newest revision; of several processes one does it while others wait."""
        await asyncio.to_thread(_migrate, self.url)

    async def ping(self) -> None:
        """Ask the database for a sign of life; raises within 5 s when there is none."""
        async with asyncio.timeout(_PING_S), self._reader.connect() as conn:
            await conn.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self._writer.dispose()
        await self._reader.dispose()

    def _engines(self, facts: Facts) -> tuple[AsyncEngine, AsyncEngine]:
        common: dict[str, Any] = {
            "json_serializer": to_json,
            "execution_options": {_FACTS: facts},
            "pool_timeout": WAIT_S,
            **QUIET,
        }
        if self.is_sqlite:
            writer = create_async_engine(self.url, pool_size=1, max_overflow=0, **common)
            _prepare_sqlite(writer, begin="BEGIN IMMEDIATE", query_only=False)
            reader = create_async_engine(self.url, pool_size=_SQLITE_READERS, max_overflow=0, **common)
            _prepare_sqlite(reader, begin="BEGIN", query_only=True)
            keep_values_out_of_errors(writer.sync_engine)
            keep_values_out_of_errors(reader.sync_engine)
            return writer, reader
        engine = create_async_engine(
            self.url,
            pool_size=_POSTGRES_POOL,
            max_overflow=_POSTGRES_POOL,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
            connect_args=postgres_arguments(self.url),
            **common,
        )
        keep_values_out_of_errors(engine.sync_engine)
        return engine, engine.execution_options(postgresql_readonly=True)


def parse_url(url: str | None, data_dir: Path) -> URL:
    """The database URL with our drivers in it; raises ConfigurationError for any other database."""
    if not url:
        return URL.create("sqlite+aiosqlite", database=str(data_dir / SQLITE_FILE))
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        remedy = "Write it as postgresql://user:password@host/name, or leave it empty for SQLite."
        raise ConfigurationError(Problem("DATABASE_URL", "is not a database URL.", remedy)) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _sqlite_url(parsed)
    if backend not in ("postgres", "postgresql"):
        remedy = "Use postgresql://..., or leave it empty for SQLite."
        raise ConfigurationError(Problem("DATABASE_URL", f"{backend} is not supported.", remedy))
    parsed = parsed.set(drivername="postgresql+psycopg")
    if "ssl" in parsed.query:  # asyncpg's name for libpq's sslmode
        mode = parsed.query["ssl"]
        parsed = parsed.difference_update_query(["ssl"]).update_query_dict({"sslmode": mode})
    return parsed


def _sqlite_url(parsed: URL) -> URL:
    if parsed.database in (None, "", ":memory:") or str(parsed.database).startswith("file:"):
        remedy = "Name a file: sqlite:////absolute/path/app.db"
        raise ConfigurationError(Problem("DATABASE_URL", "SQLite needs a file of its own.", remedy))
    return parsed.set(drivername="sqlite+aiosqlite")


def postgres_arguments(url: URL) -> dict[str, Any]:
    """Connection arguments that bound every wait at the server; options of the URL are kept."""
    ours = f"-c timezone=UTC -c lock_timeout={WAIT_S}s -c idle_in_transaction_session_timeout=60s"
    return {"options": _with_options(url, ours), "application_name": "callwright", "connect_timeout": 10}


_SERVER_KEEPALIVES = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3"
"""Its own default lets the server hold the locks of a machine that lost its power for two hours."""


def _with_options(url: URL, ours: str) -> str:
    given = url.query.get("options", "")
    return f"{ours} {given if isinstance(given, str) else ' '.join(given)}".strip()


async def connect_directly(url: URL, application: str) -> psycopg.AsyncConnection[Any]:
    """A connection of its own in autocommit, outside the pool; PostgreSQL only.

    Each side notices within some 20 s when the other is gone without a word.
    """
    conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return await psycopg.AsyncConnection.connect(
        conninfo,
        autocommit=True,
        options=_with_options(url, _SERVER_KEEPALIVES),
        application_name=application,
        connect_timeout=10,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
    )


def _make_folders(url: URL, data_dir: Path) -> None:
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True, mode=0o700)


def _prepare_sqlite(engine: AsyncEngine, *, begin: str, query_only: bool) -> None:
    """Let SQLAlchemy begin transactions itself, since sqlite3 would begin them late and deferred."""

    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {WAIT_S * 1000}")
        if not query_only:
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA query_only = {'ON' if query_only else 'OFF'}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "handle_error")
    def keep_when_cancelled(context: Any) -> None:
        # A connection thrown away in mid-statement would keep its lock until it is garbage collected; kept, its
        # rollback waits in the driver's thread for the statement to end.
        if isinstance(context.original_exception, asyncio.CancelledError):
            context.is_disconnect = False

    @event.listens_for(engine.sync_engine, "begin")
    def begin_transaction(connection: Any) -> None:
        connection.exec_driver_sql(begin)


_migrating = threading.Lock()
"""Alembic keeps its context in module globals: one migration at a time in a process."""


def _migrate(url: URL) -> None:
    # Imported here since only a process that starts needs it.
    from callwright.storage.migrations import upgrade  # noqa: PLC0415

    with _migrating:
        upgrade(url)


def lock_key(name: str) -> int:
    """The signed 64-bit key of a named advisory lock, the same in every process."""
    return int.from_bytes(hashlib.sha256(f"callwright:{name}".encode()).digest()[:8], "big", signed=True)


async def lock(conn: AsyncConnection, name: str) -> None:
    """Hold a named lock until the transaction ends; on SQLite writers exclude each other anyway."""
    if conn.dialect.name == "postgresql":
        await conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key(name)})


def now_of(conn: AsyncConnection, later: timedelta = timedelta()) -> ColumnElement[datetime]:
    """The database's own time, or that much later, for what machines whose clocks differ have to agree on."""
    if conn.dialect.name == "postgresql":
        return func.clock_timestamp() + literal(later, Interval())
    return literal(datetime.now(UTC) + later, Moment())


def keep_values_out_of_errors(engine: Engine) -> None:
    """Cut the driver's messages after their first line: PostgreSQL quotes values in the ones below."""

    @event.listens_for(engine, "handle_error")
    def cut(context: Any) -> None:
        if context.connection is None:
            return  # why the server cannot be reached is told whole
        for error in (context.original_exception, context.sqlalchemy_exception):
            if error is not None and error.args and isinstance(error.args[0], str):
                error.args = (error.args[0].partition("\n")[0], *error.args[1:])


def facts_of(conn: AsyncConnection) -> Facts:
    """The clock and cipher of the database that the connection belongs to."""
    return cast("Facts", conn.engine.sync_engine.get_execution_options()[_FACTS])


def insert_into(conn: AsyncConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT, in the words of the connection's database."""
    return sqlite.insert(table) if conn.dialect.name == "sqlite" else postgresql.insert(table)


async def changed(conn: AsyncConnection, statement: Any) -> int:
    """Execute an INSERT, UPDATE or DELETE; returns how many rows it wrote."""
    # SQLAlchemy forgets the count of an INSERT unless asked to keep it.
    result = await conn.execute(statement, execution_options={"preserve_rowcount": True})
    return result.rowcount


async def delete_some(conn: AsyncConnection, table: Table, limit: int, *where: ColumnElement[bool]) -> int:
    """Delete so many rows at most; returns how many. Who wants all goes on in a new transaction."""
    key = tuple(table.primary_key.columns)
    chosen = select(*key).where(*where).limit(limit).with_for_update(skip_locked=True)
    return await changed(conn, delete(table).where(tuple_(*key).in_(chosen)))
