"""What all tests share, those in tests/ and those beside the integrations."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None)  # two cores shared with real sockets: time is no verdict
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

LIVE = "LIVE_TESTS"

Eventually = Callable[..., Awaitable[None]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what talks to a real vendor unless it was asked for."""
    if os.environ.get(LIVE):
        return
    skip = pytest.mark.skip(reason=f"talks to a real vendor; set {LIVE}=1 and the vendor's settings")
    for item in items:
        if "live" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def eventually() -> Eventually:
    """Waits until a condition holds, and fails at a time limit."""

    async def wait(condition: Callable[[], object], *, within_s: float = 5.0, every_s: float = 0.005) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within_s} s: {getattr(condition, '__name__', condition)}")
            await asyncio.sleep(every_s)

    return wait
