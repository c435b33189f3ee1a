"""Infobip's own recording of a call: asked for, waited for, read in parts, and what goes wrong with it."""

import asyncio
from typing import Any

import pytest

from callwright.audio.wav import parse_wav
from callwright.domain.errors import VendorAmbiguous, VendorAuthFailed, VendorNotFound
from callwright.domain.events import CarrierEventKind
from callwright.integrations.infobip import recordings
from callwright.integrations.infobip.conftest import ADA, SILENT, Stage
from callwright.integrations.infobip.test_carrier import answered
from callwright.integrations.infobip.test_conversation import Eventually
from callwright.ports.carrier import CallHandle, CarrierRecording, HangUpCause, RecordingState
from callwright.simulation.faults import Fault, FaultKind
from callwright.simulation.recogniser import Recogniser

PENDING, READY, NONE = RecordingState.PENDING, RecordingState.READY, RecordingState.NONE


async def content_of(stage: Stage, call: CallHandle, found: CarrierRecording) -> bytes:
    return b"".join([piece async for piece in stage.carrier.recorded(call, found)])


async def recorded(stage: Stage, eventually: Eventually, detail: str = "") -> CallHandle:
    """A call with a recording that is over; `detail` is what goes wrong with the recording."""
    if detail:
        stage.simulator.faults.add(Fault("recording", FaultKind.CUSTOM, detail=detail))
    call = await answered(stage, eventually, SILENT, record=True)
    await eventually(lambda: stage.simulator.exchange.lines[call.carrier_call_id].silent_s > 0.1)
    await stage.carrier.hang_up(call, HangUpCause.NORMAL)
    await eventually(stage.has(CarrierEventKind.ENDED))
    return call


async def test_it_holds_both_sides_of_the_call(ready: Stage, eventually: Eventually) -> None:
    call = await answered(ready, eventually, ADA, record=True)
    assert (await ready.carrier.recording(call)).state is PENDING
    await ready.carrier.say(call, "This is recorded.", "en")
    await eventually(ready.has(CarrierEventKind.PROMPT_FINISHED), within_s=10)
    await ready.carrier.hang_up(call, HangUpCause.NORMAL)
    await eventually(ready.has(CarrierEventKind.RECORDING_READY))
    found = await ready.carrier.recording(call)
    content = await content_of(ready, call, found)
    assert (found.state, found.format, found.size) == (READY, "wav", len(content))
    wav = parse_wav(content)
    assert wav.channels == 2
    for channel, text in ((0, "Hello?"), (1, "This is recorded.")):
        recogniser = Recogniser(wav.rate_hz)
        recogniser.feed(wav.channel(channel))
        recogniser.finish()
        assert recogniser.report().texts[0] == text


async def test_a_call_that_is_not_recorded_stays_unknown(ready: Stage, eventually: Eventually) -> None:
    call = await answered(ready, eventually, SILENT)
    await ready.carrier.hang_up(call, HangUpCause.NORMAL)
    await eventually(ready.has(CarrierEventKind.ENDED))
    assert (await ready.carrier.recording(call)).state is PENDING
    assert not ready.simulator.exchange.recordings


@pytest.mark.parametrize(
    "detail, state, told",
    [
        ("fails", NONE, "Recording postprocessing failed"),
        ("sftp", NONE, "SFTP"),
        ("partly", READY, ""),
        ("two", READY, ""),
    ],
)
async def test_how_recordings_end(
    ready: Stage, eventually: Eventually, detail: str, state: RecordingState, told: str
) -> None:
    call = await recorded(ready, eventually, detail)
    await eventually(lambda: call.carrier_call_id in ready.simulator.exchange.recordings)
    found = await ready.carrier.recording(call)
    assert found.state is state
    assert told in found.detail
    if state is READY:
        content = await content_of(ready, call, found)
        assert len(content) > 44
        assert len(content) == found.size


async def test_it_is_not_ready_at_once(ready: Stage, eventually: Eventually) -> None:
    ready.simulator.exchange.recording_after_s = 5.0
    call = await recorded(ready, eventually)
    assert (await ready.carrier.recording(call)).state is PENDING
    await eventually(lambda: call.carrier_call_id in ready.simulator.exchange.recordings)
    assert (await ready.carrier.recording(call)).state is READY


@pytest.mark.parametrize(
    "fault, error",
    [
        (Fault("GET /calls/1/recordings/files/*", FaultKind.STATUS, 9, status=404), VendorNotFound),
        (Fault("GET /calls/1/recordings/files/*", FaultKind.STATUS, 9, status=403), VendorAuthFailed),
        (Fault("GET /calls/1/recordings/files/*", FaultKind.STATUS, 9, status=500), VendorAmbiguous),
        (Fault("GET /calls/1/recordings/files/*", FaultKind.DROP_AFTER, 9), VendorAmbiguous),
    ],
)
async def test_a_file_that_cannot_be_read(
    ready: Stage, eventually: Eventually, fault: Fault, error: type[Exception]
) -> None:
    call = await recorded(ready, eventually)
    await eventually(lambda: call.carrier_call_id in ready.simulator.exchange.recordings)
    found = await ready.carrier.recording(call)
    ready.simulator.faults.add(fault)
    with pytest.raises(error):
        await content_of(ready, call, found)


async def test_a_fault_between_two_parts_is_overcome(ready: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callwright.integrations.infobip.client._RECORDING_PART", 1000)
    content = bytes(range(256)) * 10
    call = CallHandle("a", "c", SILENT, "", answered=True, data={})
    ready.simulator.exchange.files["f-1"] = content
    ready.simulator.faults.add(
        Fault("GET /calls/1/recordings/files/*", FaultKind.STATUS, 1, skip=1, status=500)
    )
    assert await content_of(ready, call, CarrierRecording(READY, "f-1")) == content
    ready.simulator.exchange.files["f-2"] = content[:2000]
    assert await content_of(ready, call, CarrierRecording(READY, "f-2")) == content[:2000]


async def test_downloads_are_limited_by_the_vendor(ready: Stage, eventually: Eventually) -> None:
    call = await recorded(ready, eventually)
    await eventually(lambda: call.carrier_call_id in ready.simulator.exchange.recordings)
    found = await ready.carrier.recording(call)
    ready.simulator.rates.limits["download-recording"] = (1, 1.0)
    started = asyncio.get_running_loop().time()
    assert [len(await content_of(ready, call, found)) for _ in range(2)] == [found.size] * 2
    assert asyncio.get_running_loop().time() - started > 0.9


async def test_downloads_never_keep_a_running_call_waiting(ready: Stage, eventually: Eventually) -> None:
    """However many files are read, and however slowly they come, requests about calls have connections of their own."""
    call = await answered(ready, eventually, SILENT)
    ready.simulator.exchange.files["f-1"] = b"x"
    slow = Fault("GET /calls/1/recordings/files/*", FaultKind.HANG, times=1000)
    ready.simulator.faults.add(slow)
    wanted = CarrierRecording(READY, "f-1")
    reading = [asyncio.create_task(content_of(ready, call, wanted)) for _ in range(30)]
    try:
        await eventually(lambda: slow.hits >= 2)
        async with asyncio.timeout(3):
            await ready.carrier.hang_up(call, HangUpCause.NORMAL)
        assert slow.hits == 2, "the others wait for a connection"
        await eventually(ready.has(CarrierEventKind.ENDED))
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


def file(**changed: Any) -> dict[str, Any]:
    return {"id": "f1", "name": "x.wav", "fileFormat": "WAV", "size": 10, "location": "HOSTED", **changed}


@pytest.mark.parametrize(
    "told, expected",
    [
        (None, PENDING),
        ({}, PENDING),
        ({"files": []}, PENDING),
        ({"files": "nonsense"}, PENDING),
        ({"status": "FAILED", "files": []}, NONE),
        ({"files": [file(fileFormat="MP4")]}, NONE),
        ({"files": [file(id="../../etc/passwd")]}, NONE),
        ({"files": [file(id=None)]}, NONE),
        ({"files": [None, file(fileFormat="MP3")]}, READY),
        ({"status": "PARTIALLY_FAILED", "files": [file()]}, READY),
    ],
)
def test_what_the_vendor_may_tell(told: dict[str, Any] | None, expected: RecordingState) -> None:
    assert recordings.understand(told).state is expected


def test_the_first_file_that_can_be_had_is_taken() -> None:
    files = [
        file(id="late", startTime="2026-01-15T12:00:05.000+0000", size=True),
        file(id="early", startTime="2026-01-15T12:00:00.000+0000", fileFormat="MP3", size=77),
        file(id="elsewhere", startTime="2026-01-15T11:00:00.000+0000", location="SFTP"),
    ]
    found = recordings.understand({"files": files})
    assert (found.file_id, found.format, found.size) == ("early", "mp3", 77)
