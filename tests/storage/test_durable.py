import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from sqlalchemy import text

from callwright.domain.errors import ConfigurationError
from callwright.ports.clock import SystemClock
from callwright.storage.bus import Bus
from callwright.storage.database import Database
from callwright.storage.durable import DbosWorkflows
from tests.databases import SECRET_KEY

pytestmark = pytest.mark.slow

Make = Callable[..., DbosWorkflows]


@pytest.fixture
async def make(database: Database) -> AsyncIterator[Make]:
    """Makes workflows on the test's database and closes them all."""
    made: list[DbosWorkflows] = []

    def build(executor_id: str = "p1", **options: Any) -> DbosWorkflows:
        made.append(DbosWorkflows(database, executor_id=executor_id, patience_s=0.5, **options))
        return made[-1]

    yield build
    for workflows in made:
        await workflows.close()


async def until(condition: Callable[[], bool], within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_workflow_runs_once_in_our_loop_with_results_that_went_through_json(make: Make) -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    results: list[Any] = []
    workflows = make()

    async def work() -> Any:
        return {"pair": (1, "é\0\ud800"), "none": None}

    async def dial(attempt_id: str) -> None:
        loops.append(asyncio.get_running_loop())
        results.append([attempt_id, await workflows.step("work", work), await workflows.step("void", void)])

    async def void() -> None:
        return None

    workflows.register("dial", dial)
    await workflows.launch()
    assert await workflows.start("dial", "dial-a-0", "a")
    await until(lambda: bool(results))
    assert not await workflows.start("dial", "dial-a-0", "a")
    new = await asyncio.gather(*(workflows.start("dial", "dial-b-0", "b") for _ in range(5)))
    assert sum(new) == 1
    await until(lambda: len(results) == 2)
    assert results[0] == ["a", {"pair": [1, "é\0\ud800"], "none": None}, None]
    assert set(loops) == {asyncio.get_running_loop()}


async def test_a_failing_workflow_is_told_and_not_repeated(
    make: Make, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    workflows, runs = make(), []

    async def dial(attempt_id: str) -> None:
        runs.append(attempt_id)

        async def fail() -> None:
            raise ValueError("no such thing")

        await workflows.step("fail", fail)

    workflows.register("dial", dial)
    await workflows.launch()
    assert await workflows.start("dial", "dial-a-0", "a")
    await until(lambda: bool(runs) and not workflows._running)
    assert not await workflows.start("dial", "dial-a-0", "a")
    told = capsys.readouterr().out
    assert "a workflow failed" in told
    assert "dial-a-0" in told
    assert "no such thing" in told
    assert runs == ["a"]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    await workflows.close()
    again = make()
    again.register("dial", dial)
    await again.launch()
    assert not await again.start("dial", "dial-a-0", "a")
    await asyncio.sleep(2.5)  # longer than DBOS needs to look for work
    assert runs == ["a"]


async def test_a_workflow_that_cancels_itself_fails_visibly(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    workflows, runs = make(), []

    async def dial(attempt_id: str) -> None:
        runs.append(attempt_id)
        raise asyncio.CancelledError

    workflows.register("dial", dial)
    await workflows.launch()
    await workflows.start("dial", "dial-a-0", "a")
    await until(lambda: bool(runs) and not workflows._running)
    assert "a workflow was cancelled" in capsys.readouterr().out


async def test_a_start_inside_a_workflow_is_a_workflow_of_its_own(make: Make) -> None:
    workflows, ran = make(), []

    async def finish(attempt_id: str) -> None:
        async def start_next() -> bool:
            return await workflows.start("dial", "dial-next-0", "next")

        ran.append(["finish", attempt_id, await workflows.step("next", start_next)])

    async def dial(attempt_id: str) -> None:
        ran.append(["dial", attempt_id])

    workflows.register("dial", dial)
    workflows.register("finish", finish)
    await workflows.launch()
    await workflows.start("finish", "finish-a-0", "a")
    await until(lambda: len(ran) == 2)
    assert sorted(ran) == [["dial", "next"], ["finish", "a", True]]


async def test_what_is_not_done_at_the_close_goes_on_after_the_last_step(make: Make) -> None:
    blocked, steps = asyncio.Event(), []

    def build() -> DbosWorkflows:
        workflows = make(drain_s=0.2)

        async def dial(attempt_id: str) -> None:
            for name in ("one", "two", "three"):

                async def step(name: str = name) -> str:
                    if name == "two" and not blocked.is_set():
                        steps.append("two begins")
                        blocked.set()
                        await asyncio.sleep(60)
                    steps.append(name)
                    return name

                assert await workflows.step(name, step) == name

        workflows.register("dial", dial)
        return workflows

    first = build()
    await first.launch()
    await first.start("dial", "dial-a-0", "a")
    await blocked.wait()
    async with asyncio.timeout(15):
        await first.close()
    second = build()
    await second.launch()
    await until(lambda: "three" in steps)
    assert steps == ["one", "two begins", "two", "three"]
    await asyncio.to_thread(int)  # the loop's own threads work after a close


async def test_only_one_is_launched_in_a_process(make: Make) -> None:
    first, second = make("p1"), make("p2")
    await first.launch()
    with pytest.raises(ConfigurationError, match="already"):
        await second.launch()
    with pytest.raises(RuntimeError):
        first.register("late", lambda _: asyncio.sleep(0))
    with pytest.raises(RuntimeError):
        await first.start("unknown", "x", "y")
    await first.close()
    await first.close()
    await second.launch()


async def test_finished_workflows_are_purged(make: Make) -> None:
    workflows, runs, blocked = make(drain_s=0.1), [], asyncio.Event()

    async def dial(attempt_id: str) -> None:
        runs.append(attempt_id)
        if attempt_id == "waits":
            await blocked.wait()

    workflows.register("dial", dial)
    await workflows.launch()
    for name in ("a", "b", "waits"):
        await workflows.start("dial", name, name)
    await until(lambda: len(runs) == 3 and len(workflows._running) == 1)
    assert await workflows.purge(3600) == 0
    assert await workflows.purge(-1) == 2
    assert await workflows.purge(-1) == 0
    assert not await workflows.start("dial", "waits", "waits")
    assert await workflows.start("dial", "a", "a"), "a purged id is free again"
    blocked.set()


class Child:
    """Another process that runs the workflow of tests/storage/workflow_process.py."""

    def __init__(self, url: str, folder: Path, executor_id: str, log: Path) -> None:
        self.log = log
        argv = [sys.executable, "-m", "tests.storage.workflow_process"]
        settings = {"url": url, "folder": str(folder), "executor_id": executor_id, "log": str(log)}
        self.process = subprocess.Popen(
            [*argv, json.dumps({**settings, "secret_key": SECRET_KEY})],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def lines(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    async def output(self, within_s: float = 30) -> str:
        output, _ = await asyncio.to_thread(self.process.communicate, timeout=within_s)
        return output.decode()


@pytest.fixture
async def child(
    database: Database, database_url: str, tmp_path: Path
) -> AsyncIterator[Callable[[str], Child]]:
    started: list[Child] = []

    def start(executor_id: str) -> Child:
        started.append(Child(database_url, tmp_path / "data", executor_id, tmp_path / "log"))
        return started[-1]

    yield start
    for process in started:
        if process.process.poll() is None:
            process.kill()
        assert process.process.stdout is not None
        process.process.stdout.close()


def build_like_child(workflows: DbosWorkflows, log: Path) -> None:
    async def dial(attempt_id: str) -> None:
        for name in ("one", "two", "three"):

            async def step(name: str = name) -> None:
                with log.open("a") as file:
                    file.write(f"{attempt_id}:{name}:here\n")

            await workflows.step(name, step)

    workflows.register("dial", dial)


async def test_a_killed_process_is_recovered_by_its_successor(
    make: Make, child: Callable[[str], Child], tmp_path: Path
) -> None:
    first = child("p1")
    await until(lambda: len([line for line in first.lines() if ":two:" in line]) == 3)
    first.kill()
    workflows = make("p1")
    build_like_child(workflows, tmp_path / "log")
    await workflows.launch()
    await until(lambda: len([line for line in first.lines() if ":three:" in line]) == 3)
    for attempt_id in ("a", "b", "c"):
        mine = [line for line in first.lines() if line.startswith(attempt_id)]
        assert mine == [f"{attempt_id}:one", f"{attempt_id}:two:begins"] + [
            f"{attempt_id}:{name}:here" for name in ("two", "three")
        ]


async def test_a_killed_process_is_adopted_by_another_and_a_living_one_is_not(
    make: Make, child: Callable[[str], Child], database: Database, tmp_path: Path
) -> None:
    first = child("p1")
    await until(lambda: len([line for line in first.lines() if ":two:" in line]) == 3)
    workflows = make("p2")
    build_like_child(workflows, tmp_path / "log")
    if database.is_sqlite:
        with pytest.raises(ConfigurationError, match="running process p1"):
            await workflows.launch()
        first.kill()
        await workflows.launch()
    else:
        await workflows.launch()
        assert await workflows.adopt("p1") == 0
        assert await workflows.adopt("p2") == 0
        first.kill()
        async with asyncio.timeout(10):
            while await workflows.adopt("p1") == 0:
                await asyncio.sleep(0.05)
    await until(lambda: len([line for line in first.lines() if ":three:here" in line]) == 3)
    assert await workflows.adopt("p1") == 0


async def test_work_that_nobody_adopted_is_found(
    make: Make, child: Callable[[str], Child], database: Database, tmp_path: Path
) -> None:
    if database.is_sqlite:
        pytest.skip("on SQLite a process takes everything over when it is launched")
    first = child("p1")
    await until(lambda: len([line for line in first.lines() if ":two:" in line]) == 3)
    workflows = make("p2", orphans_every_s=0.3)
    build_like_child(workflows, tmp_path / "log")
    await workflows.launch()
    await asyncio.sleep(1.5)
    assert [line for line in first.lines() if line.endswith(":here")] == [], "the living keep their work"
    first.kill()
    await until(lambda: len([line for line in first.lines() if ":three:here" in line]) == 3)


async def test_a_second_process_with_the_same_id_is_refused(child: Callable[[str], Child]) -> None:
    first = child("p1")
    await until(lambda: bool(first.lines()))
    output = await child("p1").output()
    assert "ConfigurationError" in output
    assert "running process" in output
    assert first.process.poll() is None


def test_all_of_it_runs_in_a_uvloop(database_url: str, tmp_path: Path) -> None:
    async def main() -> None:
        database = await Database.open(database_url, data_dir=tmp_path, clock=SystemClock())
        await database.migrate()
        await database.ping()
        bus, workflows, ran = Bus(database), DbosWorkflows(database, executor_id="p"), []

        async def dial(attempt_id: str) -> None:
            ran.append((attempt_id, type(asyncio.get_running_loop()).__module__))

        await bus.start()
        await bus.publish("call", "c1")
        workflows.register("dial", dial)
        await workflows.launch()
        await workflows.start("dial", "w", "a")
        await until(lambda: bool(ran))
        await workflows.close()
        await bus.close()
        await database.close()
        assert ran == [("a", "uvloop")]

    uvloop.run(main())


async def test_an_orphan_is_found_behind_any_number_of_others(
    make: Make, database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("callwright.storage.durable._PAGE", 2)
    workflows, ran, told = make(drain_s=0.1, orphans_every_s=0.3), [], [""]

    async def dial(attempt_id: str) -> None:
        ran.append(attempt_id)
        await asyncio.sleep(600)

    def taken_over() -> bool:
        told[0] += capsys.readouterr().out
        return "workflows of a dead process were taken over" in told[0]

    workflows.register("dial", dial)
    await workflows.launch()
    for name in ("a", "b", "c", "d", "orphan"):
        await workflows.start("dial", f"dial-{name}", name)
        await until(lambda name=name: name in ran)
    table = "workflow_status" if database.is_sqlite else "dbos.workflow_status"
    statement = f"UPDATE {table} SET executor_id = 'dead' WHERE workflow_uuid = 'dial-orphan'"  # noqa: S608 - constants of this test
    assert workflows._engine is not None
    with workflows._engine.begin() as conn:
        assert conn.execute(text(statement)).rowcount == 1
    await until(taken_over, within_s=10)
    assert "dead" in told[0]
