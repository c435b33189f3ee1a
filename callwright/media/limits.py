"""Every bound of the media plane in one place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """Times in seconds, sizes in bytes; the defaults suit telephone calls."""

    handshake_s: float = 5.0
    first_message_s: float = 5.0
    carrier_message_bytes: int = 64 * 1024
    agent_message_bytes: int = 4 * 1024 * 1024
    carrier_sockets: int = 2000
    expected_sockets: int = 4000
    held_agent_s: float = 10.0
    held_person_s: float = 1.5
    queued_agent_s: float = 180.0
    held_events: int = 256
    write_buffer_bytes: int = 64 * 1024
    send_buffer_bytes: int = 64 * 1024
    carrier_silent_s: float = 10.0
    agent_ping_s: float = 10.0
    agent_lost_s: float = 25.0
    agent_stuck_s: float = 10.0
    rejected_messages: int = 20
    close_s: float = 1.0
