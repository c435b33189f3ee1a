"""`callwright setup`: bring the vendors' side into line with ours."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from callwright.cli.output import console, print_json, say
from callwright.domain.errors import ConfigurationError, NotFound, Problem
from callwright.ports.operations import SetupAction, SetupPlan, SetupStep

if TYPE_CHECKING:
    from callwright.cli.workshop import Workshop

_STYLE = {SetupAction.UNCHANGED: "green", SetupAction.CREATE: "cyan", SetupAction.CHANGE: "yellow"}


def setup(
    integration: Annotated[
        str, typer.Argument(help="Only this one; by default all that are configured.")
    ] = "",
    apply: Annotated[
        bool, typer.Option("--apply", help="Make the changes instead of only showing them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the vendors' set-up with what we need.

    Webhooks, media streams, agents' flags: --apply makes the changes. May be repeated at any time; do so after an
    agent was imported, and when a public address or a secret has changed.
    """
    found = asyncio.run(_setup(integration, apply))
    if as_json:
        print_json([{"integration": name, **_as_data(step)} for name, step in found])
        return
    for name, step in found:
        _print(name, step)
    drift = [step for _, step in found if step.action is not SetupAction.UNCHANGED and not step.applied]
    if drift:
        command = " ".join(filter(None, ("callwright setup", integration, "--apply")))
        say(f"{len(drift)} of {len(found)} differ. Make the changes with `{command}`.")
    else:
        say("The vendors' side is as it should be.")


async def _setup(integration: str, apply: bool) -> list[tuple[str, SetupStep]]:
    from callwright.cli.workshop import configure, open_workshop

    configuration = configure()
    settings = configuration.settings
    if integration and integration not in configuration.integrations:
        have = ", ".join(sorted(configuration.integrations)) or "none"
        raise NotFound(f"{integration!r} is not configured (configured: {have}); see `callwright settings`")
    if not settings.our_base_url:
        remedy = "Set it to the public https address at which vendors reach this server."
        raise ConfigurationError(Problem("OUR_BASE_URL", "is not set.", remedy))
    base = settings.media_base_url or settings.our_base_url
    media_url = base.replace("https://", "wss://", 1).replace("http://", "ws://", 1)
    steps: list[tuple[str, SetupStep]] = []
    async with open_workshop(configuration) as workshop:
        for name, _, built in workshop.directory.all():
            if integration in ("", name):
                agents = await _agents_at(workshop, name)
                plan = SetupPlan(settings.our_base_url, media_url, settings.slot, agents, apply)
                steps.extend((name, step) for step in await built.setup(plan))
    return steps


async def _agents_at(workshop: "Workshop", platform: str) -> tuple[str, ...]:
    """The vendor's ids of the agents that ours use."""
    engines = [definition.engine for _, definition in await workshop.agents.listing()]
    return tuple(sorted({engine.agent_id for engine in engines if engine.platform == platform}))


def _as_data(step: SetupStep) -> dict[str, str | bool]:
    return {"name": step.name, "action": str(step.action), "detail": step.detail, "applied": step.applied}


def _print(name: str, step: SetupStep) -> None:
    done = "" if step.action is SetupAction.UNCHANGED else (" (done)" if step.applied else " (to do)")
    console().print(f"{step.action!s:10}", style=_STYLE[step.action], end="")
    console().print(f"{name}: {step.name}{done}" + (f": {step.detail}" if step.detail else ""))
