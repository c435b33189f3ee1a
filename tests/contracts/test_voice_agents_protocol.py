"""Platforms of voice agents: what each message and each close means, by the platform's own table."""

import json
from typing import Any

import pytest

from callwright.domain.errors import WebhookRejected
from callwright.ports import voice_agent
from callwright.ports.voice_agent import (
    AgentAudio,
    AgentClosed,
    AgentFailed,
    AgentFault,
    AgentProtocol,
    AgentReady,
    Reply,
)
from tests.contracts.agents_stage import AgentsStage
from tests.contracts.signatures import departures

GARBAGE = (b"", b"{", b"not json", b"[]", b"null", b"17", b'"text"', b"\xff\xfe\x00", b'{"type":7}')


async def protocol_of(agents: AgentsStage) -> AgentProtocol:
    """The protocol of a new conversation."""
    return agents.agents.open(await agents.prepare(), agents.start())


def received(protocol: AgentProtocol, message: Any) -> Any:
    """What a decoded message becomes; a list of one is that one."""
    found = protocol.receive(protocol.text_frames, json.dumps(message).encode())
    if isinstance(found, list | tuple):
        return found[0] if len(found) == 1 else found
    return found


async def test_the_protocol_has_what_the_port_asks_for(agents: AgentsStage) -> None:
    protocol = await protocol_of(agents)
    assert departures(type(protocol), AgentProtocol) == []
    url, headers = protocol.connection()
    assert url.startswith(("ws://", "wss://"))
    assert all(isinstance(value, str) for value in headers.values())
    assert all(isinstance(message, bytes) for message in protocol.opening())
    assert protocol.opening() == protocol.opening(), "it may be asked for more than once"
    assert isinstance(protocol.audio_message(b"\x01\x02"), bytes)


async def test_each_message_becomes_what_the_table_says(agents: AgentsStage) -> None:
    protocol = await protocol_of(agents)
    seen = set()
    for row in agents.sample().get("messages"):
        event = received(protocol, row["given"])
        name = None if event is None else type(event).__name__
        assert name == row["event"], f"{row['given']} became {event!r}"
        for field, value in row.get("has", {}).items():
            assert getattr(event, field) == value, f"{row['given']} became {event!r}"
        seen.add(name)
        if isinstance(event, Reply):
            assert isinstance(event.message, bytes)
    assert {"AgentReady", "AgentAudio", "Said", "AgentInterrupted", "ToolCalled", None} <= seen
    assert seen - {None} <= set(vars(voice_agent))


async def test_each_close_means_what_the_table_says(agents: AgentsStage) -> None:
    messages = [row["given"] for row in agents.sample().get("messages")]
    for row in agents.sample().get("closes"):
        protocol = await protocol_of(agents)
        for message in messages if row.get("talked", True) else ():
            received(protocol, message)
        verdict = protocol.closed(row["code"], row["reason"])
        assert type(verdict).__name__ == row["event"], f"{row}: {verdict!r}"
        if isinstance(verdict, AgentFailed):
            assert verdict.fault is AgentFault(row["fault"]), f"{row}: {verdict!r}"
            assert row["reason"] in verdict.detail, "the vendor's reason is kept"


async def test_a_broken_socket_is_a_loss_and_an_unknown_code_no_ordinary_end(agents: AgentsStage) -> None:
    for code in (None, 1001, 1006, 4999):
        protocol = await protocol_of(agents)
        for row in agents.sample().get("messages"):
            received(protocol, row["given"])
        verdict = protocol.closed(code, "")
        assert isinstance(verdict, AgentFailed), f"{code}: {verdict!r}"
        if code is None:
            assert verdict.fault is AgentFault.LOST


async def test_nothing_is_heard_before_the_conversation_is_open(agents: AgentsStage) -> None:
    rows = agents.sample().get("messages")
    audio = next(row["given"] for row in rows if row["event"] == "AgentAudio")
    try:
        found = received(await protocol_of(agents), audio)
    except WebhookRejected:
        return
    assert not isinstance(found, AgentAudio)


async def test_garbage_is_refused_and_never_breaks_anything(agents: AgentsStage) -> None:
    protocol = await protocol_of(agents)
    for row in agents.sample().get("messages"):
        received(protocol, row["given"])
    for payload in GARBAGE:
        for is_text in (True, False):
            try:
                found = protocol.receive(is_text, payload)
            except WebhookRejected:
                continue
            assert found is None or is_text is not protocol.text_frames, f"{payload!r} became {found!r}"
    with pytest.raises(WebhookRejected):
        protocol.receive(protocol.text_frames, b"not json")


async def test_a_message_with_a_hole_never_breaks_anything(agents: AgentsStage) -> None:
    """Every member of every known message is once missing, once null, once of another type."""
    for row in agents.sample().get("messages"):
        for damaged in damages(row["given"]):
            protocol = await protocol_of(agents)
            try:
                found = received(protocol, damaged)
            except WebhookRejected:
                continue
            kinds = (AgentReady, AgentClosed, AgentFailed, AgentAudio)
            assert found is None or isinstance(found, kinds) or type(found).__name__ in vars(voice_agent)


def damages(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A message with each of its members, down to the second level, missing or wrong."""
    found: list[dict[str, Any]] = []
    for name, value in message.items():
        rest = {key: item for key, item in message.items() if key != name}
        found += [rest, {**rest, name: None}, {**rest, name: 7}, {**rest, name: []}]
        if isinstance(value, dict):
            found += [{**rest, name: inner} for inner in damages(value)]
    return found
