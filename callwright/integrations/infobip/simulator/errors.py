"""How calls end at this vendor, and what it answers when it refuses a request."""

from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse

_WORDS = {
    400: ("BAD_REQUEST", "Bad request"),
    401: ("UNAUTHORIZED", "Unauthorized"),
    403: ("FORBIDDEN", "Forbidden"),
    404: ("NOT_FOUND", "Resource was not found."),
    429: ("TOO_MANY_REQUESTS", "Too many requests"),
    500: ("GENERAL_ERROR", "Something went wrong. Please contact support."),
}

END_CODES = {
    "NORMAL_HANGUP": 10000,
    "MACHINE_DETECTED": 10002,
    "MAX_DURATION_REACHED": 10004,
    "MEDIA_ERROR": 10103,
    "NO_ANSWER": 10200,
    "BUSY": 10201,
    "CANCELLED": 10202,
    "REJECTED": 10203,
    "TEMPORARILY_UNAVAILABLE": 10204,
    "FORBIDDEN": 10300,
    "INSUFFICIENT_FUNDS": 10301,
    "DESTINATION_NOT_FOUND": 10303,
    "DESTINATION_UNAVAILABLE": 10304,
    "INVALID_DESTINATION": 10305,
    "INVALID_REQUEST": 10306,
    "REQUEST_TIMEOUT": 10307,
    "NETWORK_ERROR": 10308,
    "SERVICE_UNAVAILABLE": 10309,
    "CONGESTION": 10312,
    "UNAUTHORIZED": 10313,
    "URL_NOT_FOUND": 10400,
    "URL_UNREACHABLE": 10401,
    "INVALID_RESPONSE": 10402,
}
"""Names and numbers of the ends that the simulated platform knows."""


@dataclass
class Refusal(Exception):
    """A request is answered with an error; `fields` are validation errors."""

    status: int
    text: str = ""
    fields: dict[str, list[str]] | None = None
    retry_after_s: int | None = None

    def response(self) -> JSONResponse:
        """The vendor's error body."""
        message_id, words = _WORDS[self.status]
        exception: dict[str, Any] = {"messageId": message_id, "text": self.text or words}
        if self.fields:
            exception["validationErrors"] = self.fields
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s is not None else {}
        body = {"requestError": {"serviceException": exception}}
        return JSONResponse(body, status_code=self.status, headers=headers)


def error_code(name: str) -> dict[str, Any]:
    """The errorCode object of events and logs; raises KeyError for a name that no call ends with."""
    return {"id": END_CODES[name], "name": name, "description": name.replace("_", " ").capitalize()}
