"""What Zoho's answers mean: request-level errors, and the per-record results of writes.

Statuses of writes follow the outcome (200, 201, 202, 207, 400, 412), so each record is judged by its own entry.
Codes are those of the operation pages of API v8; the OpenAPI files name fewer.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from callwright.domain.errors import (
    VendorAmbiguous,
    VendorAuthFailed,
    VendorBusy,
    VendorError,
    VendorNotFound,
    VendorQuotaExceeded,
    VendorRefused,
)

LOCKED_PAUSE_S = 60.0
APPROVAL_PAUSE_S = 600.0
_LONGEST_PAUSE_S = 86_400.0
ACCESS_DENIED_PAUSE_S = 600.0
"""Zoho gives a refresh token 10 access tokens per 10 minutes; then it answers "Access Denied"."""

_CODE = re.compile(r"^[A-Za-z_ ]{1,60}$")
_JSON_PATH = re.compile(r"^\$\.data\[\d+\]\.([A-Za-z]\w*)")


class TokenRefused(VendorAuthFailed):
    """Zoho does not take this access token (any more)."""


class RecordsAnswered(VendorRefused):
    """A write whose status is an error but whose body tells the fate of each record."""

    items: "tuple[Item, ...]" = ()


@dataclass(frozen=True, slots=True)
class Item:
    """The fate of one record of a write."""

    ok: bool
    code: str
    message: str
    details: dict[str, Any]

    @property
    def record_id(self) -> str | None:
        """The record that was written."""
        found = self.details.get("id")
        return found if isinstance(found, str) else None

    @property
    def field(self) -> str | None:
        """The field that an error is about, if it is about one."""
        name = self.details.get("api_name")
        if isinstance(name, str):
            return name
        match = _JSON_PATH.match(str(self.details.get("json_path", "")))
        return match[1] if match else None

    @property
    def causes(self) -> "tuple[Item, ...]":
        """Itself, or the errors that a MULTIPLE_OR_MULTI_ERRORS holds."""
        inner = self.details.get("errors")
        if self.code == "MULTIPLE_OR_MULTI_ERRORS" and isinstance(inner, list):
            found = tuple(_item(entry) for entry in inner if isinstance(entry, dict))
            return found or (self,)
        return (self,)

    @property
    def retry_after_s(self) -> float | None:
        """The pause after which a refused write is worth another try; None for a final refusal."""
        if self.code == "RECORD_LOCKED":
            return LOCKED_PAUSE_S
        return APPROVAL_PAUSE_S if self.code in {"NOT_APPROVED", "NOT_REVIEWED"} else None

    @property
    def is_unknown_record(self) -> bool:
        """Whether the record itself does not exist."""
        return (
            self.code == "INVALID_DATA"
            and self.field is None
            and ("id" in self.details or "resource_path_index" in self.details or "id given" in self.message)
        )


def decode(content: bytes) -> dict[str, Any]:
    """The body as a JSON object; empty when it is none."""
    try:
        body = json.loads(content) if content else {}
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def items(body: dict[str, Any]) -> tuple[Item, ...]:
    """The per-record results in a body; empty when it holds none."""
    data = body.get("data")
    if not isinstance(data, list):
        return ()
    return tuple(_item(entry) for entry in data if isinstance(entry, dict) and "code" in entry)


def _item(entry: dict[str, Any]) -> Item:
    details = entry.get("details")
    code = code_of(entry.get("code"))
    return Item(
        ok=entry.get("status") == "success" or code == "SUCCESS",
        code=code,
        message=str(entry.get("message", "")),
        details=details if isinstance(details, dict) else {},
    )


def access_denied(body: dict[str, Any]) -> bool:
    """Whether the accounts server refuses because too many tokens were asked for, whatever the status."""
    return str(body.get("error", "")).replace("_", " ").lower() == "access denied"


_BY_CODE: dict[str, type[VendorError]] = {
    "INVALID_TOKEN": TokenRefused,
    "INVALID_OAUTHTOKEN": TokenRefused,
    "AUTHENTICATION_FAILURE": TokenRefused,
    "OAUTH_SCOPE_MISMATCH": VendorAuthFailed,
    "NO_PERMISSION": VendorAuthFailed,
    "AUTHORIZATION_FAILED": VendorAuthFailed,
    "INVALID_MODULE": VendorNotFound,
    "TOO_MANY_REQUESTS": VendorBusy,
    "RECORD_LOCKED": VendorBusy,
    "INTERNAL_ERROR": VendorAmbiguous,
    "INTERNAL_SERVER_ERROR": VendorAmbiguous,
}
_BY_STATUS: dict[int, type[VendorError]] = {
    402: VendorQuotaExceeded,
    403: VendorAuthFailed,
    404: VendorNotFound,
    408: VendorAmbiguous,
}
_REMEDY = {
    "OAUTH_SCOPE_MISMATCH": "the token lacks a scope: make a new grant code with all scopes of the README",
    "NO_PERMISSION": "the Zoho user of the token may not do this: change the user's profile",
    "AUTHORIZATION_FAILED": "the Zoho user of the token may not do this: change the user's profile",
}


def code_of(text: Any) -> str:
    """An error code, empty unless it is made of words: a vendor might echo what it was sent."""
    return text if isinstance(text, str) and _CODE.match(text) else ""


def kind(status: int, body: dict[str, Any]) -> type[VendorError] | None:
    """The class of a request-level error, by its code and else by its status; None if the body names no code."""
    code = code_of(body.get("code"))
    if status == 429:
        return VendorBusy
    if code == "INVALID_DATA" and "id given" in str(body.get("message", "")):
        return VendorNotFound
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status == 401:
        return TokenRefused
    if not code:
        return None
    return _BY_STATUS.get(status, VendorAmbiguous if status >= 500 else VendorRefused)


def message(body: dict[str, Any], otherwise: str) -> str:
    """What a request-level error says, with what to do where that is known."""
    code = code_of(body.get("code"))
    details = body.get("details")
    found = str(body.get("message") or otherwise)
    if isinstance(details, dict) and details:
        found = f"{found} {json.dumps(details, sort_keys=True)}"
    return f"{found} ({_REMEDY[code]})" if code in _REMEDY else found


def pause_hint(body: dict[str, Any]) -> float | None:
    """`details.retry_after` of a 429 in seconds, at most a day, if the body has one."""
    details = body.get("details")
    hint = details.get("retry_after") if isinstance(details, dict) else None
    if isinstance(hint, (int, float)) and not isinstance(hint, bool) and hint >= 0:
        return float(min(hint, _LONGEST_PAUSE_S))
    return None


_TOKEN_REMEDY = {
    "invalid_code": "the refresh token is revoked or of another client: make a new grant code and exchange it",
    "invalid_client": "ZOHO_CLIENT_ID or ZOHO_CLIENT_SECRET is wrong, or of another data center (ZOHO_DATA_CENTER)",
    "invalid_client_secret": "ZOHO_CLIENT_SECRET is wrong",
    "invalid_redirect_uri": "the grant was made for a client with a redirect address: use a self client",
}


def token_error(body: dict[str, Any]) -> str | None:
    """What is wrong according to a token answer, and what to do; None when it holds a token."""
    if isinstance(body.get("access_token"), str):
        return None
    error = code_of(body.get("error")) or "no access token in the answer"
    return f"{error}: {_TOKEN_REMEDY[error]}" if error in _TOKEN_REMEDY else error
