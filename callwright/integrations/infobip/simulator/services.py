"""What the platform does beside carrying audio: it speaks, listens for machines, and keeps recordings."""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from callwright.integrations.infobip.simulator.calls import SimCall, new_id, wire_time
from callwright.integrations.infobip.simulator.line import Line, Prompt
from callwright.simulation import speech

if TYPE_CHECKING:
    from callwright.integrations.infobip.simulator.exchange import Exchange


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
    """Make the recording of an ended call available after `recording_after_s`, and tell it.

    Fault(where="recording", kind=CUSTOM, detail=...): `never`, `fails`, `partly`, `sftp`, `torn` (the file is
    shorter than told), `two` (a second, later file).
    """
    await exchange.pause(exchange.recording_after_s)
    detail = exchange.recording_fault()
    if detail == "never":
        return
    if detail == "fails":
        reason = "Recording postprocessing failed"
        exchange.recordings[call.id] = _recording(call, [], "FAILED") | {"reason": reason}
        facts = {"reason": reason, "recordingCustomData": {}}
        exchange.events.call("CALL_RECORDING_FAILED", call, facts)
        return
    content = wav[: len(wav) // 2] if detail == "torn" else wav
    files = [_recording_file(exchange, call, content, len(wav), "SFTP" if detail == "sftp" else "HOSTED")]
    if detail == "two":
        assert call.ended is not None
        later = _recording_file(exchange, call, wav[:44], 44, "HOSTED")
        files.insert(0, later | {"startTime": wire_time(call.ended)})
    status = "PARTIALLY_FAILED" if detail == "partly" else "SUCCESSFUL"
    exchange.recordings[call.id] = _recording(call, files, status)
    exchange.events.call("CALL_RECORDING_READY", call, {"recording": exchange.recordings[call.id]})


def _recording(call: SimCall, files: list[dict[str, Any]], status: str) -> dict[str, Any]:
    """The PublicCallRecording object."""
    assert call.ended is not None
    assert call.answered is not None
    return {
        "callId": call.id,
        "endpoint": call.shown()["endpoint"],
        "direction": "OUTBOUND",
        "files": files,
        "status": status,
        "callsConfigurationId": call.configuration_id,
        "startTime": wire_time(call.answered),
        "endTime": wire_time(call.ended),
    }


def _recording_file(
    exchange: "Exchange", call: SimCall, content: bytes, size: int, location: str
) -> dict[str, Any]:
    """Keep a file, unless it goes elsewhere, and show it as PublicRecordingFile."""
    assert call.ended is not None
    assert call.answered is not None
    file_id = new_id()
    if location == "HOSTED":
        exchange.files[file_id] = content
    prefix = call.recording.file_prefix if call.recording is not None else None
    return {
        "id": file_id,
        "name": f"{prefix}_{call.id}_{file_id}.wav" if prefix else f"{call.id}.wav",
        "fileFormat": "WAV",
        "size": size,
        "creationTime": wire_time(exchange.now()),
        "duration": call.duration_s(),
        "startTime": wire_time(call.answered),
        "endTime": wire_time(call.ended),
        "location": location,
        **({"sftpUploadStatus": "UPLOADED"} if location == "SFTP" else {}),
    }
