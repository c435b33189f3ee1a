"""The gate: every rule, alone and together; it fails closed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from callwright.domain.gate import CONCURRENCY_RETRY, IN_FLIGHT_RETRY, GateFacts, Verdict, decide
from callwright.domain.hours import CallingHours

LONDON = ZoneInfo("Europe/London")
NEW_YORK = ZoneInfo("America/New_York")
TUESDAY_NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FACTS = GateFacts(
    now=TUESDAY_NOON,
    phone="+447700900123",
    zones=(LONDON,),
    hours=(CallingHours.parse("10:00-19:00 mon-sat"),),
    suppressed=None,
    caller_id="+447700900001",
    owned_caller_ids=frozenset({"+447700900001"}),
    in_flight_call=None,
    calls_in_progress=0,
    max_concurrent_calls=5,
)


def test_everything_in_order_is_allowed_with_a_reason_from_every_rule() -> None:
    """The stored decision shows what was looked at."""
    decision = decide(replace(FACTS, dial_slot=TUESDAY_NOON + timedelta(seconds=2)))
    assert decision.verdict is Verdict.ALLOW
    rules = [reason.rule for reason in decision.reasons]
    assert rules == ["suppression", "caller_id", "hours", "in_flight", "concurrency", "hold", "carrier_rate"]


@pytest.mark.parametrize(
    "change, rule",
    [
        ({"suppressed": "asked"}, "suppression"),
        ({"caller_id": "+15550100"}, "caller_id"),
        ({"owned_caller_ids": frozenset()}, "caller_id"),
        ({"zones": ()}, "hours"),
    ],
)
def test_what_forbids_a_call_for_good(change: dict[str, object], rule: str) -> None:
    """An unknown time zone counts as closed, not as open."""
    decision = decide(replace(FACTS, **change))  # type: ignore[arg-type]  # the table's values fit their fields
    assert decision.verdict is Verdict.REFUSE
    assert [reason.rule for reason in decision.reasons if reason.verdict is Verdict.REFUSE] == [rule]


@pytest.mark.parametrize(
    "change, until",
    [
        ({"in_flight_call": "abc"}, TUESDAY_NOON + IN_FLIGHT_RETRY),
        ({"calls_in_progress": 5}, TUESDAY_NOON + CONCURRENCY_RETRY),
        ({"in_flight_call": "abc", "waiting": timedelta(minutes=20)}, TUESDAY_NOON + timedelta(minutes=2)),
        ({"in_flight_call": "abc", "waiting": timedelta(days=3)}, TUESDAY_NOON + timedelta(minutes=10)),
        ({"held": "the numbers are checked"}, TUESDAY_NOON),
        ({"dial_slot": TUESDAY_NOON + timedelta(seconds=9)}, TUESDAY_NOON + timedelta(seconds=9)),
        ({"now": datetime(2026, 11, 24, 9, 59, 30, tzinfo=UTC)}, datetime(2026, 11, 24, 10, 0, tzinfo=UTC)),
        ({"now": datetime(2026, 11, 24, 19, 0, tzinfo=UTC)}, datetime(2026, 11, 25, 10, 0, tzinfo=UTC)),
        ({"now": datetime(2026, 11, 28, 19, 0, tzinfo=UTC)}, datetime(2026, 11, 30, 10, 0, tzinfo=UTC)),
        ({"zones": (LONDON, NEW_YORK)}, datetime(2026, 11, 24, 15, 0, tzinfo=UTC)),
    ],
)
def test_what_defers_a_call_and_until_when(change: dict[str, object], until: datetime) -> None:
    """Closed hours defer to the first minute that is open in every zone; Sundays are skipped."""
    decision = decide(replace(FACTS, **change))  # type: ignore[arg-type]  # the table's values fit their fields
    assert (decision.verdict, decision.until) == (Verdict.DEFER, until)


def test_a_refusal_wins_over_a_deferral() -> None:
    """Nobody waits for a call that will never be allowed."""
    assert decide(replace(FACTS, suppressed="asked", calls_in_progress=9)).verdict is Verdict.REFUSE


def test_an_agent_may_narrow_the_hours_but_not_widen_them() -> None:
    """All windows must be open at once."""
    narrow = (*FACTS.hours, CallingHours.parse("14:00-15:00 mon-fri"))
    assert decide(replace(FACTS, hours=narrow)).until == datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
    night = (*FACTS.hours, CallingHours.parse("20:00-22:00 mon-sun"))
    assert decide(replace(FACTS, hours=night)).verdict is Verdict.REFUSE


def test_hours_across_the_change_of_clocks() -> None:
    """The window follows the local clock: ten o'clock is 09:00 UTC in summer, 10:00 in winter."""
    hours = CallingHours.parse("10:00-19:00")
    before = datetime(2026, 10, 24, 20, 0, tzinfo=UTC)
    assert hours.next_opening(before, (LONDON,)) == datetime(2026, 10, 25, 10, 0, tzinfo=UTC)
    assert hours.next_opening(before - timedelta(days=1), (LONDON,)) == datetime(
        2026, 10, 24, 9, 0, tzinfo=UTC
    )


@pytest.mark.parametrize("text", ["", "10-19", "19:00-10:00", "10:00-19:00 someday", "10:00-19:00 mon-xyz"])
def test_bad_hours_say_what_is_wrong(text: str) -> None:
    """A mistyped rule must not silently allow or forbid calls."""
    with pytest.raises(ValueError, match=r"is not|must start|days are|Invalid"):
        CallingHours.parse(text)
