"""A process whose background work stands still is not ready, although it answers."""

import asyncio
import time
from pathlib import Path

import httpx2
import pytest

from callwright.calls import sweeper
from tests.scenarios.stage import Stage


@pytest.mark.parametrize("loop", ["sweep", "timers", "starts"])
async def test_a_loop_that_stands_still_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    async with Stage(tmp_path, {}) as stage, httpx2.AsyncClient(trust_env=False) as http:
        address = f"http://127.0.0.1:{stage.port}/ready"
        assert (await http.get(address)).status_code == 200
        monkeypatch.setattr(sweeper, "_STALLED_AFTER_S", 3.0)
        (still,) = [task for task in stage.app.sweeper._tasks if task.get_name() == loop]
        still.cancel()
        deadline = time.monotonic() + 20
        while (response := await http.get(address)).status_code == 200:
            assert time.monotonic() < deadline, "nobody noticed"
            await asyncio.sleep(0.1)
    assert response.status_code == 503
    told = {item["where"]: item["what"] for item in response.json()["errors"]}
    assert loop in told["loops"]
