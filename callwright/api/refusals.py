"""Turns whatever a request ran into into a problem document."""

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from callwright.api import problems
from callwright.api.problems import ApiError, ProblemResponse, answer
from callwright.domain import errors
from callwright.domain.wording import problems_of
from callwright.toolkit.redaction import Redactor

log = structlog.get_logger(__name__)

UNEXPECTED = "Something went wrong here."

_REMEDIES = {
    "missing": "Add it.",
    "model_attributes_type": "Send a JSON object with `Content-Type: application/json`.",
    "model_type": "Send a JSON object with `Content-Type: application/json`.",
    "extra_forbidden": "Remove it, or check its spelling.",
    "timezone_aware": "Add the offset from UTC, for example +01:00 or Z.",
}


def install(app: FastAPI, redact: Redactor) -> None:
    """Let every error of a request be answered by a problem document, without secrets."""

    async def api_error(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, ApiError)
        return answer(request, error.kind, redact(error.detail), items=error.items, headers=error.headers)

    async def known_error(request: Request, error: Exception) -> ProblemResponse:
        kind = problems.kind_of_error(error)
        if kind is problems.INTERNAL:
            log.error("request failed", path=request.url.path, exc_info=error)
        if isinstance(error, errors.WebhookRejected):
            return answer(
                request, kind, kind.meaning
            )  # what exactly is wrong is for our logs, not for a forger
        items = error.problems if isinstance(error, errors.InvalidInput | errors.ConfigurationError) else ()
        cleaned = [errors.Problem(item.where, redact(item.what), redact(item.remedy)) for item in items]
        return answer(request, kind, _told(kind, error, redact), items=cleaned, headers=_headers(error))

    async def out_of_time(request: Request, error: Exception) -> ProblemResponse:
        log.error("request ran out of time", path=request.url.path, exc_info=error)
        return answer(
            request, problems.BUSY, "This took longer than its time limit.", headers={"Retry-After": "5"}
        )

    async def database_away(request: Request, error: Exception) -> ProblemResponse:
        log.error("the database did not answer a request", path=request.url.path, exc_info=error)
        return answer(
            request, problems.BUSY, "The database does not answer at present.", headers={"Retry-After": "5"}
        )

    async def client_gone(request: Request, _error: Exception) -> ProblemResponse:
        return answer(request, problems.MALFORMED, "The connection ended before the body did.")

    async def http_error(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, HTTPException)
        kind = problems.kind_of_status(error.status_code)
        return answer(request, kind, redact(_detail(request, error)), headers=error.headers)

    async def not_valid(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, RequestValidationError)
        return _invalid(request, error)

    app.add_exception_handler(ApiError, api_error)
    app.add_exception_handler(errors.CallwrightError, known_error)
    app.add_exception_handler(TimeoutError, out_of_time)
    for kind in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(kind, database_away)
    app.add_exception_handler(ClientDisconnect, client_gone)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, not_valid)


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, errors.Unauthenticated):
        return {"WWW-Authenticate": 'Bearer realm="callwright"'}
    if problems.kind_of_error(error) is problems.WEBHOOK_UNPROVEN:
        return {"WWW-Authenticate": 'Webhook realm="callwright"'}
    if isinstance(error, errors.VendorBusy):
        return {"Retry-After": str(max(1, round(error.retry_after_s or 5)))}
    return {}


def _told(kind: problems.Kind, error: Exception, redact: Redactor) -> str:
    """What is said about an error; a fault of ours is for the logs, where the request's id finds it."""
    if isinstance(error, errors.Unauthenticated):
        return str(error)  # our own words, which name the header that would be taken for a secret
    if kind is problems.INTERNAL and not isinstance(error, errors.ConfigurationError):
        return UNEXPECTED
    return redact(str(error))


def _detail(request: Request, error: HTTPException) -> str:
    if error.status_code == problems.NOT_FOUND.status:
        return f"There is nothing at {request.url.path}."
    if error.status_code == problems.METHOD.status:
        return f"{request.method} is not possible here."
    return str(error.detail)


def _invalid(request: Request, error: RequestValidationError) -> ProblemResponse:
    """What FastAPI and pydantic found; the values given are not repeated, since they may be secret."""
    found = error.errors()
    broken = next((item for item in found if item["type"] == "json_invalid"), None)
    if broken is not None:
        what = f"The body is not JSON: {broken['ctx']['error']} at character {broken['loc'][-1]}."
        return answer(request, problems.MALFORMED, what)
    items = [
        problem
        for item in found
        for problem in problems_of(item, _where(item["loc"]), _REMEDIES.get(item["type"], ""))
    ]
    return answer(request, problems.INVALID, "; ".join(str(item) for item in items), items=items)


def _where(location: tuple[int | str, ...]) -> str:
    """A body's field by its path; whatever else by kind and name, such as `query limit`."""
    kind, *path = (str(part) for part in location)
    name = ".".join(path)
    return (name or "body") if kind == "body" else f"{kind} {name}"
