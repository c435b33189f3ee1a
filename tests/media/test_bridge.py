"""A bridge's events, its ends, and carriers that come and go."""

import asyncio

import pytest

from callwright.media.limits import MediaLimits
from callwright.ports.voice_agent import AgentClosed, AgentFailed, AgentFault, AgentHangsUp, Said, ToolCalled
from tests.media.peers import until
from tests.media.protocols import TestCarrier, agent_audio, agent_event
from tests.media.test_relay import SILENCE, noise, spoken
from tests.media.world import Call, World


async def test_a_lost_carrier_is_replaced_and_no_speech_is_lost() -> None:
    async with World() as world:
        call = await world.call()
        await until(lambda: call.watcher.ready)
        speech = noise(1, 150)
        for at in range(0, 150, 50):
            call.agent.send_text(agent_audio(b"".join(speech[at : at + 50])))
        await until(lambda: len(spoken(call)) >= 20)
        call.carrier.drop()
        await until(lambda: call.watcher.lost)
        played = call.bridge.played_ms
        await asyncio.sleep(0.1)
        assert call.bridge.played_ms == played
        assert call.bridge.carrier is None
        second = Call(call.bridge, await world.join(call.bridge), call.agent, call.watcher)
        await asyncio.wait_for(call.bridge.drained(), 10)
        await until(lambda: spoken(second)[-1:] == speech[-1:])
        first = spoken(call)
        assert first == speech[: len(first)]
        rest = spoken(second)
        assert rest == speech[-len(rest) :]
        assert 150 - len(first) - len(rest) <= 3
        second.carrier.send_binary(noise(9, 1)[0])
        await until(lambda: call.agent.heard[-1:] == noise(9, 1))
        assert len(call.watcher.lost) == 1


async def test_a_carrier_may_come_back_with_another_format() -> None:
    async with World() as world:
        call = await world.call()
        await until(lambda: call.watcher.ready)
        call.carrier.drop()
        await until(lambda: call.watcher.lost)
        world.carrier_audio = "pcm_8000"
        carrier = await world.join(call.bridge)
        call.agent.send_text(agent_audio(noise(1, 1)[0] * 3))
        await until(lambda: [frame for frame in carrier.binary if frame.strip(b"\0")])
        assert {len(frame) for frame in carrier.binary} == {320}
        carrier.send_binary(bytes(320))
        await until(lambda: [len(piece) for piece in call.agent.heard] == [640])


async def test_a_second_socket_takes_the_place_of_a_live_one() -> None:
    async with World() as world:
        call = await world.call()
        carrier = await world.join(call.bridge)
        await until(lambda: call.carrier.closed)
        carrier.send_binary(noise(1, 1)[0])
        await until(lambda: call.agent.heard == noise(1, 1))
        assert call.watcher.lost == []


async def test_speech_for_a_carrier_that_is_away_is_bounded() -> None:
    async with World(limits=MediaLimits(held_agent_s=1.0)) as world:
        call = await world.call()
        await until(lambda: call.watcher.ready)
        call.carrier.drop()
        await until(lambda: call.watcher.lost)
        call.agent.send_text(agent_audio(b"".join(noise(1, 100))))
        await until(lambda: call.bridge.counts.dropped_queue_full)
        assert call.bridge.queued_ms == pytest.approx(1000, abs=40)


async def test_events_reach_the_observer_in_order() -> None:
    async with World() as world:
        call = await world.call()
        await until(lambda: call.watcher.ready)
        call.agent.send_text(agent_event("said", text="hello"))
        call.agent.send_text(agent_event("tool", x=1))
        call.agent.send_text(agent_event("ping"))
        call.agent.send_text(agent_event("end_call"))
        call.carrier.send_text({"event": "dtmf", "digit": "7"})
        await until(lambda: len(call.watcher.events) == 4 and call.watcher.digits)
        first, second, third, fourth = call.watcher.events
        assert isinstance(first, Said)
        assert isinstance(second, ToolCalled)
        assert isinstance(third, Said)
        assert isinstance(fourth, AgentHangsUp)
        assert call.watcher.digits == ["7"]
        await until(lambda: {"type": "pong"} in call.agent.messages)


async def test_answers_and_context_reach_the_agent() -> None:
    async with World() as world:
        call = await world.call()
        call.bridge.send_tool_result("t1", '{"slot": 1}')
        assert call.bridge.push_context("the person is a customer", "crm")
        await until(lambda: len(call.agent.messages) == 3)
        assert [message["type"] for message in call.agent.messages[1:]] == ["tool_result", "context"]


async def test_closing_a_bridge_closes_both_sides_and_ends_every_wait() -> None:
    async with World() as world:
        call = await world.call()
        await until(lambda: call.watcher.ready)
        call.agent.send_text(agent_audio(b"".join(noise(1, 500))))
        await until(lambda: call.bridge.queued_ms)
        drained = asyncio.create_task(call.bridge.drained())
        await asyncio.sleep(0.01)
        call.bridge.close("hung up")
        call.bridge.close()
        await asyncio.wait_for(drained, 1)
        await until(lambda: call.carrier.closed and call.agent.closed)
        assert call.carrier.closed == (1000, "hung up")
        assert call.watcher.lost == []
        assert call.watcher.ended == []
        assert world.registry.get_sample_value("callwright_media_calls") == 0
        await until(
            lambda: world.registry.get_sample_value("callwright_media_sockets", {"leg": "carrier"}) == 0
        )


@pytest.mark.parametrize(
    "close, expected", [(True, AgentClosed("bye")), (False, AgentFailed(AgentFault.LOST, "None "))]
)
async def test_the_end_of_the_agent_is_told_once_and_its_last_words_are_heard(
    close: bool, expected: AgentClosed | AgentFailed
) -> None:
    async with World() as world:
        call = await world.call()
        await until(lambda: call.watcher.ready)
        call.agent.send_text(agent_audio(b"".join(noise(1, 30))))
        await until(lambda: call.bridge.queued_ms)
        if close:
            await call.agent.hang_up()
        else:
            call.agent.drop()
        await until(lambda: call.watcher.ended)
        await asyncio.wait_for(call.bridge.drained(), 5)
        await until(lambda: spoken(call) == noise(1, 30))
        call.carrier.send_binary(SILENCE)
        assert call.watcher.ended == [expected]


async def test_an_error_that_the_agent_reports_ends_the_conversation_once() -> None:
    async with World() as world:
        call = await world.call()
        call.agent.send_text(agent_event("error"))
        await until(call.agent.gone.is_set)
        assert call.watcher.ended == [AgentFailed(AgentFault.QUOTA, "no credit")]


async def test_strange_messages_of_an_agent_are_counted_and_many_end_it() -> None:
    async with World(limits=MediaLimits(rejected_messages=3)) as world:
        call = await world.call()
        call.agent.send_text(b"{nonsense")
        call.agent.send_text(agent_event("said", text="hello"))
        await until(lambda: call.watcher.events)
        assert call.watcher.ended == []
        for _ in range(3):
            call.agent.send_text(b"{nonsense")
        await until(lambda: call.watcher.ended)
        assert world.refused("malformed") == 4


async def test_a_message_in_fragments_is_put_together() -> None:
    from picows import WSMsgType  # noqa: PLC0415  only this test needs it

    async with World() as world:
        call = await world.call()
        frame = noise(1, 1)[0]
        assert call.carrier.transport is not None
        call.carrier.transport.send(WSMsgType.BINARY, frame[:100], fin=False)
        call.carrier.transport.send(WSMsgType.CONTINUATION, frame[100:300], fin=False)
        call.carrier.transport.send(WSMsgType.CONTINUATION, frame[300:])
        await until(lambda: call.agent.heard == [frame])


async def test_silence_is_measured_on_both_sides() -> None:
    async with World() as world:
        call = await world.call()
        await until(lambda: call.watcher.ready)
        await asyncio.sleep(0.3)
        assert call.bridge.silence_s >= 0.25
        for _ in range(10):
            call.carrier.send_binary(noise(1, 1)[0])
        await until(lambda: call.bridge.silence_s < 0.1)
        await asyncio.sleep(0.3)
        for _ in range(10):
            call.carrier.send_binary(SILENCE)
        await until(lambda: len(call.agent.heard) == 20)
        assert call.bridge.silence_s >= 0.25
        call.agent.send_text(agent_audio(b"".join(noise(2, 20))))
        await until(lambda: call.bridge.queued_ms)
        assert call.bridge.silence_s == 0


async def test_a_carrier_that_falls_silent_is_lost() -> None:
    async with World(limits=MediaLimits(carrier_silent_s=1)) as world:
        call = await world.call()
        await until(lambda: call.watcher.lost, 6)
        assert call.bridge.carrier is None


async def test_an_agent_without_a_sign_of_life_is_lost() -> None:
    async with World(limits=MediaLimits(agent_ping_s=100, agent_lost_s=1)) as world:
        call = await world.call()
        await until(lambda: call.watcher.ended, 6)
        assert call.watcher.ended == [AgentFailed(AgentFault.LOST, "no sign of life")]


async def test_a_quiet_agent_that_answers_pings_lives() -> None:
    async with World(limits=MediaLimits(agent_ping_s=1, agent_lost_s=3)) as world:
        call = await world.call()
        await asyncio.sleep(4.2)
        assert call.watcher.ended == []


async def test_a_carrier_that_buffers_is_asked_for_marks() -> None:
    async with World(carrier=TestCarrier(buffers_audio=True, marks=True)) as world:
        call = await world.call()
        await until(lambda: call.watcher.ready)
        call.agent.send_text(agent_audio(b"".join(noise(1, 10))))
        await until(lambda: call.carrier.binary)
        drained = asyncio.create_task(call.bridge.drained())
        await until(lambda: call.carrier.text)
        assert not drained.done()
        call.carrier.send_text({"event": "mark", "name": "callwright-1"})
        await asyncio.wait_for(drained, 2)
        assert b"".join(call.carrier.binary) == b"".join(noise(1, 10))


async def test_a_stop_message_is_the_end_of_the_carrier() -> None:
    async with World() as world:
        call = await world.call()
        call.carrier.send_text({"event": "stop"})
        await until(lambda: call.watcher.lost)
        assert call.watcher.lost == [(1000, "")]
        await until(lambda: call.carrier.closed)
        assert len(call.watcher.lost) == 1


async def test_silence_counts_anew_with_a_new_socket() -> None:
    """Somebody who comes back from a long ring elsewhere has not been silent."""
    async with World() as world:
        call = await world.call()
        await until(lambda: call.watcher.ready)
        call.carrier.send_text({"event": "stop"})
        await until(lambda: call.bridge.silence_s > 0.5)
        await world.join(call.bridge)
        assert call.bridge.silence_s < 0.3


async def test_when_the_agent_is_hushed_nothing_of_it_is_heard_any_more() -> None:
    """The person's socket stays, for an apology by the carrier."""
    async with World() as world:
        call = await world.call()
        await until(lambda: call.watcher.ready)
        call.agent.send_text(agent_audio(b"".join(noise(1, 100))))
        await until(lambda: call.bridge.queued_ms)
        call.bridge.hush()
        assert call.bridge.queued_ms == 0
        await until(lambda: call.agent.closed)
        call.carrier.send_binary(noise(1, 1)[0])
        await until(lambda: call.bridge.counts.heard)
        assert call.carrier.closed is None


async def test_a_carrier_that_comes_after_the_end_is_sent_away() -> None:
    async with World() as world:
        call = await world.call()
        call.bridge.close()
        carrier = await world.join(call.bridge)
        await until(lambda: carrier.closed)
        assert carrier.closed == (1000, "the call is over")


async def test_a_fault_in_handling_a_message_ends_that_call_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with World() as world:
        call, other = await asyncio.gather(world.call(), world.call())
        await until(lambda: call.watcher.ready and other.watcher.ready)

        def broken(event: object) -> None:
            raise RuntimeError("broken")

        call.watcher.agent_event = broken  # type: ignore[method-assign]  # an observer that breaks its promise
        for _ in range(5):
            call.agent.send_text(agent_event("said", text="hello"))
        await until(lambda: call.watcher.ended)
        assert call.watcher.ended == [AgentFailed(AgentFault.OPERATIONAL, "a fault in handling what it sent")]
        await until(call.agent.gone.is_set)
        assert len([record for record in caplog.records if record.exc_info]) == 1
        other.carrier.send_binary(noise(1, 1)[0])
        await until(lambda: other.agent.heard == noise(1, 1))
