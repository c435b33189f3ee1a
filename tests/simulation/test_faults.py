"""Faults: which places a pattern names, and how often it strikes."""

import pytest

from callwright.simulation.faults import Fault, FaultKind, Faults

CREATE = "POST /calls/1/calls"


@pytest.mark.parametrize(
    "pattern, place, hits",
    [
        (CREATE, CREATE, True),
        (CREATE, f"{CREATE}/17/hangup", False),
        (CREATE, f"{CREATE}s", False),
        (f"{CREATE}/*/hangup", f"{CREATE}/17/hangup", True),
        (f"{CREATE}/*/hangup", f"{CREATE}/17/say/hangup", False),
        (f"{CREATE}/*", f"{CREATE}/", False),
        (f"{CREATE}/**", f"{CREATE}/17/hangup", True),
        ("GET **", "GET /anything/at/all", True),
        ("GET **", CREATE, False),
        ("GET /a.b", "GET /axb", False),
        ("webhook CALL_", "webhook CALL_ESTABLISHED", True),
        ("webhook CALL_", "webhook DIALOG_CREATED", False),
        ("socket", "socket agent_demo", True),
        ("", CREATE, True),
        ("", "frame to us", True),
    ],
)
def test_what_a_pattern_names(pattern: str, place: str, hits: bool) -> None:
    faults = Faults()
    fault = faults.add(Fault(pattern, FaultKind.STATUS))
    assert (faults.draw(place) is fault) is hits
    assert fault.hits == hits


def test_a_fault_strikes_after_its_skips_and_ends_after_its_times() -> None:
    faults = Faults()
    faults.add(Fault(CREATE, FaultKind.STATUS, times=2, skip=1))
    assert [faults.draw(CREATE) is not None for _ in range(4)] == [False, True, True, False]


def test_a_fault_of_another_kind_waits() -> None:
    faults = Faults()
    fault = faults.add(Fault("socket", FaultKind.CUSTOM))
    assert faults.draw("socket", FaultKind.LOSE) is None
    assert faults.draw("socket", FaultKind.CUSTOM) is fault
