"""Opens the media socket of a websocket leg, with whatever is to go wrong with it."""

import asyncio
from typing import Any

from picows import WSError, WSInvalidStatusError, ws_connect

from callwright.integrations.infobip.simulator import socket_faults
from callwright.integrations.infobip.simulator.media_leg import MediaLeg
from callwright.simulation.faults import Fault, FaultKind, Faults

_LARGEST_FRAME = 64 * 1024


def draw(faults: Faults) -> Fault | None:
    """The fault of the next media socket."""
    return faults.draw("socket", FaultKind.CUSTOM)


def hello(config: dict[str, Any], custom_data: dict[str, str], fault: Fault | None) -> dict[str, Any]:
    """The first message: the format, and the child call's custom data at its top level."""
    content_type = f"audio/l16;rate={config['sampleRate']}"
    message = {"event": "websocket:connected", "content-type": content_type, **custom_data}
    return socket_faults.change_hello(fault, message)


async def connect(leg: MediaLeg, url: str, limit_s: float, fault: Fault | None) -> None:
    """Connect and introduce the call; raises OSError, WSError or TimeoutError."""
    detail = fault.detail if fault is not None else ""
    if detail == "never_connects":
        await asyncio.sleep(limit_s)
        raise TimeoutError
    if detail == "refused":
        raise ConnectionRefusedError
    socket_faults.spoil_opening(fault, leg)
    target = f"{url}-nowhere" if detail == "unreachable_path" else url
    async with asyncio.timeout(limit_s):
        await ws_connect(
            lambda: leg,
            target,
            websocket_handshake_timeout=limit_s,
            max_frame_size=_LARGEST_FRAME,
            enable_auto_pong=True,
        )
    leg.arrange(fault)


def failure(error: OSError | WSError | TimeoutError) -> str:
    """The error code of a socket that did not open."""
    if isinstance(error, WSInvalidStatusError):
        return "URL_NOT_FOUND"
    return "INVALID_RESPONSE" if isinstance(error, WSError) else "URL_UNREACHABLE"
