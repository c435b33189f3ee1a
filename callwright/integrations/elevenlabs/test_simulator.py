"""The simulated platform's websockets are as strict as the real ones, seen by a client that does as it likes."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import picows
import pytest

from callwright.integrations.elevenlabs.conftest import GOOD, Client, Customer
from callwright.integrations.elevenlabs.simulator import ElevenLabsSimulator
from callwright.ports.clock import ShiftedClock
from callwright.simulation.faults import Fault, FaultKind
from callwright.simulation.world import World

Eventually = Callable[..., Awaitable[None]]
Json = dict[str, Any]


async def test_a_signed_url_is_good_once(customer: Customer) -> None:
    url = await customer.url()
    first = await customer.connect(url)
    second = await customer.connect(url)
    assert (await second.closed())[0] == 3000
    assert not first.gone.is_set()


async def test_a_signed_url_without_a_conversation_is_good_twice(customer: Customer) -> None:
    url = await customer.url(named=False)
    clients = [await customer.connect(url), await customer.connect(url)]
    for client in clients:
        client.send(GOOD)
    assert not any(client.gone.is_set() for client in clients)


async def test_a_signed_url_ends_in_a_quarter_of_an_hour(customer: Customer, world: World) -> None:
    url = await customer.url()
    world.clock = ShiftedClock(timedelta(minutes=15, seconds=1))
    code, reason = await (await customer.connect(url)).closed()
    assert (code, reason) == (3000, "Could not authorize the conversation with the provided signature.")


@pytest.mark.parametrize(
    "change, reason",
    [
        (
            ("agent_id=agent_demo", "agent_id=agent_none"),
            "The AI agent you are trying to reach does not exist.",
        ),
        (("conversation_signature=", "conversation_signature=x"), "Could not authorize"),
        (("conversation_signature=", "no_signature="), "Could not authorize"),
        (("conversation_id=", "conversation_id=x"), "Could not authorize"),
    ],
)
async def test_connections_without_a_right(customer: Customer, change: tuple[str, str], reason: str) -> None:
    client = await customer.connect((await customer.url()).replace(*change))
    code, said = await client.closed()
    assert code == 3000
    assert said.startswith(reason)


async def test_another_path_is_not_found(customer: Customer) -> None:
    url = (await customer.url()).replace("/conversation?", "/conversations?")
    with pytest.raises(picows.WSHandshakeError):
        await customer.connect(url)


async def test_a_public_agent_needs_no_signature(customer: Customer, simulator: ElevenLabsSimulator) -> None:
    simulator.agents["agent_demo"].platform_settings["auth"]["enable_auth"] = False
    url = (await customer.url()).partition("?")[0] + "?agent_id=agent_demo"
    client = await customer.connect(url)
    client.send(GOOD)
    await asyncio.wait_for(_first(client), 5)


async def _first(client: Client) -> None:
    while not client.messages:
        await asyncio.sleep(0.005)


async def test_the_subprotocol_is_confirmed(customer: Customer) -> None:
    headers = {"Sec-WebSocket-Protocol": "convai, bearer.x"}
    transport, client = await picows.ws_connect(Client, await customer.url(), extra_headers=headers)
    assert isinstance(client, Client)
    customer.clients.append(client)
    assert transport.response.headers["Sec-WebSocket-Protocol"] == "convai"


async def test_limits(customer: Customer, simulator: ElevenLabsSimulator) -> None:
    simulator.agents["agent_demo"].platform_settings["call_limits"]["daily_limit"] = 0
    client = await customer.talk()
    assert await client.closed() == (4300, "Agent has exceeded its daily call limit of 0.")
    simulator.agents["agent_demo"].platform_settings["call_limits"]["daily_limit"] = 5
    simulator.account.credits_used = simulator.account.credits_limit
    client = await customer.talk()
    assert await client.closed() == (3000, "[quota_exceeded] You've run out of credits.")
    failed = list(simulator.conversations.values())[-1]
    _, body = await customer.ask("GET", f"/v1/convai/conversations/{failed.conversation_id}")
    assert body["status"] == "failed"
    assert body["metadata"]["error"]["error_type"] == "call_initialization_error"


@pytest.mark.parametrize(
    "message, error_type",
    [
        ({**GOOD, "dynamic_variables": {}}, "missing_dynamic_variable"),
        (
            {**GOOD, "conversation_config_override": {"tts": {"stability": 0.5}}},
            "override_error",
        ),
        (
            {**GOOD, "conversation_config_override": {"agent": {"first_message": "{{nick}}"}}},
            "missing_dynamic_variable",
        ),
        ({**GOOD, "dynamic_variables": {"first_name": ["Ann"]}}, "invalid_message"),
        ({**GOOD, "flavour": "mint"}, "invalid_message"),
        ({**GOOD, "conversation_config_override": {"agent": {"voice_id": "x"}}}, "invalid_message"),
        ({"type": "hello"}, "invalid_message"),
        ({"user_audio_chunk": "%%"}, "invalid_message"),
        ({"user_audio_chunk": "AAAA", "type": "audio"}, "invalid_message"),
        (b"{", "invalid_message"),
    ],
)
async def test_bad_openings(customer: Customer, message: Json | bytes, error_type: str) -> None:
    client = await customer.connect(await customer.url())
    client.send(message)
    code, _ = await client.closed()
    assert code == 1008
    assert client.messages[-1]["error_event"]["error_type"] == error_type


@pytest.mark.parametrize(
    "message",
    [
        GOOD,
        {"type": "pong"},
        {"type": "client_tool_result", "tool_call_id": "x", "result": {}, "is_error": False},
        {"type": "contextual_update", "text": 5},
        {"type": "feedback", "event_id": 1, "score": "meh"},
        b'{"type":"user_activity","x":1}',
    ],
)
async def test_bad_messages_later_on(
    customer: Customer, eventually: Eventually, message: Json | bytes
) -> None:
    client = await customer.talk()
    await eventually(lambda: client.messages)
    client.send(message)
    assert (await client.closed())[0] == 1008
    assert "invalid_message" in [
        item["error_event"]["error_type"] for item in client.messages if item["type"] == "error"
    ]


async def test_binary_messages_are_refused(customer: Customer) -> None:
    client = await customer.talk()
    client.send(b"\0" * 320, picows.WSMsgType.BINARY)
    assert (await client.closed())[0] == 1008


async def test_a_message_in_two_frames_is_one_message(customer: Customer, eventually: Eventually) -> None:
    client = await customer.connect(await customer.url())
    assert client.transport is not None
    whole = json.dumps(GOOD).encode()
    client.transport.send(picows.WSMsgType.TEXT, whole[:20], fin=False)
    client.transport.send(picows.WSMsgType.CONTINUATION, whole[20:])
    await eventually(lambda: "conversation_initiation_metadata" in client.kinds())


async def test_what_is_wrong_without_ending_a_conversation_is_on_record(
    customer: Customer, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    client = await customer.connect(await customer.url())
    client.send({"user_audio_chunk": "AAAA"})
    client.send({"type": "user_activity"})
    client.send({**GOOD, "dynamic_variables": {"first_name": "Ann", "system__time_utc": "now"}})
    await eventually(lambda: client.messages)
    client.send({"user_audio_chunk": "AAAA"})
    client.send({"type": "pong", "event_id": 77})
    client.send({"type": "client_tool_result", "tool_call_id": "tc_9", "result": "", "is_error": False})
    await eventually(lambda: len(simulator.traffic.violations) == 6)
    assert simulator.traffic.violations == [
        "audio before the conversation was open",
        "UserActivity before the conversation was open",
        "system__time_utc may only be set by the platform",
        "audio with half a sample",
        "a pong for 77, which was no open ping",
        "nobody waits for the tool call tc_9",
    ]


async def test_only_listed_events_are_sent_and_the_first_message_comes_in_a_burst(
    customer: Customer, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    events = ["conversation_initiation_metadata", "audio"]
    simulator.agents["agent_demo"].conversation_config["conversation"]["client_events"] = events
    client = await customer.talk()
    began = asyncio.get_running_loop().time()
    await eventually(lambda: client.kinds().count("audio") == 5)
    assert asyncio.get_running_loop().time() - began < 1.0, "1.5 s of speech leave at once"
    assert set(client.kinds()) == set(events)
    numbers = [item["audio_event"]["event_id"] for item in client.messages[1:]]
    assert numbers == sorted(set(numbers))


async def test_a_client_that_says_nothing_is_started_and_reported(
    customer: Customer, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    config = simulator.agents["agent_demo"].conversation_config["agent"]
    config["dynamic_variables"] = {"dynamic_variable_placeholders": {"first_name": "you"}}
    client = await customer.connect(await customer.url())
    await eventually(lambda: "agent_response" in client.kinds(), within_s=8)
    assert client.messages[1]["agent_response_event"]["agent_response"] == "Hello you, this is Ada."
    assert simulator.traffic.violations == ["no conversation_initiation_client_data within 3 s"]


@pytest.mark.parametrize(
    "detail, code, errors",
    [
        ("refuse_3000_quota", 3000, 0),
        ("refuse_3000_unknown", 3000, 0),
        ("close_1002_mid", 1002, 1),
        ("error_flat_mid", 1002, 1),
        ("drop_mid", None, 0),
    ],
)
@pytest.mark.parametrize("where", ["socket", "variable first_name=Ann"])
async def test_faults_that_end_a_conversation(
    customer: Customer,
    simulator: ElevenLabsSimulator,
    where: str,
    detail: str,
    code: int | None,
    errors: int,
) -> None:
    simulator.faults.add(Fault(where, FaultKind.CUSTOM, detail=detail, seconds=0.3))
    client = await customer.talk()
    assert (await client.closed())[0] == code
    assert client.kinds().count("error") == errors


async def test_a_slow_opening(
    customer: Customer, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    simulator.faults.add(Fault("socket agent_demo", FaultKind.CUSTOM, detail="slow_open", seconds=0.5))
    began = asyncio.get_running_loop().time()
    client = await customer.talk()
    await eventually(lambda: client.messages)
    assert asyncio.get_running_loop().time() - began >= 0.5


async def test_another_format_and_a_mute_agent(
    customer: Customer, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    simulator.faults.add(Fault("socket", FaultKind.CUSTOM, detail="format_pcm_8000"))
    simulator.faults.add(Fault("socket", FaultKind.CUSTOM, detail="mute"))
    first, second = await customer.talk(), await customer.talk()
    await eventually(lambda: "audio" in first.kinds() and "ping" in second.kinds())
    metadata = first.messages[0]["conversation_initiation_metadata_event"]
    assert (metadata["agent_output_audio_format"], metadata["user_input_audio_format"]) == ("pcm_8000",) * 2
    assert "audio" not in second.kinds()


@pytest.mark.parametrize(
    "path, value, reason",
    [
        (("conversation", "max_duration_seconds"), 1, "Max conversation duration exceeded"),
        (("turn", "silence_end_call_timeout"), 1, "silence_end_call_timeout"),
    ],
)
async def test_conversations_that_last_too_long(
    customer: Customer, simulator: ElevenLabsSimulator, path: tuple[str, str], value: int, reason: str
) -> None:
    config = simulator.agents["agent_demo"].conversation_config
    config[path[0]][path[1]] = value
    client = await customer.talk()
    assert await client.closed() == (1000, reason)


async def test_lists_and_deletion_of_conversations(
    customer: Customer, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    client = await customer.talk({**GOOD, "user_id": "att_7"})
    await eventually(lambda: client.messages)
    client.hang_up()
    await eventually(lambda: [item.status for item in simulator.conversations.values()] == ["done"])
    _, page = await customer.ask("GET", "/v1/convai/conversations?user_id=att_7")
    (row,) = page["conversations"]
    assert (row["status"], row["call_successful"]) == ("done", "failure")
    _, page = await customer.ask("GET", "/v1/convai/conversations?agent_id=agent_other")
    assert page["conversations"] == []
    path = f"/v1/convai/conversations/{row['conversation_id']}"
    assert await customer.ask("DELETE", path) == (200, {})
    assert (await customer.ask("GET", path))[0] == 404


async def test_conversations_are_paid_for(
    customer: Customer, simulator: ElevenLabsSimulator, eventually: Eventually
) -> None:
    before = simulator.account.credits_left
    client = await customer.talk()
    await asyncio.sleep(0.5)
    client.hang_up()
    await eventually(lambda: simulator.account.credits_left < before)


async def test_stopping_ends_everything(world: World) -> None:
    simulator = ElevenLabsSimulator(world)
    await simulator.start()
    customer = Customer(simulator)
    client = await customer.talk()
    await _first(client)
    await asyncio.wait_for(simulator.stop(), 5)
    await client.closed()
    await customer.leave()
    assert [item.closed_by for item in simulator.conversations.values()] == ["client"]
