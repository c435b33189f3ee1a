"""Which errors an operation may answer with, for the OpenAPI document."""

from collections.abc import Mapping
from typing import Any

from callwright.api import problems
from callwright.api.problems import MEDIA_TYPE, Kind, ProblemDocument, problem

Responses = dict[int | str, dict[str, Any]]


def refusals(*kinds: Kind) -> Responses:
    """Declare these errors, and those that any operation may run into."""
    found: dict[int, list[Kind]] = {}
    for kind in (*kinds, problems.INTERNAL, problems.BUSY):
        found.setdefault(kind.status, []).append(kind)
    return {status: _response(alike) for status, alike in sorted(found.items())}


def guarded(*kinds: Kind) -> Responses:
    """As `refusals`, for operations that need an API key."""
    return refusals(problems.UNAUTHENTICATED, problems.FORBIDDEN, *kinds)


def with_body(*kinds: Kind) -> Responses:
    """As `guarded`, for operations that take a JSON body."""
    return guarded(problems.MALFORMED, problems.SLOW, problems.TOO_LARGE, problems.INVALID, *kinds)


def _response(kinds: list[Kind]) -> dict[str, Any]:
    return {
        "model": ProblemDocument,
        "description": "; or: ".join(dict.fromkeys(kind.title for kind in kinds)) + ".",
        "content": {MEDIA_TYPE: {"examples": {kind.name: {"value": _example(kind)} for kind in kinds}}},
    }


def _example(kind: Kind) -> Mapping[str, Any]:
    return problem(kind, kind.meaning, path="/api/v1/...", request_id="8f2c61d0a4e94b0c")
