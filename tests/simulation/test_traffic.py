"""What goes over a simulator's wires is on record as it was sent."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from callwright.simulation.faults import Fault, FaultKind, Faults
from callwright.simulation.server import SimulatorServer
from callwright.simulation.traffic import Traffic, parameters


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=&b", {"a": "", "b": ""}),
        ("a=1&a=2&a=", {"a": ["1", "2", ""]}),
    ],
)
def test_parameters_stay_as_they_came(text: str, expected: dict[str, str | list[str]]) -> None:
    assert parameters(text) == expected


async def answer(_: Request) -> Response:
    return JSONResponse({"ok": True})


@pytest.fixture
async def server() -> AsyncIterator[tuple[SimulatorServer, Faults, Traffic]]:
    faults, traffic = Faults(), Traffic("test")
    found = SimulatorServer(Starlette(routes=[Route("/x", answer)]), faults, traffic)
    await found.start()
    yield found, faults, traffic
    await found.stop()


async def test_odd_parameters_are_on_record_and_against_the_rules(
    server: tuple[SimulatorServer, Faults, Traffic],
) -> None:
    simulator, _, traffic = server
    async with httpx2.AsyncClient(base_url=simulator.base_url, trust_env=False) as client:
        await client.get("/x?good=1")
        assert traffic.violations == []
        await client.get("/x?twice=1&twice=2&blank=")
    assert traffic.exchanges[-1].query == {"twice": ["1", "2"], "blank": ""}
    assert traffic.violations == [
        "GET /x: the parameter twice is given 2 times",
        "GET /x: the parameter blank is given without a value",
    ]


async def test_what_a_fault_answered_is_told_from_the_vendors_answers(
    server: tuple[SimulatorServer, Faults, Traffic],
) -> None:
    simulator, faults, traffic = server
    faults.add(Fault("GET /x", FaultKind.STATUS, status=503, body="<html>"))
    async with httpx2.AsyncClient(base_url=simulator.base_url, trust_env=False) as client:
        assert [(await client.get("/x")).status_code for _ in range(2)] == [503, 200]
    assert [(row.status, row.forged) for row in traffic.exchanges] == [(503, True), (200, False)]
