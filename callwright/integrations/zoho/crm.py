"""Zoho as a CRM: the port, put together from the parts of this folder."""

from typing import Any

from callwright.domain.agent import AgentDefinition
from callwright.domain.errors import Problem, VendorNotFound
from callwright.integrations.zoho.activities import Activities
from callwright.integrations.zoho.checks import Checks
from callwright.integrations.zoho.client import VENDOR, ZohoClient
from callwright.integrations.zoho.hooks import Hooks
from callwright.integrations.zoho.mapping import problems
from callwright.integrations.zoho.metadata import Metadata
from callwright.integrations.zoho.records import Records
from callwright.integrations.zoho.settings import ZohoSettings
from callwright.integrations.zoho.writes import Writes
from callwright.ports.crm import CallActivity, CrmField, CrmHook, CrmNote, CrmRecord, WriteResult
from callwright.ports.operations import CheckResult, SetupPlan, SetupStep
from callwright.ports.webhook import WebhookRequest
from callwright.registry import IntegrationContext

_FRESH_S = 30.0


class ZohoCrm:
    """Implements ports.crm.Crm for one organisation of Zoho CRM."""

    name = VENDOR

    def __init__(self, settings: ZohoSettings, context: IntegrationContext) -> None:
        self._client = ZohoClient(settings, context)
        self._metadata = Metadata(self._client, context.clock, settings.metadata_ttl_s)
        self._records = Records(self._client, self._metadata)
        self._writes = Writes(self._client, self._metadata, self._records)
        self._activities = Activities(self._client, self._metadata, self._records, self._writes)
        self._hooks = Hooks(settings, context.clock)
        self._checks = Checks(settings, self._client, self._metadata, self._records)

    async def get(self, module: str, record_id: str) -> CrmRecord | None:
        """Read one record with all its fields; None if there is none."""
        return await self._records.get(module, record_id)

    async def find_by_phone(self, module: str, e164: str) -> list[CrmRecord]:
        """Records with this number in any phone field, also ones that the search index does not know yet."""
        return await self._records.find_by_phone(module, e164)

    async def query(
        self, module: str, condition: str, fields: tuple[str, ...], limit: int
    ) -> list[CrmRecord]:
        """Records that match a COQL condition, at most `limit`."""
        return await self._records.query(module, condition, fields, limit)

    async def fields(self, module: str) -> list[CrmField]:
        """Field metadata, cached; raises VendorNotFound for an unknown module."""
        return [field.public for field in (await self._metadata.fields(module)).values()]

    async def mapping_problems(self, agent: AgentDefinition) -> list[Problem]:
        """Everything wrong with an agent's mapping; none for an agent that uses another CRM."""
        mapping = agent.crm
        if mapping is None or mapping.system != self.name:
            return []
        try:
            fields = await self._metadata.fields(mapping.module, max_age_s=_FRESH_S)
        except VendorNotFound:
            what = f"Zoho has no module {mapping.module}, or the token's user may not see it."
            return [Problem("crm.module", what, "Use the module's API name.")]
        found = problems(agent, mapping, fields)
        if mapping.log_call:
            found += await self._call_log_problems()
        return found

    async def update(
        self,
        module: str,
        record_id: str,
        values: dict[str, Any],
        *,
        triggers: tuple[str, ...] = (),
        modified: str | None = None,
        keep_filled: bool = False,
    ) -> WriteResult:
        """Write fields that differ; those that Zoho refuses for good do not keep the others from being written.

        Raises Conflict when the record was changed since `modified` and does not hold the values already; with
        `keep_filled` when somebody changed it each time that we were about to write.
        """
        if keep_filled:
            return await self._writes.fill(module, record_id, values, triggers)
        return await self._writes.update(module, record_id, values, triggers, modified)

    async def log_call(self, activity: CallActivity, *, triggers: tuple[str, ...] = ()) -> str:
        """Log a call once in the Calls module; returns the entry's id."""
        return await self._activities.log_call(activity, triggers)

    async def add_note(self, note: CrmNote) -> str:
        """Attach a note once; returns its id."""
        return await self._activities.add_note(note)

    def webhook(self, request: WebhookRequest) -> list[CrmHook]:
        """Verify and understand a hook that asks for calls; raises WebhookRejected."""
        return self._hooks.understand(request)

    async def check(self) -> list[CheckResult]:
        """Test credentials, scopes and limits."""
        return await self._checks.check()

    async def setup(self, plan: SetupPlan) -> list[SetupStep]:
        """Tell what a person has to set up at Zoho; nothing there is made by API."""
        return await self._checks.setup(plan)

    async def close(self) -> None:
        """Release sockets and clients."""
        await self._client.close()

    async def _call_log_problems(self) -> list[Problem]:
        try:
            await self._metadata.fields("Calls")
        except VendorNotFound:
            what = "calls cannot be logged: the token's user does not see the Calls module."
            return [Problem("crm.log_call", what, "Give the user access, or set log_call to false.")]
        return []
