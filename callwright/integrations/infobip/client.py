"""All I/O with Infobip's API: one HTTP client with the account's key, and errors that say what happened."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from callwright.domain.errors import (
    VendorAmbiguous,
    VendorAuthFailed,
    VendorBusy,
    VendorError,
    VendorNotFound,
    VendorRefused,
)
from callwright.integrations.infobip.addresses import follow_up_base
from callwright.integrations.infobip.settings import InfobipSettings
from callwright.ports.clock import Clock
from callwright.toolkit.http import VendorHttp

VENDOR = "infobip"
_PAGE_SIZE = 100
_MOST_PAGES = 5
_RECORDING_PART = 8 * 1024 * 1024
_FILE_CONNECTIONS = 2
_LONGEST_COUNT = 18
_KINDS: dict[int, type[VendorError]] = {
    400: VendorRefused,
    401: VendorAuthFailed,
    403: VendorAuthFailed,
    404: VendorNotFound,
    429: VendorBusy,
}


class InfobipClient:
    """Requests of the Calls and Subscriptions APIs, each with a time limit for the whole of it."""

    def __init__(self, settings: InfobipSettings, clock: Clock) -> None:
        self._base_url = settings.base_url
        self._limit_s = settings.request_timeout_s
        self._clock = clock
        self._http = self._connect(settings)
        # Files on connections of their own, so that a request about a running call never waits for one.
        self._files = self._connect(settings, connections=_FILE_CONNECTIONS)

    async def send_once(self, method: str, path: str, body: Any = None, *, base: object = None) -> Any:
        """Send a request that has an effect, exactly once; returns the decoded answer.

        `base` is what an event told as the call's own API address; it is used only if it is trusted.
        """
        async with _within(self._limit_s, f"{method} {path}"):
            return await self._http.json(method, self._url(path, base), **_payload(body))

    async def send(self, method: str, path: str, body: Any = None, *, base: object = None) -> Any:
        """Send a request that may be repeated without harm: it reads, or sets what is so already."""
        async with _within(4 * self._limit_s, f"{method} {path}"):
            return self._http.decode(await self._http.read(method, self._url(path, base), **_payload(body)))

    async def get(
        self, path: str, params: Mapping[str, str] | None = None, *, base: object = None
    ) -> dict[str, Any]:
        """Read one thing; VendorNotFound if there is none."""
        async with _within(4 * self._limit_s, f"GET {path}"):
            response = await self._http.read("GET", self._url(path, base), params=dict(params or {}))
        return self._object(response)

    async def get_or_none(self, path: str, *, base: object = None) -> dict[str, Any] | None:
        """Read one thing, or None if there is none."""
        try:
            return await self.get(path, base=base)
        except VendorNotFound:
            return None

    async def pages(self, path: str, params: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Read the first 500 items of a list, page by page."""
        items: list[dict[str, Any]] = []
        for page in range(_MOST_PAGES):
            answer = await self.get(path, {**(params or {}), "page": str(page), "size": str(_PAGE_SIZE)})
            results = answer.get("results")
            if not isinstance(results, list):
                raise VendorAmbiguous(VENDOR, f"answered GET {path} without a list of results")
            items.extend(item for item in results if isinstance(item, dict))
            if len(results) < _PAGE_SIZE:
                break
        return items

    async def download(self, path: str) -> AsyncIterator[bytes]:
        """Read a recording file in parts of 8 MiB, each with the time limit of six requests."""
        start = 0
        while True:
            header = {"Range": f"bytes={start}-{start + _RECORDING_PART - 1}", "Accept": "*/*"}
            async with _within(6 * self._limit_s, f"GET {path}"):
                response = await self._files.read("GET", path, headers=header)
            if response.status_code != httpx2.codes.PARTIAL_CONTENT:
                if start:
                    raise VendorAmbiguous(VENDOR, f"answered {response.status_code} to a part of a file")
                yield response.content
                return
            first, total = _content_range(response)
            if first != start or not response.content:
                raise VendorAmbiguous(VENDOR, f"sent another part of a file than the one from byte {start}")
            yield response.content
            start += len(response.content)
            if start >= total if total is not None else len(response.content) < _RECORDING_PART:
                return

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()
        await self._files.close()

    def _connect(self, settings: InfobipSettings, **options: Any) -> VendorHttp:
        return VendorHttp(
            VENDOR,
            settings.base_url,
            headers={
                "Authorization": f"App {settings.api_key.get_secret_value()}",
                "Accept": "application/json",
            },
            timeout_s=settings.request_timeout_s,
            secrets=settings.secret_values(),
            classify=self._classify,
            clock=self._clock,
            **options,
        )

    def _url(self, path: str, base: object) -> str:
        trusted = follow_up_base(base, self._base_url)
        return path if trusted is None or trusted == self._base_url else trusted + path

    def _object(self, response: httpx2.Response) -> dict[str, Any]:
        answer = self._http.decode(response)
        if not isinstance(answer, dict):
            raise self._http.error(VendorAmbiguous, response, "did not answer with an object")
        return answer

    def _classify(self, response: httpx2.Response) -> VendorError | None:
        """Errors with the vendor's words: {"requestError": {"serviceException": {messageId, text, ...}}}."""
        kind = _KINDS.get(response.status_code)
        if kind is None:
            return None
        code, text = _exception(response)
        where = f"{response.request.method} {response.url.path}"
        return self._http.error(kind, response, f"{where}: {text or 'no reason given'}", code)


@asynccontextmanager
async def _within(seconds: float, what: str) -> AsyncIterator[None]:
    """A time limit for a whole request, repeats included; what it cuts short may have had its effect."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise VendorAmbiguous(VENDOR, f"{what} took more than {seconds:g} s") from error


def _content_range(response: httpx2.Response) -> tuple[int | None, int | None]:
    """The first byte and the whole length that `Content-Range: bytes 0-99/1000` tells, None for what it does not."""
    span, _, total = response.headers.get("content-range", "").removeprefix("bytes ").partition("/")
    first = span.partition("-")[0]
    return _count(first), _count(total)


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_COUNT else None


def _payload(body: Any) -> dict[str, Any]:
    return {} if body is None else {"json": body}


def _exception(response: httpx2.Response) -> tuple[str, str]:
    """messageId, and text with the validation errors; empty when the body is not the vendor's."""
    try:
        answer = response.json()
    except ValueError:
        return "", ""
    error = answer.get("requestError") if isinstance(answer, dict) else None
    told = error.get("serviceException") if isinstance(error, dict) else None
    if not isinstance(told, dict):
        return "", ""
    text = str(told.get("text") or "")
    fields = told.get("validationErrors")
    if isinstance(fields, dict) and fields:
        text += " " + "; ".join(f"{field}: {problems}" for field, problems in fields.items())
    return str(told.get("messageId") or ""), text.strip()
