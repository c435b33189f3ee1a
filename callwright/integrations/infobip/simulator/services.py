"""What the platform does beside carrying audio: it speaks, listens for machines, and keeps recordings."""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from callwright.integrations.infobip.simulator.calls import SimCall, new_id, wire_time
from callwright.integrations.infobip.simulator.line import Line, Prompt
from callwright.simulation import speech

if TYPE_CHECKING:
    from callwright.integrations.infobip.simulator.exchange import Exchange

_RECORDING_TAKES_S = 0.3


async def speak(exchange: "Exchange", call: SimCall, text: str, voice: str, event: str) -> None:
    """Synthesise a text, then speak it to a telephone."""
    line = exchange.lines[call.id]
    pcm = await speech.say_async(text, line.rate_hz, voice)

    def over(played_ms: float, completely: bool) -> None:
        facts = {"duration": round(played_ms), "playedCompletely": completely}
        exchange.events.call(event, call, facts)

    line.say(Prompt(pcm, over))


async def detect_machine(exchange: "Exchange", call: SimCall, line: Line) -> None:
    """Answering machine detection: a verdict after the detection time, then the end of the greeting."""
    assert call.detection is not None
    await asyncio.sleep(call.detection.detection_time)
    machine = line.person.is_machine
    call.detected = "MACHINE" if machine else "HUMAN"
    rating = dict.fromkeys(("HUMAN", "MACHINE", "MUSIC", "RINGING", "NOISE", "SILENCE", "OTHER"), 0.01)
    facts: dict[str, Any] = {
        "detectionResult": call.detected,
        "confidenceRating": {**rating, call.detected: 0.94},
        "customData": call.custom_data,
    }
    exchange.events.call("MACHINE_DETECTION_FINISHED", call, facts)
    if not machine or not call.detection.message_detection_timeout:
        return
    quiet = asyncio.Event()
    line.on_frame = lambda: None if line.person.speaking else quiet.set()
    result = "TIMEOUT"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(call.detection.message_detection_timeout):
            await quiet.wait()
            result = "BEEP"
    line.on_frame = None
    facts = {"detectionResult": result, "customData": call.custom_data}
    exchange.events.call("MACHINE_MESSAGE_DETECTION_FINISHED", call, facts)


async def keep_recording(exchange: "Exchange", call: SimCall, wav: bytes) -> None:
    """Make the recording of an ended call available, and tell it."""
    await exchange.pause(_RECORDING_TAKES_S)
    assert call.ended is not None
    assert call.answered is not None
    file_id = new_id()
    exchange.files[file_id] = wav
    exchange.recordings[call.id] = {
        "callId": call.id,
        "endpoint": call.shown()["endpoint"],
        "direction": "OUTBOUND",
        "files": [
            {
                "id": file_id,
                "name": f"{call.id}.wav",
                "fileFormat": "WAV",
                "size": len(wav),
                "creationTime": wire_time(exchange.now()),
                "duration": call.duration_s(),
                "startTime": wire_time(call.answered),
                "endTime": wire_time(call.ended),
                "location": "HOSTED",
            }
        ],
        "status": "SUCCESSFUL",
        "callsConfigurationId": call.configuration_id,
        "startTime": wire_time(call.answered),
        "endTime": wire_time(call.ended),
    }
    exchange.events.call("CALL_RECORDING_READY", call, {"recording": exchange.recordings[call.id]})
