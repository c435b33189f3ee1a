"""Carriers: what the SPEC promises is kept; what it does not promise is not tried."""

from dataclasses import fields, replace

import pytest

from callwright.domain.events import CarrierEventKind, Leg
from callwright.ports.carrier import CarrierCapabilities, HangUpCause
from callwright.registry import IntegrationSpec, Role, with_role
from tests.contracts.carrier_stage import HUMAN, MACHINE, SILENT, TALKER, CarrierStage

APOLOGY = "We are sorry, there is a technical problem."
_RECORDED_WITHIN_S = 15.0


def promising(capability: str) -> pytest.MarkDecorator:
    """Only the carriers that have a capability."""
    specs = [spec for spec in with_role(Role.CARRIER) if spec.carrier and getattr(spec.carrier, capability)]
    return pytest.mark.parametrize("carrier", specs, indirect=True, ids=[spec.name for spec in specs])


def test_each_capability_is_tested() -> None:
    told = {"machine_detection", "recording", "say", "transfer", "dtmf", "buffers_audio"}
    figures = {"dials_per_second", "longest_ring_s"}
    assert {field.name for field in fields(CarrierCapabilities)} == told | figures


async def test_the_adapter_has_the_capabilities_of_its_spec(carrier: CarrierStage) -> None:
    spec: IntegrationSpec = carrier.spec
    assert spec.carrier is not None, f"{spec.name}: the SPEC of a carrier tells its capabilities"
    adapter = carrier.carrier.capabilities
    assert replace(adapter, dials_per_second=1.0) == replace(spec.carrier, dials_per_second=1.0)
    assert adapter.dials_per_second > 0
    assert adapter.longest_ring_s >= 15, "the shortest ring that an agent may ask for"


@promising("machine_detection")
async def test_a_machine_is_told_from_a_human(carrier: CarrierStage) -> None:
    await carrier.set_up()
    machine = await carrier.dial(MACHINE, "attempt-1", detect_machine=True)
    human = await carrier.dial(TALKER, "attempt-2", detect_machine=True)
    for call, kind in (
        (machine, CarrierEventKind.MACHINE_DETECTED),
        (human, CarrierEventKind.HUMAN_DETECTED),
    ):
        found = await carrier.event(kind)
        assert (found.leg, found.carrier_call_id) == (Leg.PERSON, call.carrier_call_id)


@promising("say")
async def test_a_text_is_spoken_to_the_person(carrier: CarrierStage) -> None:
    await carrier.set_up()
    call = await carrier.dial_and_answer(SILENT)
    await carrier.carrier.say(call, APOLOGY, "en")
    await carrier.event(CarrierEventKind.PROMPT_FINISHED)
    await carrier.until(lambda: carrier.person(SILENT).report().texts, "word that the person understood")
    assert carrier.person(SILENT).report().texts == [APOLOGY]


@promising("transfer")
async def test_the_person_is_connected_with_a_human(carrier: CarrierStage) -> None:
    await carrier.set_up()
    call, socket = await carrier.attach(await carrier.dial_and_answer(SILENT))
    data = await carrier.carrier.transfer(call, HUMAN, None)
    await carrier.until(lambda: carrier.dialled(HUMAN) == 1, "call to the human")
    await carrier.event(CarrierEventKind.ANSWERED, Leg.HUMAN)
    assert socket.closed, "we are still in the call"
    assert carrier.person(SILENT).on_line
    await carrier.carrier.hang_up(replace(call, data={**call.data, **data}), HangUpCause.NORMAL)
    await carrier.until(lambda: not carrier.person(SILENT).on_line, "end of the person's call")
    carrier.assert_no_violations()
