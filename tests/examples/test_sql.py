"""The SQL that operators are told to run fits the tables, on both databases."""

import re
from pathlib import Path

from sqlalchemy import text

from callwright.storage import holds
from callwright.storage.database import Database

OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
_ELSEWHERE = ("DROP SCHEMA", "PRAGMA")
"""DBOS's own tables, and a setting of one connection."""


def statements() -> list[str]:
    """Every statement of the page, without comments."""
    blocks = re.findall(r"```sql\n(.*?)```", OPERATIONS.read_text(encoding="utf-8"), re.DOTALL)
    code = "\n".join(line.partition("--")[0] for block in blocks for line in block.splitlines())
    found = [statement.strip() for statement in code.split(";") if statement.strip()]
    return [statement for statement in found if not statement.startswith(_ELSEWHERE)]


async def test_the_statements_can_be_run_and_nobody_is_dialled_after_a_restore(
    database: Database,
) -> None:
    assert len(statements()) == 4
    for _ in range(2):  # who is interrupted begins again
        async with database.write() as conn:
            for statement in statements():
                await conn.execute(text(statement))
    async with database.read() as conn:
        held = await holds.find(conn, holds.DIALING)
    assert held is not None
    assert held.reason == "restored from a back-up"
