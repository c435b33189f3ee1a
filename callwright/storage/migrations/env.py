"""What alembic runs to migrate: the connection comes from callwright.storage.migrations.upgrade."""

from typing import Any, Literal

from alembic import context

from callwright.storage.columns import Moment, SafeText
from callwright.storage.schema import metadata


def _render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write our column types as plain ones, so that a revision never changes with our code."""
    if kind == "type" and isinstance(item, SafeText):
        return "sa.Text()"
    if kind == "type" and isinstance(item, Moment):
        return "sa.DateTime(timezone=True)"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=_render,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
