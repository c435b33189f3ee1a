"""Lawful calling hours, in the recipient's local time."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RULE = re.compile(r"^(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)(?: (?P<days>[a-z,-]+))?$")
_SEARCH = timedelta(days=8)
_STEP = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class CallingHours:
    """A daily window on some weekdays (0 = Monday); `start` is inside it, `end` is not."""

    start: time
    end: time
    days: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> "CallingHours":
        """Read `10:00-19:00 mon-sat` or `09:00-18:00 mon,wed,fri`; raises ValueError saying what is wrong."""
        match = _RULE.match(text.strip().lower())
        if match is None:
            raise ValueError(f"{text!r} is not of the form '10:00-19:00 mon-sat'")
        start, end = time.fromisoformat(match["start"]), time.fromisoformat(match["end"])
        if start >= end:
            raise ValueError(f"{text!r}: the window must start before it ends, on the same day")
        return cls(start, end, frozenset(_days(match["days"] or "mon-sun")))

    def __str__(self) -> str:
        days = ",".join(DAYS[day] for day in sorted(self.days))
        return f"{self.start:%H:%M}-{self.end:%H:%M} {days}"

    def open_at(self, moment: datetime, zones: Iterable[ZoneInfo]) -> bool:
        """Whether the window is open at `moment` (aware) in every one of the zones."""
        return all(self._open_locally(moment.astimezone(zone)) for zone in zones)

    def next_opening(self, moment: datetime, zones: Iterable[ZoneInfo]) -> datetime | None:
        """The first minute from `moment` on at which it is open in every zone, as UTC; None within 8 days."""
        zones = tuple(zones)
        if self.open_at(moment, zones):
            return moment.astimezone(UTC)
        candidate = moment.astimezone(UTC).replace(second=0, microsecond=0) + _STEP
        limit = candidate + _SEARCH
        while candidate < limit:
            if self.open_at(candidate, zones):
                return candidate
            candidate = self._skip(candidate, zones)
        return None

    def _open_locally(self, local: datetime) -> bool:
        return local.weekday() in self.days and self.start <= local.time() < self.end

    def _skip(self, moment: datetime, zones: tuple[ZoneInfo, ...]) -> datetime:
        """Jump to the next opening of the first zone that is closed, at least one minute on."""
        for zone in zones:
            local = moment.astimezone(zone)
            if self._open_locally(local):
                continue
            opening = datetime.combine(local.date(), self.start, zone)
            while opening <= local or opening.weekday() not in self.days:
                opening = datetime.combine(opening.date() + timedelta(days=1), self.start, zone)
            return max(opening.astimezone(UTC), moment + _STEP)
        return moment + _STEP


def _days(text: str) -> Iterable[int]:
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last and last not in DAYS):
            raise ValueError(f"{part!r}: days are {', '.join(DAYS)}, or a range such as mon-fri")
        low, high = DAYS.index(first), DAYS.index(last or first)
        yield from range(low, high + 1) if low <= high else (*range(low, 7), *range(high + 1))
