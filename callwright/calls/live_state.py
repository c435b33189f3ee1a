"""What is going on in a running conversation at this moment, and how fast the agent answers."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from callwright.domain.events import Speaker
from callwright.media.bridge import Bridge

_SPEAKS = 0.5
_LEVEL_COUNTS_S = 1.0
_LOUD_COUNTS_S = 0.3
_MOST_TURNS = 1000


@dataclass(frozen=True, slots=True)
class LiveView:
    """One look at a conversation.

    `voice_activity` is the platform's score of the person, 0 to 1, None where it tells none; `hearing` what the
    person seems to be saying. A response is the time in ms from the end of what the person said to the first of
    the agent's answer, as it arrives here; `response_p50_ms` and `response_p95_ms` are over all turns.
    """

    speaking: Speaker | None
    voice_activity: float | None
    hearing: str
    turns: int
    last_response_ms: float | None
    response_p50_ms: float | None
    response_p95_ms: float | None


class LiveState:
    """Kept by messages of the agent platform alone, never by frames of audio."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._bridge: Bridge | None = None
        self._score: float | None = None
        self._score_at = self._voice_at = -math.inf
        self._hearing = ""
        self._awaits_answer = False
        self._turns = 0
        self._responses: list[float] = []

    def follow(self, bridge: Bridge) -> None:
        """The conversation's audio passes here."""
        self._bridge = bridge

    def level(self, score: float) -> None:
        """The platform's voice activity score of the person."""
        before, self._score, self._score_at = self._score or 0.0, score, self._monotonic()
        if max(before, score) >= _SPEAKS:
            self._voice_at = self._score_at

    def hearing(self, text: str) -> None:
        """A tentative transcript of the person."""
        self._hearing = text

    def said(self, speaker: Speaker) -> None:
        """A new utterance. The agent's comes with its first audio: after one of the person's that ends a turn."""
        if speaker is Speaker.PERSON:
            self._hearing = ""
            self._awaits_answer = True
        elif self._awaits_answer:
            self._awaits_answer = False
            self._turns += 1
            quiet_s = self._quiet_s()
            if quiet_s is not None and len(self._responses) < _MOST_TURNS:
                self._responses.append(quiet_s * 1000)

    def view(self) -> LiveView:
        """The state now."""
        fresh = self._monotonic() - self._score_at <= _LEVEL_COUNTS_S
        ordered = sorted(self._responses)
        return LiveView(
            speaking=self._speaking(),
            voice_activity=self._score if fresh else None,
            hearing=self._hearing,
            turns=self._turns,
            last_response_ms=round(self._responses[-1], 1) if self._responses else None,
            response_p50_ms=_percentile(ordered, 0.5),
            response_p95_ms=_percentile(ordered, 0.95),
        )

    def summary(self) -> dict[str, Any]:
        """The figures for the call's log, without those that are not known."""
        view = asdict(self.view())
        names = ("turns", "response_p50_ms", "response_p95_ms")
        return {name: view[name] for name in names if view[name] is not None}

    def _speaking(self) -> Speaker | None:
        bridge = self._bridge
        quiet_s = self._quiet_s()
        if quiet_s is not None and quiet_s <= _LOUD_COUNTS_S:
            return Speaker.PERSON
        if bridge is not None and bridge.carrier is not None and bridge.queued_ms > 0:
            return Speaker.AGENT
        return None

    def _quiet_s(self) -> float | None:
        """Seconds since the person's voice: by the platform's score where it tells one, else by loudness."""
        now = self._monotonic()
        ended = self._score is not None and self._score < _SPEAKS and self._voice_at > -math.inf
        if ended or now - self._voice_at <= _LEVEL_COUNTS_S:
            return now - self._voice_at
        return None if self._bridge is None else self._bridge.person_quiet_s


def _percentile(ordered: list[float], share: float) -> float | None:
    """The nearest-rank percentile."""
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1)
