"""What happened to the audio of one call, in frames of 20 ms."""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class AudioCounts:
    """`heard`: received from the person; `spoken`, `filled`: agent speech and silence sent to the person;
    `late`: times that the schedule had to start again after a stall.
    """

    heard: int = 0
    spoken: int = 0
    filled: int = 0
    late: int = 0
    dropped_agent_slow: int = 0
    dropped_carrier_slow: int = 0
    dropped_queue_full: int = 0
    dropped_silence: int = 0

    def as_dict(self) -> dict[str, int]:
        """All counts by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}
