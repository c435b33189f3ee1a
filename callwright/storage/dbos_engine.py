"""What DBOS is given: a database engine, a JSON serializer, and silence in the logs."""

import json
import logging
import sqlite3
import time
from typing import Any

from dbos import Serializer
from sqlalchemy import Engine, create_engine, event

from callwright.domain.errors import CallwrightError
from callwright.storage.columns import to_json
from callwright.storage.database import (
    QUIET,
    WAIT_S,
    Database,
    keep_values_out_of_errors,
    postgres_arguments,
)

ENGINE_FILE = "engine.db"

_POOL = 20
_KNOWS_SUBSEC = (3, 42, 0)
"""From Python 3.12 on DBOS lets its tables ask for `unixepoch('subsec')`; older versions of SQLite give NULL."""

_ERROR = "$error"
_OUR_OWN_NEWS = ("Exception encountered in asynchronous workflow", "Asyncio task cancelled")


class StepFailed(CallwrightError):
    """A step or workflow failed before a crash; only the name and message of its error were kept."""


class JsonSerializer(Serializer):
    """Arguments and results as JSON, errors as name and message: nothing read from the database is executed."""

    def name(self) -> str:
        """The mark in DBOS's rows."""
        return "callwright_json"

    def serialize(self, data: Any) -> str:
        """Write a value or an error; raises TypeError or ValueError for what is not JSON."""
        if isinstance(data, BaseException):
            data = {_ERROR: f"{type(data).__name__}: {data}"}
        return to_json(data)

    def deserialize(self, serialized_data: str) -> Any:
        """Read a value back; an error comes back as StepFailed."""
        data = json.loads(serialized_data)
        if isinstance(data, dict) and data.keys() == {_ERROR}:
            return StepFailed(data[_ERROR])
        return data


class _Hush(logging.Filter):
    """Drops what we log ourselves, with more context."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(_OUR_OWN_NEWS)


_hush = _Hush()
_null = logging.NullHandler()


def quieten() -> None:
    """Send DBOS's warnings to our log instead of its own console handler."""
    logger = logging.getLogger("dbos")
    # With a handler in place DBOS adds none of its own and leaves propagation on.
    if _null not in logger.handlers:
        logger.addHandler(_null)
    if _hush not in logger.filters:
        logger.addFilter(_hush)


def engine_for(database: Database) -> Engine:
    """The engine of DBOS's own tables: a WAL file in the data folder, or our PostgreSQL database."""
    limits: dict[str, Any] = {"pool_size": _POOL, "max_overflow": 0, "pool_timeout": WAIT_S, **QUIET}
    if not database.is_sqlite:
        engine = create_engine(
            database.url, connect_args=postgres_arguments(database.url), pool_pre_ping=True, **limits
        )
        keep_values_out_of_errors(engine)
        return engine
    engine = create_engine(f"sqlite:///{database.data_dir / ENGINE_FILE}", **limits)
    keep_values_out_of_errors(engine)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        connection.execute(f"PRAGMA busy_timeout = {WAIT_S * 1000}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")
        # Losing its last moments with the power is allowed: the attempt's row is the truth and is FULL.
        connection.execute("PRAGMA synchronous = NORMAL")
        if sqlite3.sqlite_version_info < _KNOWS_SUBSEC:
            connection.create_function("unixepoch", 1, _unixepoch)

    return engine


def _unixepoch(precision: str) -> float:
    """Seconds since 1970 as newer versions of SQLite count them."""
    if precision != "subsec":
        raise ValueError(f"unixepoch({precision!r}) is not known here")
    return time.time()
