"""Every integration outlives every family of faults: slow, wrong, repeated, reordered, rate-limited, gone.

What an adapter is asked here has no effect at the vendor, so that it may only succeed or say what is wrong.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from callwright.domain.errors import VendorAmbiguous, VendorBusy, VendorError, VendorUnreachable
from callwright.domain.events import CarrierEventKind
from callwright.ports.voice_agent import ResultState
from callwright.registry import Role
from callwright.simulation.faults import Fault, FaultKind
from tests.contracts.agents_stage import AgentsStage
from tests.contracts.carrier_stage import HASTY, SILENT, CarrierStage
from tests.contracts.crm_stage import ANN, CrmStage
from tests.contracts.stage import Stage
from tests.contracts.test_operations import stage
from tests.contracts.test_voice_agents import ended

__all__ = ["stage"]

OFTEN = 1000
LONGEST_PAUSE_S = 86_400.0
LATER = (VendorAmbiguous, VendorUnreachable, VendorBusy)


async def _ask_carrier(found: Stage, port: Any) -> Any:
    return await port.find("attempt-1", SILENT, datetime.now(UTC) - timedelta(hours=1))


async def _ask_agents(found: Stage, port: Any) -> Any:
    assert isinstance(found, AgentsStage)
    ticket = await port.prepare(found.start())
    found.known_secrets |= {text for text in ticket.data.values() if isinstance(text, str)}
    return ticket


async def _ask_crm(found: Stage, port: Any) -> Any:
    assert isinstance(found, CrmStage)
    return await port.get(found.module, ANN.record_id)


ASK: dict[Role, Callable[[Stage, Any], Awaitable[Any]]] = {
    Role.CARRIER: _ask_carrier,
    Role.VOICE_AGENTS: _ask_agents,
    Role.CRM: _ask_crm,
}


async def ask(found: Stage, port: Any = None) -> Any:
    """One question that changes nothing, of a process of its own unless one is given."""
    return await ASK[found.role](found, found.another() if port is None else port)


async def outcome(found: Stage) -> Any:
    """What came of asking: the answer, or the VendorError; any other error is a fault of the adapter."""
    try:
        return await ask(found)
    except VendorError as error:
        found.leaks.said += [repr(error), str(error), error.body]
        return error


async def ready(found: Stage) -> None:
    """Set up, and asked once, so that whatever token is needed is there."""
    await found.set_up()
    await ask(found)


async def recovered(found: Stage) -> None:
    """When the fault is over everything works again, for another process at least."""
    found.simulator.faults.clear()
    await ask(found)
    found.assert_no_violations()


def test_every_role_is_asked() -> None:
    assert set(ASK) == set(Role)


async def test_slow(stage: Stage) -> None:
    await ready(stage)
    stage.fault(Fault("", FaultKind.DELAY, OFTEN, seconds=0.3))
    await ask(stage)
    await recovered(stage)


@pytest.mark.parametrize(
    "body",
    [
        "<html>Bad gateway</html>",
        "",
        "null",
        "[]",
        "{}",
        "7",
        '"x"',
        '{"results": null, "data": {}, "id": 5}',
    ],
)
async def test_wrong(stage: Stage, body: str) -> None:
    await ready(stage)
    stage.fault(Fault("", FaultKind.STATUS, OFTEN, status=200, body=body))
    found = await outcome(stage)
    assert found is None or isinstance(found, VendorError), "nonsense was taken for an answer"
    await recovered(stage)


@pytest.mark.parametrize("status", [301, 404, 405, 418, 500, 502, 503, 599])
async def test_wrong_status(stage: Stage, status: int) -> None:
    await ready(stage)
    stage.fault(Fault("", FaultKind.STATUS, OFTEN, status=status, body="<html>no answer of an API</html>"))
    found = await outcome(stage)
    if status >= 500:
        assert isinstance(found, LATER), f"{status} is not taken as worth another try: {found!r}"
    else:
        assert isinstance(found, VendorError) or (found is None and status == 404)
    await recovered(stage)


@pytest.mark.parametrize("pause", [None, "70", "0", "-5", "soon", "9e99", "Wed, 21 Oct 2015 07:28:00 GMT"])
async def test_rate_limited(stage: Stage, pause: str | None) -> None:
    await ready(stage)
    headers = {} if pause is None else {"Retry-After": pause}
    stage.fault(Fault("", FaultKind.STATUS, OFTEN, status=429, headers=headers))
    error = await stage.failure(ask(stage))
    assert isinstance(error, VendorBusy)
    assert error.retry_after_s is None or 0 <= error.retry_after_s <= LONGEST_PAUSE_S
    if pause == "70":
        assert error.retry_after_s == 70
    await recovered(stage)


@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER])
async def test_gone_for_a_while(stage: Stage, kind: FaultKind) -> None:
    await ready(stage)
    stage.fault(Fault("", kind, OFTEN))
    assert isinstance(await stage.failure(ask(stage)), LATER)
    await recovered(stage)


async def test_gone_for_good(stage: Stage) -> None:
    await ready(stage)
    await stage.simulator.stop()
    assert isinstance(await stage.failure(ask(stage)), (VendorUnreachable, VendorAmbiguous))
    checks = await stage.port.check()
    assert checks
    assert any(check.remedy for check in checks)


async def test_one_answer_is_lost(stage: Stage) -> None:
    """What changes nothing is asked again at once."""
    await ready(stage)
    fault = stage.fault(Fault("", FaultKind.DROP_AFTER))
    await ask(stage)
    assert fault.hits == 1
    await recovered(stage)


async def test_reordered_events_of_a_call(carrier: CarrierStage) -> None:
    await carrier.set_up()
    carrier.fault(Fault("webhook ", FaultKind.REORDER, OFTEN))
    await carrier.dial(HASTY)
    answered = await carrier.event(CarrierEventKind.ANSWERED)
    over = await carrier.event(CarrierEventKind.ENDED)
    assert answered.at <= over.at, "the moments tell the order, whatever came first"
    assert over.answered_at is not None, "the end alone tells that the call was answered"
    again = [carrier.carrier.webhook(request) for request in reversed(carrier.doorway.arrived)]
    told = {(event.kind, event.carrier_call_id, event.dedup_key) for event in carrier.events}
    assert told == {(event.kind, event.carrier_call_id, event.dedup_key) for one in again for event in one}


async def test_events_lost_and_repeated_by_turns(carrier: CarrierStage) -> None:
    await carrier.set_up()
    for _ in range(10):
        carrier.fault(Fault("webhook ", FaultKind.REPEAT))
        carrier.fault(Fault("webhook ", FaultKind.LOSE))
    call = await carrier.dial(HASTY)
    asked = await carrier.ended(call)
    assert asked.end_reason is not None
    ended_by = {event.dedup_key for event in carrier.events if event.kind is CarrierEventKind.ENDED}
    assert len(ended_by) <= 1


async def test_slow_and_reordered_results(agents: AgentsStage) -> None:
    await agents.set_up()
    agents.fault(Fault("webhook ", FaultKind.REORDER, OFTEN, seconds=1.0))
    talk = await ended(agents)
    assert talk.ready is not None
    polled, _ = await agents.final_result(talk.ready.conversation_id)
    await agents.until(lambda: agents.results, "results by webhook")
    assert [result.state for result in agents.results] == [ResultState.READY]
    assert agents.results[0].collected == polled.collected


async def test_reordered_and_repeated_wishes(crm: CrmStage) -> None:
    first = crm.hook()
    second = replace(first, body=first.body.replace(b"e-1", b"e-2"))
    one, two = crm.another(), crm.another()
    forth = [hook for request in (first, second, first) for hook in one.webhook(request)]
    back = [hook for request in (second, first, second) for hook in two.webhook(request)]
    assert {hook.dedup_key for hook in forth} == {hook.dedup_key for hook in back}
    assert len({hook.dedup_key for hook in forth}) == len({first.body, second.body})
