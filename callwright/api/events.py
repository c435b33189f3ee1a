"""/api/v1/events: the live feed of all calls."""

from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response

from callwright.api import problems
from callwright.api.declared import guarded
from callwright.api.keys import needs
from callwright.api.live import EventStream
from callwright.api.state import ServicesState, ShowerState, StreamsState
from callwright.api.views import FeedItem
from callwright.domain.scopes import Scope
from callwright.storage import events
from callwright.storage.api_keys import ApiKey

router = APIRouter(tags=["events"])

_MOST = 2**63 - 1


@router.get(
    "/events",
    operation_id="follow_events",
    summary="Follow all calls live",
    status_code=200,
    response_class=EventStream,
    response_model=FeedItem,
    responses={
        200: {
            "description": "A `text/event-stream`; the data of each event is one of these, its id the cursor."
        },
        **guarded(problems.INVALID),
    },
)
async def follow_events(
    _key: Annotated[ApiKey, needs(Scope.CALLS_READ)],
    services: ServicesState,
    shower: ShowerState,
    streams: StreamsState,
    *,
    cursor: Annotated[
        int | None,
        Query(description="Start behind this event; by default with what happens now.", ge=0, le=_MOST),
    ] = None,
    call: Annotated[str | None, Query(description="Only events of this call.", max_length=64)] = None,
    last_event_id: Annotated[
        int | None,
        Header(description="What a reconnecting client sends; wins over `cursor`.", ge=0, le=_MOST),
    ] = None,
) -> Response:
    """Server-sent events as they are committed. Without news a comment comes every 15 s.

    A client that comes back with Last-Event-ID misses nothing.
    """
    start = last_event_id if last_event_id is not None else cursor
    if start is None:
        async with services.database.read() as conn:
            start = await events.latest_cursor(conn)
    feed = services.calls.feed(start)
    return EventStream(streams, feed, shower, cursor=start, call_id=call)
