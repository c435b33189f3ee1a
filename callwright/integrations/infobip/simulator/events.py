"""Posts events to whoever subscribed, proven as the notification profile says."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from callwright.integrations.infobip.simulator.account import Account
from callwright.integrations.infobip.simulator.calls import SimCall, SimDialog, wire_time
from callwright.ports.clock import Clock
from callwright.simulation.webhooks import Webhook, WebhookSender

_DIGESTS = {
    "HMAC_MD5": hashlib.md5,
    "HMAC_SHA_1": hashlib.sha1,
    "HMAC_SHA_224": hashlib.sha224,
    "HMAC_SHA_256": hashlib.sha256,
    "HMAC_SHA_384": hashlib.sha384,
    "HMAC_SHA_512": hashlib.sha512,
}


class Events:
    """The platform's event stream.

    The header and the scheme of an HMAC are how the vendor configured the account: `hmac_header`, and
    `hmac_scheme` `body` or `timestamp_body` with `timestamp_header`. `api_base_url` is what events tell.
    """

    def __init__(self, account: Account, sender: WebhookSender, clock: Clock) -> None:
        self.hmac_header = "X-Ib-Hmac-Signature"
        self.hmac_scheme = "body"
        self.timestamp_header = "X-Ib-Exchange-Req-Timestamp"
        self.api_base_url = ""
        self._account = account
        self._sender = sender
        self._clock = clock

    def call(self, name: str, call: SimCall, facts: Mapping[str, Any] | None = None) -> None:
        """Tell a CALL_* event, or another one about a call when `facts` are its properties."""
        properties = dict(facts) if facts is not None else self._call_facts(call)
        self._post(name, call.configuration_id, {"callId": call.id}, properties, call)

    def call_over(self, name: str, call: SimCall) -> None:
        """Tell CALL_FINISHED or CALL_FAILED."""
        self._post(name, call.configuration_id, {"callId": call.id}, {"callLog": call.log()}, call)

    def dialog(self, name: str, dialog: SimDialog) -> None:
        """Tell a DIALOG_* event."""
        over = name in {"DIALOG_FINISHED", "DIALOG_FAILED"}
        facts: dict[str, Any] = dialog.end_facts() if over else {"dialog": dialog.shown()}
        if name == "DIALOG_CREATED":
            facts["apiBaseUrl"] = self.api_base_url
        configuration_id = dialog.parent.configuration_id
        self._post(name, configuration_id, {"dialogId": dialog.id}, facts, dialog.parent)

    def _call_facts(self, call: SimCall) -> dict[str, Any]:
        return {"call": call.shown(), "apiBaseUrl": self.api_base_url, "sender": call.from_number}

    def _post(
        self,
        name: str,
        configuration_id: str,
        subject: dict[str, str],
        properties: dict[str, Any],
        call: SimCall,
    ) -> None:
        event = {
            "type": name,
            **subject,
            "timestamp": wire_time(self._clock.now()),
            "callsConfigurationId": configuration_id,
            "properties": properties,
        }
        sequence = call.parent_call_id or call.id
        for profile in self._account.receivers(name, configuration_id):
            body = [event] if profile.get("maxBucketSize", 1) > 1 else event
            webhook = Webhook(
                name=name,
                url=profile["webhook"]["notifyUrl"],
                body=json.dumps(body).encode(),
                sign=self._signer(profile),
                decoded=event,
                sequence=sequence,
            )
            self._sender.send(webhook)

    def _signer(self, profile: dict[str, Any]) -> Any:
        def sign(body: bytes) -> Mapping[str, str]:
            headers = dict(profile.get("headers", {}))
            security = profile.get("security")
            if security is not None:
                headers |= self._proof(self._account.security[security["authId"]], body)
            return headers

        return sign

    def _proof(self, security: dict[str, Any], body: bytes) -> dict[str, str]:
        credentials = security["credentials"]
        if security["type"] == "BASIC":
            pair = f"{credentials['username']}:{credentials['password']}".encode()
            return {"Authorization": "Basic " + base64.b64encode(pair).decode()}
        headers = {}
        message = body
        if self.hmac_scheme == "timestamp_body":
            stamp = str(round(self._clock.now().timestamp() * 1000))
            headers[self.timestamp_header] = stamp
            message = stamp.encode() + body
        digest = _DIGESTS[credentials["algorithm"]]
        mac = hmac.new(credentials["secretKey"].encode(), message, digest)
        return {**headers, self.hmac_header: mac.hexdigest()}
