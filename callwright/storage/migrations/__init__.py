"""Schema revisions, run by alembic; each database is brought from any revision to the newest."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import URL, Connection

from callwright.domain.errors import ConfigurationError, Problem
from callwright.storage.database import QUIET, keep_values_out_of_errors

_LOCK = "SELECT pg_advisory_xact_lock(4733812216087121773)"
_WAIT_S = 120


def upgrade(url: URL) -> None:
    """Run every revision that is missing, in one transaction that other processes wait for.

    Raises ConfigurationError when the database was written by a newer version of Callwright.
    """
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url.set(drivername="sqlite+pysqlite"), **QUIET)
        event.listen(engine, "connect", _connect_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        arguments = {"options": f"-c lock_timeout={_WAIT_S}s", "connect_timeout": 10}
        engine = create_engine(url, connect_args=arguments, **QUIET)
    keep_values_out_of_errors(engine)
    try:
        with engine.begin() as conn:
            if conn.dialect.name == "postgresql":
                conn.execute(text(_LOCK))
            _run(conn)
            if conn.dialect.name == "sqlite" and conn.execute(text("PRAGMA foreign_key_check")).first():
                raise ConfigurationError(Problem(str(url.database), "has rows that refer to missing rows."))
    finally:
        engine.dispose()


def configuration(conn: Connection) -> Config:
    """Alembic's configuration for a connection whose transaction the caller owns."""
    config = Config(attributes={"connection": conn})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _run(conn: Connection) -> None:
    try:
        command.upgrade(configuration(conn), "head")
    except CommandError as error:
        remedy = "Run the newest version of Callwright that has been used with it, or a newer one."
        raise ConfigurationError(Problem("DATABASE_URL", f"unknown schema: {error}.", remedy)) from error


def _connect_sqlite(connection: Any, _record: Any) -> None:
    """Foreign keys are off while tables are rebuilt, or dropping one would empty those that refer to it."""
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_WAIT_S * 1000}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = OFF")


def _begin_sqlite(conn: Connection) -> None:
    conn.exec_driver_sql("BEGIN IMMEDIATE")
