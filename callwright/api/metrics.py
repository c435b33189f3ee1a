"""Prometheus figures of the HTTP side, in the registry that the other parts use too."""

from prometheus_client import REGISTRY, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from callwright.api.services import Services
from callwright.domain.states import CallState
from callwright.storage import attempts

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


async def exposition(services: Services) -> bytes:
    """Everything in the text format of Prometheus; counts the calls first."""
    async with services.database.read() as conn:
        counts = await attempts.count_by_state(conn)
    for state in CallState:
        if state is not CallState.DONE:
            calls.labels(state=str(state)).set(counts.get(state, 0))
    return generate_latest(REGISTRY)
