"""The simulator as a whole: what starts it, what scenarios turn, and what assertions read."""

import json
import secrets
from typing import Any
from urllib.parse import urlencode

from callwright.integrations.zoho.simulator.accounts import Accounts
from callwright.integrations.zoho.simulator.api import Api
from callwright.integrations.zoho.simulator.modules import load_organisation
from callwright.integrations.zoho.simulator.state import State
from callwright.integrations.zoho.simulator.tables import Tables
from callwright.simulation.faults import Faults
from callwright.simulation.server import SimulatorServer
from callwright.simulation.traffic import Traffic
from callwright.simulation.webhooks import Webhook, WebhookSender
from callwright.simulation.world import World

_NAMES_OF_STATUS = ("Outgoing_Call_Status", "Outbound_Call_Status")


class ZohoSimulator:
    """One organisation of Zoho CRM whose leads are the people of the world."""

    name = "zoho"

    def __init__(self, world: World) -> None:
        folder = world.options.traffic_folder
        self.faults = Faults(world.options.seed)
        self.traffic = Traffic(self.name, folder / "zoho.jsonl" if folder else None)
        self.hook_secret = secrets.token_urlsafe(24)
        self._clock = world.clock
        self.accounts = Accounts(world.clock)
        self.tables = Tables(load_organisation(), world.clock)
        self.tables.seed(world.records)
        self.state = State(self.accounts, self.tables, self.traffic)
        self._api = Api(self.state)
        self._server = SimulatorServer(self._api.app(), self.faults, self.traffic)
        self._hooks: WebhookSender | None = None

    async def start(self) -> None:
        """Listen on a free loopback port."""
        await self._server.start()
        self._api.base_url = self._server.base_url
        self._hooks = WebhookSender(self.faults, self.traffic, retry_after_s=())

    async def stop(self) -> None:
        """Close every socket and task within a few seconds."""
        if self._hooks is not None:
            await self._hooks.close()
        await self._server.stop()
        self.traffic.close()

    @property
    def base_url(self) -> str:
        """Where both the accounts server and the API are."""
        return self._server.base_url

    def environment(self) -> dict[str, str]:
        """The settings with which our adapter talks to this simulator."""
        return {
            "ZOHO_CLIENT_ID": self.accounts.client_id,
            "ZOHO_CLIENT_SECRET": self.accounts.client_secret,
            "ZOHO_REFRESH_TOKEN": self.accounts.refresh_token,
            "ZOHO_ACCOUNTS_URL": self.base_url,
            "ZOHO_HOOK_SECRET": self.hook_secret,
        }

    def record(self, record_id: str, module: str = "Leads") -> dict[str, Any]:
        """One record as the API would tell it; raises KeyError for an unknown one."""
        return dict(self.tables.rows[module][record_id].values)

    def records(self, module: str = "Leads") -> list[dict[str, Any]]:
        """Every record of a module, oldest first."""
        return [dict(row.values) for row in self.tables.rows[module].values()]

    @property
    def calls_logged(self) -> list[dict[str, Any]]:
        """Entries of the Calls module, oldest first."""
        return self.records("Calls")

    @property
    def notes(self) -> list[dict[str, Any]]:
        """Notes, oldest first."""
        return self.records("Notes")

    def writes(self, record_id: str, module: str = "Leads") -> list[dict[str, Any]]:
        """The changes of a record that took effect, oldest first; seeding is none."""
        return list(self.tables.effects.get((module, record_id), ()))

    @property
    def violations(self) -> list[str]:
        """Where our adapter broke Zoho's rules."""
        return self.traffic.violations

    def edit(self, record_id: str, values: dict[str, Any], module: str = "Leads") -> None:
        """Change a record as a person at Zoho would, uncounted as a write of ours."""
        self.tables.change(module, record_id, values)
        self.tables.effects[module, record_id].pop()

    def lock(self, record_id: str, module: str = "Leads", *, locked: bool = True) -> None:
        """Lock a record against writes, or unlock it."""
        self.tables.rows[module][record_id].locked = locked

    def refuse(
        self,
        module: str,
        field: str,
        code: str = "INVALID_DATA",
        message: str = "invalid data",
        **details: Any,
    ) -> None:
        """Let a rule of the organisation refuse a field from now on, whatever its value."""
        self.state.refusals[module, field] = (code, message, details)

    def name_call_status(self, name: str) -> None:
        """Name the status field of Calls as other organisations do; the pages know two names."""
        fields = self.tables.organisation.modules["Calls"].fields
        for known in _NAMES_OF_STATUS:
            if known in fields and known != name:
                fields[name] = fields.pop(known)
                fields[name].name = name

    def fire_hook(
        self,
        url: str,
        record_id: str,
        *,
        module: str = "Leads",
        agent: str | None = None,
        event_id: str | None = None,
        style: str = "form",
        times: int = 1,
    ) -> None:
        """Post to our hook as a workflow rule does (`form`, `json`) or as a channel does (`watch`), in the background.

        `times` 2 is a rule that fires twice for one change.
        """
        if self._hooks is None:
            raise RuntimeError("the simulator is not started")
        webhook = self._hook(url, module, record_id, agent, event_id, style)
        for _ in range(times):
            self._hooks.send(webhook)

    def _hook(
        self, url: str, module: str, record_id: str, agent: str | None, event_id: str | None, style: str
    ) -> Webhook:
        if style == "watch":
            notice = self._notice(module, record_id)
            return Webhook("notification", url, json.dumps(notice).encode(), decoded=notice)
        content = {"id": record_id, "module": module}
        content |= {key: value for key, value in (("agent", agent), ("event_id", event_id)) if value}

        def prove(_body: bytes) -> dict[str, str]:
            return {"X-Callwright-Secret": self.hook_secret}

        if style == "json":
            return Webhook("workflow", url, json.dumps(content).encode(), prove, decoded=content)
        form = urlencode(content).encode()
        return Webhook("workflow", url, form, prove, "application/x-www-form-urlencoded", content)

    def _notice(self, module: str, record_id: str) -> dict[str, Any]:
        return {
            "server_time": int(self._clock.now().timestamp() * 1000),
            "query_params": {},
            "module": module,
            "resource_uri": f"{self.base_url}/crm/v8/{module}",
            "ids": [record_id],
            "affected_fields": [{record_id: ["Lead_Status"]}],
            "operation": "update",
            "channel_id": "1000000068001",
            "token": self.hook_secret,
        }
