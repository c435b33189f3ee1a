"""The OpenAPI document: what the operations declare, made whole."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from callwright.api.problems import MEDIA_TYPE

_STREAM = "text/event-stream"
_STREAM_SCHEMA = {
    "type": "string",
    "description": "The data of each event is one of these.",
    "contentMediaType": "application/json",
    "contentSchema": {"$ref": "#/components/schemas/FeedItem"},
}

DESCRIPTION = """\
Place calls, follow them, and keep what they need.

Operations under `/api/v1` need an API key: `Authorization: Bearer cw_...`, made by `callwright keys create`.
Every error is a problem document (RFC 9457, `application/problem+json`); its `errors` list each thing that is
wrong, where, and what to do about it. Every answer carries `X-Request-Id`, which finds the request in the logs.
Lists come in pages: pass `next_cursor` on as `cursor`.
"""

TAGS = [
    {"name": "calls", "description": "Place calls, follow them, steer them."},
    {"name": "events", "description": "The live feed of all calls."},
    {"name": "dialing", "description": "Hold dialling, and release it."},
    {"name": "agents", "description": "Who speaks, and what it finds out."},
    {"name": "suppressions", "description": "Numbers that must not be called."},
    {"name": "integrations", "description": "Vendors, and what they can do."},
    {"name": "webhooks", "description": "For vendors and CRMs; each is verified with a secret of its own."},
    {"name": "operation", "description": "For whoever keeps the process running."},
]


def install(api: FastAPI) -> None:
    """Let the application serve the completed document; it is made once, when it is asked for first."""

    def document() -> dict[str, Any]:
        if api.openapi_schema is None:
            made = get_openapi(
                title=api.title,
                version=api.version,
                summary=api.summary,
                description=api.description,
                tags=api.openapi_tags,
                routes=api.routes,
                separate_input_output_schemas=False,
            )
            _complete(made)
            api.openapi_schema = made
        return api.openapi_schema

    api.openapi = document  # type: ignore[method-assign]  # the documented way to extend the document


def _complete(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    _as_problem(response)
                elif _STREAM in response.get("content", {}):
                    response["content"][_STREAM]["schema"] = _STREAM_SCHEMA
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)


def _as_problem(response: dict[str, Any]) -> None:
    """FastAPI files every model under the operation's own media type; errors have one of theirs."""
    examples = response.get("content", {}).get(MEDIA_TYPE, {})
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    response["content"] = {MEDIA_TYPE: {"schema": schema, **examples}}
