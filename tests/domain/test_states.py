"""The transition table: every state can be left, none is a trap, and late signals change nothing."""

import itertools

import pytest

from callwright.domain.errors import IllegalTransition
from callwright.domain.states import FROM_CARRIER, IN_FLIGHT, LIVE, TRANSITIONS, CallState, Signal, advance


def test_every_state_has_a_row_and_only_done_is_final() -> None:
    """A state without a way out would strand calls."""
    assert set(TRANSITIONS) == set(CallState)
    assert all(TRANSITIONS.values())
    assert TRANSITIONS[CallState.DONE] == {Signal.REOPEN: CallState.ENDED}


def test_done_is_reached_from_every_state() -> None:
    """Whatever happens, a call can come to its end."""
    for start in CallState:
        seen, frontier = {start}, [start]
        while frontier:
            for target in TRANSITIONS[frontier.pop()].values():
                if target not in seen:
                    seen.add(target)
                    frontier.append(target)
        assert CallState.DONE in seen


def test_no_way_leads_back_to_dialing_from_a_dialed_call() -> None:
    """Once the carrier may have the call, nothing but a definite refusal leads back to the queue."""
    for state in LIVE | {CallState.UNKNOWN}:
        reached, frontier = set(), [state]
        while frontier:
            for target in TRANSITIONS[frontier.pop()].values():
                if target not in reached:
                    reached.add(target)
                    frontier.append(target)
        assert reached.isdisjoint({CallState.QUEUED, CallState.PREPARING, CallState.DIALING})


@pytest.mark.parametrize("state, signal", list(itertools.product(CallState, Signal)))
def test_unknown_signals_of_ours_raise_and_of_the_carrier_do_nothing(
    state: CallState, signal: Signal
) -> None:
    """An illegal transition is our fault; a vendor's late event is data."""
    if signal in TRANSITIONS[state]:
        assert advance(state, signal) is TRANSITIONS[state][signal]
    elif signal in FROM_CARRIER:
        assert advance(state, signal) is None
    else:
        with pytest.raises(IllegalTransition, match=str(state)):
            advance(state, signal)


def test_numbers_are_locked_from_preparing_until_the_end() -> None:
    """The unique index counts exactly these states."""
    assert set(CallState) - IN_FLIGHT == {CallState.QUEUED, CallState.ENDED, CallState.DONE}
