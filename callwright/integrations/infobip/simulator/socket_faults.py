"""What can go wrong with a media socket on command: Fault(where="socket", kind=CUSTOM, detail=...).

never_connects, refused, unreachable_path, wrong_token, no_token, wrong_attempt (data: attempt_id), connects_twice,
malformed_first, binary_first, silent_first; and after `seconds`: dies (no close frame), closes, oversize_frame
(data: bytes), odd_frame, bad_json, stops_sending.
"""

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from callwright.simulation.faults import Fault

if TYPE_CHECKING:
    from callwright.integrations.infobip.simulator.media_leg import MediaLeg

_OVERSIZE = 200_000


def change_hello(fault: Fault | None, hello: dict[str, Any]) -> dict[str, Any]:
    """The first message, spoiled as the fault says."""
    changed = dict(hello)
    match fault.detail if fault is not None else "":
        case "wrong_token":
            changed["ws_token"] = "wrong-" + "x" * 20
        case "no_token":
            changed.pop("ws_token", None)
        case "wrong_attempt":
            assert fault is not None
            changed["attempt_id"] = fault.data["attempt_id"]
    return changed


def spoil_opening(fault: Fault | None, leg: "MediaLeg") -> None:
    """Let the socket say something else in place of its first message, or nothing."""
    match fault.detail if fault is not None else "":
        case "malformed_first":
            leg.opening = lambda: leg.send_text("{not json")
        case "binary_first":
            leg.opening = lambda: leg.send_binary(bytes(640))
        case "silent_first":
            leg.opening = lambda: None
            leg.muted = True


def later(fault: Fault | None, leg: "MediaLeg") -> asyncio.TimerHandle | None:
    """Arrange what happens to an open socket after `seconds`."""
    if fault is None:
        return None
    size = int(fault.data.get("bytes", _OVERSIZE))

    def mute() -> None:
        leg.muted = True

    actions: dict[str, Callable[[], None]] = {
        "dies": leg.cut,
        "closes": leg.close,
        "oversize_frame": lambda: leg.send_binary(bytes(size)),
        "odd_frame": lambda: leg.send_binary(bytes(639)),
        "bad_json": lambda: leg.send_text("{" + json.dumps("x") * 3),
        "stops_sending": mute,
    }
    action = actions.get(fault.detail)
    if action is None:
        return None
    return asyncio.get_running_loop().call_later(fault.seconds, action)
