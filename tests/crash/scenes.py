"""The scenes of the crash test: one kill at a boundary, many at random moments, a death that others take over from."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from callwright.domain.states import CallState
from callwright.simulation.faults import Fault, FaultKind
from tests.crash.audit import Audit, audit
from tests.crash.people import AWAY, BUSY, HASTY, MACHINE, REJECTS, TALKER, WRONG, callees, some_twice
from tests.crash.process import Process
from tests.crash.world import CrashWorld

CAST = (TALKER, TALKER, BUSY, AWAY, MACHINE, HASTY)
STREAM = (TALKER, AWAY, TALKER, BUSY, MACHINE, TALKER, HASTY, REJECTS, TALKER, WRONG)
DONE_WITHIN_S = 180.0
HUNG_UP_WITHIN_S = 15.0
"""After the last call is done at ours, nobody may be on the line any more after this."""

MOST_SILENCE_S = 25.0
"""The longest that a person may hear nothing for each death: a start, or a take-over, on a busy machine."""

_REACHED_WITHIN_S = 60.0
"""For two people to talk at the same time."""

_CALM_WITHIN_S = 30.0
_TWICE_EVERY = 8
_ALWAYS = 1_000_000
_CRM_LATENCY_S = 0.25
"""Slow enough for two rounds of one call, if there were two, to meet."""


@dataclass
class Scene:
    """One run in a world of its own, and what came of it."""

    name: str
    database: str
    folder: Path
    kills: int = 0
    reached: bool = True
    seconds: float = 0.0
    back_s: float = 0.0
    takeover_s: float = 0.0
    audit: Audit = field(default_factory=Audit)
    failures: list[str] = field(default_factory=list)
    boundaries: dict[str, int] = field(default_factory=dict)
    recovery: dict[str, int] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """Everything that is wrong."""
        return [*self.failures, *self.audit.problems]


async def boundary_scene(scene: Scene, url: str, kill: str | None, occurrence: int = 1) -> Scene:
    """Calls of every kind at once; the process dies at a boundary (or nowhere) and is started again."""
    async with CrashWorld(scene.folder, callees(*CAST), url) as world:
        await world.prepare("main")
        _make_trouble(world)
        victim = await world.spawn("main", kill, occurrence)
        orders = asyncio.create_task(_order_all(world))
        await _play(scene, world, victim, orders, restart="main")
    return scene


async def recovery_scene(scene: Scene, url: str, kill: str | None, occurrence: int = 1) -> Scene:
    """The process dies while people talk; the next one dies at a boundary of its recovery; a third one goes on."""
    async with CrashWorld(scene.folder, callees(*CAST), url) as world:
        await world.prepare("main")
        _make_trouble(world)
        first = await world.spawn("main")
        await first.until_ready()
        orders = asyncio.create_task(_order_all(world))
        await world.until("two people talk", lambda: _talking(world, 2), _REACHED_WITHIN_S)
        await first.kill()
        scene.kills += 1
        victim = await world.spawn("main", kill, occurrence)
        await _play(scene, world, victim, orders, restart="main")
    return scene


async def takeover_scene(scene: Scene, url: str, kill: str | None, occurrence: int = 1) -> Scene:
    """Two processes on one PostgreSQL database; one dies at a boundary and stays dead."""
    async with CrashWorld(scene.folder, callees(*CAST), url) as world:
        await world.prepare("first", "second")
        _make_trouble(world)
        victim = await world.spawn("first", kill, occurrence)
        await victim.until_ready()
        # It takes up all calls while the second one starts, and from then on they share what there is to do.
        orders = asyncio.create_task(_order_all(world))
        await world.spawn("second")
        await _play(scene, world, victim, orders, restart=None)
        if victim.was_killed:
            scene.takeover_s = await _slowest_takeover(world, victim.killed_at)
    return scene


async def random_scene(scene: Scene, url: str, kills: int, seed: int, calls: int) -> Scene:
    """A stream of calls while the process is killed at random moments and started again each time."""
    chance = random.Random(f"{seed} {scene.database}")
    people = some_twice(callees(*(STREAM[number % len(STREAM)] for number in range(calls))), _TWICE_EVERY)
    async with CrashWorld(scene.folder, people, url) as world:
        await world.prepare("main")
        _make_trouble(world)
        started = time.monotonic()
        async with asyncio.TaskGroup() as orders:
            for number in range(kills):
                process = await world.spawn("main")
                for callee in people[number * len(people) // kills : (number + 1) * len(people) // kills]:
                    orders.create_task(world.order(callee))
                await process.until_ready()
                await asyncio.sleep(chance.choice((chance.uniform(0.0, 2.5), chance.uniform(2.5, 9.0))))
                await process.kill()
                scene.kills += 1
            last = await world.spawn("main")
            await last.until_ready()
        back = time.monotonic()
        await _finish(scene, world)
        scene.back_s = time.monotonic() - back
        scene.seconds = time.monotonic() - started
    return scene


def _make_trouble(world: CrashWorld) -> None:
    """One dial whose answer is lost; a first write to the second person's record that fails; bad webhooks, slow CRM."""
    faults = world.stage.carrier.faults
    faults.add(Fault("POST /calls/1/calls", FaultKind.DROP_AFTER, skip=2))
    for kind in (FaultKind.LOSE, FaultKind.REPEAT, FaultKind.REORDER):
        faults.add(Fault("webhook CALL_", kind, times=_ALWAYS, probability=0.08))
    record_id = world.stage.record_of[world.callees[1].phone]
    fault = Fault(
        f"PUT /crm/v8/Leads/{record_id}", FaultKind.STATUS, status=500, body={"code": "INTERNAL_ERROR"}
    )
    world.stage.crm.faults.add(fault)
    world.stage.crm.state.behaviour.latency_s = _CRM_LATENCY_S


async def _play(
    scene: Scene, world: CrashWorld, victim: Process, orders: "asyncio.Task[None]", restart: str | None
) -> None:
    """Until the victim dies or all is done; then the next one starts, where there is one, and all has to end well."""
    started = time.monotonic()
    over = asyncio.create_task(_all_done(world, orders))
    death = asyncio.create_task(victim.until_dead())
    try:
        await asyncio.wait({over, death}, timeout=DONE_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        if death.done():
            scene.kills += 1
            if not victim.was_killed:
                scene.failures.append(f"{victim.name} ended by itself")
            if restart is not None:
                await (await world.spawn(restart)).until_ready()
        back = time.monotonic()
        await orders
        await _finish(scene, world)
        scene.back_s = time.monotonic() - back
    finally:
        for task in (over, death, orders):
            task.cancel()
        await asyncio.gather(over, death, orders, return_exceptions=True)
    scene.seconds = time.monotonic() - started
    scene.boundaries = dict(victim.boundaries())
    if victim is not world.processes[-1]:
        scene.recovery = dict(world.processes[-1].boundaries())
    scene.reached = victim.was_killed or not victim.is_to_die


async def _slowest_takeover(world: CrashWorld, killed_at: float) -> float:
    """Seconds from the death to the last call that another process took over."""
    moments = [
        event.at.timestamp() - killed_at
        for row in await world.attempts()
        for event in await world.history(row.id)
        if event.kind == "taken_over"
    ]
    return max(moments, default=0.0)


async def _talking(world: CrashWorld, count: int) -> bool:
    return sum(row.state is CallState.TALKING for row in await world.attempts()) >= count


async def _all_done(world: CrashWorld, orders: "asyncio.Task[None]") -> None:
    await orders
    await world.until("all calls are done", world.all_done, DONE_WITHIN_S)


async def _order_all(world: CrashWorld) -> None:
    async with asyncio.TaskGroup() as group:
        for callee in world.callees:
            group.create_task(world.order(callee))


async def _finish(scene: Scene, world: CrashWorld) -> None:
    """Let everything come to its end, stop politely, and look."""
    try:
        await world.until("all calls are done", world.all_done, DONE_WITHIN_S)
        await world.until("everybody was hung up on", lambda: not world.people_on_line(), HUNG_UP_WITHIN_S)
        await world.until("all webhooks are applied", world.no_webhook_waits, _CALM_WITHIN_S)
    except TimeoutError as error:
        scene.failures.append(str(error))
    for process in world.processes:
        if not process.alive:
            continue
        if not await process.stop():
            scene.failures.append(f"{process.name} did not stop")
        elif process.was_killed:
            scene.kills += 1  # at a boundary of the stop itself
    scene.audit = await audit(world, MOST_SILENCE_S * max(1, scene.kills))
