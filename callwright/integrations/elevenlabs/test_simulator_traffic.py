"""Everything that a client sends to the simulated platform's websockets is on record, refused or not."""

from typing import Any

import picows
import pytest

from callwright.integrations.elevenlabs.conftest import GOOD, Customer
from callwright.integrations.elevenlabs.simulator import ElevenLabsSimulator
from callwright.simulation.faults import Fault, FaultKind


def sent(simulator: ElevenLabsSimulator) -> list[Any]:
    rows = simulator.traffic.exchanges
    return [row.body for row in rows if row.kind == "ws" and row.direction == "in"]


@pytest.mark.parametrize(
    "message, kept",
    [
        ({"type": "hello"}, {"type": "hello"}),
        ({**GOOD, "flavour": "mint"}, {**GOOD, "flavour": "mint"}),
        ({"user_audio_chunk": "%%"}, {"user_audio_chunk": "%%"}),
        (b"{", "{"),
        (b"[1]", [1]),
    ],
)
async def test_refused_messages(
    customer: Customer, simulator: ElevenLabsSimulator, message: Any, kept: Any
) -> None:
    client = await customer.connect(await customer.url())
    client.send(message)
    assert (await client.closed())[0] == 1008
    assert sent(simulator) == [kept]


async def test_messages_to_somebody_who_has_closed_already(
    customer: Customer, simulator: ElevenLabsSimulator
) -> None:
    simulator.faults.add(Fault("variable first_name=", FaultKind.CUSTOM, detail="refuse_3000_unknown"))
    client = await customer.connect(await customer.url())
    client.send(GOOD)
    client.send({"type": "user_activity"})
    assert (await client.closed())[0] == 3000
    assert sent(simulator) == [GOOD, {"type": "user_activity"}]


async def test_requests_that_open_a_websocket(customer: Customer, simulator: ElevenLabsSimulator) -> None:
    url = await customer.url()
    await customer.connect(url)
    with pytest.raises(picows.WSHandshakeError):
        await customer.connect(url.replace("/conversation?", "/nowhere?a=&a=2&"))
    good, bad = (row for row in simulator.traffic.exchanges if row.kind == "upgrade")
    assert (good.name, good.status) == ("GET /v1/convai/conversation", 101)
    assert good.query["agent_id"] == "agent_demo"
    assert good.query["conversation_signature"] == "***"
    assert (bad.name, bad.status, bad.query["a"]) == ("GET /v1/convai/nowhere", 404, ["", "2"])
