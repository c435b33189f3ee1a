"""The simulated platform is as strict as the real one says it is, and keeps its own rules."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import httpx2
import pytest

from callwright.domain.events import CarrierEventKind, Leg
from callwright.integrations.infobip.carrier import InfobipCarrier
from callwright.integrations.infobip.conftest import ADA, LATE, SILENT, Stage, settings_for
from callwright.integrations.infobip.simulator.media_leg import (
    _MOST_BUFFERED,
    _PREFILL,
    MediaLeg,
    MediaRules,
)
from callwright.integrations.infobip.simulator.ticker import Ticker
from callwright.integrations.infobip.test_carrier import answered
from callwright.integrations.infobip.test_conversation import talking
from callwright.ports.carrier import HangUpCause
from callwright.simulation.faults import Fault, FaultKind, Faults
from callwright.simulation.traffic import Traffic

Eventually = Callable[..., Awaitable[None]]
CALLS = "/calls/1/calls"
GOOD_CALL = {
    "endpoint": {"type": "PHONE", "phoneNumber": LATE[1:]},
    "from": "447700900001",
    "callsConfigurationId": "callwright",
}


@pytest.fixture
async def http(ready: Stage) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the right key."""
    headers = {"Authorization": f"App {ready.simulator.environment()['INFOBIP_API_KEY']}"}
    async with httpx2.AsyncClient(
        base_url=ready.simulator.base_url, headers=headers, trust_env=False
    ) as client:
        yield client


def changed(**fields: Any) -> dict[str, Any]:
    return {**GOOD_CALL, **fields}


@pytest.mark.parametrize(
    "body,field",
    [
        ({}, "callsConfigurationId"),
        (changed(endpoint=None), "endpoint"),
        (changed(endpoint={"type": "PHONE"}), "endpoint.PHONE.phoneNumber"),
        (changed(endpoint={"type": "FAX", "phoneNumber": "1"}), "endpoint"),
        (changed(endpoint={"type": "PHONE", "phoneNumber": "alice"}), "endpoint.PHONE.phoneNumber"),
        (changed(connectTimeout=61), "connectTimeout"),
        (changed(connectTimeout="30"), "connectTimeout"),
        (changed(maxDuration=True), "maxDuration"),
        (changed(customData={"a": 1}), "customData.a"),
        (changed(machineDetection={}), "machineDetection.enabled"),
        (changed(machineDetection={"enabled": True, "detectionTime": 9}), "machineDetection.detectionTime"),
        (changed(recording={"recordingType": "VIDEO"}), "recording.recordingType"),
        (changed(webhookUrl="https://x.example"), "webhookUrl"),
        (changed(external_id="x"), "external_id"),
        (changed(externalId=None), "externalId"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_bad_calls_are_refused_as_the_vendor_does(
    ready: Stage, http: httpx2.AsyncClient, body: Any, field: str
) -> None:
    response = await http.post(CALLS, json=body)
    assert response.status_code == 400
    told = response.json()["requestError"]["serviceException"]
    assert told["messageId"] == "BAD_REQUEST"
    assert field in told["validationErrors"]
    assert len(ready.simulator.traffic.violations) == 1
    assert ready.simulator.calls == {}


@pytest.mark.parametrize(
    "method,path,body",
    [
        ("POST", CALLS, "not json"),
        ("POST", "/calls/1/dialogs", {"parentCallId": "x", "childCallRequest": {}}),
        ("POST", f"{CALLS}/x/hangup", {"errorCode": "TIRED"}),
        ("POST", f"{CALLS}/x/say", {"text": "Hi", "language": "klingon"}),
        ("POST", f"{CALLS}/x/say", {"text": "Hi"}),
        ("POST", f"{CALLS}/x/play", {"content": {"type": "URL"}}),
        ("POST", "/calls/1/configurations", {"id": "a b"}),
        ("POST", "/calls/1/media-stream-configs", {"type": "WEBSOCKET_ENDPOINT", "name": "x"}),
        (
            "POST",
            "/calls/1/media-stream-configs",
            {"type": "WEBSOCKET_ENDPOINT", "name": "x", "url": "wss://x.example", "sampleRate": 16000},
        ),
        ("POST", "/subscriptions/1/security", {"authId": "a", "type": "OAUTH"}),
        ("POST", "/subscriptions/1/profiles", {"profileId": "a", "webhook": {"notifyUrl": "ftp://x"}}),
        (
            "POST",
            "/subscriptions/1/subscription/VOICE_VIDEO",
            {"subscriptionId": "a", "events": ["CALL_EXPLODED"], "profile": {"profileId": "b"}},
        ),
    ],
)
async def test_other_bad_bodies_are_refused(
    http: httpx2.AsyncClient, method: str, path: str, body: Any
) -> None:
    content = {"content": body} if isinstance(body, str) else {"json": body}
    response = await http.request(method, path, **content)
    assert response.status_code == 400


@pytest.mark.parametrize(
    "query",
    [{"externalId": "x"}, {"size": "101"}, {"page": "-1"}, {"startTimeAfter": "2026-01-15"}, {"status": "X"}],
)
async def test_queries_are_strict(http: httpx2.AsyncClient, query: dict[str, str]) -> None:
    assert (await http.get(CALLS, params=query)).status_code == 400


async def test_keys_and_unknown_things(ready: Stage, http: httpx2.AsyncClient) -> None:
    response = await http.get(CALLS, headers={"Authorization": "App wrong"})
    assert response.status_code == 401
    assert response.json()["requestError"]["serviceException"]["messageId"] == "UNAUTHORIZED"
    response = await http.post(CALLS, json=changed(callsConfigurationId="other"))
    assert response.status_code == 404
    for path in (f"{CALLS}/x", f"{CALLS}/x/history", "/calls/1/dialogs/x", "/calls/1/recordings/calls/x"):
        assert (await http.get(path)).status_code == 404
    assert (await http.post("/calls/1/configurations", json={"id": "callwright"})).status_code == 400


async def test_hang_up_codes_follow_the_state(ready: Stage, http: httpx2.AsyncClient) -> None:
    call = (await http.post(CALLS, json=GOOD_CALL)).json()
    assert call["state"] == "CALLING"
    path = f"{CALLS}/{call['id']}/hangup"
    assert (await http.post(path, json={"errorCode": "NORMAL_HANGUP"})).status_code == 400
    response = await http.post(path, json={"errorCode": "CANCELLED"})
    assert (response.status_code, response.json()["state"]) == (200, "CANCELLED")
    assert (await http.post(path, json={})).status_code == 404


async def test_the_same_external_id_twice_is_a_violation(ready: Stage) -> None:
    await ready.dial(LATE)
    await ready.dial(LATE)
    assert ready.simulator.dials_by_phone[LATE] == 2
    assert len(ready.simulator.traffic.violations) == 1


async def test_a_dialog_that_hangs_up_its_parent(
    ready: Stage, http: httpx2.AsyncClient, eventually: Eventually
) -> None:
    call = await answered(ready, eventually, SILENT)
    (config_id,) = ready.simulator.account.media_configs
    endpoint = {"type": "WEBSOCKET", "websocketEndpointConfigId": config_id}
    body = {"parentCallId": call.carrier_call_id, "childCallRequest": {"endpoint": endpoint}}
    dialog = (await http.post("/calls/1/dialogs", json=body)).json()
    await eventually(ready.has(CarrierEventKind.ENDED))
    assert not ready.simulator.exchange.dialogs[dialog["id"]].live


# --- events -----------------------------------------------------------------------------------------------------


async def test_events_are_sent_again_until_they_are_taken(ready: Stage, eventually: Eventually) -> None:
    ready.unable = 2
    await ready.dial(LATE)
    await eventually(ready.has(CarrierEventKind.RINGING))
    assert ready.kinds()[0] is CarrierEventKind.ACCEPTED
    assert len(ready.requests) >= 4


async def test_events_with_another_password_are_refused(ready: Stage, eventually: Eventually) -> None:
    ready.simulator.account.security["callwright-auth"]["credentials"]["password"] = "other"
    await ready.dial(LATE)
    await eventually(lambda: ready.refused)
    assert set(ready.refused) == {"bad_signature"}
    assert ready.events == []


async def test_events_may_come_twice_and_out_of_order(ready: Stage, eventually: Eventually) -> None:
    ready.simulator.faults.add(Fault("webhook CALL_ESTABLISHED", FaultKind.REPEAT))
    ready.simulator.faults.add(Fault("webhook CALL_RINGING", FaultKind.REORDER))
    await ready.dial(ADA)
    await eventually(lambda: ready.kinds().count(CarrierEventKind.ANSWERED) == 2)
    first, second = (event for event in ready.events if event.kind is CarrierEventKind.ANSWERED)
    assert first == second
    await eventually(ready.has(CarrierEventKind.RINGING))
    assert ready.kinds().index(CarrierEventKind.RINGING) > ready.kinds().index(CarrierEventKind.ANSWERED)


@pytest.mark.parametrize(
    "auth",
    [
        {"INFOBIP_WEBHOOK_AUTH": "header", "INFOBIP_WEBHOOK_TOKEN": "token-0123456789"},
        {"INFOBIP_WEBHOOK_AUTH": "hmac", "INFOBIP_WEBHOOK_SECRET": "hmac-secret-0123456789"},
        {
            "INFOBIP_WEBHOOK_AUTH": "hmac",
            "INFOBIP_WEBHOOK_SECRET": "hmac-secret-0123456789",
            "INFOBIP_WEBHOOK_HMAC_SCHEME": "timestamp_body",
            "INFOBIP_WEBHOOK_HMAC_ALGORITHM": "HMAC_SHA_512",
            "INFOBIP_WEBHOOK_HMAC_HEADER": "X-Ib-Exchange-Req-Signature",
        },
    ],
    ids=["header", "hmac", "timestamp"],
)
async def test_events_prove_themselves_as_set_up(
    stage: Stage, eventually: Eventually, auth: dict[str, str]
) -> None:
    await stage.carrier.close()
    stage.carrier = InfobipCarrier(settings_for(stage.simulator, **auth), stage.context)
    stage.simulator.events.hmac_scheme = auth.get("INFOBIP_WEBHOOK_HMAC_SCHEME", "body")
    stage.simulator.events.hmac_header = auth.get("INFOBIP_WEBHOOK_HMAC_HEADER", "X-Ib-Hmac-Signature")
    await stage.carrier.setup(stage.plan())
    call = await answered(stage, eventually, ADA)
    assert stage.refused == []
    stage.simulator.faults.add(Fault("webhook CALL_FINISHED", FaultKind.CORRUPT))
    await stage.carrier.hang_up(call, HangUpCause.NORMAL)
    if auth["INFOBIP_WEBHOOK_AUTH"] == "hmac":
        await eventually(lambda: stage.refused == ["bad_signature"])
    else:
        await eventually(lambda: stage.refused == ["malformed"])


async def test_buckets_of_events_come_as_lists(ready: Stage, eventually: Eventually) -> None:
    ready.simulator.account.profiles["callwright-webhook"]["maxBucketSize"] = 10
    await ready.dial(ADA)
    await eventually(ready.has(CarrierEventKind.ANSWERED))
    assert ready.requests[0].body.startswith(b"[")


# --- media ------------------------------------------------------------------------------------------------------


async def test_a_socket_that_goes_silent_is_dropped(ready: Stage, eventually: Eventually) -> None:
    call, socket = await talking(ready, eventually)
    await eventually(lambda: socket.said > 3)
    socket.answering = False
    await asyncio.wait_for(socket.closed.wait(), 3)
    assert any("no frame for" in text for text in ready.simulator.traffic.violations)
    await eventually(ready.has(CarrierEventKind.MEDIA_ENDED, Leg.MEDIA))
    assert ready.simulator.calls[call.carrier_call_id].live


async def test_wrong_frames_are_violations(ready: Stage, eventually: Eventually) -> None:
    call, socket = await talking(ready, eventually)
    socket.to_say = [bytes(320)]
    counts = ready.simulator.media[call.data["media_call_id"]].counts
    await eventually(lambda: counts.wrong_sizes == 1)
    assert "not 640" in ready.simulator.traffic.violations[0]


@pytest.mark.parametrize("rate", [8000, 24000])
async def test_other_rates(stage: Stage, eventually: Eventually, rate: int) -> None:
    await stage.carrier.close()
    stage.carrier = InfobipCarrier(
        settings_for(stage.simulator, INFOBIP_SAMPLE_RATE=str(rate)), stage.context
    )
    await stage.carrier.setup(stage.plan())
    _, socket = await talking(stage, eventually)
    assert socket.started is not None
    assert socket.started.format.rate_hz == rate
    await eventually(lambda: len(socket.heard) > 5)
    assert {len(frame) for frame in socket.heard} == {rate // 50 * 2}


def leg(rules: MediaRules | None = None) -> tuple[MediaLeg, list[str]]:
    traffic = Traffic("infobip")
    hello = {"content-type": "audio/l16;rate=16000"}
    made = MediaLeg(hello, rules or MediaRules(), Faults(), lambda _: None, traffic)
    return made, traffic.violations


def frame(number: int) -> bytes:
    return bytes([number]) * 640


def test_the_jitter_buffer_plays_in_order_late_and_honestly() -> None:
    made, _ = leg()
    for number in range(_PREFILL):
        assert made.take() is None, "it fills before it plays"
        made._audio(frame(number))
    assert [made.take() for _ in range(_PREFILL)] == [frame(number) for number in range(_PREFILL)]
    assert made.take() is None
    assert made.counts.underruns == 1
    for number in range(_PREFILL):
        assert made.take() is None, "after an underrun it fills again"
        made._audio(frame(number))
    assert made.take() == frame(0)
    assert made.counts.underruns == 1


def test_the_jitter_buffer_is_small_and_can_be_cleared() -> None:
    made, violations = leg()
    for number in range(_MOST_BUFFERED + 2):
        made._audio(frame(number))
    assert made.counts.overflows == 2
    assert made.take() == frame(2)
    made._text(b'{"action":"clear"}')
    assert made.take() is None
    assert (made.counts.clears, made.counts.cleared_frames) == (1, _MOST_BUFFERED - 1)
    made._text(b'{"action":"dance"}')
    made._text(b"{")
    assert len(violations) == 2


async def test_the_clock_does_not_drift_and_catches_up() -> None:
    ticker = Ticker()
    due: list[float] = []
    others = [0] * 25
    ticker.add(1, due.append)
    for number in range(25):
        ticker.add(100 + number, lambda _, number=number: others.__setitem__(number, others[number] + 1))  # type: ignore[misc]  # a default keeps the loop's value
    started = asyncio.get_running_loop().time()
    await asyncio.sleep(0.1)
    blocked_until = asyncio.get_running_loop().time() + 0.15
    while asyncio.get_running_loop().time() < blocked_until:
        pass
    await asyncio.sleep(0.1)
    elapsed = asyncio.get_running_loop().time() - started
    await ticker.close()
    assert abs(len(due) - elapsed / 0.02) <= 2
    assert all(abs(after - before - 0.02) < 1e-6 for before, after in pairwise(due))
    assert max(others) - min(others) <= 1
    assert ticker.longest_stall_s > 0.1


async def test_one_failing_member_does_not_stop_the_clock() -> None:
    ticker = Ticker()
    ticks: list[float] = []

    def fail(_: float) -> None:
        raise RuntimeError("on purpose")

    ticker.add(1, fail)
    ticker.add(2, ticks.append)
    await asyncio.sleep(0.1)
    await ticker.close()
    assert len(ticks) >= 3


async def test_silence_on_the_line_is_counted(ready: Stage, eventually: Eventually) -> None:
    call = await answered(ready, eventually, SILENT)
    await asyncio.sleep(0.2)
    line = ready.simulator.exchange.lines[call.carrier_call_id]
    assert line.silent_s >= 0.1
    await ready.carrier.attach_media(call, ready.media_order())
    await eventually(lambda: line.party is not None)
    quiet = line.silent_s
    await asyncio.sleep(0.1)
    assert line.silent_s == quiet


@pytest.mark.parametrize("kind", [FaultKind.LOSE, FaultKind.REPEAT])
async def test_frames_can_be_lost_or_doubled(ready: Stage, eventually: Eventually, kind: FaultKind) -> None:
    ready.simulator.rules.keep_audio = True
    call, socket = await talking(ready, eventually)
    counts = ready.simulator.media[call.data["media_call_id"]].counts
    line = ready.simulator.exchange.lines[call.carrier_call_id]
    fault = ready.simulator.faults.add(Fault("frame to us", kind))
    await eventually(lambda: fault.hits == 1)
    assert line.party is not None
    await eventually(lambda: len(socket.heard) > 5)
    assert counts.sent == len(counts.sent_audio)
