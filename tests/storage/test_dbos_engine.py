"""What DBOS's tables need of SQLite is there, however old SQLite is."""

import time
from pathlib import Path

from sqlalchemy import text

from callwright.ports.clock import SystemClock
from callwright.storage.database import Database
from callwright.storage.dbos_engine import engine_for


async def test_the_moment_that_its_tables_put_into_rows_is_known(tmp_path: Path) -> None:
    """From Python 3.12 on DBOS asks for `subsec`, which SQLite knows from 3.42 on; Debian 12 has 3.40."""
    database = await Database.open(None, data_dir=tmp_path, clock=SystemClock())
    engine = engine_for(database)
    try:
        with engine.begin() as conn:
            conn.execute(
                text("CREATE TABLE t (a INTEGER, at INTEGER NOT NULL DEFAULT (unixepoch('subsec') * 1000))")
            )
            conn.execute(text("INSERT INTO t (a) VALUES (1)"))
            at = conn.execute(text("SELECT at FROM t")).scalar_one()
    finally:
        engine.dispose()
        await database.close()
    assert abs(at - time.time() * 1000) < 60_000
