"""Sending to a carrier that buffers, on a simulated clock."""

import itertools

import pytest

from callwright.domain.audio import PCM_16K
from callwright.media.ahead_playout import AheadPlayout
from tests.media.stage import FRAME, Stage, speech


@pytest.fixture
async def stage() -> Stage:
    return Stage(AheadPlayout)


@pytest.fixture
async def stage_with_marks() -> Stage:
    return Stage(AheadPlayout, marks=True)


def lead_ms(stage: Stage) -> list[float]:
    """How much unplayed audio the carrier holds right after each message."""
    end, leads = 0.0, []
    for at, payload in stage.writer.sent:
        end = max(end, at) + PCM_16K.ms_for_bytes(len(payload)) / 1000
        leads.append((end - at) * 1000)
    return leads


def underrun_ms(stage: Stage) -> float:
    """Silence at the carrier between the first and the last message."""
    end, silent = stage.writer.sent[0][0], 0.0
    for at, payload in stage.writer.sent:
        silent += max(at - end, 0.0)
        end = max(end, at) + PCM_16K.ms_for_bytes(len(payload)) / 1000
    return silent * 1000


def sentence(count: int, first: int = 0) -> list[bytes]:
    return [speech(first + n) for n in range(count)]


def heard(stage: Stage) -> list[int]:
    audio = b"".join(payload for _, payload in stage.writer.sent)
    return [int.from_bytes(audio[at : at + 4], "little") for at in range(0, len(audio), FRAME)]


async def test_a_sentence_is_sent_200_to_300_ms_ahead(stage: Stage) -> None:
    stage.join()
    stage.say(0.1, *sentence(100))
    stage.run(4.0)
    leads = lead_ms(stage)
    assert heard(stage) == list(range(100))
    assert leads[0] == pytest.approx(300)
    assert max(leads) <= 300.1
    assert underrun_ms(stage) == 0


async def test_nothing_is_sent_when_the_agent_is_silent(stage: Stage) -> None:
    stage.join()
    stage.inbound(2.0)
    stage.run(2.0)
    assert stage.writer.sent == []


async def test_live_frames_leave_at_once(stage: Stage) -> None:
    stage.join()
    for index, frame in enumerate(sentence(50)):
        stage.say(0.1 + index * 0.02, frame)
    stage.run(2.0)
    assert [len(payload) for _, payload in stage.writer.sent] == [FRAME] * 50
    assert max(stage.delays_ms()) <= 1


async def test_a_stall_leaves_no_underrun(stage: Stage) -> None:
    stage.join()
    stage.inbound(5.0)
    stage.say(0.1, *sentence(200))
    stage.freeze(1.0, 0.19)
    stage.run(5.0)
    assert underrun_ms(stage) == 0
    assert max(lead_ms(stage)) <= 300.1
    assert heard(stage) == list(range(200))


async def test_interruption_takes_back_what_was_not_heard(stage: Stage) -> None:
    stage.join()
    stage.say(0.0, *sentence(100))
    dropped: list[float] = []
    stage.at(1.0, lambda: dropped.append(stage.playout.interrupt(stage.now)))
    played: list[float] = []
    stage.at(1.001, lambda: played.append(stage.playout.played_ms(stage.now)))
    stage.say(1.5, *sentence(5, first=500))
    stage.run(3.0)
    assert stage.writer.cleared == 1
    assert played[0] == pytest.approx(1000, abs=5)
    assert dropped[0] == pytest.approx(1000, abs=5)
    assert heard(stage)[-5:] == list(range(500, 505))
    assert stage.playout.played_ms(stage.now) == pytest.approx(1100, abs=5)


async def test_a_torn_end_is_filled_when_nothing_more_comes(stage: Stage) -> None:
    stage.join()
    stage.say(0.0, speech(1))
    stage.at(0.01, lambda: stage.playout.push(speech(2)[: FRAME // 2]))
    stage.run(1.0)
    assert b"".join(payload for _, payload in stage.writer.sent) == (
        speech(1) + speech(2)[: FRAME // 2] + bytes(FRAME // 2)
    )


async def test_drained_by_the_clock(stage: Stage) -> None:
    stage.join()
    stage.say(0.0, *sentence(50))
    done: list[bool] = []

    def ask() -> None:
        future = stage.playout.drained(stage.now)
        for later in (0.9, 1.1):
            stage.at(later, lambda: done.append(future.done()))

    stage.at(0.1, ask)
    stage.run(2.0)
    assert done == [False, True]


async def test_drained_by_a_mark(stage_with_marks: Stage) -> None:
    stage = stage_with_marks
    stage.join()
    stage.say(0.0, *sentence(20))
    futures = []
    stage.at(0.05, lambda: futures.append(stage.playout.drained(stage.now)))
    seen: list[bool] = []
    stage.at(0.45, lambda: seen.append(futures[0].done()))
    stage.at(0.46, lambda: stage.playout.marked("another"))
    stage.at(0.47, lambda: seen.append(futures[0].done()))
    stage.at(0.48, lambda: stage.playout.marked(stage.writer.asked[0]))
    stage.at(0.49, lambda: seen.append(futures[0].done()))
    stage.run(1.0)
    assert seen == [False, False, True]


async def test_a_mark_that_never_comes_is_replaced_by_the_clock(stage_with_marks: Stage) -> None:
    stage = stage_with_marks
    stage.join()
    stage.say(0.0, *sentence(20))
    futures = []
    stage.at(0.05, lambda: futures.append(stage.playout.drained(stage.now)))
    stage.run(4.0)
    assert futures[0].done()


async def test_a_slow_carrier_gets_everything_later(stage: Stage) -> None:
    stage.join()
    stage.say(0.0, *sentence(100))
    stage.at(0.5, lambda: setattr(stage.writer, "paused", True))
    stage.at(1.5, lambda: setattr(stage.writer, "paused", False))
    stage.run(5.0)
    assert heard(stage) == list(range(100))
    assert all(not 1000.5 < at < 1001.5 for at in stage.writer.times)


async def test_messages_are_few(stage: Stage) -> None:
    stage.join()
    stage.inbound(5.0)
    stage.say(0.0, *sentence(200))
    stage.run(5.0)
    sizes = [len(payload) for _, payload in stage.writer.sent]
    assert all(size >= FRAME * 5 for size in itertools.islice(sizes, len(sizes) - 1))
