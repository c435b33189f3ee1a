"""The wheel, on a simulated clock."""

import logging
import random
from array import array
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from callwright.media.metrics import MediaMetrics
from callwright.media.pacer import TICK_S, Pacer


@dataclass
class Ticking:
    """Acts every `every` seconds."""

    first: float
    every: float = 0.02
    at: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    _deadlines: "array[float]" = field(default_factory=lambda: array("d", [0.0]))
    _slot: int = 0

    def __post_init__(self) -> None:
        self.deadline = self.first

    @property
    def deadline(self) -> float:
        return self._deadlines[self._slot]

    @deadline.setter
    def deadline(self, value: float) -> None:
        self._deadlines[self._slot] = value

    def place(self, deadlines: "array[float]", slot: int) -> None:
        deadlines[slot] = self.deadline
        self._deadlines, self._slot = deadlines, slot

    def tick(self, now: float) -> None:
        self.at.append(now)
        self.late.append(now - self.deadline)
        self.deadline += self.every


class Broken(Ticking):
    def tick(self, now: float) -> None:
        raise RuntimeError("broken")


class Time:
    now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def time() -> Time:
    return Time()


@pytest.fixture
async def pacer(time: Time) -> Pacer:
    return Pacer(time, MediaMetrics(CollectorRegistry()))


def turn(pacer: Pacer, time: Time, seconds: float) -> None:
    """Run the wheel for so long."""
    end = time.now + seconds
    while time.now < end:
        time.now += TICK_S
        pacer.run(time.now)


async def test_everything_acts_within_a_tick_of_its_deadline(pacer: Pacer, time: Time) -> None:
    dice = random.Random(1)
    calls = [Ticking(50.0 + dice.random() * 0.02) for _ in range(50)]
    for call in calls:
        pacer.add(call)
    turn(pacer, time, 2.0)
    assert all(len(call.at) == pytest.approx(100, abs=2) for call in calls)
    assert all(-TICK_S / 2 - 1e-9 <= late <= TICK_S + 1e-9 for call in calls for late in call.late[1:])
    pacer.close()


async def test_calls_are_spread_and_do_not_act_together(pacer: Pacer, time: Time) -> None:
    calls = [Ticking(50.0 + index * 0.005) for index in range(4)]
    for call in calls:
        pacer.add(call)
    turn(pacer, time, 1.0)
    assert not set(calls[0].at[2:]) & set(calls[2].at[2:])
    pacer.close()


async def test_a_far_deadline_is_kept(pacer: Pacer, time: Time) -> None:
    call = Ticking(51.0)
    pacer.add(call)
    turn(pacer, time, 0.9)
    assert call.at == []
    turn(pacer, time, 0.15)
    assert call.at[0] == pytest.approx(51.0, abs=2 * TICK_S)
    never = Ticking(float("inf"))
    pacer.add(never)
    turn(pacer, time, 1.0)
    assert never.at == []
    pacer.close()


async def test_what_left_is_not_called_again(pacer: Pacer, time: Time) -> None:
    call = Ticking(50.0)
    pacer.add(call)
    pacer.add(call)
    turn(pacer, time, 0.1)
    seen = len(call.at)
    pacer.remove(call)
    pacer.remove(call)
    turn(pacer, time, 0.1)
    assert len(call.at) == seen
    call.deadline = time.now
    pacer.add(call)
    turn(pacer, time, 0.1)
    assert len(call.at) == seen * 2
    pacer.close()


async def test_a_fault_in_one_call_stops_that_call_only(
    pacer: Pacer, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    sound, broken = Ticking(50.0), Broken(50.0)
    pacer.add(broken)
    pacer.add(sound)
    with caplog.at_level(logging.ERROR):
        turn(pacer, time, 0.2)
    assert len(sound.at) >= 9
    assert len([record for record in caplog.records if record.exc_info]) == 1
    pacer.close()


async def test_after_a_stall_each_call_acts_once(pacer: Pacer, time: Time) -> None:
    call = Ticking(50.0)
    pacer.add(call)
    turn(pacer, time, 0.1)
    seen = len(call.at)
    time.now += 0.5
    pacer.run(time.now)
    assert len(call.at) == seen + 1
    pacer.close()


async def test_slots_are_used_again_and_bounded(time: Time) -> None:
    pacer = Pacer(time, MediaMetrics(CollectorRegistry()), capacity=2)
    first, second, third = Ticking(50.0), Ticking(50.0), Ticking(50.0)
    pacer.add(first)
    pacer.add(second)
    with pytest.raises(RuntimeError):
        pacer.add(third)
    pacer.remove(first)
    pacer.add(third)
    turn(pacer, time, 0.1)
    assert first.at == []
    assert len(third.at) == len(second.at) > 0
    pacer.close()
