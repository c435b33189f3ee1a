"""The bodies that we send to the Calls API, as CallRequest, DialogRequest and PublicSayRequest have them."""

from typing import Any

from callwright.integrations.infobip.addresses import vendor_number
from callwright.integrations.infobip.settings import InfobipSettings
from callwright.ports.carrier import CallHandle, DialOrder, HangUpCause, MediaOrder

LONGEST_RING_S = 60
_LONGEST_CALL_S = 28_800

SAY_LANGUAGES = frozenset(
    (
        "ar ar-ma ar_xa bg bn bn-in ca cmn-cn cs da de de-at de-ch el en en-au en-ca en-gb en-gb-wls en-ie "
        "en-in en-ph es es-419 es-ar es-co es-mx es-us et-ee fi fil-ph fr fr-ca fr-ch gu he hi hr hu id is it "
        "ja kk-kz kn ko lt lv ml mr-in ms nb-no nl nl-be no pa-in pl pt-br pt-pt ro ru sk sl sr-rs sv sw-ke "
        "sw-tz ta te th tr uk ur-in ur-pk uz-uz vi wls yue-hk zh-cn zh-tw"
    ).split()
)
"""Languages that the `say` action knows (PublicSayRequest.language)."""

_BASE_LANGUAGE = {
    "et": "et-ee",
    "fil": "fil-ph",
    "kk": "kk-kz",
    "mr": "mr-in",
    "nb": "nb-no",
    "nn": "nb-no",
    "pa": "pa-in",
    "pt": "pt-pt",
    "sr": "sr-rs",
    "sw": "sw-ke",
    "ur": "ur-pk",
    "uz": "uz-uz",
    "yue": "yue-hk",
    "zh": "zh-cn",
    "cmn": "cmn-cn",
}
_UNSPEAKABLE = str.maketrans({"<": " ", ">": " ", "&": " and ", "\x00": " "})


def call_request(order: DialOrder, settings: InfobipSettings) -> dict[str, Any]:
    """The body of `POST /calls/1/calls`."""
    body: dict[str, Any] = {
        "endpoint": {"type": "PHONE", "phoneNumber": vendor_number(order.phone)},
        "from": vendor_number(order.caller_id),
        "connectTimeout": min(max(order.ring_s, 1), LONGEST_RING_S),
        "maxDuration": _duration(order.longest_call_s),
        "callsConfigurationId": settings.calls_configuration_id,
        "externalId": order.attempt_id,
        "customData": {"attempt_id": order.attempt_id, "leg": "person"},
    }
    if order.detect_machine:
        body["machineDetection"] = _machine_detection(settings)
    if order.record:
        body["recording"] = {"recordingType": "AUDIO", "channels": "STEREO"}
    return body


def media_dialog_request(
    call: CallHandle, order: MediaOrder, settings: InfobipSettings, config_id: str
) -> dict[str, Any]:
    """The body of `POST /calls/1/dialogs` that joins the person with our websocket.

    `childCallHangup` is false: when our socket ends, the person's leg stays ours to join again or to hang up.
    """
    return {
        "parentCallId": call.carrier_call_id,
        "childCallRequest": {
            "endpoint": {
                "type": "WEBSOCKET",
                "websocketEndpointConfigId": config_id,
                "identifier": call.attempt_id,
            },
            "from": vendor_number(call.caller_id),
            "connectTimeout": settings.media_connect_s,
            "customData": {"attempt_id": call.attempt_id, "leg": "media", "ws_token": order.token},
        },
        "maxDuration": _duration(order.longest_call_s),
        "propagationOptions": {"childCallHangup": False},
    }


def transfer_dialog_request(call: CallHandle, number: str, settings: InfobipSettings) -> dict[str, Any]:
    """The body of `POST /calls/1/dialogs` that joins the person with a human's phone.

    `childCallHangup` is false here too, since a phone that nobody answers would end the person's leg.
    """
    return {
        "parentCallId": call.carrier_call_id,
        "childCallRequest": {
            "endpoint": {"type": "PHONE", "phoneNumber": vendor_number(number)},
            "from": vendor_number(call.caller_id),
            "connectTimeout": settings.transfer_ring_s,
            "customData": {"attempt_id": call.attempt_id, "leg": "human"},
        },
        "propagationOptions": {"childCallHangup": False},
    }


def say_request(text: str, language: str) -> dict[str, Any]:
    """The body of `POST /calls/1/calls/{callId}/say`; the text may not look like SSML."""
    return {"text": " ".join(text.translate(_UNSPEAKABLE).split()), "language": say_language(language)}


def say_language(language: str) -> str:
    """The nearest language that `say` knows; English if there is none."""
    wanted = language.strip().lower().replace("_", "-")
    base = wanted.partition("-")[0]
    for candidate in (wanted, base, _BASE_LANGUAGE.get(base, "")):
        if candidate in SAY_LANGUAGES:
            return candidate
    return "en"


def hang_up_code(cause: HangUpCause, *, answered: bool) -> str:
    """The errorCode of a hang-up: an unanswered call can only be cancelled, an answered one only ended."""
    if not answered:
        return "CANCELLED"
    return "MACHINE_DETECTED" if cause is HangUpCause.MACHINE else "NORMAL_HANGUP"


def _machine_detection(settings: InfobipSettings) -> dict[str, Any]:
    detection: dict[str, Any] = {"enabled": True, "detectionTime": settings.detection_s}
    if settings.message_detection_s:
        detection["messageDetectionTimeout"] = settings.message_detection_s
    return detection


def _duration(seconds: int) -> int:
    return min(max(seconds, 1), _LONGEST_CALL_S)
