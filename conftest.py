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

REAL_TIME = (
    "tests/cli/test_town.py",  # the longest of what one worker does alone
    "tests/scenarios/test_faults.py",
    "tests/scenarios/",
    "tests/crash/",
    "tests/media/",
    "callwright/integrations/",
    "tests/cli/",
    "tests/api/",
)
"""What comes first, and thus together: audio in real time mostly waits, and suffers beside what computes."""

ONE_WORKER = ("tests/api/", "tests/cli/test_town.py", "tests/crash/")
"""What shares an application that is expensive to start, or starts many processes itself."""

Eventually = Callable[..., Awaitable[None]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order for several workers; skip what talks to a real vendor unless it was asked for."""
    items.sort(key=_turn)
    for item in items:
        if item.nodeid.startswith(ONE_WORKER):
            item.add_marker(pytest.mark.xdist_group(_shared_by(item)))
    if os.environ.get(LIVE):
        return
    skip = pytest.mark.skip(reason=f"talks to a real vendor; set {LIVE}=1 and the vendor's settings")
    for item in items:
        if "live" in item.keywords:
            item.add_marker(skip)


def _turn(item: pytest.Item) -> int:
    """Which of REAL_TIME an item belongs to."""
    return next((turn for turn, path in enumerate(REAL_TIME) if item.nodeid.startswith(path)), len(REAL_TIME))


def _shared_by(item: pytest.Item) -> str:
    """The application that a test shares: its folder's, on its database."""
    database = getattr(item, "callspec", None)
    kind = database.params.get("site", "") if database is not None else ""
    return f"{item.nodeid.split('/')[1]}-{kind}"


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
