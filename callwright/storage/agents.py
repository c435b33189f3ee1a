"""Agent definitions with their versions; a call keeps the version that it was created with."""

from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.domain.agent import AgentDefinition
from callwright.storage.database import changed, facts_of, insert_into, lock
from callwright.storage.schema import agents


async def put(conn: AsyncConnection, definition: AgentDefinition) -> int:
    """Store a definition and bring the agent out of the archive; returns its version.

    The content of the newest version keeps that version; any other becomes the next.
    """
    await lock(conn, f"agent:{definition.name}")
    written = definition.model_dump(mode="json")
    row = await _newest(conn, definition.name)
    if row is not None and row.definition == written:
        if row.archived_at is not None:
            await _mark(conn, definition.name, archived_at=None)
        return int(row.version)
    version = 1 if row is None else int(row.version) + 1
    now = facts_of(conn).clock.now()
    await conn.execute(
        insert_into(conn, agents).values(
            name=definition.name, version=version, definition=written, created_at=now
        )
    )
    return version


async def get(
    conn: AsyncConnection, name: str, version: int | None = None
) -> tuple[int, AgentDefinition] | None:
    """A version of an agent, archived or not; without one the newest of an agent that is not archived."""
    if version is None:
        row = await _newest(conn, name)
        return None if row is None or row.archived_at is not None else _read(row)
    statement = select(agents).where(agents.c.name == name, agents.c.version == version)
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else _read(row)


async def listing(conn: AsyncConnection) -> list[tuple[int, AgentDefinition]]:
    """The newest version of every agent that is not archived, by name."""
    newest = (
        select(agents.c.name, func.max(agents.c.version).label("version")).group_by(agents.c.name).subquery()
    )
    statement = (
        select(agents)
        .join(newest, (agents.c.name == newest.c.name) & (agents.c.version == newest.c.version))
        .where(agents.c.archived_at.is_(None))
        .order_by(agents.c.name)
    )
    return [_read(row) for row in await conn.execute(statement)]


async def archive(conn: AsyncConnection, name: str) -> bool:
    """Keep an agent from being used for new calls; False when there is none or it is archived already."""
    await lock(conn, f"agent:{name}")
    return await _mark(conn, name, archived_at=facts_of(conn).clock.now())


async def _mark(conn: AsyncConnection, name: str, **values: Any) -> bool:
    other = agents.c.archived_at.is_(None) if values["archived_at"] else agents.c.archived_at.is_not(None)
    return await changed(conn, update(agents).where(agents.c.name == name, other).values(values)) > 0


async def _newest(conn: AsyncConnection, name: str) -> Row[Any] | None:
    statement = select(agents).where(agents.c.name == name).order_by(agents.c.version.desc()).limit(1)
    return (await conn.execute(statement)).one_or_none()


def _read(row: Row[Any]) -> tuple[int, AgentDefinition]:
    return row.version, AgentDefinition.model_validate(row.definition)
