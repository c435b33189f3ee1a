import itertools

import pytest

from callwright.simulation.network import Conditions, Network, Plan


def test_a_perfect_network_delivers_at_once() -> None:
    network = Network()
    assert network.message(5.0) == Plan((5.0,))
    (piece,) = network.stream(6.0, 100).pieces
    assert (piece.start, piece.end, piece.at_ms) == (0, 100, 6.0)


def test_the_same_seed_gives_the_same_fate() -> None:
    bad = Conditions(delay_ms=10, jitter_ms=30, drop=0.1, duplicate=0.1, reorder=0.2)
    fates = [[Network(bad, seed).message(now) for now in range(0, 2000, 20)] for seed in (1, 1, 2)]
    first = list(fates[0])
    assert first == fates[1]
    assert first != fates[2]


def test_jitter_alone_keeps_the_order() -> None:
    network = Network(Conditions(delay_ms=50, jitter_ms=200), seed=3)
    times = [network.message(now).at_ms[0] for now in range(0, 4000, 20)]
    assert times == sorted(times)
    assert all(50 <= at - now <= 250 for now, at in zip(range(0, 4000, 20), times, strict=True))


def test_reordered_messages_are_overtaken_only_in_so_far() -> None:
    network = Network(Conditions(delay_ms=10, reorder=0.3, reorder_ms=100), seed=4)
    times = [network.message(now).at_ms[0] for now in range(0, 20_000, 20)]
    overtaken = sum(later < earlier for earlier, later in itertools.pairwise(times))
    assert 50 < overtaken < 500
    assert all(at - now <= 110 for now, at in zip(range(0, 20_000, 20), times, strict=True))


@pytest.mark.parametrize("chance", [0.0, 0.2, 1.0])
def test_drops_and_duplicates_come_as_often_as_told(chance: float) -> None:
    dropping, doubling = (
        Network(Conditions(drop=chance)),
        Network(Conditions(duplicate=chance, reorder_ms=40)),
    )
    dropped = sum(not dropping.message(now).delivered for now in range(1000))
    copies = [doubling.message(now).at_ms for now in range(1000)]
    assert dropped == pytest.approx(1000 * chance, abs=60)
    assert sum(len(times) == 2 for times in copies) == pytest.approx(1000 * chance, abs=60)
    assert all(times[-1] - times[0] <= 40 for times in copies)


def test_the_connection_is_cut_after_so_many_messages_and_stays_cut() -> None:
    network = Network(Conditions(cut_after=2))
    assert [network.message(0).cut for _ in range(4)] == [False, False, True, True]
    assert network.is_cut
    network = Network()
    network.cut()
    assert network.message(0) == Plan((), cut=True)
    assert network.stream(0, 10).cut


def test_a_stream_is_cut_in_the_middle_of_a_write() -> None:
    network = Network(Conditions(cut_after=150, delay_ms=5))
    first, second, third = network.stream(0, 100), network.stream(1, 100), network.stream(2, 100)
    assert not first.cut
    assert [(piece.start, piece.end, piece.at_ms) for piece in second.pieces] == [(0, 50, 6)]
    assert second.cut
    assert (third.pieces, third.cut) == ((), True)


def test_a_stream_keeps_every_byte_in_order() -> None:
    network = Network(Conditions(delay_ms=5, jitter_ms=50, drop=1, reorder=1, duplicate=1), seed=5)
    pieces = network.stream(0, 10_000, most=700).pieces
    assert [piece.start for piece in pieces] == [0, *(piece.end for piece in pieces[:-1])]
    assert pieces[-1].end == 10_000
    assert max(piece.end - piece.start for piece in pieces) <= 700
    times = [piece.at_ms for piece in pieces]
    assert times == sorted(times)


def test_conditions_may_change_on_the_way() -> None:
    network = Network(Conditions(drop=1))
    assert not network.message(0).delivered
    network.conditions = Conditions(delay_ms=7)
    assert network.message(1) == Plan((8,))


@pytest.mark.parametrize("wrong", [{"drop": 1.1}, {"reorder": -0.1}, {"delay_ms": -1}, {"cut_after": -1}])
def test_impossible_conditions_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"chances|negative"):
        Conditions(**wrong)  # type: ignore[arg-type]  # one field of several types
    with pytest.raises(ValueError, match="one byte"):
        Network().stream(0, 1, most=0)
