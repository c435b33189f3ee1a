"""Understands requests of a workflow rule, a button, or a notification channel to call records.

A workflow webhook of Zoho posts what its owner configures, as form data, raw JSON or URL parameters; a channel
(Enable Notifications page) posts JSON with its `token`. Neither is signed and neither has an event id, so a secret
proves the sender, and README.md says how a rule that fires twice is told from a second wish.
"""

import email
import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl

from callwright.domain.errors import WebhookRejected
from callwright.integrations.zoho.settings import ZohoSettings
from callwright.ports.clock import Clock
from callwright.ports.crm import CrmHook
from callwright.ports.webhook import WebhookRequest
from callwright.toolkit.signatures import same

_LARGEST_BODY = 64 * 1024
_MOST_RECORDS = 100
_WINDOW_S = 60.0
_REMEMBERED = 10_000
_ID = re.compile(r"^(?:zcrm_)?(\d{1,30})$")
_MODULE = re.compile(r"^[A-Za-z][A-Za-z0-9_]{0,99}$")
_AGENT = re.compile(r"^[a-z0-9][a-z0-9-]{0,62}$")
_EVENT = re.compile(r"^[\x21-\x7e ]{1,100}$")


class Hooks:
    """Verifies hooks and turns them into records to call."""

    def __init__(self, settings: ZohoSettings, clock: Clock) -> None:
        self._secret = settings.hook_secret.get_secret_value()
        self._default_agent = settings.default_agent
        self._default_module = settings.default_module
        self._clock = clock
        self._recent: OrderedDict[tuple[str, str, str], tuple[float, str]] = OrderedDict()

    def understand(self, request: WebhookRequest) -> list[CrmHook]:
        """Records to call; raises WebhookRejected with a counted reason.

        A notification of a deleted record asks for nothing.
        """
        if request.method != "POST":
            raise WebhookRejected("bad_method", request.method)
        if len(request.body) > _LARGEST_BODY:
            raise WebhookRejected("too_large", f"{len(request.body)} bytes")
        if not self._secret:
            raise WebhookRejected("not_configured", "ZOHO_HOOK_SECRET is not set")
        given = request.headers.get("x-callwright-secret") or request.query.get("secret")
        if given is not None and not same(given, self._secret):
            raise WebhookRejected("bad_secret")
        content = _content(request)
        if given is None:
            token = content.get("token")
            if not isinstance(token, str) or not same(token, self._secret):
                raise WebhookRejected("bad_secret")
        if content.get("operation") == "delete":
            return []
        return self._hooks(content)

    def _hooks(self, content: Mapping[str, Any]) -> list[CrmHook]:
        module = str(content.get("module") or self._default_module)
        if not _MODULE.fullmatch(module):
            raise WebhookRejected("bad_module")
        agent = str(content.get("agent") or "") or self._default_agent
        if agent is not None and not _AGENT.fullmatch(agent):
            raise WebhookRejected("bad_agent")
        event = _event(content)
        return [
            CrmHook(module, record_id, agent, self._dedup_key(module, record_id, agent or "", event))
            for record_id in _ids(content)
        ]

    def _dedup_key(self, module: str, record_id: str, agent: str, event: str | None) -> str:
        """One key for one wish: by the event if the sender names one, else by the minute of the first request."""
        base = f"zoho:{module}:{record_id}:{agent}"
        if event is not None:
            return f"{base}:{event}"
        now = self._clock.now().timestamp()
        seen = (module, record_id, agent)
        known = self._recent.get(seen)
        if known is not None and 0 <= now - known[0] < _WINDOW_S:
            return known[1]
        key = f"{base}:m{int(now // _WINDOW_S)}"
        self._recent[seen] = (now, key)
        self._recent.move_to_end(seen)
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
        return key


def _event(content: Mapping[str, Any]) -> str | None:
    event = content.get("event_id")
    if event is None:
        moment = content.get("server_time")
        return f"t{moment}" if isinstance(moment, int) else None
    text = str(event).strip()
    if not text:
        return None
    if not _EVENT.fullmatch(text):
        raise WebhookRejected("bad_event_id")
    return f"e{text}"


def _ids(content: Mapping[str, Any]) -> list[str]:
    raw = content.get("ids", content.get("id"))
    if isinstance(raw, str):
        raw = [part.strip() for part in raw.split(",")]
    elif isinstance(raw, int) and not isinstance(raw, bool):
        raw = [str(raw)]
    if not isinstance(raw, list) or not raw:
        raise WebhookRejected("no_record", "neither id nor ids")
    if len(raw) > _MOST_RECORDS:
        raise WebhookRejected("too_many_records", f"{len(raw)}")
    matches = [_ID.fullmatch(str(item)) for item in raw]
    found = [match[1] for match in matches if match is not None]
    if len(found) != len(raw):
        raise WebhookRejected("bad_record_id")
    return list(dict.fromkeys(found))


def _content(request: WebhookRequest) -> dict[str, Any]:
    """What the request says in its body and, where the body is silent, in its URL."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    query = {name: value for name, value in request.query.items() if name not in {"secret", "token"}}
    if not request.body.strip():
        return query
    if kind == "application/x-www-form-urlencoded":
        body: dict[str, Any] = dict(parse_qsl(_decoded(request.body), keep_blank_values=True))
    elif kind == "multipart/form-data":
        body = _multipart(request.headers["content-type"], request.body)
    else:
        body = _json(request.body)
    return query | {name: value for name, value in body.items() if value not in (None, "")}


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise WebhookRejected("malformed", "the body is not UTF-8") from error


def _json(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(_decoded(body))
    except (ValueError, RecursionError) as error:
        raise WebhookRejected("malformed", "the body is neither JSON nor a form") from error
    if not isinstance(content, dict):
        raise WebhookRejected("malformed", "the body is not a JSON object")
    return content


def _multipart(content_type: str, body: bytes) -> dict[str, Any]:
    message = email.message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    if not message.is_multipart():
        raise WebhookRejected("malformed", "the body is not multipart")
    found = {}
    for part in message.get_payload():
        if isinstance(part, Message):
            name = part.get_param("name", header="content-disposition")
            payload = part.get_payload(decode=True)
            if isinstance(name, str) and isinstance(payload, bytes):
                found[name] = _decoded(payload).strip()
    return found
