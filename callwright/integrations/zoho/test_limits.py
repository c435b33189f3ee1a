"""Zoho's limits: pauses after 429, requests in flight, credits."""

import asyncio

import pytest

from callwright.domain.errors import VendorBusy
from callwright.integrations.zoho.conftest import LEAD, OTHER, Bench, MovableClock
from callwright.integrations.zoho.limits import Limits
from callwright.simulation.faults import Fault, FaultKind

_GET = f"GET /crm/v8/Leads/{LEAD}"
_PUT = f"PUT /crm/v8/Leads/{LEAD}"


def busy(where: str, times: int = 1, details: object = None, **headers: str) -> Fault:
    body = {"code": "TOO_MANY_REQUESTS", "message": "too many", "status": "error", "details": details or {}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(where, FaultKind.STATUS, times=times, status=429, body=body, headers=named)


async def test_a_short_retry_after_is_waited_for(bench: Bench) -> None:
    crm = bench.crm()
    bench.simulator.faults.add(busy(_GET, retry_after="0.3"))
    bench.simulator.faults.add(busy(_PUT, retry_after="0.3"))
    assert (await crm.update("Leads", LEAD, {"Budget": 5})).written == ("Budget",)
    exchanges = {name: bench.simulator.traffic.named(name) for name in (_GET, _PUT)}
    for pair in exchanges.values():
        assert [exchange.status for exchange in pair] == [429, 200]
        assert pair[1].at - pair[0].at >= 0.3
    assert len(bench.simulator.writes(LEAD)) == 1


async def test_a_short_pause_in_the_details_is_waited_for(bench: Bench) -> None:
    bench.simulator.faults.add(busy(_GET, details={"retry_after": 0.2}))
    assert await bench.crm().get("Leads", LEAD) is not None


async def test_patience_has_an_end(bench: Bench) -> None:
    bench.simulator.faults.add(busy(_GET, times=9, retry_after="0.1"))
    with pytest.raises(VendorBusy):
        await bench.crm().get("Leads", LEAD)
    assert len(bench.simulator.traffic.named(_GET)) == 3


async def test_a_long_pause_is_told_and_kept_by_the_whole_process(bench: Bench) -> None:
    crm = bench.crm()
    bench.simulator.faults.add(busy(_GET, retry_after="90"))
    with pytest.raises(VendorBusy) as caught:
        await crm.get("Leads", LEAD)
    assert caught.value.retry_after_s == 90
    with pytest.raises(VendorBusy) as caught:
        await crm.get("Leads", OTHER)
    assert caught.value.retry_after_s is not None
    assert 80 < caught.value.retry_after_s <= 90
    assert len(bench.simulator.traffic.exchanges) == 2
    bench.clock.forward(91)
    assert await crm.get("Leads", OTHER) is not None


async def test_without_a_hint_pauses_double_until_an_answer_comes(bench: Bench) -> None:
    crm = bench.crm()
    bench.simulator.faults.add(busy(_GET, times=6))
    pauses = []
    for _ in range(6):
        with pytest.raises(VendorBusy) as caught:
            await crm.get("Leads", LEAD)
        pauses.append(caught.value.retry_after_s)
        bench.clock.forward(1000)
    assert pauses == [60, 120, 240, 480, 960, 960]
    assert await crm.get("Leads", LEAD) is not None
    bench.simulator.faults.add(busy(_GET))
    with pytest.raises(VendorBusy) as caught:
        await crm.get("Leads", LEAD)
    assert caught.value.retry_after_s == 60


async def test_requests_in_flight_are_bounded(bench: Bench) -> None:
    bench.simulator.state.behaviour.latency_s = 0.05
    crm = bench.crm(ZOHO_MAX_CONCURRENT="3", ZOHO_MAX_CONCURRENT_COMPLEX="1")
    reads = [crm.get("Leads", LEAD) for _ in range(12)]
    queries = [crm.query("Leads", "", ("Last_Name",), 5) for _ in range(6)]
    await asyncio.gather(*reads, *queries)
    usage = bench.simulator.state.usage
    assert usage.peak == 3
    assert usage.complex_peak == 1


async def test_too_many_in_flight_is_what_zoho_refuses(bench: Bench) -> None:
    bench.simulator.state.behaviour.latency_s = 0.05
    bench.simulator.state.behaviour.in_flight = 2
    crm = bench.crm(ZOHO_MAX_CONCURRENT="8")
    results = await asyncio.gather(*(crm.get("Leads", LEAD) for _ in range(8)), return_exceptions=True)
    assert any(isinstance(result, VendorBusy) for result in results)
    calm = bench.crm(ZOHO_MAX_CONCURRENT="2")
    assert all(await asyncio.gather(*(calm.get("Leads", LEAD) for _ in range(8))))


async def test_the_wait_for_a_place_has_a_limit() -> None:
    limits = Limits("zoho", MovableClock(), in_flight=1, complex_in_flight=1, wait_s=0.05)
    async with limits.turn(heavy=False, credit=1):
        with pytest.raises(VendorBusy, match="under way"):
            async with limits.turn(heavy=False, credit=1):
                pass
    async with limits.turn(heavy=True, credit=1):
        pass


async def test_credits_are_counted_for_a_day(bench: Bench) -> None:
    clock = MovableClock()
    limits = Limits("zoho", clock, in_flight=1, complex_in_flight=1)
    for credit in (1, 3):
        async with limits.turn(heavy=False, credit=credit):
            pass
    assert limits.credits_used == 4
    clock.forward(2 * 3600)
    async with limits.turn(heavy=False, credit=1):
        pass
    clock.forward(23 * 3600)
    assert limits.credits_used == 1
    crm = bench.crm()
    await crm.find_by_phone("Leads", "+447700900101")
    detail = next(result.detail for result in await crm.check() if result.name == "organisation")
    assert bench.simulator.state.usage.credits == 7
    assert "about 5 credits" in detail
