"""One real call, from POST to recording, as a program at the other side of the API sees it."""

import io
import time
import wave
from typing import Any

import pytest

from callwright.media.recording import finished
from conftest import Eventually
from tests.api.conftest import TALKER
from tests.api.site import Site
from tests.api.test_feed import listening

pytestmark = pytest.mark.asyncio(loop_scope="package")

_LIMIT_S = 30
HALF_A_SECOND = 16_000
"""Bytes of PCM16 at 16 kHz."""


async def follow(listener: Any, kind: str, **data: str) -> dict[str, Any]:
    """The next event of a kind whose data has these values."""
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        item: dict[str, Any] = await listener.item()
        if item["kind"] == kind and data.items() <= item["data"].items():
            return item
    raise AssertionError(f"no {kind} {data}")


async def test_a_call_is_placed_steered_ended_and_heard_again(site: Site, eventually: Eventually) -> None:
    record = site.stage.record_of[TALKER]
    async with listening(site) as listener:
        placed = await site.expect(
            201, "POST", "/api/v1/calls", json={"agent": "test-agent", "record": record}
        )
        path = f"/api/v1/calls/{placed['id']}"
        await follow(listener, "state", to="talking")
        await follow(listener, "transcript")

        await site.expect(204, "POST", f"{path}/context", json={"variables": {"product": "boiler"}})
        wrong = await site.expect(422, "POST", f"{path}/context", json={"variables": {"colour": "red"}})
        assert wrong["errors"][0]["where"] == "variables.colour"
        await follow(listener, "context")
        file = site.stage.folder / "recordings" / f"{placed['id']}.wav"
        await eventually(file.is_file)
        await site.expect(404, "GET", f"{path}/recording")

        talk = site.stage.engine.conversations[(await site.expect(200, "GET", path))["conversation_id"]]
        await eventually(lambda: talk.audio_in > HALF_A_SECOND)
        await site.expect(202, "POST", f"{path}/hang-up")
        await follow(listener, "state", to="done")

    done = await site.expect(200, "GET", path)
    assert (done["state"], done["end_reason"], done["hang_up_by"]) == ("done", "completed", "api")
    assert done["variables"]["product"] == "boiler"
    assert done["phone"] == TALKER
    assert done["first_word_ms"] > 0
    assert done["crm_state"] == "written"

    lines = (await site.expect(200, "GET", f"{path}/transcript"))["items"]
    assert lines[0]["speaker"] == "agent"
    assert "Northwind" in lines[0]["text"]
    text = await site.ask("GET", f"{path}/transcript", headers={"accept": "text/plain"})
    assert text.text.startswith("[00:0")
    assert len(text.text.splitlines()) == len(lines)

    kinds = [item["kind"] for item in (await site.expect(200, "GET", f"{path}/events"))["items"]]
    assert kinds[0] == "created"
    assert {"gate", "context", "hang_up_requested", "crm"} <= set(kinds)
    await eventually(lambda: finished(file))
    await the_recording_can_be_had_in_pieces(site, f"{path}/recording")


async def the_recording_can_be_had_in_pieces(site: Site, path: str) -> None:
    whole = await site.ask("GET", path)
    assert whole.status_code == 200
    assert whole.headers["content-type"] == "audio/wav"
    assert whole.headers["accept-ranges"] == "bytes"
    assert ".wav" in whole.headers["content-disposition"]
    with wave.open(io.BytesIO(whole.content)) as file:
        assert file.getnchannels() == 2
        assert file.getnframes() > file.getframerate() // 4

    size = len(whole.content)
    head = await site.ask("GET", path, headers={"range": "bytes=0-43"})
    assert (head.status_code, head.content) == (206, whole.content[:44])
    assert head.headers["content-range"] == f"bytes 0-43/{size}"
    tail = await site.ask("GET", path, headers={"range": "bytes=-100"})
    assert tail.content == whole.content[-100:]
    beyond = await site.ask("GET", path, headers={"range": f"bytes={size}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{size}"
    nonsense = await site.ask("GET", path, headers={"range": "bytes=x"})
    assert nonsense.status_code == 400
