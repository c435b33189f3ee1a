"""`callwright setup elevenlabs`: the workspace's post-call webhook, and what each agent needs for calls.

Webhook addresses cannot be changed at the platform (its PATCH knows no such field), so a new webhook takes the
place of one whose address has moved. A webhook's secret is shown once, when it is created, and stored then.
"""

from dataclasses import dataclass
from typing import Any, Final

import structlog

from callwright.domain.errors import VendorNotFound, VendorRefused
from callwright.integrations.elevenlabs.client import ElevenLabsClient
from callwright.integrations.elevenlabs.drift import agent_drift
from callwright.integrations.elevenlabs.settings import ElevenLabsSettings
from callwright.integrations.elevenlabs.vocabulary import NAME
from callwright.integrations.elevenlabs.workspace import (
    SECRET_KEY,
    UNKNOWN_AGENT,
    WEBHOOK_KEY,
    WEBHOOK_NAME,
    find_webhook,
    is_off,
    outdated_webhooks,
    remember_agents,
    webhook_url,
)
from callwright.ports.operations import SetupAction, SetupPlan, SetupStep
from callwright.ports.storage import SecretStore

log = structlog.get_logger(__name__)

_TO_BE_CREATED: Final = "(to be created)"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Webhook:
    """The webhook found or made, what was done about it, and those whose place it takes."""

    webhook_id: str | None
    step: SetupStep
    replaced: tuple[str, ...] = ()


class Setup:
    """Compares the platform with a plan, and mends it."""

    def __init__(self, settings: ElevenLabsSettings, secrets: SecretStore, client: ElevenLabsClient) -> None:
        self._settings = settings
        self._secrets = secrets
        self._client = client

    async def run(self, plan: SetupPlan) -> list[SetupStep]:
        """One step for the webhook and one for each agent; nothing is changed unless the plan says `apply`."""
        webhook = await self._webhook(plan)
        steps = [webhook.step]
        steps += [await self._agent(plan, agent_id, webhook.webhook_id) for agent_id in plan.agents]
        if plan.apply:
            steps += [await self._remove(webhook_id) for webhook_id in webhook.replaced]
            await remember_agents(self._secrets, plan.agents)
        return steps

    async def _webhook(self, plan: SetupPlan) -> _Webhook:
        if not plan.public_url:
            detail = "there is no public address, so results come by polling only"
            return _Webhook(None, SetupStep("webhook", SetupAction.UNCHANGED, detail))
        url = webhook_url(plan.public_url)
        listed = await self._client.webhooks()
        own_secret = self._settings.webhook_secret is not None
        known = await find_webhook(listed, url, self._secrets, own_secret=own_secret)
        if known is not None:
            return await self._keep(plan, known, url)
        outdated = await outdated_webhooks(listed, url, self._secrets)
        action = SetupAction.CHANGE if outdated else SetupAction.CREATE
        detail = _why(outdated, url)
        if not plan.apply:
            return _Webhook(_TO_BE_CREATED, SetupStep("webhook", action, detail))
        webhook_id = await self._create(url)
        replaced = tuple(str(item["webhook_id"]) for item in outdated)
        return _Webhook(webhook_id, SetupStep("webhook", action, detail, applied=True), replaced)

    async def _keep(self, plan: SetupPlan, known: Json, url: str) -> _Webhook:
        webhook_id = str(known["webhook_id"])
        if not is_off(known):
            return _Webhook(webhook_id, SetupStep("webhook", SetupAction.UNCHANGED, url))
        if plan.apply:
            await self._client.enable_webhook(webhook_id, str(known.get("name") or WEBHOOK_NAME))
        detail = f"{url} is switched off"
        return _Webhook(webhook_id, SetupStep("webhook", SetupAction.CHANGE, detail, applied=plan.apply))

    async def _create(self, url: str) -> str:
        created = await self._client.create_webhook(WEBHOOK_NAME, url)
        self._client.hide(created.secret)
        await self._secrets.write(NAME, SECRET_KEY, created.secret)
        await self._secrets.write(NAME, WEBHOOK_KEY, created.webhook_id)
        await self._client.enable_webhook(created.webhook_id, WEBHOOK_NAME)
        return created.webhook_id

    async def _agent(self, plan: SetupPlan, agent_id: str, webhook_id: str | None) -> SetupStep:
        name = f"agent {agent_id}"
        try:
            agent = await self._client.agent(agent_id)
        except VendorNotFound:
            return SetupStep(name, SetupAction.CREATE, UNKNOWN_AGENT)
        drift = agent_drift(agent, self._settings.audio_format, webhook_id)
        if not drift.differences:
            return SetupStep(name, SetupAction.UNCHANGED)
        if plan.apply:
            await self._client.change_agent(agent_id, drift.changes)
        return SetupStep(name, SetupAction.CHANGE, "; ".join(drift.differences), applied=plan.apply)

    async def _remove(self, webhook_id: str) -> SetupStep:
        name = f"old webhook {webhook_id}"
        try:
            await self._client.delete_webhook(webhook_id)
        except VendorNotFound:
            return SetupStep(name, SetupAction.UNCHANGED, "is gone")
        except VendorRefused as error:
            log.warning("an old webhook could not be deleted", vendor=NAME, error=str(error))
            return SetupStep(name, SetupAction.CHANGE, "could not be deleted; delete it in the dashboard")
        return SetupStep(name, SetupAction.CHANGE, "deleted", applied=True)


def _why(outdated: list[Json], url: str) -> str:
    if not outdated:
        return f"for {url}"
    if outdated[0].get("webhook_url") == url:
        return f"for {url}: the secret of the one there is not known here, so a new one takes its place"
    return f"{outdated[0].get('webhook_url')} -> {url}: a new one takes its place"
