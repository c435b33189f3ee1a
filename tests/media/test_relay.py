"""Whole calls on real sockets: every byte, in order, in both directions, and never another call's."""

import asyncio
import random
import time

import numpy as np
import pytest

from callwright.domain.audio import PCM_16K, AudioFormat
from callwright.media.limits import MediaLimits
from tests.media.peers import until
from tests.media.protocols import agent_audio, agent_event
from tests.media.world import Call, World

FRAME = PCM_16K.frame_bytes
SILENCE = bytes(FRAME)


def noise(seed: int, frames: int) -> list[bytes]:
    """Frames without a silent one; those of different seeds differ."""
    dice = random.Random(seed)
    return [dice.randbytes(FRAME) for _ in range(frames)]


def spoken(call: Call) -> list[bytes]:
    """The agent's frames as the carrier got them, without the silence between them."""
    return [frame for frame in call.carrier.binary if frame != SILENCE]


async def converse(call: Call, person: list[bytes], agent: list[bytes]) -> None:
    """Both sides speak at the pace of speech."""
    await until(lambda: call.watcher.ready)
    start = time.monotonic()
    for index, (said, answered) in enumerate(zip(person, agent, strict=True)):
        call.carrier.send_binary(said)
        call.agent.send_text(agent_audio(answered))
        await asyncio.sleep(max(start + (index + 1) * 0.02 - time.monotonic(), 0))


async def test_a_hundred_calls_relay_every_byte_in_order() -> None:
    """Acceptance: equal formats, 100 concurrent calls, bit for bit in both directions."""
    async with World() as world:
        calls = await asyncio.gather(*(world.call() for _ in range(100)))
        person = [noise(index, 75) for index in range(100)]
        agent = [noise(1000 + index, 75) for index in range(100)]
        await asyncio.gather(
            *(converse(call, *audio) for call, *audio in zip(calls, person, agent, strict=True))
        )
        await until(lambda: all(len(call.agent.heard) >= 75 for call in calls), 20)
        await asyncio.wait_for(asyncio.gather(*(call.bridge.drained() for call in calls)), 20)
        await until(lambda: all(len(spoken(call)) >= 75 for call in calls), 20)
        assert [call.agent.heard for call in calls] == person
        assert [spoken(call) for call in calls] == agent
        assert all(len(frame) == FRAME for call in calls for frame in call.carrier.binary)
        for call in calls:
            call.bridge.close()


async def test_a_sentence_that_comes_at_once_is_relayed_whole_and_in_time() -> None:
    async with World() as world:
        call = await world.call()
        await until(lambda: call.watcher.ready)
        sentence = noise(1, 60)
        call.agent.send_text(agent_audio(b"".join(sentence)))
        await asyncio.wait_for(call.bridge.drained(), 10)
        await until(lambda: len(spoken(call)) == 60)
        first = call.carrier.binary.index(sentence[0])
        assert call.carrier.binary[first : first + 60] == sentence
        assert (
            1.1 <= call.carrier.times[first + 59] - call.carrier.times[first] <= 1.6
        )  # a busy machine is late
        assert call.bridge.played_ms == 1200


@pytest.mark.parametrize("carrier, agent", [("pcm_8000", "pcm_16000"), ("pcm_16000", "pcm_8000")])
async def test_other_formats_are_converted_with_little_delay(carrier: str, agent: str) -> None:
    """A click that one side makes is found in the other side's audio at most 3 ms late."""
    async with World(carrier_audio=carrier, agent_audio=agent) as world:
        call = await world.call()
        await until(lambda: call.watcher.ready)
        person, speech = _clicks(AudioFormat.parse(carrier)), _clicks(AudioFormat.parse(agent))
        for piece in person:
            call.carrier.send_binary(piece)
        call.agent.send_text(agent_audio(b"".join(speech)))
        await until(lambda: sum(map(len, call.agent.heard)) >= len(speech) * len(speech[0]))
        await asyncio.wait_for(call.bridge.drained(), 10)
        to_agent = _click_ms(b"".join(call.agent.heard), AudioFormat.parse(agent))
        sent = call.carrier.binary
        first = next(index for index, frame in enumerate(sent) if frame.strip(b"\0"))
        to_person = _click_ms(b"".join(sent[max(first - 20, 0) : first + 40]), AudioFormat.parse(carrier))
        assert np.diff(to_agent) == pytest.approx([200.0], abs=0.2)
        assert 100 <= to_agent[0] <= 103
        assert np.diff(to_person) == pytest.approx([200.0], abs=0.2)
        assert {len(frame) for frame in sent} == {AudioFormat.parse(carrier).frame_bytes}


def _clicks(audio: AudioFormat) -> list[bytes]:
    """Half a second with short clicks at 100 and 300 ms, in frames; low noise between."""
    samples = np.zeros(audio.rate_hz // 2, "<i2")
    for ms in (100, 300):
        at = ms * audio.rate_hz // 1000
        samples[at : at + audio.rate_hz // 1000] = 20_000
    data, size = samples.tobytes(), audio.frame_bytes
    return [data[at : at + size] for at in range(0, len(data), size)]


def _click_ms(pcm: bytes, audio: AudioFormat) -> list[float]:
    """Where clicks begin: the first sample of each above half of the click's level."""
    loud = np.flatnonzero(np.abs(np.frombuffer(pcm, "<i2").astype(int)) > 10_000)
    starts = loud[np.concatenate([[True], np.diff(loud) > audio.rate_hz // 100])]
    return [float(start) * 1000 / audio.rate_hz for start in starts]


async def test_silence_is_sent_without_a_gap_while_nobody_speaks() -> None:
    async with World() as world:
        call = await world.call()
        for _ in range(100):
            call.carrier.send_binary(SILENCE)
            await asyncio.sleep(0.02)
        gaps = np.diff(call.carrier.times[1:]) * 1000
        assert np.percentile(gaps, 50) == pytest.approx(20, abs=2.5)
        assert np.percentile(gaps, 80) <= 25
        assert set(call.carrier.binary) == {SILENCE}


async def test_interruption_stops_the_agent_and_later_speech_goes_on() -> None:
    async with World() as world:
        call = await world.call()
        await until(lambda: call.watcher.ready)
        call.agent.send_text(agent_audio(b"".join(noise(1, 200))))
        await until(lambda: len(spoken(call)) >= 10)
        call.agent.send_text(agent_event("interruption"))
        await until(lambda: call.bridge.queued_ms == 0)
        interrupted = len(spoken(call))
        await until(lambda: b'{"action":"clear"}' in call.carrier.text)
        await asyncio.sleep(0.1)
        assert len(spoken(call)) <= interrupted + 2
        call.agent.send_text(agent_audio(b"".join(noise(2, 5))))
        await until(lambda: spoken(call)[-5:] == noise(2, 5))


async def test_audio_of_an_agent_that_speaks_first_is_held_for_the_carrier() -> None:
    async with World(limits=MediaLimits(held_agent_s=1.0)) as world:
        bridge, agent, watcher = await world.agent_only()
        await until(lambda: watcher.ready)
        greeting = noise(1, 60)
        for frame in greeting:
            agent.send_text(agent_audio(frame))
        await until(lambda: bridge.queued_ms >= 1000)
        drained = asyncio.create_task(bridge.drained())
        carrier = await world.join(bridge)
        await asyncio.wait_for(drained, 10)
        call = Call(bridge, carrier, agent, watcher)
        await until(lambda: len(spoken(call)) == 50)
        assert spoken(call) == greeting[:50]
        assert bridge.counts.dropped_queue_full == 10
        assert watcher.first_frames == 1


async def test_the_persons_first_word_is_held_for_the_agent() -> None:
    async with World(agent_ready=False) as world:
        call = await world.call()
        hello = noise(1, 90)
        for frame in hello:
            call.carrier.send_binary(frame)
        await until(lambda: call.bridge.counts.heard == 90)
        call.agent.send_text(agent_event("metadata", input="pcm_16000"))
        await until(lambda: len(call.agent.heard) == 75)
        assert call.agent.heard == hello[-75:]


async def test_a_slow_agent_costs_its_own_call_only() -> None:
    """The agent's side stops reading: its audio is dropped in bounded time, the neighbour's is not."""
    limits = MediaLimits(write_buffer_bytes=4096, send_buffer_bytes=4096)
    async with World(limits=limits) as world:
        slow, quick = await asyncio.gather(world.call(), world.call())
        await until(lambda: slow.watcher.ready and quick.watcher.ready)
        assert slow.agent.transport is not None
        slow.agent.transport.underlying_transport.pause_reading()  # type: ignore[attr-defined]  # a transport reads
        frames = noise(1, 50)
        for _ in range(200):
            for frame in frames:
                slow.carrier.send_binary(frame)
            await asyncio.sleep(0.005)
            if slow.bridge.counts.dropped_agent_slow:
                break
        for frame in frames:
            quick.carrier.send_binary(frame)
            await asyncio.sleep(0.002)
        await until(lambda: quick.agent.heard == frames)
        assert slow.bridge.counts.dropped_agent_slow > 0
        assert quick.bridge.counts.dropped_agent_slow == 0
        slow.agent.transport.underlying_transport.resume_reading()  # type: ignore[attr-defined]  # a transport reads
        await until(lambda: not slow.bridge.agent.paused)


async def test_a_process_on_the_asyncio_loop_relays_as_well() -> None:
    """The product runs on uvloop; nothing depends on it."""

    async def once() -> None:
        async with World() as world:
            call = await world.call()
            frames = noise(1, 10)
            await converse(call, frames, frames)
            await until(lambda: len(spoken(call)) == 10 and call.agent.heard == frames)

    await asyncio.to_thread(asyncio.run, once())
