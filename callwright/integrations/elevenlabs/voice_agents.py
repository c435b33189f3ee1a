"""The port `VoiceAgents` on ElevenLabs Agents."""

import asyncio
import re
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import structlog

from callwright.domain.agent import AgentDefinition
from callwright.domain.errors import (
    VendorAmbiguous,
    VendorAuthFailed,
    VendorBusy,
    VendorNotFound,
    VendorQuotaExceeded,
    VendorUnreachable,
)
from callwright.integrations.elevenlabs import results, webhooks
from callwright.integrations.elevenlabs.checks import Checks
from callwright.integrations.elevenlabs.client import ElevenLabsClient
from callwright.integrations.elevenlabs.quota import Quota, read_quota
from callwright.integrations.elevenlabs.session import ElevenLabsSession
from callwright.integrations.elevenlabs.settings import ElevenLabsSettings
from callwright.integrations.elevenlabs.setup import Setup
from callwright.integrations.elevenlabs.vocabulary import LANGUAGES, NAME, RESERVED_PREFIXES, SYSTEM_TOOLS
from callwright.integrations.elevenlabs.workspace import SECRET_KEY
from callwright.ports.operations import CheckResult, SetupPlan, SetupStep
from callwright.ports.voice_agent import AgentTicket, ConversationResult, ConversationStart
from callwright.ports.webhook import WebhookRequest
from callwright.registry import IntegrationContext

log = structlog.get_logger(__name__)

TICKET_LIFE: Final = timedelta(minutes=15)
QUOTA_LIFE_S: Final = 10.0
SECRET_LIFE_S: Final = 30.0
DELETE_PAUSE_S: Final = 30.0

_PLACEHOLDER: Final = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")


class ElevenLabsVoiceAgents:
    """Hosted agents of one ElevenLabs workspace."""

    name = NAME

    def __init__(self, settings: ElevenLabsSettings, context: IntegrationContext) -> None:
        self._settings = settings
        self._context = context
        self._client = ElevenLabsClient(settings, context.clock)
        self._setup = Setup(settings, context.secrets, self._client)
        self._quota: tuple[float, Quota | None] | None = None
        self._quota_lock = asyncio.Lock()
        self._stored_secret: str | None = None
        self._secret_read_at: float | None = None

    async def prepare(self, start: ConversationStart) -> AgentTicket:
        """Check the credits and get a signed URL; the socket is not opened, since the agent would start talking.

        Raises VendorQuotaExceeded when fewer credits are left than the least wanted.
        """
        await self.load_secrets()
        quota = await self._fresh_quota()
        if quota is not None and quota.credits is not None and quota.credits < self._settings.minimum_credits:
            raise VendorQuotaExceeded(
                NAME,
                f"{quota.credits} credits are left, fewer than ELEVENLABS_MINIMUM_CREDITS "
                f"({self._settings.minimum_credits})",
                code="quota_exceeded",
            )
        asked_at = self._context.clock.now()
        url = await self._client.signed_url(start.agent.engine.agent_id)
        conversation = parse_qs(urlsplit(url).query).get("conversation_id", [None])[0]
        return AgentTicket(conversation, asked_at + TICKET_LIFE, {"signed_url": url})

    def open(self, ticket: AgentTicket, start: ConversationStart) -> ElevenLabsSession:
        """The protocol of the conversation that this ticket admits."""
        return ElevenLabsSession(ticket, start)

    async def result(self, conversation_id: str) -> ConversationResult:
        """Ask for the results. GONE is an answer of 404, which is also given just after a conversation's end:
        whoever asks within a minute of the end should ask again.
        """
        try:
            body = await self._client.conversation(conversation_id)
        except VendorNotFound:
            return results.gone(conversation_id)
        return results.conversation_result(conversation_id, body)

    async def load_secrets(self) -> None:
        """Read the stored webhook secret again if that was half a minute ago; another process may have set it."""
        now = self._context.clock.monotonic()
        if self._secret_read_at is None or now - self._secret_read_at >= SECRET_LIFE_S:
            self._stored_secret = await self._context.secrets.read(NAME, SECRET_KEY)
            self._secret_read_at = now
            if self._stored_secret is not None:
                self._client.hide(self._stored_secret)

    def webhook(self, request: WebhookRequest) -> list[ConversationResult]:
        """Verify and understand a webhook; raises WebhookRejected."""
        own = self._settings.webhook_secret
        secrets = [own.get_secret_value()] if own is not None else []
        if self._stored_secret is not None:
            secrets.append(self._stored_secret)
        return webhooks.understand(request, secrets, self._context.clock.now())

    async def delete(self, conversation_id: str) -> None:
        """Delete the remote conversation; no error if it is gone.

        Raises VendorBusy with `retry_after_s` for whatever may pass: deleting twice does no harm.
        """
        try:
            await self._client.delete_conversation(conversation_id)
        except VendorNotFound:
            log.debug("nothing to delete", vendor=NAME, conversation_id=conversation_id)
        except (VendorBusy, VendorAmbiguous, VendorUnreachable) as error:
            raise VendorBusy(
                NAME,
                error.message,
                status=error.status,
                code=error.code,
                body=error.body,
                retry_after_s=DELETE_PAUSE_S if error.retry_after_s is None else error.retry_after_s,
            ) from error

    def problems(self, agent: AgentDefinition) -> list[str]:
        """What in an agent definition the platform would refuse or misread."""
        engine = agent.engine
        found = []
        if not engine.agent_id.strip():
            found.append("engine.agent_id is empty. Copy it from the agent's page (agent_...).")
        found += [
            f"variable {variable.name}: names that begin with {prefix} are reserved by the platform. Rename it."
            for variable in agent.variables
            for prefix in RESERVED_PREFIXES
            if variable.name.startswith(prefix)
        ]
        if engine.language is not None and engine.language not in LANGUAGES:
            found.append(
                f"engine.language {engine.language!r} is not a language of the platform, such as en or pt-br."
            )
        found += [
            f"tool {tool.name} has the name of a built-in tool. Rename it, here and at the platform."
            for tool in agent.tools
            if tool.name in SYSTEM_TOOLS
        ]
        return found + list(_undeclared(agent))

    async def check(self) -> list[CheckResult]:
        """Test the key, the credits, the webhook, and the agents that were set up."""
        return await Checks(self._settings, self._context, self._client).run()

    async def setup(self, plan: SetupPlan) -> list[SetupStep]:
        """Compare webhook and agents with what calls need and, if asked, mend them."""
        steps = await self._setup.run(plan)
        self._secret_read_at = None
        await self.load_secrets()
        return steps

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _fresh_quota(self) -> Quota | None:
        """The credits, at most 10 s old and read by one call at a time; None when they cannot be read."""
        async with self._quota_lock:
            now = self._context.clock.monotonic()
            if self._quota is None or now - self._quota[0] >= QUOTA_LIFE_S:
                self._quota = (now, await self._ask_quota())
            return self._quota[1]

    async def _ask_quota(self) -> Quota | None:
        try:
            return read_quota(await self._client.subscription())
        except VendorAuthFailed as error:
            if error.code != "missing_permissions":
                raise
            log.warning("credits cannot be read: the API key lacks user_read", vendor=NAME)
        except (VendorBusy, VendorUnreachable, VendorAmbiguous) as error:
            log.warning("credits cannot be read now", vendor=NAME, error=str(error))
        return None


def _undeclared(agent: AgentDefinition) -> list[str]:
    declared = {variable.name for variable in agent.variables}
    texts: dict[str, Any] = {
        "engine.first_message": agent.engine.first_message,
        "engine.prompt": agent.engine.prompt,
    }
    return [
        f"{where} uses {{{{{name}}}}}, which is not declared in variables. The conversation would be refused."
        for where, text in texts.items()
        for name in dict.fromkeys(_PLACEHOLDER.findall(text or ""))
        if name not in declared and not name.startswith(RESERVED_PREFIXES)
    ]
