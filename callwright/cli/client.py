"""A running server, asked over its REST API."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Self

import httpx2

from callwright.domain.errors import (
    CallwrightError,
    ConfigurationError,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    Problem,
    Unauthenticated,
)

_TIMEOUT_S = 30.0
_BY_STATUS: Mapping[int, type[CallwrightError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
}


class Client:
    """The REST API of one server; raises what the server raised, and CallwrightError when it does not answer."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        headers = {"authorization": f"Bearer {key}", "accept": "application/json"}
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=_TIMEOUT_S, trust_env=False)

    @classmethod
    def connect(cls, url: str, key: str) -> Self:
        """The server and key that were given, or that the settings name; raises ConfigurationError."""
        from callwright.config import load_client

        settings = load_client()
        if not key and settings.api_key is not None:
            key = settings.api_key.get_secret_value()
        if not key:
            remedy = "Make a key with `callwright keys create`, and set it there or pass it as --key."
            raise ConfigurationError(Problem("CALLWRIGHT_API_KEY", "is not set.", remedy))
        if not key.isascii() or not key.isprintable():
            raise ConfigurationError(
                Problem("CALLWRIGHT_API_KEY", "is not an API key.", "Keys look like cw_...")
            )
        address = (url or settings.url).rstrip("/")
        if not address.startswith(("http://", "https://")):
            raise ConfigurationError(Problem("--url", f"{address!r} is not an http address."))
        return cls(address, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """What is at a path below /api/v1; parameters that are None are left out."""
        return self._ask(
            "GET", path, params={name: value for name, value in query.items() if value is not None}
        )

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """Send JSON to a path below /api/v1."""
        return self._ask("POST", path, json=body, headers=dict(headers or {}))

    def put(self, path: str, body: Any) -> Any:
        """Put JSON to a path below /api/v1."""
        return self._ask("PUT", path, json=body)

    def delete(self, path: str) -> None:
        """Remove what is at a path below /api/v1."""
        self._ask("DELETE", path)

    def pages(self, path: str, most: int, **query: Any) -> Iterator[Any]:
        """The items of a list, page after page, at most so many."""
        cursor = None
        while most > 0:
            page = self.get(path, limit=min(most, 200), cursor=cursor, **query)
            yield from page["items"]
            most -= len(page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._http.request(method, f"/api/v1{path}", **options)
        except httpx2.HTTPError as error:
            what = f"no answer from {self.url} ({str(error) or type(error).__name__})"
            raise CallwrightError(
                f"{what}. Start it with `callwright serve`, or name another with --url."
            ) from error
        if response.status_code >= 400:
            raise _refusal(response)
        if response.status_code == 204:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise CallwrightError(
                f"what answers at {self.url} is not Callwright. Name it with --url."
            ) from error


def _refusal(response: httpx2.Response) -> CallwrightError:
    """The error that a problem document tells of."""
    try:
        document = response.json()
        detail = str(document["detail"])
        problems = [Problem(item["where"], item["what"], item["remedy"]) for item in document["errors"]]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return CallwrightError(
            f"{response.request.url} answered {response.status_code}, not as Callwright does"
        )
    if response.status_code in {400, 422}:
        return InvalidInput(*problems or [Problem("request", detail)])
    kind = _BY_STATUS.get(response.status_code)
    if kind is not None:
        return kind(detail)
    return CallwrightError(f"{detail} (request {document.get('request_id', '?')} in the server's log)")
