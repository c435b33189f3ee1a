"""Hooks: who may ask for calls, in which forms, and what is one wish and what are two."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from callwright.domain.errors import WebhookRejected
from callwright.integrations.zoho.conftest import LEAD, OTHER, Bench, MovableClock
from callwright.integrations.zoho.crm import ZohoCrm
from callwright.integrations.zoho.hooks import Hooks
from callwright.integrations.zoho.settings import ZohoSettings
from callwright.ports.crm import CrmHook
from callwright.ports.webhook import WebhookRequest
from callwright.simulation.faults import Faults
from callwright.simulation.server import SimulatorServer
from callwright.simulation.traffic import Traffic

SECRET = "a-secret-of-the-hook"
JSON = {"x-callwright-secret": SECRET, "content-type": "application/json"}


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def hooks(clock: MovableClock) -> Hooks:
    return make(clock)


def make(clock: MovableClock, **changed: str) -> Hooks:
    values = {
        "ZOHO_CLIENT_ID": "1000.A",
        "ZOHO_CLIENT_SECRET": "secret",
        "ZOHO_REFRESH_TOKEN": "1000.b.c",
        "ZOHO_HOOK_SECRET": SECRET,
        **changed,
    }
    return Hooks(ZohoSettings.model_validate(values), clock)


def request(
    body: Any = None,
    headers: Mapping[str, str] = JSON,
    query: Mapping[str, str] | None = None,
    method: str = "POST",
) -> WebhookRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    return WebhookRequest(method, "", query or {}, headers, raw)


def without_secret(content_type: str = "application/json") -> dict[str, str]:
    return {"content-type": content_type}


REJECTED: dict[str, tuple[WebhookRequest, str]] = {
    "no secret": (request({"id": LEAD}, without_secret()), "bad_secret"),
    "wrong secret": (request({"id": LEAD}, {**JSON, "x-callwright-secret": "x"}), "bad_secret"),
    "wrong secret in the URL": (request({"id": LEAD}, without_secret(), {"secret": "x"}), "bad_secret"),
    "empty secret": (request({"id": LEAD}, without_secret(), {"secret": ""}), "bad_secret"),
    "non-ASCII secret": (request({"id": LEAD}, {**JSON, "x-callwright-secret": "é"}), "bad_secret"),
    "wrong header, right token": (
        request({"id": LEAD, "token": SECRET}, {**JSON, "x-callwright-secret": "x"}),
        "bad_secret",
    ),
    "wrong token": (request({"ids": [LEAD], "token": "x"}, without_secret()), "bad_secret"),
    "token of another type": (request({"ids": [LEAD], "token": 1}, without_secret()), "bad_secret"),
    "token in the URL": (request({"id": LEAD}, without_secret(), {"token": SECRET}), "bad_secret"),
    "wrong method": (request({"id": LEAD}, method="GET"), "bad_method"),
    "not JSON": (request(b"{"), "malformed"),
    "a JSON list": (request([LEAD]), "malformed"),
    "not UTF-8": (request(b"\xff\xfe"), "malformed"),
    "nested too deeply": (request(b"[" * 60_000), "malformed"),
    "not a multipart": (request(b"x", {**JSON, "content-type": "multipart/form-data"}), "malformed"),
    "too large": (request(b" " * 70_000), "too_large"),
    "no record": (request({"module": "Leads"}), "no_record"),
    "nothing at all": (request(), "no_record"),
    "no records": (request({"ids": []}), "no_record"),
    "id of another type": (request({"id": True}), "no_record"),
    "not an id": (request({"id": "../Contacts/1"}), "bad_record_id"),
    "one bad id among good ones": (request({"ids": [LEAD, "x"]}), "bad_record_id"),
    "too many records": (request({"ids": [str(number) for number in range(101)]}), "too_many_records"),
    "bad module": (request({"id": LEAD, "module": "Leads/1"}), "bad_module"),
    "bad agent": (request({"id": LEAD, "agent": "../x"}), "bad_agent"),
    "bad event": (request({"id": LEAD, "event_id": "x" * 101}), "bad_event_id"),
}


@pytest.mark.parametrize("asked, reason", REJECTED.values(), ids=REJECTED.keys())
def test_what_is_rejected(hooks: Hooks, asked: WebhookRequest, reason: str) -> None:
    with pytest.raises(WebhookRejected) as caught:
        hooks.understand(asked)
    assert caught.value.reason == reason
    assert SECRET not in str(caught.value)


def test_without_a_secret_of_ours_nothing_is_accepted(clock: MovableClock) -> None:
    hooks = make(clock, ZOHO_HOOK_SECRET="")
    for headers in ({**JSON, "x-callwright-secret": ""}, without_secret()):
        with pytest.raises(WebhookRejected) as caught:
            hooks.understand(request({"id": LEAD, "token": ""}, headers))
        assert caught.value.reason == "not_configured"


_MULTIPART = (
    b'--xyz\r\nContent-Disposition: form-data; name="id"\r\n\r\n' + LEAD.encode() + b"\r\n"
    b'--xyz\r\nContent-Disposition: form-data; name="module"\r\n\r\nContacts\r\n--xyz--\r\n'
)
_FORM = "application/x-www-form-urlencoded"

UNDERSTOOD: dict[str, tuple[WebhookRequest, str, list[str], str | None]] = {
    "JSON": (request({"id": LEAD, "module": "Contacts", "agent": "survey"}), "Contacts", [LEAD], "survey"),
    "JSON, number": (request({"id": int(LEAD)}), "Leads", [LEAD], None),
    "JSON, several": (request({"ids": [LEAD, OTHER, LEAD]}), "Leads", [LEAD, OTHER], None),
    "JSON without content type": (
        request({"id": LEAD}, {"x-callwright-secret": SECRET}),
        "Leads",
        [LEAD],
        None,
    ),
    "form": (
        request(
            f"id={LEAD}&module=Contacts&agent=".encode(), {**JSON, "content-type": f"{_FORM}; charset=UTF-8"}
        ),
        "Contacts",
        [LEAD],
        None,
    ),
    "form, several": (
        request(f"ids={LEAD}%2C+{OTHER}".encode(), {**JSON, "content-type": _FORM}),
        "Leads",
        [LEAD, OTHER],
        None,
    ),
    "multipart": (
        request(_MULTIPART, {**JSON, "content-type": "multipart/form-data; boundary=xyz"}),
        "Contacts",
        [LEAD],
        None,
    ),
    "URL parameters only": (
        request(None, {}, {"secret": SECRET, "id": LEAD, "module": "Contacts"}),
        "Contacts",
        [LEAD],
        None,
    ),
    "merge field with its prefix": (request({"id": f"zcrm_{LEAD}"}), "Leads", [LEAD], None),
    "channel": (
        request(
            {
                "server_time": 1718117126473,
                "query_params": {},
                "module": "Leads",
                "resource_uri": "https://www.zohoapis.com/crm/v8/Leads",
                "ids": [LEAD],
                "affected_fields": [{LEAD: ["Lead_Status"]}],
                "operation": "update",
                "channel_id": "1000000068001",
                "token": SECRET,
            },
            without_secret(),
        ),
        "Leads",
        [LEAD],
        None,
    ),
    "channel, deleted record": (
        request({"ids": [LEAD], "operation": "delete", "token": SECRET}, without_secret()),
        "Leads",
        [],
        None,
    ),
}


@pytest.mark.parametrize("asked, module, ids, agent", UNDERSTOOD.values(), ids=UNDERSTOOD.keys())
def test_what_is_understood(
    hooks: Hooks, asked: WebhookRequest, module: str, ids: list[str], agent: str | None
) -> None:
    found = hooks.understand(asked)
    assert [hook.record_id for hook in found] == ids
    assert {hook.module for hook in found} <= {module}
    assert {hook.agent for hook in found} <= {agent}
    assert len({hook.dedup_key for hook in found}) == len(ids)


def test_defaults_come_from_the_settings(clock: MovableClock) -> None:
    hooks = make(clock, ZOHO_DEFAULT_AGENT="survey", ZOHO_DEFAULT_MODULE="Contacts")
    (hook,) = hooks.understand(request({"id": LEAD}))
    assert (hook.agent, hook.module) == ("survey", "Contacts")


def key(hooks: Hooks, **content: Any) -> str:
    (hook,) = hooks.understand(request({"id": LEAD, **content}))
    return hook.dedup_key


def test_a_rule_that_fires_twice_is_one_wish(hooks: Hooks, clock: MovableClock) -> None:
    first = key(hooks)
    clock.forward(59)
    assert key(hooks) == first
    clock.forward(2)
    assert key(hooks) != first


def test_two_processes_agree_on_a_wish(clock: MovableClock) -> None:
    into_the_minute = clock.now().timestamp() % 60
    clock.forward(60 - into_the_minute + 1)
    assert key(make(clock)) == key(make(clock))


def test_other_records_modules_and_agents_are_other_wishes(hooks: Hooks) -> None:
    keys = {
        key(hooks),
        key(hooks, id=OTHER),
        key(hooks, module="Contacts"),
        key(hooks, agent="survey"),
    }
    assert len(keys) == 4


def test_an_event_id_tells_wishes_apart_at_any_distance(hooks: Hooks, clock: MovableClock) -> None:
    first = key(hooks, event_id="2026-11-20T11:00:00+00:00")
    assert key(hooks, event_id="2026-11-20T11:00:05+00:00") != first
    clock.forward(3600)
    assert key(hooks, event_id="2026-11-20T11:00:00+00:00") == first


def test_a_channel_is_told_by_its_server_time(hooks: Hooks) -> None:
    first = key(hooks, server_time=1718117126473)
    assert key(hooks, server_time=1718117126473) == first
    assert key(hooks, server_time=1718117126474) != first


def test_the_memory_of_wishes_is_bounded(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callwright.integrations.zoho.hooks._REMEMBERED", 10)
    for number in range(50):
        key(hooks, id=str(number))
    assert len(hooks._recent) == 10


@dataclass
class Receiver:
    """An endpoint of ours, as the API would be."""

    crm: ZohoCrm
    found: list[CrmHook] = field(default_factory=list)
    url: str = ""

    async def hook(self, asked: Request) -> Response:
        headers = {name.lower(): value for name, value in asked.headers.items()}
        wanted = WebhookRequest(asked.method, "", dict(asked.query_params), headers, await asked.body())
        self.found += self.crm.webhook(wanted)
        return Response(status_code=202)


@pytest.fixture
async def receiver(bench: Bench) -> AsyncIterator[Receiver]:
    target = Receiver(bench.crm(ZOHO_DEFAULT_AGENT="survey"))
    app = Starlette(routes=[Route("/hooks/crm/zoho", target.hook, methods=["POST"])])
    server = SimulatorServer(app, Faults(), Traffic("us"))
    await server.start()
    target.url = f"{server.base_url}/hooks/crm/zoho"
    yield target
    await server.stop()


@pytest.mark.parametrize("style", ["form", "json", "watch"])
async def test_a_rule_of_the_simulator_that_fires_twice(bench: Bench, receiver: Receiver, style: str) -> None:
    event = None if style == "watch" else "e1"
    bench.simulator.fire_hook(receiver.url, LEAD, style=style, times=2, event_id=event)
    exchanges = bench.simulator.traffic.exchanges
    async with asyncio.timeout(5):
        while len(receiver.found) < 2 or len(exchanges) < 2:
            await asyncio.sleep(0.01)
    assert {(hook.module, hook.record_id, hook.agent) for hook in receiver.found} == {
        ("Leads", LEAD, "survey")
    }
    assert len({hook.dedup_key for hook in receiver.found}) == 1
    assert [exchange.status for exchange in exchanges] == [202, 202]
