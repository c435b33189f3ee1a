"""Tests credentials, scopes and limits, and says what to do at Zoho; nothing there needs to be made by API."""

from collections.abc import Awaitable, Callable

from callwright.domain.errors import VendorError, VendorNotFound
from callwright.integrations.zoho.client import VENDOR, ZohoClient
from callwright.integrations.zoho.metadata import Metadata
from callwright.integrations.zoho.records import Records
from callwright.integrations.zoho.settings import ZohoSettings
from callwright.ports.operations import CheckResult, Health, SetupAction, SetupPlan, SetupStep

SCOPES = (
    "ZohoCRM.modules.ALL",
    "ZohoCRM.settings.modules.READ",
    "ZohoCRM.settings.fields.READ",
    "ZohoCRM.coql.READ",
    "ZohoSearch.securesearch.READ",
    "ZohoCRM.org.READ",
)
"""Scopes to ask for when making the grant code, joined by commas (scopes page)."""

_REMEDY = "Make a new grant code with these scopes, exchange it, and set ZOHO_REFRESH_TOKEN: "
_FRESH_S = 30.0


def missing_scopes(granted: str) -> list[str]:
    """Scopes that we need and the token lacks; none if Zoho did not tell what it granted."""
    held = set(granted.replace(",", " ").split())
    if not held:
        return []
    return [scope for scope in SCOPES if not _covered(scope, held)]


def _covered(scope: str, held: set[str]) -> bool:
    if scope in held:
        return True
    head, _, operation = scope.rpartition(".")
    service, _, group = head.rpartition(".")
    wider = {f"{head}.ALL", f"{service}.ALL"} if group else {f"{head}.ALL"}
    if scope == "ZohoCRM.modules.ALL" and any(item.startswith("ZohoCRM.modules.") for item in held):
        return True
    return operation != "ALL" and bool(wider & held)


class Checks:
    """The lines of `callwright check` and `callwright setup` about Zoho."""

    def __init__(
        self, settings: ZohoSettings, client: ZohoClient, metadata: Metadata, records: Records
    ) -> None:
        self._settings = settings
        self._client = client
        self._metadata = metadata
        self._records = records

    async def check(self) -> list[CheckResult]:
        """One line for each thing that must work; the first failure of the token ends the list."""
        token = await self._try("credentials", self._credentials, "Check the ZOHO_ settings; see README.md.")
        results = [token]
        if token.health is not Health.FAILED:
            results += [
                await self._scopes(),
                await self._try("organisation", self._organisation, "Grant ZohoCRM.org.READ."),
                await self._try("fields", self._fields, "Grant ZohoCRM.settings.fields.READ."),
                await self._try("call log", self._calls, "Give the token's user access to Calls."),
                await self._try("query", self._query, "Grant ZohoCRM.coql.READ."),
            ]
        return [*results, self._hook()]

    async def setup(self, plan: SetupPlan) -> list[SetupStep]:
        """What has to be right at Zoho. Grants and workflow rules are made by a person; nothing is applied."""
        lacking = missing_scopes((await self._client.token()).facts.get("scope", ""))
        action = SetupAction.CHANGE if lacking else SetupAction.UNCHANGED
        detail = _REMEDY + ",".join(SCOPES) if lacking else "the token has every scope"
        url = f"{plan.public_url.rstrip('/')}/hooks/crm/{VENDOR}"
        rule = f"to call from Zoho, let a workflow rule or button post the record's id to {url}"
        return [
            SetupStep("scopes", action, detail),
            SetupStep("workflow rule", SetupAction.UNCHANGED, rule),
        ]

    async def _try(self, name: str, look: Callable[[], Awaitable[str]], remedy: str) -> CheckResult:
        try:
            return CheckResult(name, Health.OK, await look())
        except VendorError as error:
            return CheckResult(name, Health.FAILED, str(error), remedy)

    async def _credentials(self) -> str:
        token = await self._client.token()
        return f"a token for {token.facts['api_domain']}"

    async def _scopes(self) -> CheckResult:
        lacking = missing_scopes((await self._client.token()).facts.get("scope", ""))
        if lacking:
            detail = f"the token lacks {', '.join(lacking)}"
            return CheckResult("scopes", Health.FAILED, detail, _REMEDY + ",".join(SCOPES))
        return CheckResult("scopes", Health.OK, "every scope that is needed")

    async def _organisation(self) -> str:
        body = await self._client.read("GET", "org")
        entries = body.get("org") if isinstance(body, dict) else None
        name = entries[0].get("company_name", "unnamed") if entries else "unnamed"
        return f"{name}; this process used about {self._client.limits.credits_used} credits in 24 hours"

    async def _fields(self) -> str:
        module = self._settings.default_module
        return f"{module} has {len(await self._metadata.fields(module, max_age_s=_FRESH_S))} fields"

    async def _calls(self) -> str:
        fields = await self._metadata.fields("Calls", max_age_s=_FRESH_S)
        lacking = [
            name
            for name in ("Subject", "Call_Type", "Call_Start_Time", "Call_Duration")
            if name not in fields or not fields[name].creatable
        ]
        if lacking:
            raise VendorNotFound(VENDOR, f"Calls has no writable {', '.join(lacking)}")
        return "calls can be logged"

    async def _query(self) -> str:
        await self._records.select(("id",), self._settings.default_module, "id is not null", 0, 1)
        return "queries work"

    def _hook(self) -> CheckResult:
        if not self._settings.hook_secret.get_secret_value():
            return CheckResult(
                "hook", Health.WARNING, "hooks from Zoho are refused", "Set ZOHO_HOOK_SECRET to use them."
            )
        return CheckResult("hook", Health.OK, f"secret set; hooks go to /hooks/crm/{VENDOR}")
