"""`callwright check` for this platform: key, credits, post-call webhook, and the agents that were set up."""

from typing import Any, Final

from callwright.domain.errors import VendorAuthFailed, VendorError, VendorNotFound
from callwright.integrations.elevenlabs.client import ElevenLabsClient
from callwright.integrations.elevenlabs.drift import agent_drift, audio_formats
from callwright.integrations.elevenlabs.quota import read_quota
from callwright.integrations.elevenlabs.settings import ElevenLabsSettings
from callwright.integrations.elevenlabs.workspace import (
    UNKNOWN_AGENT,
    find_webhook,
    is_off,
    known_agents,
    webhook_url,
)
from callwright.ports.operations import CheckResult, Health
from callwright.registry import IntegrationContext

_SETUP: Final = "Run `callwright setup elevenlabs --apply`."
_MISSING_PERMISSION: Final = "missing_permissions"


class Checks:
    """Looks at the platform and changes nothing; a vendor's error becomes a line of the result."""

    def __init__(
        self, settings: ElevenLabsSettings, context: IntegrationContext, client: ElevenLabsClient
    ) -> None:
        self._settings = settings
        self._context = context
        self._client = client

    async def run(self) -> list[CheckResult]:
        """One line each; only the first when the platform cannot be asked at all."""
        key = await self._key()
        if key.health is Health.FAILED:
            return [key]
        lines = [key, await self._credits(), await self._webhook()]
        agents = await known_agents(self._context.secrets)
        if not agents:
            lines.append(CheckResult("agents", Health.WARNING, "none was set up yet", _SETUP))
        return lines + [await self._agent(agent_id) for agent_id in agents]

    async def _key(self) -> CheckResult:
        try:
            agents = await self._client.agents()
        except VendorAuthFailed as error:
            remedy = "Set ELEVENLABS_API_KEY to a key of this workspace that may use ElevenLabs Agents."
            return CheckResult("API key", Health.FAILED, str(error), remedy)
        except VendorError as error:
            return CheckResult(
                "API key", Health.FAILED, str(error), "Check ELEVENLABS_BASE_URL and the network."
            )
        count = f"{len(agents)} agent{'' if len(agents) == 1 else 's'} seen"
        return CheckResult("API key", Health.OK, f"accepted by {self._settings.base_url}, {count}")

    async def _credits(self) -> CheckResult:
        try:
            quota = read_quota(await self._client.subscription())
        except VendorError as error:
            lacking = error.code == _MISSING_PERMISSION
            detail = (
                "the key lacks user_read, so credits are not checked before dialling"
                if lacking
                else str(error)
            )
            remedy = "Give the key the permission user_read." if lacking else ""
            return CheckResult("credits", Health.WARNING, detail, remedy)
        least = self._settings.minimum_credits
        plan = f"plan {quota.tier or 'unknown'}"
        if quota.credits is not None and quota.credits < least:
            detail = f"{quota.credits} left ({plan}), at least {least} are needed to dial"
            remedy = "Buy credits, or lower ELEVENLABS_MINIMUM_CREDITS."
            return CheckResult("credits", Health.FAILED, detail, remedy)
        left = "no limit" if quota.credits is None else f"{quota.credits} left"
        if quota.trouble:
            return CheckResult(
                "credits", Health.WARNING, f"{left}, but the {plan} is {quota.trouble}", "Pay it."
            )
        return CheckResult("credits", Health.OK, f"{left} ({plan})")

    async def _webhook(self) -> CheckResult:
        if not self._context.public_url:
            detail = "there is no public address, so results come by polling only"
            return CheckResult("webhook", Health.WARNING, detail, "Set OUR_BASE_URL.")
        url = webhook_url(self._context.public_url)
        own_secret = self._settings.webhook_secret is not None
        try:
            listed = await self._client.webhooks()
        except VendorError as error:
            return CheckResult("webhook", Health.WARNING, str(error), "Let the key read workspace webhooks.")
        found = await find_webhook(listed, url, self._context.secrets, own_secret=own_secret)
        if found is None:
            detail = f"none for {url} whose secret is known; results come by polling only"
            return CheckResult("webhook", Health.WARNING, detail, _SETUP)
        if is_off(found):
            return CheckResult("webhook", Health.WARNING, f"{url} is switched off", _SETUP)
        failure = found.get("most_recent_failure_error_code")
        if failure is not None:
            detail = f"{url} is on; its latest failed delivery got {failure}"
            return CheckResult(
                "webhook", Health.WARNING, detail, "Check that the address reaches this server."
            )
        return CheckResult("webhook", Health.OK, url)

    async def _agent(self, agent_id: str) -> CheckResult:
        name = f"agent {agent_id}"
        try:
            agent: dict[str, Any] = await self._client.agent(agent_id)
        except VendorNotFound:
            return CheckResult(name, Health.FAILED, UNKNOWN_AGENT, "Correct the agent, or the region.")
        except VendorError as error:
            return CheckResult(name, Health.FAILED, str(error))
        drift = agent_drift(agent, self._settings.audio_format, None)
        if drift.differences:
            health = Health.FAILED if drift.breaks_calls else Health.WARNING
            return CheckResult(name, health, "; ".join(drift.differences), _SETUP)
        heard, spoken = audio_formats(agent)
        return CheckResult(name, Health.OK, f"hears {heard}, speaks {spoken}")
