"""Infobip as a carrier: dial, find, join media, hang up, speak, hand over."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from callwright.domain.errors import (
    VendorAmbiguous,
    VendorBusy,
    VendorNotFound,
    VendorRefused,
    WebhookRejected,
)
from callwright.domain.events import CarrierEvent, Leg
from callwright.integrations.infobip import CAPABILITIES, recordings, requests, webhooks
from callwright.integrations.infobip.addresses import vendor_number, vendor_time
from callwright.integrations.infobip.checks import check
from callwright.integrations.infobip.client import VENDOR, InfobipClient
from callwright.integrations.infobip.media import InfobipMedia
from callwright.integrations.infobip.settings import InfobipSettings
from callwright.integrations.infobip.setup import MediaConfigs, Setup
from callwright.integrations.infobip.statuses import attempt_of, carrier_call, is_person, leg_of
from callwright.ports.carrier import (
    CallHandle,
    CarrierCall,
    CarrierCallState,
    CarrierRecording,
    DialOrder,
    DialReceipt,
    HangUpCause,
    MediaOrder,
    MediaProtocol,
)
from callwright.ports.operations import CheckResult, SetupPlan, SetupStep
from callwright.ports.webhook import WebhookRequest
from callwright.registry import IntegrationContext

CALLS = "/calls/1/calls"
DIALOGS = "/calls/1/dialogs"
RECORDINGS = "/calls/1/recordings"
_CLOCK_MARGIN = timedelta(seconds=60)
_ATTACH_TRIES = 3
_DIALOG_SCOPE = f"{VENDOR}:dialog"
_DIAL_SCOPE = f"{VENDOR}:dial"
_DIALOGS_PER_SECOND = 20.0
_LONGEST_WAIT_S = 2.0
_DIALOG_END_TRIES = 10
_DIALOG_END_PAUSE_S = 0.2
_LIVE_DIALOGS = frozenset({"CREATED", "PRE_ESTABLISHED", "ESTABLISHED"})


class InfobipCarrier:
    """Implements ports.carrier.Carrier on the Calls API."""

    name = VENDOR

    def __init__(self, settings: InfobipSettings, context: IntegrationContext) -> None:
        self.capabilities = replace(CAPABILITIES, dials_per_second=settings.dials_per_second)
        self._settings = settings
        self._context = context
        self._client = InfobipClient(settings, context.clock)
        self._media = MediaConfigs(context.secrets)

    def owned_numbers(self) -> frozenset[str]:
        """The configured caller ids."""
        return frozenset(self._settings.caller_ids)

    async def dial(self, order: DialOrder) -> DialReceipt:
        """Create a call with exactly one `POST /calls/1/calls`."""
        body = requests.call_request(order, self._settings)
        try:
            answer = await self._client.send_once("POST", CALLS, body)
        except VendorBusy as error:
            wait_s = error.retry_after_s if error.retry_after_s is not None else 1.0
            await self._context.counters.block(_DIAL_SCOPE, wait_s)
            error.retry_after_s = wait_s
            raise
        call_id = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(call_id, str) or not call_id:
            raise VendorAmbiguous(VENDOR, "took a call but did not tell its id", status=201)
        return DialReceipt(call_id)

    async def find(self, attempt_id: str, phone: str, since: datetime) -> CarrierCall | None:
        """Look among live calls, then in the history of 5 days, to this number since about then.

        Neither list can be filtered by our id, so the calls to the number are compared with it.
        """
        filters = {
            "to": vendor_number(phone),
            "direction": "OUTBOUND",
            "startTimeAfter": vendor_time(since - _CLOCK_MARGIN),
        }
        for path in (CALLS, f"{CALLS}/history"):
            for call in await self._client.pages(path, filters):
                if attempt_of(call) == attempt_id and is_person(call):
                    return carrier_call(call)
        return None

    async def status(self, call: CallHandle) -> CarrierCall | None:
        """Ask for the person's leg; once it is archived, its history tells how it ended."""
        path = f"{CALLS}/{call.carrier_call_id}"
        live = await self._client.get_or_none(path, base=_base(call))
        if live is not None:
            found = carrier_call(live)
            if found.state is not CarrierCallState.ENDED:
                return found
        log = await self._client.get_or_none(f"{path}/history", base=_base(call))
        if log is not None:
            return carrier_call(log)
        return carrier_call(live) if live is not None else None

    async def attach_media(self, call: CallHandle, order: MediaOrder) -> dict[str, Any]:
        """Create a dialog of the person with our websocket; returns `dialog_id` and `media_call_id`."""
        config = await self._media.load(order.slot)
        if config is None:
            raise VendorRefused(
                VENDOR, f"slot {order.slot} is not set up: run `callwright setup infobip --apply`"
            )
        if order.rejoin:
            await self.detach_media(call)
        body = requests.media_dialog_request(call, order, self._settings, config.id)
        dialog = await self._create_dialog(call, body)
        return {"dialog_id": _text(dialog, "id"), "media_call_id": _child_id(dialog)}

    async def detach_media(self, call: CallHandle) -> None:
        """Hang up every websocket leg of the person's call; hanging up a dialog would end both legs."""
        legs = await self._media_legs(call)
        for leg_id in sorted(legs):
            await self._end(leg_id, "NORMAL_HANGUP", _base(call))

    async def hang_up(self, call: CallHandle, cause: HangUpCause) -> None:
        """End the person's leg, whatever state it is in."""
        code = requests.hang_up_code(cause, answered=call.answered)
        await self._end(call.carrier_call_id, code, _base(call))

    async def say(self, call: CallHandle, text: str, language: str) -> None:
        """Speak to the person with Infobip's voice."""
        path = f"{CALLS}/{call.carrier_call_id}/say"
        await self._client.send_once("POST", path, requests.say_request(text, language), base=_base(call))

    async def transfer(self, call: CallHandle, number: str, announcement: str | None) -> dict[str, Any]:
        """Take our leg out, then join the person with the human's phone by a second dialog.

        If nobody answers there, a TRANSFER_FAILED event comes and the person's leg is still ours. When the
        human's leg ends (ENDED with Leg.HUMAN) the person's leg has to be hung up by us.
        """
        await self.detach_media(call)
        await self._wait_for_dialog_end(call)
        if announcement:
            await self.say(call, announcement, _text(call.data, "language") or "en")
        body = requests.transfer_dialog_request(call, number, self._settings)
        dialog = await self._create_dialog(call, body)
        return {"dialog_id": _text(dialog, "id"), "human_call_id": _child_id(dialog), "media_call_id": ""}

    async def human_leg(self, call: CallHandle) -> CarrierCall | None:
        """The phone leg of the person's dialog while that is not over."""
        for child in await self._joined(call):
            if leg_of(child) is Leg.HUMAN:
                return carrier_call(child)
        return None

    async def recording(self, call: CallHandle) -> CarrierRecording:
        """What Infobip says about its recording; it knows none (404) until the call is over and processed."""
        path = f"{RECORDINGS}/calls/{call.carrier_call_id}"
        return recordings.understand(await self._client.get_or_none(path))

    def recorded(self, call: CallHandle, recording: CarrierRecording) -> AsyncIterator[bytes]:
        """The file in parts of 8 MiB."""
        return self._client.download(f"{RECORDINGS}/files/{recording.file_id}")

    def webhook(self, request: WebhookRequest) -> list[CarrierEvent]:
        """Verify and understand one request to our events address."""
        return webhooks.understand(request, self._settings, self._context.clock.now())

    def media_protocol(self, path: str) -> MediaProtocol:
        """The protocol of a media socket; its path must be one that set-up gave to Infobip.

        The paths are known once this process has attached media, checked, or set up.
        """
        if not any(secrets.compare_digest(path.encode(), known.encode()) for known in self._media.paths()):
            raise WebhookRejected("unknown_path", "not a media path of ours")
        return InfobipMedia()

    async def check(self) -> list[CheckResult]:
        """Test the key and its permissions, what set-up made, and the numbers."""
        return await check(self._client, self._settings, self._context.public_url)

    async def setup(self, plan: SetupPlan) -> list[SetupStep]:
        """Compare calls configuration, media-stream configuration and subscription with the plan."""
        return await Setup(self._client, self._settings, self._context.secrets, self._media).run(plan)

    async def close(self) -> None:
        """Close the HTTP connections."""
        await self._client.close()

    async def _create_dialog(self, call: CallHandle, body: dict[str, Any]) -> Mapping[str, Any]:
        """`POST /calls/1/dialogs`; only a 429, which has no effect, is tried again."""
        for left in reversed(range(_ATTACH_TRIES)):
            wait_s = await self._context.counters.reserve(_DIALOG_SCOPE, _DIALOGS_PER_SECOND, 5)
            await asyncio.sleep(min(wait_s, _LONGEST_WAIT_S))
            try:
                answer = await self._client.send_once("POST", DIALOGS, body, base=_base(call))
            except VendorBusy as error:
                pause_s = error.retry_after_s if error.retry_after_s is not None else 0.5
                if not left or pause_s > _LONGEST_WAIT_S:
                    raise
                await asyncio.sleep(pause_s)
                continue
            if not isinstance(answer, dict) or not answer.get("id"):
                raise VendorAmbiguous(VENDOR, "made a dialog but did not tell its id", status=201)
            return answer
        raise AssertionError("the last try returns or raises")

    async def _media_legs(self, call: CallHandle) -> set[str]:
        """Ids of the websocket legs: the one we know of, and those of dialogs whose answer was lost."""
        legs = {known} if (known := _text(call.data, "media_call_id")) else set()
        legs.update(str(child["id"]) for child in await self._joined(call) if leg_of(child) is Leg.MEDIA)
        return legs

    async def _joined(self, call: CallHandle) -> list[dict[str, Any]]:
        """The other legs of the dialogs that the person's call is in."""
        dialogs = await self._client.pages(DIALOGS, {"parentCallId": call.carrier_call_id})
        live = [dialog for dialog in dialogs if str(dialog.get("state")) in _LIVE_DIALOGS]
        children = [dialog.get("childCall") for dialog in live]
        return [child for child in children if isinstance(child, dict) and child.get("id")]

    async def _wait_for_dialog_end(self, call: CallHandle) -> None:
        """Wait up to 2 s until the person's call is in no dialog; VendorBusy if it still is."""
        for _ in range(_DIALOG_END_TRIES):
            dialogs = await self._client.pages(DIALOGS, {"parentCallId": call.carrier_call_id})
            if not any(str(dialog.get("state")) in _LIVE_DIALOGS for dialog in dialogs):
                return
            await asyncio.sleep(_DIALOG_END_PAUSE_S)
        raise VendorBusy(VENDOR, "our leg of the call has not ended yet")

    async def _end(self, call_id: str, code: str, base: object) -> None:
        """Hang up one leg; one that is over already is fine, one in another state than we thought is ended."""
        path = f"{CALLS}/{call_id}"
        for body in ({"errorCode": code}, {}):
            try:
                await self._client.send("POST", f"{path}/hangup", body, base=base)
                return
            except VendorNotFound:
                return
            except VendorRefused as error:
                if error.status != 400:
                    raise
                live = await self._client.get_or_none(path, base=base)
                if live is None or carrier_call(live).state is CarrierCallState.ENDED:
                    return
                if not body:
                    raise


def _base(call: CallHandle) -> object:
    return call.data.get("api_base_url")


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


def _child_id(dialog: Mapping[str, Any]) -> str:
    child = dialog.get("childCall")
    return _text(child, "id") if isinstance(child, dict) else ""
