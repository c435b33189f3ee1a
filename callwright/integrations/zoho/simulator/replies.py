"""Zoho's error bodies (operation pages of API v8), and the exception that carries one to the client."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False)
class Refusal(Exception):
    """An answer that ends a request."""

    status: int
    code: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        """The error as Zoho writes it."""
        return error(self.code, self.message, **self.details)


def error(code: str, message: str, **details: Any) -> dict[str, Any]:
    """One error object, of a request or of one record."""
    return {"code": code, "details": details, "message": message, "status": "error"}


def invalid_module(**details: Any) -> Refusal:
    """The answer to a module that does not exist; `details` tell where it was named."""
    return Refusal(400, "INVALID_MODULE", "the module name given seems to be invalid", details)


def missing(parameter: str) -> Refusal:
    """The answer to a missing query parameter."""
    return Refusal(400, "REQUIRED_PARAM_MISSING", "required param is missing", {"param_name": parameter})


def over_limit(parameter: str, limit: int) -> Refusal:
    """The answer to a query parameter that asks for too much."""
    details = {"limit": limit, "param_name": parameter}
    return Refusal(400, "LIMIT_EXCEEDED", "you have crossed the maximum limit", details)


def invalid_url() -> Refusal:
    """The answer to an unknown path."""
    message = "Please check if the URL trying to access is a correct one"
    return Refusal(404, "INVALID_URL_PATTERN", message)


def invalid_method() -> Refusal:
    """The answer to a method that a path does not know."""
    message = "The http request method type is not a valid one"
    return Refusal(400, "INVALID_REQUEST_METHOD", message, {"resource_path_index": 0})


def invalid_id(**details: Any) -> dict[str, Any]:
    """The fate of a record whose id does not exist."""
    return error("INVALID_DATA", "the id given seems to be invalid", **details)


def too_many(details: dict[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> Refusal:
    """429, with whatever hints about the pause the caller wants to give."""
    message = "You have exceeded the maximum number of requests allowed"
    return Refusal(429, "TOO_MANY_REQUESTS", message, details or {}, headers or {})
