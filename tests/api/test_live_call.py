"""What a program sees of a conversation while it goes on."""

import asyncio
import time
from typing import Any

import pytest

from tests.api.conftest import TALKER
from tests.api.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_conversation_can_be_watched(site: Site) -> None:
    """Both speak in turn, words are shown before they are final, and the agent's responses are measured."""
    record = site.stage.record_of[TALKER]
    wanted = {"agent": "test-agent", "record": record}
    placed = await site.expect(201, "POST", "/api/v1/calls", json=wanted)
    path = f"/api/v1/calls/{placed['id']}"
    before = await site.expect(200, "GET", f"{path}/live")
    assert (before["here"], before["turns"], before["speaking"]) == (False, 0, None)

    seen: list[dict[str, Any]] = []
    deadline = time.monotonic() + 60
    while not seen or seen[-1]["turns"] < 2:
        assert time.monotonic() < deadline, seen[-3:]
        seen.append(await site.expect(200, "GET", f"{path}/live"))
        await asyncio.sleep(0.05)
    assert {"agent", "person"} <= {look["speaking"] for look in seen}
    assert any(look["hearing"] for look in seen)
    assert any(look["voice_activity"] and look["voice_activity"] > 0.5 for look in seen)
    last = seen[-1]
    assert last["here"]
    assert 50 < last["response_p50_ms"] <= last["response_p95_ms"] < 5000, last

    await site.ask("POST", f"{path}/hang-up")
    while (await site.expect(200, "GET", path))["state"] != "done":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    log = (await site.expect(200, "GET", f"{path}/events"))["items"]
    (turns,) = [item["data"] for item in log if item["kind"] == "turns"]
    assert turns["turns"] >= 2
    assert turns["response_p50_ms"] > 50
    assert (await site.expect(200, "GET", f"{path}/live"))["here"] is False


async def test_an_unknown_call_cannot_be_watched(site: Site) -> None:
    await site.expect(404, "GET", "/api/v1/calls/none/live")
