"""Errors as RFC 9457 problem documents; the one table that says which error is which HTTP status."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from callwright.domain import errors
from callwright.storage.idempotency import KeyReused

MEDIA_TYPE = "application/problem+json"


class ProblemItem(BaseModel):
    """One thing that is wrong."""

    where: str = Field(description="The field, header or part concerned.", examples=["phone"])
    what: str = Field(description="What is wrong with it.", examples=["'12' is not a phone number."])
    remedy: str = Field(
        "", description="What to do about it.", examples=["Write it with + and country code."]
    )


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(
        description="The kind of error; open it for its meaning.", examples=["/problems/not-found"]
    )
    title: str = Field(description="The kind in words.", examples=["No such thing"])
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(description="What happened this time.", examples=["there is no call 0198"])
    instance: str = Field(description="The path that was asked for.", examples=["/api/v1/calls/0198"])
    request_id: str = Field(description="Finds this request in the logs.", examples=["8f2c61d0a4e94b0c"])
    errors: list[ProblemItem] = Field([], description="Every single thing that is wrong, as far as known.")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of error: its name in the `type`, HTTP status, title, and what it means."""

    name: str
    status: int
    title: str
    meaning: str


def _kind(name: str, status: HTTPStatus, title: str, meaning: str) -> Kind:
    return Kind(name, int(status), title, meaning)


INVALID = _kind(
    "invalid-input",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The input is wrong",
    "Something in the request cannot be used. `errors` lists every problem and what to do about it.",
)
NOT_FOUND = _kind("not-found", HTTPStatus.NOT_FOUND, "No such thing", "Nothing is known under this address.")
CONFLICT = _kind(
    "conflict", HTTPStatus.CONFLICT, "Not possible now", "The thing is not in a state that allows this."
)
UNAUTHENTICATED = _kind(
    "unauthenticated",
    HTTPStatus.UNAUTHORIZED,
    "No valid API key",
    "Send `Authorization: Bearer cw_...` with a key made by `callwright keys create`.",
)
FORBIDDEN = _kind(
    "forbidden",
    HTTPStatus.FORBIDDEN,
    "The API key does not cover this",
    "The key is valid and lacks the scope that this operation needs.",
)
WEBHOOK_UNPROVEN = _kind(
    "webhook-unproven",
    HTTPStatus.UNAUTHORIZED,
    "The webhook did not prove where it comes from",
    "Its signature or credentials are missing or wrong. Compare the secrets here and at the vendor.",
)
WEBHOOK_MALFORMED = _kind(
    "webhook-malformed",
    HTTPStatus.BAD_REQUEST,
    "The webhook cannot be understood",
    "It is not in the form that the vendor documents.",
)
KEY_REUSED = _kind(
    "idempotency-key-reused",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The Idempotency-Key was used for another request",
    "A key stands for one request. Take a new key for a new request.",
)
KEY_BUSY = _kind(
    "idempotency-key-in-progress",
    HTTPStatus.CONFLICT,
    "The request with this Idempotency-Key is still running",
    "Ask again in a moment with the same key and body; the answer will be the same.",
)
VENDOR_BUSY = _kind(
    "vendor-busy",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "A vendor asks to wait",
    "The vendor is out of capacity or limits the rate. Nothing was changed; try again later.",
)
VENDOR_FAILED = _kind(
    "vendor-failed",
    HTTPStatus.BAD_GATEWAY,
    "A vendor did not do what was asked",
    "The vendor refused, was not reachable, or gave no usable answer. `callwright check` tells more.",
)
MALFORMED = _kind(
    "malformed-request", HTTPStatus.BAD_REQUEST, "The request cannot be read", "It is not well-formed."
)
METHOD = _kind(
    "method-not-allowed",
    HTTPStatus.METHOD_NOT_ALLOWED,
    "This address does not know the method",
    "The header Allow lists the methods that it knows.",
)
SLOW = _kind(
    "request-timeout",
    HTTPStatus.REQUEST_TIMEOUT,
    "The request came too slowly",
    "Its body did not arrive in time.",
)
TOO_LARGE = _kind(
    "too-large",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "The request is too large",
    "Its body is above the limit.",
)
RANGE = _kind(
    "range-not-satisfiable",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    "The file does not have this range",
    "Ask for a range within the length of the file.",
)
NOT_READY = _kind(
    "not-ready",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Not ready",
    "A part that is needed does not work. `errors` tells which.",
)
BUSY = _kind(
    "busy",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Out of capacity",
    "Too much is going on at once; try again later.",
)
INTERNAL = _kind(
    "internal",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "An error of ours",
    "The logs tell more under the request id.",
)

BY_ERROR: Mapping[type[Exception], Kind] = {
    errors.IllegalTransition: INTERNAL,
    errors.InvalidInput: INVALID,
    errors.ConfigurationError: INTERNAL,
    errors.NotFound: NOT_FOUND,
    errors.Conflict: CONFLICT,
    KeyReused: KEY_REUSED,
    errors.Unauthenticated: UNAUTHENTICATED,
    errors.Forbidden: FORBIDDEN,
    errors.VendorBusy: VENDOR_BUSY,
    errors.VendorError: VENDOR_FAILED,
    errors.CallwrightError: INTERNAL,
}
"""The nearest base class counts."""

BY_REASON: Mapping[str, Kind] = {
    **dict.fromkeys(
        (
            "bad_secret",
            "bad_signature",
            "no_secret",
            "no_signature",
            "not_configured",
            "stale",
            "too_old",
            "unsigned",
        ),
        WEBHOOK_UNPROVEN,
    ),
    "too_large": TOO_LARGE,
    "unknown_path": NOT_FOUND,
}
"""Reasons of WebhookRejected that are not simply a malformed webhook."""

_BY_STATUS: Mapping[int, Kind] = {
    kind.status: kind
    for kind in (
        MALFORMED,
        UNAUTHENTICATED,
        FORBIDDEN,
        NOT_FOUND,
        METHOD,
        SLOW,
        CONFLICT,
        TOO_LARGE,
        RANGE,
        INVALID,
        INTERNAL,
        BUSY,
    )
}

KINDS: Mapping[str, Kind] = {
    value.name: value for value in list(globals().values()) if isinstance(value, Kind)
}
"""Every kind of error by its name."""


class ApiError(Exception):
    """An error that only exists in HTTP; everything else is mapped by the table."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        items: Iterable[errors.Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.items = tuple(items)
        self.headers = dict(headers or {})


def kind_of_error(error: Exception) -> Kind:
    """The kind of an error raised on purpose."""
    if isinstance(error, errors.WebhookRejected):
        return BY_REASON.get(error.reason, WEBHOOK_MALFORMED)
    return next((BY_ERROR[base] for base in type(error).__mro__ if base in BY_ERROR), INTERNAL)


def kind_of_status(status: int) -> Kind:
    """The kind that stands for a bare HTTP status."""
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Error"
    return Kind(phrase.lower().replace(" ", "-"), status, phrase, "")


def problem(
    kind: Kind, detail: str, *, path: str, request_id: str, items: Iterable[errors.Problem] = ()
) -> dict[str, Any]:
    """The document as JSON-friendly data."""
    return {
        "type": f"/problems/{kind.name}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": path,
        "request_id": request_id,
        "errors": [{"where": item.where, "what": item.what, "remedy": item.remedy} for item in items],
    }


class ProblemResponse(JSONResponse):
    """An answer that is a problem document; written as ASCII, so that any text can be told."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        """The document as bytes."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def answer(
    request: Request,
    kind: Kind,
    detail: str,
    *,
    items: Iterable[errors.Problem] = (),
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    """A problem document that answers this request."""
    path, request_id = request.url.path, request.scope.get("request_id", "")
    document = problem(kind, detail, path=path, request_id=request_id, items=items)
    return ProblemResponse(document, status_code=kind.status, headers=dict(headers or {}))
