"""Logs: JSON lines on standard error, with what is bound to the context (call_id) and without secrets."""

import logging
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from callwright.toolkit.redaction import Redactor, impersonal

_TALKATIVE = (
    "aiosqlite",
    "alembic",
    "asyncio",
    "httpcore2",
    "httpx2",
    "psycopg",
    "sqlalchemy",
    "stamina",
    "uvicorn.error",
)
"""Loggers of libraries that say little of use below WARNING, some of it with addresses in full."""

_SILENT = logging.CRITICAL + 1


def configure_logs(level: str, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Send our own logs and those of every library to `stream` (standard error) from `level` on.

    `secrets` are replaced wherever they occur. May be called again; the last call counts.
    """
    least = logging.getLevelNamesMapping()[level]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _Redaction(_Discretion(secrets)),
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(least)
    _route_libraries(least)


def _route_libraries(least: int) -> None:
    """Take away handlers that libraries brought along, and quieten those that talk too much."""
    for name in (*logging.Logger.manager.loggerDict, "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [item for item in logger.handlers if isinstance(item, logging.NullHandler)]
        logger.propagate = True
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(least, logging.WARNING))
    access = logging.getLogger("uvicorn.access")
    access.propagate = False
    access.setLevel(_SILENT)


class _Discretion(Redactor):
    """Keeps whom we call out of the logs, too: a call's id leads to the rest."""

    def __call__(self, text: str) -> str:
        return impersonal(super().__call__(text))


class _Redaction:
    """Cleans every value of an event, whatever it is nested in."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        cleaned: EventDict = self._redact.data(event)
        return cleaned
