"""An HTTP client for one vendor: time limits, redaction, and errors that say whether a request had its effect."""

import asyncio
import email.utils
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from typing import Any

import httpx2
import stamina
import structlog
from prometheus_client import Counter

from callwright.domain.errors import (
    VendorAmbiguous,
    VendorAuthFailed,
    VendorBusy,
    VendorError,
    VendorNotFound,
    VendorQuotaExceeded,
    VendorRefused,
    VendorUnreachable,
)
from callwright.ports.clock import Clock, SystemClock
from callwright.toolkit.redaction import Redactor

log = structlog.get_logger(__name__)

_errors = Counter(
    "callwright_vendor_errors", "Requests to vendors without success, by vendor and kind.", ["vendor", "kind"]
)

Classify = Callable[[httpx2.Response], VendorError | None]
"""A vendor's own reading of a response: an error to raise, or None to leave it to the status code."""

_READ_ATTEMPTS = 3
_WHOLE = 4.0
_LARGEST_BODY = 32 * 1024 * 1024
_LARGEST_ERROR = 64 * 1024
_LONGEST_PAUSE_S = 86400.0
"""Who asks for more than a day is asked again after a day."""

_SECONDS = re.compile(r"^[0-9]{1,300}(\.[0-9]{0,300})?$")
_OF_TRANSFER = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
"""What is no longer true of a body that was read."""

_BY_STATUS: dict[int, type[VendorError]] = {
    401: VendorAuthFailed,
    402: VendorQuotaExceeded,
    403: VendorAuthFailed,
    404: VendorNotFound,
    408: VendorAmbiguous,
    429: VendorBusy,
}


class VendorHttp:
    """Requests to one vendor. `timeout_s` limits connecting, each read and write, and waiting for a connection; four
    times as long is the limit of a whole exchange, for a vendor that drips.
    """

    def __init__(
        self,
        vendor: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
        secrets: Iterable[str] = (),
        classify: Classify | None = None,
        clock: Clock | None = None,
        connections: int = 20,
    ) -> None:
        self.vendor = vendor
        self.redact = Redactor(secrets)
        self._classify = classify
        self._clock = clock or SystemClock()
        self._whole_s = timeout_s * _WHOLE
        self._client = httpx2.AsyncClient(
            base_url=base_url,
            headers=dict(headers or {}),
            timeout=httpx2.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
            follow_redirects=False,
            trust_env=False,
        )

    async def send(self, method: str, url: str, **options: Any) -> httpx2.Response:
        """Send once and return a response below 400; `options` are those of httpx2's request.

        Raises VendorUnreachable when the request never left, VendorAmbiguous when it may have had its effect,
        and the other VendorError classes by the vendor's answer; each is counted.
        """
        try:
            return await self._send(method, url, **options)
        except VendorError as error:
            _errors.labels(vendor=self.vendor, kind=type(error).__name__).inc()
            raise

    async def _send(self, method: str, url: str, **options: Any) -> httpx2.Response:
        try:
            async with (
                asyncio.timeout(self._whole_s),
                self._client.stream(method, url, **options) as streamed,
            ):
                response = await self._receive(streamed)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise VendorUnreachable(self.vendor, self._tell(error, method, url)) from error
        except (httpx2.TransportError, httpx2.DecodingError, TimeoutError) as error:
            raise VendorAmbiguous(self.vendor, self._tell(error, method, url)) from error
        except httpx2.InvalidURL as error:
            raise VendorRefused(self.vendor, self._tell(error, method, url)) from error
        log.debug(
            "vendor answered",
            vendor=self.vendor,
            method=method,
            path=response.url.path,
            status=response.status_code,
        )
        self._raise_for(response)
        return response

    async def _receive(self, streamed: httpx2.Response) -> httpx2.Response:
        """The answer with its body; of an error's only as much as tells what is wrong, the rest is not waited for."""
        is_error = streamed.status_code >= httpx2.codes.BAD_REQUEST
        most = _LARGEST_ERROR if is_error else _LARGEST_BODY
        body = bytearray()
        async for chunk in streamed.aiter_bytes():
            body += chunk
            if len(body) > most:
                break
        if len(body) > most and not is_error:
            raise VendorAmbiguous(self.vendor, "answered with more than 32 MiB", status=streamed.status_code)
        headers = [item for item in streamed.headers.raw if item[0].lower() not in _OF_TRANSFER]
        return httpx2.Response(
            streamed.status_code, headers=headers, content=bytes(body[:most]), request=streamed.request
        )

    async def read(self, method: str, url: str, **options: Any) -> httpx2.Response:
        """Send a request that changes nothing; repeated up to three times when the vendor is out of breath."""
        async for attempt in stamina.retry_context(
            on=_worth_repeating, attempts=_READ_ATTEMPTS, timeout=30.0, wait_initial=0.2, wait_max=2.0
        ):
            with attempt:
                return await self.send(method, url, **options)
        raise AssertionError("stamina returns or raises")

    async def json(self, method: str, url: str, **options: Any) -> Any:
        """`send`, and the decoded body; None for an empty one. VendorAmbiguous if it is not JSON."""
        return self.decode(await self.send(method, url, **options))

    def decode(self, response: httpx2.Response) -> Any:
        """The decoded JSON body, None for an empty one; VendorAmbiguous if it is not JSON."""
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            body = self.redact.body(response.text)
            raise VendorAmbiguous(
                self.vendor, "did not answer with JSON", status=response.status_code, body=body
            ) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    def error(
        self, kind: type[VendorError], response: httpx2.Response, message: str, code: str = ""
    ) -> VendorError:
        """An error of a kind, with everything the response tells."""
        return kind(
            self.vendor,
            self.redact(message),
            status=response.status_code,
            code=code,
            body=self.redact.body(response.text),
            retry_after_s=self.retry_after(response),
        )

    def retry_after(self, response: httpx2.Response) -> float | None:
        """Seconds of the Retry-After header (a number or a date), from 0 to a day; None when absent or nonsense."""
        raw = response.headers.get("retry-after", "").strip()
        if _SECONDS.match(raw):
            return min(float(raw), _LONGEST_PAUSE_S)
        try:
            moment = email.utils.parsedate_to_datetime(raw)
        except (
            ValueError,
            TypeError,
            IndexError,
            OverflowError,
        ):  # whatever the parser of mail headers trips over
            return None
        if moment.tzinfo is None:  # how it tells the zone -0000, which is UTC
            moment = moment.replace(tzinfo=UTC)
        pause_s = (moment - self._clock.now()).total_seconds()
        return min(max(0.0, pause_s), _LONGEST_PAUSE_S)

    def _raise_for(self, response: httpx2.Response) -> None:
        own = self._classify(response) if self._classify else None
        if own is not None:
            raise own
        status = response.status_code
        if status < httpx2.codes.BAD_REQUEST:
            return
        kind = _BY_STATUS.get(
            status, VendorAmbiguous if status >= httpx2.codes.INTERNAL_SERVER_ERROR else VendorRefused
        )
        raise self.error(
            kind, response, f"answered {status} to {response.request.method} {response.url.path}"
        )

    def _tell(self, error: Exception, method: str, url: str) -> str:
        path = httpx2.URL(url).path if "://" in url else url.partition("?")[0]
        return self.redact(f"{type(error).__name__} on {method} {path}: {error}".rstrip(": "))


def _worth_repeating(error: Exception) -> bool | float:
    if isinstance(error, VendorBusy) and error.retry_after_s is not None:
        return error.retry_after_s if error.retry_after_s <= 2.0 else False
    return isinstance(error, (VendorBusy, VendorUnreachable, VendorAmbiguous))
