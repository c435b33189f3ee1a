"""Proof of origin, and what the platform's webhooks say."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from callwright.domain.errors import WebhookRejected
from callwright.integrations.elevenlabs.test_results import fixture
from callwright.integrations.elevenlabs.webhooks import understand
from callwright.ports.voice_agent import ResultState
from callwright.ports.webhook import WebhookRequest

SECRET = "wsec_5b1c0d"
T = 1790000000
NOW = datetime.fromtimestamp(T, UTC)


def sign(body: bytes, secret: str = SECRET, t: int = T) -> str:
    digest = hmac.new(secret.encode(), str(t).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={t},v0={digest}"


def request(body: bytes, signature: str | None = None) -> WebhookRequest:
    headers = {"elevenlabs-signature": sign(body) if signature is None else signature}
    return WebhookRequest("POST", "post-call", {}, headers, body)


def event(kind: str, data: Any) -> bytes:
    return json.dumps({"type": kind, "event_timestamp": T, "data": data}).encode()


BODY = event("post_call_transcription", fixture("conversation_done"))


def reason(body: bytes, signature: str | None = None, now: datetime = NOW, *secrets: str) -> str:
    with pytest.raises(WebhookRejected) as error:
        understand(request(body, signature), secrets or (SECRET,), now)
    return error.value.reason


def test_results_come_by_webhook() -> None:
    (found,) = understand(request(BODY), (SECRET,), NOW)
    assert found.state is ResultState.READY
    assert found.collected == {"budget": 1200, "callback_time": None}


def test_the_same_webhook_twice_says_the_same_twice() -> None:
    assert understand(request(BODY), (SECRET,), NOW) == understand(request(BODY), (SECRET,), NOW)


def test_results_before_the_analysis_is_done_are_pending() -> None:
    body = event("post_call_transcription", {**fixture("conversation_done"), "status": "processing"})
    (found,) = understand(request(body), (SECRET,), NOW)
    assert found.state is ResultState.PENDING


def test_any_of_several_secrets_will_do() -> None:
    assert understand(request(BODY), ("wsec_of_old", SECRET), NOW)


def test_any_of_several_proofs_will_do() -> None:
    assert understand(request(BODY, sign(BODY) + ",v0=00"), (SECRET,), NOW)
    assert understand(request(BODY, f"t={T},v0=00,{sign(BODY).partition(',')[2]}"), (SECRET,), NOW)


@pytest.mark.parametrize(
    "signature, expected",
    [
        ("", "unsigned"),
        ("nonsense", "bad_signature"),
        (f"t={T}", "bad_signature"),
        ("v0=" + "0" * 64, "bad_signature"),
        (f"t={T},v0=", "bad_signature"),
        (f"t={T},v0={'0' * 64}", "bad_signature"),
        (f"t={T},v0=\u00e9", "bad_signature"),
        (f"t=\u0661,v0={'0' * 64}", "bad_signature"),
        (f"t={T},t={T},v0={'0' * 64}", "bad_signature"),
        (sign(BODY, "wsec_of_somebody_else"), "bad_signature"),
        (sign(BODY, t=T - 60).replace(str(T - 60), str(T)), "bad_signature"),
        (sign(BODY + b" "), "bad_signature"),
        (sign(BODY).upper(), "bad_signature"),
    ],
)
def test_bad_signatures(signature: str, expected: str) -> None:
    assert reason(BODY, signature) == expected


@pytest.mark.parametrize("age_s", [-1801, 1801, 86_400])
def test_signatures_of_another_time_are_stale(age_s: int) -> None:
    assert reason(BODY, sign(BODY, t=T - age_s)) == "stale"


@pytest.mark.parametrize("age_s", [-1800, 0, 1800])
def test_signatures_within_half_an_hour_are_good(age_s: int) -> None:
    assert understand(request(BODY, sign(BODY, t=T - age_s)), (SECRET,), NOW)


def test_without_a_secret_nothing_is_believed() -> None:
    with pytest.raises(WebhookRejected, match="no_secret"):
        understand(request(BODY), (), NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        event("post_call_transcription", None),
        event("post_call_transcription", {"conversation_id": 5}),
        event("call_initiation_failure", {}),
        event("post_call_audio", []),
    ],
)
def test_signed_nonsense_is_malformed(body: bytes) -> None:
    assert reason(body) == "malformed"


def test_a_call_that_never_began() -> None:
    body = json.dumps(fixture("call_initiation_failure")).encode()
    (found,) = understand(request(body), (SECRET,), NOW)
    assert found.state is ResultState.FAILED
    assert (found.conversation_id, found.failure) == ("conv_0001k5m9x2p8ec3rqv6dtnhb0fzw", "busy")


@pytest.mark.parametrize(
    "body",
    [
        event("post_call_audio", {"agent_id": "a", "conversation_id": "conv_1", "full_audio": "AAAA"}),
        event("answering_machine_detection", {"conversation_id": "conv_1"}),
        event("a_type_of_next_year", {"x": 1}),
        b"{}",
    ],
)
def test_what_says_nothing_about_results_is_ignored(body: bytes) -> None:
    assert understand(request(body), (SECRET,), NOW) == []
