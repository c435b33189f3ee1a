"""The HTTP client for vendors holds against answers that no vendor should give."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from callwright.domain.errors import VendorAmbiguous, VendorBusy, VendorRefused
from callwright.toolkit.http import VendorHttp

NOW = datetime(2026, 11, 23, 11, tzinfo=UTC)
DAY_S = 86400.0

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class StoppedClock:
    """Always the same moment."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@asynccontextmanager
async def vendor(answer: Answer, *, timeout_s: float = 5.0) -> AsyncIterator[VendorHttp]:
    """A client of a server that answers each request in this way and ends the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await answer(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = VendorHttp("acme", f"http://127.0.0.1:{port}", timeout_s=timeout_s, clock=StoppedClock())
    try:
        yield client
    finally:
        await client.close()
        server.close()


def fixed(status: str, headers: str = "", body: bytes = b"") -> Answer:
    """One whole answer."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return answer


@pytest.mark.parametrize(
    "given,expected",
    [
        ("7", 7.0),
        ("0", 0.0),
        ("2.5", 2.5),
        ("3600000", DAY_S),
        ("9" * 300, DAY_S),
        ("9" * 400, None),
        ("1e20", None),
        ("inf", None),
        ("nan", None),
        ("-5", None),
        ("\u00b2".encode().decode("latin-1"), None),
        ("soon", None),
        ("", None),
        ("Mon, 23 Nov 2026 11:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 11:00:30 -0000", 30.0),
        ("Mon, 23 Nov 2026 11:00:30", 30.0),
        ("Mon, 23 Nov 2026 10:00:00 GMT", 0.0),
        ("Mon, 23 Nov 1926 10:00:00 GMT", 0.0),
        (format_datetime(NOW + timedelta(days=400)), DAY_S),
        ("Fri, 31 Dec 9999 23:59:59 -1200", DAY_S),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Mon, 23 Nov 2026 11:00:30 +9999", None),
    ],
)
async def test_a_pause_is_bounded_and_nonsense_is_none(given: str, expected: float | None) -> None:
    """The header is a number or a date, and what comes may be neither."""
    async with vendor(fixed("429 Too Many Requests", f"Retry-After: {given}\r\n")) as client:
        with pytest.raises(VendorBusy) as caught:
            await client.send("POST", "/calls")
    assert caught.value.retry_after_s == expected


async def test_the_body_of_an_error_is_not_read_to_its_end() -> None:
    """Its beginning tells what is wrong; the rest may never end."""
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nbad number ")
        while True:
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    async with vendor(endless) as client:
        async with asyncio.timeout(5):
            with pytest.raises(VendorRefused) as caught:
                await client.send("POST", "/calls")
    assert caught.value.body.startswith("bad number xxx")
    assert len(caught.value.body) == 2000
    assert sent < 64 * 1024 * 1024


async def test_an_endless_answer_is_given_up() -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 1048576)
            await writer.drain()

    async with vendor(endless) as client:
        async with asyncio.timeout(20):
            with pytest.raises(VendorAmbiguous, match="more than 32 MiB"):
                await client.send("POST", "/calls")


async def test_an_answer_that_drips_is_given_up() -> None:
    """Each byte comes in time, and the last one never."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with vendor(drip, timeout_s=0.3) as client:
        async with asyncio.timeout(10):
            with pytest.raises(VendorAmbiguous, match="Timeout"):
                await client.send("POST", "/calls")


async def test_an_answer_keeps_status_headers_and_decoded_body() -> None:
    body = gzip.compress(b'{"id": "\xc3\xa9"}')
    headers = "Content-Encoding: gzip\r\nContent-Type: application/json\r\nX-Rate: 3\r\n"
    async with vendor(fixed("201 Created", headers, body)) as client:
        response = await client.send("POST", "/calls?x=1")
        assert await client.json("POST", "/calls") == {"id": "\u00e9"}
    assert isinstance(response, httpx2.Response)
    assert (response.status_code, response.headers["x-rate"]) == (201, "3")
    assert response.json() == {"id": "\u00e9"}
    assert response.url.path == "/calls"


async def test_a_body_that_breaks_off_is_ambiguous() -> None:
    async def broken(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()

    async with vendor(broken) as client:
        with pytest.raises(VendorAmbiguous):
            await client.send("POST", "/calls")
