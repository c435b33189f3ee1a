"""/api/v1/calls: place calls, follow them, and steer them."""

from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse

from callwright.api import problems
from callwright.api.declared import guarded, with_body
from callwright.api.keys import needs
from callwright.api.requests import CallFilters, CallRequest, ContextRequest
from callwright.api.state import IdempotencyState, ServicesState, ShowerState
from callwright.api.views import CallPage, CallView, EventList, TranscriptView
from callwright.calls.service import NewCall
from callwright.domain.phone import to_e164
from callwright.domain.scopes import Scope
from callwright.storage.api_keys import ApiKey

router = APIRouter(prefix="/calls", tags=["calls"])


async def _call_id(
    call_id: Annotated[
        str, Path(description="The call's id.", min_length=1, max_length=64, pattern=r"^[\w.:-]+$")
    ],
) -> str:
    """The call that a request is about; its id is in every line that is logged meanwhile."""
    structlog.contextvars.bind_contextvars(call_id=call_id)
    return call_id


CallId = Annotated[str, Depends(_call_id)]
Reader = Annotated[ApiKey, needs(Scope.CALLS_READ)]
Writer = Annotated[ApiKey, needs(Scope.CALLS_WRITE)]
_IdempotencyKey = Annotated[
    str | None,
    Header(
        description="Any text of your own: the same key with the same body gives the same call, for a day.",
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        examples=["order-4711-first-call"],
    ),
]


@router.post(
    "",
    operation_id="create_call",
    summary="Place a call",
    status_code=201,
    response_model=CallView,
    responses={
        201: {
            "description": "The call is committed and will be dialled as soon as the rules allow.",
            "headers": {
                "Location": {"description": "The call's address.", "schema": {"type": "string"}},
                "Idempotency-Replayed": {
                    "description": "`true` when the answer is that of an earlier request.",
                    "schema": {"type": "string", "enum": ["true"]},
                },
            },
        },
        **with_body(problems.NOT_FOUND, problems.KEY_REUSED, problems.KEY_BUSY),
    },
)
async def create_call(
    body: CallRequest,
    key: Writer,
    services: ServicesState,
    shower: ShowerState,
    idempotency: IdempotencyState,
    idempotency_key: _IdempotencyKey = None,
) -> Response:
    """Commit a call to a CRM record or a number; it is dialled in the background, as soon as the rules allow."""

    async def make(dedup_key: str | None) -> tuple[str, dict[str, Any]]:
        call = await services.calls.create(
            NewCall(
                agent=body.agent,
                phone=body.phone,
                record_id=body.record,
                variables=body.variables,
                not_before=body.not_before,
                tags=body.tags,
                dedup_key=dedup_key,
            )
        )
        return call.id, shower.call(call).model_dump(mode="json")

    if idempotency_key is None:
        (_, answer), repeated = await make(None), False
    else:
        answer, repeated = await idempotency.answer(key.id, idempotency_key, body, make)
    headers = {"Location": f"/api/v1/calls/{answer['id']}"}
    if repeated:
        headers["Idempotency-Replayed"] = "true"
    return JSONResponse(answer, status_code=201, headers=headers)


@router.get(
    "",
    operation_id="list_calls",
    summary="Find calls",
    responses=guarded(problems.INVALID),
)
async def list_calls(
    filters: Annotated[CallFilters, Query()], _key: Reader, services: ServicesState, shower: ShowerState
) -> CallPage:
    """Calls that match all filters, newest first, a page at a time."""
    region = services.settings.default_region
    found, next_cursor = await services.calls.search(
        state=filters.state,
        agent=filters.agent,
        phone=None if filters.phone is None else to_e164(filters.phone, region),
        crm_record=filters.record,
        outcome=filters.outcome,
        since=filters.since,
        before=filters.before,
        limit=filters.limit,
        cursor=filters.cursor,
    )
    return CallPage(items=[shower.call(call) for call in found], next_cursor=next_cursor)


@router.get(
    "/{call_id}",
    operation_id="get_call",
    summary="One call",
    responses=guarded(problems.NOT_FOUND, problems.INVALID),
)
async def get_call(call_id: CallId, _key: Reader, services: ServicesState, shower: ShowerState) -> CallView:
    """Everything about a call as it is now."""
    return shower.call(await services.calls.get(call_id))


@router.get(
    "/{call_id}/events",
    operation_id="get_call_events",
    summary="A call's log",
    responses=guarded(problems.NOT_FOUND, problems.INVALID),
)
async def get_call_events(
    call_id: CallId, _key: Reader, services: ServicesState, shower: ShowerState
) -> EventList:
    """Every decision and report about a call, oldest first: gate, states, the carrier's events, write-backs."""
    return EventList(items=[shower.event(event) for event in await services.calls.history(call_id)])


@router.get(
    "/{call_id}/transcript",
    operation_id="get_call_transcript",
    summary="What was said",
    responses={
        200: {
            "content": {
                "text/plain": {"schema": {"type": "string"}, "example": "[00:01] agent: Good morning.\n"}
            }
        },
        **guarded(problems.NOT_FOUND, problems.INVALID),
    },
    response_model=TranscriptView,
)
async def get_call_transcript(
    call_id: CallId, _key: Reader, services: ServicesState, shower: ShowerState, request: Request
) -> Response | TranscriptView:
    """The transcript with times, during the call too; as text with `Accept: text/plain`."""
    lines = [shower.line(line) for line in await services.calls.transcript(call_id)]
    if request.headers.get("accept", "").startswith("text/plain"):
        text = "".join(
            f"[{line.at_ms // 60_000:02d}:{line.at_ms // 1000 % 60:02d}] {line.speaker}: {line.text}\n"
            for line in lines
        )
        return PlainTextResponse(text)
    return TranscriptView(items=lines)


@router.get(
    "/{call_id}/recording",
    operation_id="get_call_recording",
    summary="The recording",
    response_class=FileResponse,
    responses={
        200: {
            "description": "A stereo WAV file: the agent on the left, the person on the right.",
            "content": {"audio/wav": {"schema": {"type": "string", "format": "binary"}}},
        },
        206: {
            "description": "The range that was asked for.",
            "content": {"audio/wav": {"schema": {"type": "string", "format": "binary"}}},
        },
        **guarded(problems.NOT_FOUND, problems.MALFORMED, problems.RANGE, problems.INVALID),
    },
)
async def get_call_recording(call_id: CallId, _key: Reader, services: ServicesState) -> FileResponse:
    """The recording as a file; players may ask for ranges of it."""
    path = await services.calls.recording(call_id)
    return FileResponse(path, media_type="audio/wav", filename=f"{call_id}.wav")


@router.get(
    "/{call_id}/carrier-recording",
    operation_id="get_call_carrier_recording",
    summary="The carrier's recording",
    response_class=FileResponse,
    responses={
        200: {
            "description": "The file as the carrier made it, for an agent with `carrier_recording`.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        206: {
            "description": "The range that was asked for.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        **guarded(problems.NOT_FOUND, problems.MALFORMED, problems.RANGE, problems.INVALID),
    },
)
async def get_call_carrier_recording(call_id: CallId, _key: Reader, services: ServicesState) -> FileResponse:
    """Found once the outcome is written, as soon as the carrier has it ready."""
    path = await services.calls.carrier_recording(call_id)
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)


@router.post(
    "/{call_id}/hang-up",
    operation_id="hang_up_call",
    summary="End a call",
    status_code=202,
    responses=guarded(problems.NOT_FOUND, problems.CONFLICT, problems.INVALID),
)
async def hang_up_call(
    call_id: CallId, _key: Writer, services: ServicesState, shower: ShowerState
) -> CallView:
    """End a call wherever it is: a waiting one is cancelled, a running one is hung up. It ends soon after."""
    return shower.call(await services.calls.hang_up(call_id))


@router.post(
    "/{call_id}/context",
    operation_id="push_call_context",
    summary="Tell the agent what changed",
    status_code=204,
    responses={
        204: {"description": "The agent is being told."},
        **with_body(problems.NOT_FOUND, problems.CONFLICT),
    },
)
async def push_call_context(
    call_id: CallId, body: ContextRequest, _key: Writer, services: ServicesState
) -> None:
    """Push changed variables to the agent while it talks."""
    await services.calls.push_context(call_id, body.variables)


@router.post(
    "/{call_id}/crm",
    operation_id="write_call_to_crm_again",
    summary="Write to the CRM again",
    status_code=202,
    responses=guarded(problems.NOT_FOUND, problems.CONFLICT, problems.INVALID),
)
async def write_call_to_crm_again(
    call_id: CallId, _key: Writer, services: ServicesState, shower: ShowerState
) -> CallView:
    """Write what the CRM did not take of a finished call once more. What it has taken is not written twice."""
    return shower.call(await services.calls.write_again(call_id))
