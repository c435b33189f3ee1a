"""The platform's webhooks: proof of origin, and what they say. Pure.

Header `ElevenLabs-Signature: t=<unix seconds>,v0=<hex>`, where hex is the HMAC-SHA256 of "<t>.<raw body>";
whoever receives it is to refuse a `t` more than 30 minutes away (`webhooks.construct_event` of the vendor's
Python library).
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from callwright.domain.errors import WebhookRejected
from callwright.integrations.elevenlabs import results
from callwright.ports.voice_agent import ConversationResult
from callwright.ports.webhook import WebhookRequest
from callwright.toolkit.signatures import hmac_hex, same

SIGNATURE_HEADER: Final = "elevenlabs-signature"
TOLERANCE_S: Final = 30 * 60
_MOMENT: Final = re.compile(r"[0-9]{1,16}")

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def understand(request: WebhookRequest, secrets: Sequence[str], now: datetime) -> list[ConversationResult]:
    """Verify with any of `secrets`, then read. Event types that say nothing about results give an empty list.

    Raises WebhookRejected: `no_secret`, `unsigned`, `bad_signature`, `stale`, `malformed`.
    """
    verify(request.headers.get(SIGNATURE_HEADER, ""), request.body, secrets, now)
    try:
        event = _decode(request.body)
    except msgspec.MsgspecError as error:
        raise WebhookRejected("malformed", str(error)) from error
    data = event.get("data")
    if event.get("type") not in _READ:
        return []
    if not isinstance(data, dict) or not isinstance(data.get("conversation_id"), str):
        raise WebhookRejected("malformed", f"{event['type']} without a conversation")
    return _READ[event["type"]](data)


def verify(signature: str, body: bytes, secrets: Sequence[str], now: datetime) -> None:
    """Check a signature against every secret in use; raises WebhookRejected."""
    if not secrets:
        raise WebhookRejected(
            "no_secret", "run `callwright setup elevenlabs --apply` or set ELEVENLABS_WEBHOOK_SECRET"
        )
    if not signature:
        raise WebhookRejected("unsigned")
    parts = [part.strip().partition("=") for part in signature.split(",")]
    moments = [value for key, _, value in parts if key == "t"]
    proofs = [value for key, _, value in parts if key == "v0"]
    if len(moments) != 1 or not _MOMENT.fullmatch(moments[0]) or not proofs:
        raise WebhookRejected("bad_signature", "the header is not t=...,v0=...")
    message = moments[0].encode() + b"." + body
    expected = [hmac_hex(secret, message) for secret in secrets]
    # Every pair is compared, so that the time taken does not tell which secret or proof was near.
    matches = [same(proof, proper) for proof in proofs for proper in expected]
    if not any(matches):
        raise WebhookRejected("bad_signature")
    if abs(now.timestamp() - int(moments[0])) > TOLERANCE_S:
        raise WebhookRejected("stale", "signed more than 30 minutes away from now")


def _transcription(data: dict[str, Any]) -> list[ConversationResult]:
    return [results.conversation_result(data["conversation_id"], data)]


def _initiation_failure(data: dict[str, Any]) -> list[ConversationResult]:
    return [results.never_began(data)]


_READ: Final[dict[str, Callable[[dict[str, Any]], list[ConversationResult]]]] = {
    "post_call_transcription": _transcription,
    "post_call_audio": lambda _data: [],  # the recording as mp3, of which we have our own
    "call_initiation_failure": _initiation_failure,
}
