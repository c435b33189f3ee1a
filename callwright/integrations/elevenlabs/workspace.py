"""What we keep about the workspace in the secret store, and which of its webhooks is ours."""

import json
from typing import Any, Final

from callwright.integrations.elevenlabs.vocabulary import NAME
from callwright.ports.storage import SecretStore

SECRET_KEY: Final = "webhook_secret"  # noqa: S105  (the name of the entry, not the secret)
WEBHOOK_KEY: Final = "webhook_id"
AGENTS_KEY: Final = "agents"

WEBHOOK_NAME: Final = "Callwright"
WEBHOOK_PATH: Final = "/webhooks/elevenlabs/post-call"

UNKNOWN_AGENT: Final = (
    "the workspace does not know it: check engine.agent_id, "
    "and that ELEVENLABS_BASE_URL is the workspace's region"
)
Json = dict[str, Any]


def webhook_url(public_url: str) -> str:
    """Where the post-call webhook is to go."""
    return public_url.rstrip("/") + WEBHOOK_PATH


async def find_webhook(
    listed: list[Json], url: str, secrets: SecretStore, *, own_secret: bool
) -> Json | None:
    """The webhook at `url` whose secret we know: ours, or one whose secret is set in the settings."""
    stored_id = await secrets.read(NAME, WEBHOOK_KEY)
    has_secret = await secrets.read(NAME, SECRET_KEY) is not None
    for item in listed:
        ours = has_secret and item.get("webhook_id") == stored_id
        if item.get("webhook_url") == url and (ours or own_secret):
            return item
    return None


async def outdated_webhooks(listed: list[Json], url: str, secrets: SecretStore) -> list[Json]:
    """Webhooks that setup made earlier and that serve no more: another address, or a secret that is lost."""
    stored_id = await secrets.read(NAME, WEBHOOK_KEY)
    return [
        item
        for item in listed
        if item.get("webhook_id") == stored_id
        or (item.get("name") == WEBHOOK_NAME and item.get("webhook_url") == url)
    ]


def is_off(webhook: Json) -> bool:
    """Whether somebody, or the platform after many failures, has switched a webhook off."""
    return webhook.get("is_disabled") is True or webhook.get("is_auto_disabled") is True


async def known_agents(secrets: SecretStore) -> list[str]:
    """The agent ids of the last `setup` that was applied."""
    stored = await secrets.read(NAME, AGENTS_KEY)
    return [str(item) for item in json.loads(stored)] if stored else []


async def remember_agents(secrets: SecretStore, agents: tuple[str, ...]) -> None:
    """Keep the agent ids for `check`."""
    await secrets.write(NAME, AGENTS_KEY, json.dumps(agents))
