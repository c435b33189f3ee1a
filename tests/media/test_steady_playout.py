"""Sending to a carrier that does not buffer, on a simulated clock."""

import random

import pytest

from callwright.media.steady_playout import SteadyPlayout
from tests.media.stage import FRAME, SILENCE, Stage, speech


@pytest.fixture
async def stage() -> Stage:
    """On an event loop, because the pacer arms a timer; it never fires, as no test here waits."""
    return Stage(SteadyPlayout)


def live(stage: Stage, start: float, count: int, *, jitter: float = 0.0, pauses: bool = True) -> None:
    """An agent that sends a frame each 20 ms: 1.6 s of speech, 0.4 s of silence, and so on."""
    dice = random.Random(5)
    at = start
    for index in range(count):
        silent = pauses and index % 100 >= 80
        sent = start + index * 0.020 + (dice.uniform(0, jitter) if jitter else 0.0)
        at = max(at, sent)
        stage.say(at, SILENCE if silent else speech(index))


def rate(times: list[float]) -> float:
    return (len(times) - 1) / (times[-1] - times[0])


async def test_silence_follows_the_carriers_clock(stage: Stage) -> None:
    stage.join()
    stage.inbound(10.0, phase=0.007)
    stage.run(10.0)
    assert all(19.9 <= gap <= 20.1 for gap in stage.writer.gaps_ms[5:])
    assert stage.counts.filled == pytest.approx(500, abs=2)


async def test_silence_goes_on_when_the_person_is_not_heard(stage: Stage) -> None:
    stage.join()
    stage.run(10.0)
    assert rate(stage.writer.times) == pytest.approx(50, rel=0.01)
    assert max(stage.writer.gaps_ms) <= 27.5


async def test_a_jittery_carrier_gets_steady_frames(stage: Stage) -> None:
    stage.join()
    stage.inbound(20.0, jitter=0.009)
    stage.run(20.0)
    assert rate(stage.writer.times) == pytest.approx(50, rel=0.005)
    assert max(stage.writer.gaps_ms) <= 32


@pytest.mark.parametrize("every", [0.02002, 0.01998])
async def test_a_carrier_whose_clock_is_off_gets_as_many_frames_as_it_sends(
    stage: Stage, every: float
) -> None:
    stage.join()
    stage.inbound(120.0, every=every)
    stage.run(120.0)
    assert len(stage.writer.sent) == pytest.approx(120 / every, abs=2)


@pytest.mark.parametrize("phase_ms", range(0, 20, 3))
async def test_live_speech_leaves_at_once_whatever_its_phase(stage: Stage, phase_ms: int) -> None:
    stage.join()
    stage.inbound(8.0)
    live(stage, 1.0 + phase_ms / 1000, 300)
    stage.run(8.0)
    assert [number for _, number in stage.writer.spoken] == sorted(stage.arrived)
    assert max(stage.delays_ms()) <= 5.0
    assert rate(stage.writer.times) == pytest.approx(50, rel=0.01)
    assert max(stage.writer.gaps_ms) <= 40


@pytest.mark.parametrize("phase_ms", range(0, 20, 4))
async def test_live_speech_with_jitter_is_hardly_delayed(stage: Stage, phase_ms: int) -> None:
    stage.join()
    stage.inbound(22.0, jitter=0.003)
    live(stage, 1.0 + phase_ms / 1000, 1000, jitter=0.006)
    stage.run(22.0)
    delays = sorted(stage.delays_ms())
    assert delays[int(len(delays) * 0.99)] <= 10.0
    assert [number for _, number in stage.writer.spoken] == sorted(stage.arrived)


async def test_never_more_than_55_ms_ahead(stage: Stage) -> None:
    stage.join()
    stage.inbound(10.0)
    stage.say(1.003, *(speech(n) for n in range(100)))
    stage.say(3.5, *(speech(100 + n) for n in range(100)))
    stage.run(10.0)
    start = stage.writer.times[0]
    ahead = [(index + 1) * 20 - (at - start) * 1000 for index, at in enumerate(stage.writer.times)]
    assert max(ahead) <= 56


async def test_a_sentence_that_comes_at_once_is_played_in_time_and_complete(stage: Stage) -> None:
    """Its pauses are part of it: nothing of it is left out."""
    stage.join()
    stage.inbound(10.0)
    sentence = [SILENCE if 60 <= n < 80 else speech(n) for n in range(200)]
    stage.say(1.011, *sentence)
    stage.run(10.0)
    sent = [frame for _, frame in stage.writer.sent]
    first = sent.index(sentence[0])
    assert sent[first : first + 200] == sentence
    assert max(stage.writer.gaps_ms[first + 3 : first + 199]) <= 21
    assert stage.counts.dropped_silence == 0


async def test_a_stall_of_the_process_makes_no_burst_and_no_lasting_delay(stage: Stage) -> None:
    stage.join()
    stage.inbound(12.0)
    live(stage, 0.513, 500)
    stage.freeze(3.0, 0.2)
    stage.run(12.0)
    after = [at for at in stage.writer.times if at >= 1003.2 - 1e-9]
    assert sum(at < 1003.225 for at in after) <= 2
    assert [number for _, number in stage.writer.spoken] == sorted(stage.arrived)
    assert max(stage.delays_ms(5.0)) <= 5.0
    assert stage.counts.dropped_silence == pytest.approx(10, abs=2)


@pytest.mark.parametrize("phase_ms", range(0, 20, 4))
@pytest.mark.parametrize("stalled_ms", [60, 130, 200, 400])
async def test_no_stall_leaves_a_delay_after_the_next_pause(
    stage: Stage, phase_ms: int, stalled_ms: int
) -> None:
    stage.join()
    stage.inbound(12.0, jitter=0.0005)
    live(stage, 0.5 + phase_ms / 1000, 550)
    stage.freeze(4.003, stalled_ms / 1000)
    stage.run(12.0)
    assert [number for _, number in stage.writer.spoken] == sorted(stage.arrived)
    assert max(stage.delays_ms(7.0)) <= 5.0


@pytest.mark.parametrize("phase_ms", range(0, 20, 4))
@pytest.mark.parametrize("stalled_ms", [60, 130, 200, 400])
async def test_no_stall_of_the_agent_leaves_a_delay_after_the_next_pause(
    stage: Stage, phase_ms: int, stalled_ms: int
) -> None:
    stage.join()
    stage.inbound(12.0, jitter=0.001)
    stalls, resumes = 4.003, 4.003 + stalled_ms / 1000
    for index in range(550):
        at = 0.5 + phase_ms / 1000 + index * 0.020
        frame = SILENCE if index % 100 >= 80 else speech(index)
        stage.say(resumes if stalls <= at < resumes else at, frame)
    stage.run(12.0)
    assert [number for _, number in stage.writer.spoken] == sorted(stage.arrived)
    assert max(stage.delays_ms(7.5)) <= 5.0


async def test_a_sentence_in_many_small_messages_is_played_with_all_its_silence(stage: Stage) -> None:
    stage.join()
    stage.inbound(10.0)
    sentence = [SILENCE if n < 20 or n % 10 >= 8 else speech(n) for n in range(200)]
    for index, frame in enumerate(sentence):
        stage.say(1.003 + index * 0.001, frame)
    stage.run(10.0)
    assert stage.counts.dropped_silence == 0
    assert [number for _, number in stage.writer.spoken] == sorted(stage.arrived)


async def test_a_stall_amid_a_sentence_that_came_at_once_costs_nothing_of_it(stage: Stage) -> None:
    stage.join()
    stage.inbound(8.0)
    sentence = [SILENCE if n % 10 >= 8 else speech(n) for n in range(200)]
    stage.say(1.0, *sentence)
    stage.freeze(2.0, 0.3)
    stage.run(8.0)
    sent = [frame for _, frame in stage.writer.sent]
    first = sent.index(sentence[0])
    assert sent[first : first + 200] == sentence


async def test_a_stall_in_silence_costs_no_speech_afterwards(stage: Stage) -> None:
    stage.join()
    stage.inbound(8.0)
    stage.freeze(2.0, 0.3)
    sentence = [SILENCE if n % 10 >= 8 else speech(n) for n in range(100)]
    stage.say(3.0, *sentence)
    stage.run(8.0)
    assert stage.counts.dropped_silence == 0


async def test_interruption_empties_the_queue_at_once(stage: Stage) -> None:
    stage.join()
    stage.inbound(4.0)
    stage.say(1.0, *(speech(n) for n in range(100)))
    dropped = []
    stage.at(2.0, lambda: dropped.append(stage.playout.interrupt(stage.now)))
    stage.say(2.5, *(speech(1000 + n) for n in range(10)))
    stage.run(4.0)
    spoken = [(at - 1000, number) for at, number in stage.writer.spoken]
    assert max(at for at, number in spoken if number < 1000) <= 2.0
    assert [number for at, number in spoken if at > 2.0] == list(range(1000, 1010))
    assert dropped[0] == pytest.approx(980, abs=60)
    assert stage.writer.cleared == 1


async def test_torn_ends_are_filled_with_silence(stage: Stage) -> None:
    stage.join()
    stage.inbound(2.0)
    stage.say(1.0, speech(1), speech(2)[: FRAME // 2])
    stage.run(2.0)
    frames = [frame for _, frame in stage.writer.sent if frame.strip(b"\0")]
    assert frames == [speech(1), speech(2)[: FRAME // 2] + bytes(FRAME // 2)]


@pytest.mark.parametrize("chunk_ms", [10, 30, 50, 100])
async def test_chunks_of_any_length_arrive_in_order(stage: Stage, chunk_ms: int) -> None:
    stage.join()
    stage.inbound(5.0)
    audio = random.Random(1).randbytes(FRAME * 100)
    size = FRAME * chunk_ms // 20
    for index in range(0, len(audio), size):
        chunk = audio[index : index + size]
        stage.at(1.0 + index / size * chunk_ms / 1000, lambda chunk=chunk: stage.playout.push(chunk))  # type: ignore[misc]  # a default binds the loop's variable
    stage.run(5.0)
    sent = b"".join(frame for _, frame in stage.writer.sent)
    assert sent.strip(b"\0").replace(bytes(FRAME // 2), b"") == audio.strip(b"\0")


async def test_drained_when_the_last_frame_was_played(stage: Stage) -> None:
    stage.join()
    stage.inbound(4.0)
    stage.say(1.0, *(speech(n) for n in range(50)))
    done: list[float] = []

    def ask() -> None:
        future = stage.playout.drained(stage.now)
        stage.at(stage.now - 1000 + 0.5, lambda: done.append(future.done()))
        stage.at(stage.now - 1000 + 1.03, lambda: done.append(future.done()))

    stage.at(1.001, ask)
    stage.run(4.0)
    assert done == [False, True]
    assert stage.playout.drained(stage.now).done()


async def test_a_slow_carrier_loses_its_own_frames_only(stage: Stage) -> None:
    stage.join()
    stage.inbound(2.0)
    stage.say(0.5, *(speech(n) for n in range(20)))
    stage.at(0.6, lambda: setattr(stage.writer, "paused", True))
    stage.at(0.7, lambda: setattr(stage.writer, "paused", False))
    stage.run(2.0)
    assert stage.counts.dropped_carrier_slow == pytest.approx(5, abs=1)
    assert len(stage.writer.spoken) + stage.counts.dropped_carrier_slow == 20


async def test_the_queue_is_bounded(stage: Stage) -> None:
    stage.playout.limit_queue(1.0)
    stage.playout.push(b"".join(speech(n) for n in range(80)))
    assert stage.playout.queued_ms == 1000
    assert stage.counts.dropped_queue_full == 30


async def test_the_first_frame_is_told_once(stage: Stage) -> None:
    stage.join()
    stage.say(0.5, speech(1))
    stage.say(1.5, speech(2))
    stage.run(2.0)
    assert stage.first_frames == 1
    assert stage.playout.played_ms(stage.now) == 40
