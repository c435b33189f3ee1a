import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import text

from callwright.storage.bus import Bus, News
from callwright.storage.database import Database
from tests.databases import OpenDatabase


async def until(condition: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def buses(database: Database, open_database: OpenDatabase) -> AsyncIterator[list[Bus]]:
    both = [Bus(database), Bus(await open_database())]
    for bus in both:
        hears = asyncio.Event()
        bus.on_missed(hears.set)
        await bus.start()
        if not database.is_sqlite:
            async with asyncio.timeout(10):
                await hears.wait()
    yield both
    for bus in both:
        await bus.close()


async def test_a_key_reaches_this_process_at_once_and_only_its_topic(buses: list[Bus]) -> None:
    heard: list[str] = []
    unsubscribe = buses[0].subscribe("call", heard.append)
    buses[0].subscribe("other", lambda _: heard.append("wrong"))
    await buses[0].publish("call", "c1")
    assert heard == ["c1"]
    unsubscribe()
    unsubscribe()
    await buses[0].publish("call", "c2")
    assert heard == ["c1"]


async def test_a_key_reaches_the_other_process_once(buses: list[Bus], database: Database) -> None:
    here: list[str] = []
    there: list[str] = []
    buses[0].subscribe("call", here.append)
    buses[1].subscribe("call", there.append)
    keys = [f"c{number}" for number in range(150)]
    for key in keys:
        await buses[0].publish("call", key)
    if database.is_sqlite:
        assert there == [], "one process has the database for itself"
    else:
        await until(lambda: len(there) == len(keys))
        assert there == keys
    assert here == keys


async def test_a_failing_subscriber_harms_nobody(
    buses: list[Bus], capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[str] = []

    def fail(_key: str) -> None:
        raise RuntimeError("its own fault")

    buses[0].subscribe("call", fail)
    buses[0].subscribe("call", heard.append)
    await buses[0].publish("call", "c1")
    assert heard == ["c1"]
    assert "a subscriber failed" in capsys.readouterr().out


async def test_too_long_a_key_is_an_error(buses: list[Bus]) -> None:
    with pytest.raises(ValueError, match="too long"):
        await buses[0].publish("call", "x" * 1000)


async def test_a_lost_connection_is_made_anew(buses: list[Bus], database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has no connection to lose")
    heard: list[str] = []
    woken: list[int] = []
    buses[1].subscribe("call", heard.append)
    buses[1].on_missed(lambda: woken.append(1))
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'callwright bus'"
    async with database.write() as conn:
        killed = len((await conn.execute(text(kill))).all())
    assert killed == 2

    async def publish_until_heard() -> None:
        number = 0
        while not heard:
            number += 1
            await buses[0].publish("call", f"c{number}")
            await asyncio.sleep(0.05)

    async with asyncio.timeout(10):
        await publish_until_heard()
    assert woken == [1], "whoever missed something looks once"


async def test_a_storm_about_one_call_is_told_to_others_a_few_times(
    buses: list[Bus], database: Database
) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has one process")
    heard: list[str] = []
    buses[1].subscribe("call", heard.append)
    # As ten processes together would send them: one alone merges equal keys before it sends.
    for _ in range(20):
        async with database.write() as conn:
            for number in range(10):
                await conn.execute(
                    text("SELECT pg_notify('callwright', :payload)"),
                    {"payload": "\x1f".join((f"other {number}", "call", "c1"))},
                )
    await buses[0].publish("call", "last")
    await until(lambda: "last" in heard)
    assert 0 < heard.count("c1") <= 40, "200 notifications came in"


async def test_news_wake_everybody_at_most_ten_times_a_second() -> None:
    news, woken = News(), [0, 0, 0]

    async def follow(number: int) -> None:
        while True:
            await news.wait(10)
            woken[number] += 1

    followers = [asyncio.create_task(follow(number)) for number in range(3)]
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    started = loop.time()
    news.tell()
    await until(lambda: woken == [1, 1, 1])
    assert loop.time() - started < 0.09, "the first news are told at once"
    while loop.time() < started + 0.5:
        news.tell()
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.15)
    assert 4 <= woken[0] <= 7
    assert woken == [woken[0]] * 3
    assert await news.wait(0.01) is None
    for follower in followers:
        follower.cancel()
    await asyncio.gather(*followers, return_exceptions=True)
