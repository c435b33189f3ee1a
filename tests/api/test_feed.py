"""The live feed: from a cursor on, nothing twice, nothing missed, and bounds on everything."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from callwright.api import live
from conftest import Eventually
from tests.api.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")


class Listener:
    """Reads one stream."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.comments: list[str] = []
        self.last_id = ""
        self.retry = ""
        self._lines = response.aiter_lines()

    async def item(self) -> dict[str, Any]:
        """The next event's data; fails after 5 s."""
        async with asyncio.timeout(5):
            async for line in self._lines:
                if line.startswith("data: "):
                    found: dict[str, Any] = json.loads(line.removeprefix("data: "))
                    assert self.last_id == str(found["cursor"])
                    return found
                self._note(line)
        raise AssertionError("the stream ended")

    async def created(self) -> dict[str, Any]:
        """The next call's creation; calls of other tests may still be coming to their end."""
        while (item := await self.item())["kind"] != "created":
            pass
        return item

    async def comment(self) -> str:
        """The next comment."""
        async with asyncio.timeout(5):
            async for line in self._lines:
                self._note(line)
                if line.startswith(":"):
                    return line
        raise AssertionError("the stream ended")

    async def end(self) -> None:
        """Wait for the end of the stream."""
        async with asyncio.timeout(5):
            async for line in self._lines:
                self._note(line)

    def _note(self, line: str) -> None:
        if line.startswith("id: "):
            self.last_id = line.removeprefix("id: ")
        if line.startswith("retry: "):
            self.retry = line.removeprefix("retry: ")


@asynccontextmanager
async def listening(
    site: Site, headers: dict[str, str] | None = None, **params: Any
) -> AsyncIterator[Listener]:
    wanted = {"authorization": f"Bearer {await site.key('calls:read')}", **(headers or {})}
    async with site.http.stream("GET", "/api/v1/events", params=params, headers=wanted) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        yield Listener(response)


async def test_it_begins_with_what_happens_after_the_answer(site: Site) -> None:
    await site.create_call()
    async with listening(site) as listener:
        created = await site.create_call()
        item = await listener.created()
    assert (item["call_id"], item["data"]) == (created["id"], {"agent": "test-agent@1"})
    assert listener.retry == "2000"


async def test_from_a_cursor_on_nothing_is_missed_or_doubled(site: Site) -> None:
    async with listening(site) as listener:
        created = [(await site.create_call())["id"] for _ in range(5)]
        first = await listener.created()
    async with listening(site, cursor=first["cursor"]) as listener:
        rest = [await listener.created() for _ in range(4)]
    assert [first["call_id"], *(item["call_id"] for item in rest)] == created
    cursors = [first["cursor"], *(item["cursor"] for item in rest)]
    assert cursors == sorted(set(cursors))


async def test_a_client_that_comes_back_goes_on_where_it_was(site: Site) -> None:
    async with listening(site) as listener:
        await site.create_call()
        first = await listener.created()
    missed = await site.create_call()
    headers = {"last-event-id": str(first["cursor"])}
    # A browser repeats the old address; the header wins.
    async with listening(site, headers, cursor=0) as listener:
        assert (await listener.created())["call_id"] == missed["id"]


async def test_a_client_that_saw_no_event_goes_on_where_it_was_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.05)
    async with listening(site) as listener:
        assert await listener.comment() == ": nothing new"
        await listener.comment()
    missed = await site.create_call()
    async with listening(site, {"last-event-id": listener.last_id}) as listener:
        assert (await listener.created())["call_id"] == missed["id"]


async def test_one_call_can_be_followed_alone(site: Site) -> None:
    wanted = await site.create_call()
    async with listening(site, call=wanted["id"]) as listener:
        await site.create_call()
        await site.expect(202, "POST", f"/api/v1/calls/{wanted['id']}/hang-up")
        kinds = [(item["call_id"], item["kind"]) for item in [await listener.item() for _ in range(2)]]
    assert kinds == [(wanted["id"], "hang_up_requested"), (wanted["id"], "state")]


@pytest.mark.parametrize(
    "params,headers",
    [({"cursor": -1}, {}), ({"cursor": "x"}, {}), ({"cursor": 2**63}, {}), ({}, {"last-event-id": "x"})],
)
async def test_wrong_cursors_are_refused(site: Site, params: dict[str, Any], headers: dict[str, str]) -> None:
    await site.expect(422, "GET", "/api/v1/events", params=params, headers=headers)


async def test_there_are_so_many_streams_and_no_more(
    site: Site, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    streams = site.api.state.streams
    await eventually(lambda: streams._open == 0)
    monkeypatch.setattr(live, "MOST_STREAMS", 2)
    async with listening(site), listening(site):
        response = await site.ask("GET", "/api/v1/events")
        assert response.status_code == 503
        assert response.headers["retry-after"] == "5"
    await eventually(lambda: streams._open == 0)
    async with listening(site):
        pass


async def test_who_does_not_read_is_let_go(
    site: Site, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    streams = site.api.state.streams
    await eventually(lambda: streams._open == 0)
    monkeypatch.setattr(live, "SEND_TIMEOUT_S", 0.3)
    # Large events, sent again and again, fill every buffer between us and a client that reads nothing.
    variables = {"first_name": "x" * 60_000}
    for _ in range(40):
        await site.create_call(variables=variables)

    def big(cursor: int, call_id: str, event: Any) -> Any:
        return original(
            cursor, call_id, type(event)(event.kind, event.at, event.source, {"x": "y" * 500_000})
        )

    original = site.api.state.shower.feed_item
    monkeypatch.setattr(site.api.state.shower, "feed_item", big)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.stage.port, limit=1024)
    key = await site.key()
    writer.write(
        f"GET /api/v1/events?cursor=0 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n".encode()
    )
    await reader.readline()
    await eventually(lambda: streams._open == 1)
    await eventually(lambda: streams._open == 0, within_s=10)
    writer.close()


async def test_streams_end_when_the_process_stops(site: Site) -> None:
    streams = site.api.state.streams
    site.api.state.streams = live.Streams()
    try:
        async with listening(site) as listener:
            site.api.close_streams()
            await listener.end()
        await site.expect(503, "GET", "/api/v1/events")
    finally:
        site.api.state.streams = streams
