"""Carriers that promise recordings: asked for, fetched once into our folder, bounded, and never half a file."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from callwright.calls.carrier_recordings import LONGEST_WAIT, CarrierRecordings
from callwright.calls.directory import Directory
from callwright.domain.agent import AgentDefinition, parse_agent
from callwright.domain.attempt import Attempt
from callwright.domain.errors import VendorBusy, VendorError, VendorRefused
from callwright.domain.states import CallState
from callwright.ports.carrier import CallHandle, HangUpCause, RecordingState
from callwright.ports.clock import SystemClock
from callwright.registry import IntegrationContext
from callwright.simulation.faults import Fault, FaultKind
from tests.contracts.carrier_stage import CALLER_ID, TALKER, CarrierStage
from tests.contracts.test_carrier_capabilities import promising

_WITHIN_S = 15.0
OFTEN = 1000


@pytest.fixture
async def directory(carrier: CarrierStage) -> AsyncIterator[Directory]:
    name = carrier.spec.name
    context = IntegrationContext(
        SystemClock(), carrier.tokens, carrier.secrets, carrier.counters, carrier.doorway.public_url
    )
    found = Directory({name: carrier.configuration.integrations[name]}, context)
    yield found
    await found.close()


def agent_of(carrier: CarrierStage, **changed: Any) -> AgentDefinition:
    engine = {"platform": "any", "agent_id": "any"}
    named = {"name": "recorded", "carrier": carrier.spec.name, "caller_id": CALLER_ID, "engine": engine}
    return parse_agent({**named, "carrier_recording": True, **changed})


def attempt_of(call: CallHandle, carrier: CarrierStage) -> Attempt:
    now = carrier.world.clock.now()
    return Attempt(
        call.attempt_id,
        "recorded",
        1,
        carrier.spec.name,
        "any",
        CallState.ENDED,
        1,
        "api",
        now,
        now,
        phone=call.phone,
        carrier_call_id=call.carrier_call_id,
        carrier_data=dict(call.data),
        answered_at=now,
        ended_at=now,
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def talked(carrier: CarrierStage) -> CallHandle:
    await carrier.set_up()
    call = await carrier.dial_and_answer(TALKER, record=True)
    await carrier.until(lambda: carrier.person(TALKER).speaking, "word of the person")
    await carrier.carrier.hang_up(call, HangUpCause.NORMAL)
    return call


async def ready(carrier: CarrierStage, call: CallHandle) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while (await carrier.carrier.recording(call)).state is not RecordingState.READY:
            await asyncio.sleep(0.05)


@promising("recording")
async def test_a_recording_is_there_after_the_call(carrier: CarrierStage) -> None:
    await carrier.set_up()
    call = await carrier.dial_and_answer(TALKER, record=True)
    state = (await carrier.carrier.recording(call)).state
    assert state is not RecordingState.READY, "a call that still goes on has none"
    await carrier.carrier.hang_up(call, HangUpCause.NORMAL)
    await ready(carrier, call)
    found = await carrier.carrier.recording(call)
    content = b"".join([piece async for piece in carrier.carrier.recorded(call, found)])
    assert content[:3] in {b"RIF", b"ID3"} or content[:1] == b"\xff"
    assert found.size in {None, len(content)}
    unknown = CallHandle("attempt-9", "no-such-call", TALKER, call.caller_id, answered=True, data={})
    assert (await carrier.carrier.recording(unknown)).state is not RecordingState.READY
    carrier.assert_no_violations()


@promising("recording")
async def test_it_is_fetched_once(carrier: CarrierStage, directory: Directory, tmp_path: Path) -> None:
    call = await talked(carrier)
    recordings = CarrierRecordings(directory, tmp_path, carrier.world.clock)
    attempt, agent = attempt_of(call, carrier), agent_of(carrier)
    with pytest.raises(VendorBusy) as busy:
        await recordings.fetch(attempt, agent)
    assert busy.value.retry_after_s
    assert names(tmp_path) == []
    await ready(carrier, call)
    name = await recordings.fetch(attempt, agent)
    assert name is not None
    assert name.startswith(f"{attempt.id}-carrier.")
    assert names(tmp_path) == [name]
    carrier.mark()
    assert await recordings.fetch(attempt, agent) == name
    assert carrier.requests() == [], "what is there is not asked for again"


@promising("recording")
async def test_who_is_not_asked(carrier: CarrierStage, directory: Directory, tmp_path: Path) -> None:
    call = await talked(carrier)
    recordings = CarrierRecordings(directory, tmp_path, carrier.world.clock)
    attempt = attempt_of(call, carrier)
    carrier.mark()
    assert await recordings.fetch(attempt, agent_of(carrier, carrier_recording=False)) is None
    assert await recordings.fetch(replace(attempt, answered_at=None), agent_of(carrier)) is None
    assert await recordings.fetch(replace(attempt, carrier_call_id=None), agent_of(carrier)) is None
    assert carrier.requests() == []


@promising("recording")
async def test_one_that_never_comes_is_given_up(
    carrier: CarrierStage, directory: Directory, tmp_path: Path
) -> None:
    await carrier.set_up()
    call = await carrier.dial_and_answer(TALKER)
    await carrier.carrier.hang_up(call, HangUpCause.NORMAL)
    recordings = CarrierRecordings(directory, tmp_path, carrier.world.clock)
    attempt, agent = attempt_of(call, carrier), agent_of(carrier)
    assert attempt.ended_at is not None
    try:
        assert await recordings.fetch(attempt, agent) is None
    except VendorBusy:
        long_ago = attempt.ended_at - LONGEST_WAIT - timedelta(seconds=1)
        assert await recordings.fetch(replace(attempt, ended_at=long_ago), agent) is None


@promising("recording")
async def test_size_and_time_are_bounded(carrier: CarrierStage, directory: Directory, tmp_path: Path) -> None:
    call = await talked(carrier)
    await ready(carrier, call)
    attempt, agent = attempt_of(call, carrier), agent_of(carrier)
    small = CarrierRecordings(directory, tmp_path, carrier.world.clock, largest_bytes=100)
    with pytest.raises(VendorRefused, match="more than 100 bytes"):
        await small.fetch(attempt, agent)
    carrier.fault(Fault("GET **", FaultKind.DELAY, OFTEN, skip=1, seconds=0.5))
    hasty = CarrierRecordings(directory, tmp_path, carrier.world.clock, longest_fetch_s=0.1)
    with pytest.raises(VendorError):
        await hasty.fetch(attempt, agent)
    assert names(tmp_path) == [], "half a file was left"


@promising("recording")
@pytest.mark.parametrize(
    "fault",
    [
        Fault("GET **", FaultKind.STATUS, OFTEN, status=500),
        Fault("GET **", FaultKind.STATUS, OFTEN, status=429, headers={"Retry-After": "70"}),
        Fault("GET **", FaultKind.DROP_BEFORE, OFTEN),
        Fault("GET **", FaultKind.STATUS, OFTEN, skip=1, status=500),
        Fault("GET **", FaultKind.DROP_BEFORE, OFTEN, skip=1),
    ],
    ids=["down", "busy", "gone", "down-in-the-middle", "gone-in-the-middle"],
)
async def test_a_fault_leaves_nothing_and_the_next_try_succeeds(
    carrier: CarrierStage, directory: Directory, tmp_path: Path, fault: Fault
) -> None:
    call = await talked(carrier)
    await ready(carrier, call)
    recordings = CarrierRecordings(directory, tmp_path, carrier.world.clock)
    attempt, agent = attempt_of(call, carrier), agent_of(carrier)
    carrier.fault(replace(fault))
    error = await carrier.failure(recordings.fetch(attempt, agent))
    assert not isinstance(error, VendorRefused), "it is worth another try"
    assert names(tmp_path) == []
    carrier.simulator.faults.clear()
    name = await recordings.fetch(attempt, agent)
    assert name is not None
    assert (tmp_path / name).stat().st_size > 44


@promising("recording")
async def test_what_a_killed_process_left_is_cleared_away(
    carrier: CarrierStage, directory: Directory, tmp_path: Path
) -> None:
    call = await talked(carrier)
    await ready(carrier, call)
    left = tmp_path / f"{call.attempt_id}-carrier-0badcafe.part"
    left.write_bytes(b"half")
    recordings = CarrierRecordings(directory, tmp_path, carrier.world.clock, longest_fetch_s=0.0)
    with pytest.raises(VendorError):
        await recordings.fetch(attempt_of(call, carrier), agent_of(carrier))
    assert not left.exists()
