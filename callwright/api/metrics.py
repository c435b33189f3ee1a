"""Prometheus figures of the HTTP side, in the registry that the other parts use too."""

import asyncio
from datetime import timedelta

import structlog
from prometheus_client import REGISTRY, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from callwright.api.services import Services
from callwright.domain.states import CallState
from callwright.storage import attempts, holds, inbox, processes

log = structlog.get_logger(__name__)

# The moments of creation double the series and nobody reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped

CONTENT_TYPE = CONTENT_TYPE_LATEST

webhooks_received = Counter(
    "callwright_webhooks_received", "Webhooks that were verified and stored, by integration.", ["integration"]
)
webhooks_refused = Counter(
    "callwright_webhooks_refused",
    "Webhooks that were refused, by integration and reason.",
    ["integration", "reason"],
)
calls = Gauge("callwright_calls", "Calls that are not done, by state.", ["state"])
held = Gauge("callwright_dialing_held", "Whether dialling is on hold.")
set_aside = Gauge(
    "callwright_inbox_parked",
    "Webhooks that were given up: of no call of ours (unknown_call), or not understood (failed).",
    ["reason"],
)
silent = Gauge(
    "callwright_silent_processes", "Processes that were not heard of for 30 s and hold their lock."
)
database_up = Gauge("callwright_database_up", "Whether the database answered.")

_SILENT_AFTER = timedelta(seconds=30)
"""One that is dead is given up within some 15 s, so one that is silent for longer lives, and hangs."""

_PATIENCE_S = 3.0
"""Whoever collects figures waits some 10 s, and wants those of a process whose database is away even so."""


async def exposition(services: Services) -> bytes:
    """Everything in the text format of Prometheus; what the database tells first, as far as it answers."""
    try:
        async with asyncio.timeout(_PATIENCE_S), services.database.read() as conn:
            counts = await attempts.count_by_state(conn)
            is_held = await holds.find(conn, holds.DIALING) is not None
            foreign, failed = await inbox.parked(conn)
            hanging = await processes.silent(conn, _SILENT_AFTER)
    except (SQLAlchemyError, OSError) as error:  # a TimeoutError is an OSError
        log.warning("the database does not answer", error=type(error).__name__)
        database_up.set(0)
        for figure in (calls, set_aside):
            figure.clear()
        return generate_latest(REGISTRY)
    database_up.set(1)
    held.set(is_held)
    silent.set(len(hanging))
    set_aside.labels(reason="unknown_call").set(foreign)
    set_aside.labels(reason="failed").set(failed)
    for state in CallState:
        if state is not CallState.DONE:
            calls.labels(state=str(state)).set(counts.get(state, 0))
    return generate_latest(REGISTRY)
