"""What `callwright check` says about Infobip, one line for each thing and what to do about it."""

from collections.abc import Awaitable

from callwright.domain.errors import VendorAuthFailed, VendorError
from callwright.integrations.infobip.client import InfobipClient
from callwright.integrations.infobip.settings import InfobipSettings
from callwright.integrations.infobip.setup import (
    CONFIGURATIONS,
    EVENTS,
    MEDIA_CONFIGS,
    PROFILES,
    SUBSCRIPTIONS,
    Names,
    notify_url,
)
from callwright.ports.operations import CheckResult, Health

_RUN_SETUP = "Run `callwright setup infobip --apply`."


async def check(client: InfobipClient, settings: InfobipSettings, public_url: str) -> list[CheckResult]:
    """Test key, calls configuration, events, media and numbers; the first failure of the key ends it."""
    try:
        configuration = await client.get_or_none(f"{CONFIGURATIONS}/{settings.calls_configuration_id}")
    except VendorAuthFailed as error:
        remedy = "Check INFOBIP_API_KEY and INFOBIP_BASE_URL; the key needs the scope calls:manage."
        return [CheckResult("credentials", Health.FAILED, error.message, remedy)]
    except VendorError as error:
        return [
            CheckResult("credentials", Health.FAILED, str(error), "Check INFOBIP_BASE_URL and the network.")
        ]
    results = [CheckResult("credentials", Health.OK, "the API key is accepted")]
    name = f"calls configuration {settings.calls_configuration_id}"
    if configuration is None:
        results.append(CheckResult(name, Health.FAILED, "does not exist", _RUN_SETUP))
    else:
        results.append(CheckResult(name, Health.OK, "exists"))
    results.append(await _guarded("events", _events(client, settings, public_url)))
    results.append(await _guarded("media", _media(client, settings)))
    numbers = f"{len(settings.caller_ids)} caller ids; whether the account owns them is not checked"
    return [*results, CheckResult("numbers", Health.OK, numbers)]


async def _guarded(name: str, look: Awaitable[CheckResult]) -> CheckResult:
    try:
        return await look
    except VendorAuthFailed as error:
        remedy = "Give the API key the scopes calls:manage and subscriptions:manage."
        return CheckResult(name, Health.FAILED, error.message, remedy)
    except VendorError as error:
        return CheckResult(name, Health.FAILED, str(error), "Try again.")


async def _events(client: InfobipClient, settings: InfobipSettings, public_url: str) -> CheckResult:
    names = Names.of(settings)
    subscription = await client.get_or_none(f"{SUBSCRIPTIONS}/{names.subscription}")
    profile = await client.get_or_none(f"{PROFILES}/{names.profile}")
    if subscription is None or profile is None:
        return CheckResult("events", Health.FAILED, "no subscription of ours exists", _RUN_SETUP)
    missing = [event for event in EVENTS if event not in (subscription.get("events") or [])]
    if missing:
        return CheckResult("events", Health.FAILED, f"not subscribed: {', '.join(missing)}", _RUN_SETUP)
    webhook = profile.get("webhook")
    told = webhook.get("notifyUrl") if isinstance(webhook, dict) else None
    if not public_url:
        return CheckResult("events", Health.WARNING, f"go to {told}", "Set OUR_BASE_URL to compare with it.")
    if told != notify_url(public_url):
        return CheckResult(
            "events", Health.FAILED, f"go to {told}, not to {notify_url(public_url)}", _RUN_SETUP
        )
    return CheckResult("events", Health.OK, f"go to {told}")


async def _media(client: InfobipClient, settings: InfobipSettings) -> CheckResult:
    prefix = f"{settings.calls_configuration_id}-"
    ours = [
        config
        for config in await client.pages(MEDIA_CONFIGS)
        if config.get("type") == "WEBSOCKET_ENDPOINT" and str(config.get("name")).startswith(prefix)
    ]
    if not ours:
        return CheckResult("media", Health.FAILED, "no media-stream configuration of ours exists", _RUN_SETUP)
    wrong = [config for config in ours if str(config.get("sampleRate")) != str(settings.sample_rate)]
    if wrong:
        detail = f"{len(wrong)} of {len(ours)} media-stream configurations have another sample rate"
        return CheckResult("media", Health.FAILED, detail, _RUN_SETUP)
    return CheckResult(
        "media", Health.OK, f"{len(ours)} media-stream configurations at {settings.sample_rate} Hz"
    )
