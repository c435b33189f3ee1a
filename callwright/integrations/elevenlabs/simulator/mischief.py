"""What a fault at the place `socket` does to one conversation; the fault's `detail` names it.

refuse_3000_quota, refuse_3000_unknown: closed at once. slow_open: the metadata comes after `seconds` (3).
mute: the agent says nothing by itself. format_<name>: audio in another format, such as format_pcm_8000.
unknown_messages, malformed_messages: messages that a client has to survive. After `seconds` (2) of conversation:
close_1002_mid, error_flat_mid, drop_mid. After its end: results_stuck (for `seconds`, 0 is for good) and
results_404_first (the first `data["times"]` answers, 1, say that the conversation is unknown).
"""

from typing import Final

from callwright.integrations.elevenlabs.simulator.admission import NO_CREDITS, UNKNOWN_AGENT, Refusal
from callwright.integrations.elevenlabs.simulator.oddities import MALFORMED, UNKNOWN
from callwright.integrations.elevenlabs.simulator.shapes import encode
from callwright.simulation.faults import Fault

CLOSE_1002, ERROR_FLAT, DROP = "close_1002_mid", "error_flat_mid", "drop_mid"

_REFUSALS: Final = {
    "refuse_3000_quota": Refusal(3000, NO_CREDITS),
    "refuse_3000_unknown": Refusal(3000, UNKNOWN_AGENT),
}
_MID: Final = frozenset({CLOSE_1002, ERROR_FLAT, DROP})
_MID_S: Final = 2.0
_SLOW_S: Final = 3.0


class Mischief:
    """One conversation's fault, or none."""

    def __init__(self, fault: Fault | None) -> None:
        self._fault = fault
        self._detail = fault.detail if fault is not None else ""
        self._seconds = fault.seconds if fault is not None else 0.0
        self._done = False

    @property
    def refusal(self) -> Refusal | None:
        """How the conversation is refused."""
        return _REFUSALS.get(self._detail)

    @property
    def opens_after_s(self) -> float:
        """How long the metadata message is held back."""
        return (self._seconds or _SLOW_S) if self._detail == "slow_open" else 0.0

    @property
    def mute(self) -> bool:
        """Whether the agent does not begin to speak."""
        return self._detail == "mute"

    @property
    def audio_format(self) -> str | None:
        """The format that replaces the agent's two."""
        return self._detail.removeprefix("format_") if self._detail.startswith("format_") else None

    @property
    def oddities(self) -> list[bytes]:
        """Messages to send in between."""
        if self._detail == "unknown_messages":
            return [encode(message) for message in UNKNOWN]
        return list(MALFORMED) if self._detail == "malformed_messages" else []

    @property
    def hidden_reads(self) -> int:
        """How often the conversation is said to be unknown."""
        if self._fault is None or self._detail != "results_404_first":
            return 0
        return int(self._fault.data.get("times", 1))

    @property
    def stuck_s(self) -> float | None:
        """How long the analysis takes beyond reason; 0 is for good, None is not at all."""
        return self._seconds if self._detail == "results_stuck" else None

    def due(self, conversed_s: float) -> str | None:
        """What breaks in mid-call now, told once."""
        if self._done or self._detail not in _MID or conversed_s < (self._seconds or _MID_S):
            return None
        self._done = True
        return self._detail
