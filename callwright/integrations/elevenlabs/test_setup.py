"""Set-up at the platform: shown, mended, and then at rest; and what `check` says."""

from dataclasses import replace
from typing import Any

import pytest

from callwright.integrations.elevenlabs.conftest import Build, Vault
from callwright.integrations.elevenlabs.simulator import Agent, ElevenLabsSimulator
from callwright.integrations.elevenlabs.simulator.agents import (
    default_conversation_config,
    default_platform_settings,
)
from callwright.ports.operations import CheckResult, Health, SetupAction, SetupPlan, SetupStep
from callwright.simulation.faults import Fault, FaultKind

PUBLIC = "https://calls.example.com"
ADDRESS = "https://calls.example.com/webhooks/elevenlabs/post-call"
PLAN = SetupPlan(PUBLIC, "wss://calls.example.com", "main", ("agent_new",), apply=True)
SHOW = replace(PLAN, apply=False)


@pytest.fixture
def agent(simulator: ElevenLabsSimulator) -> Agent:
    """An agent as it is when it has just been created in the dashboard."""
    return simulator.add_agent(
        Agent("agent_new", "New", default_conversation_config(), default_platform_settings(), [], 0, 0)
    )


def actions(steps: list[SetupStep]) -> list[tuple[str, SetupAction, bool]]:
    return [(step.name.partition(" ")[0], step.action, step.applied) for step in steps]


def changing(simulator: ElevenLabsSimulator) -> list[str]:
    """The requests that changed something."""
    return [
        item.name
        for item in simulator.traffic.exchanges
        if item.kind == "http" and not item.name.startswith("GET")
    ]


AT_REST = [("webhook", SetupAction.UNCHANGED, False), ("agent", SetupAction.UNCHANGED, False)]


async def test_what_is_missing_is_shown_without_a_change(
    build: Build, simulator: ElevenLabsSimulator, agent: Agent
) -> None:
    steps = await build().setup(SHOW)
    assert actions(steps) == [("webhook", SetupAction.CREATE, False), ("agent", SetupAction.CHANGE, False)]
    assert steps[0].detail == f"for {ADDRESS}"
    for words in (
        "does not send agent_response_correction, client_tool_call, agent_tool_response, vad_score",
        "does not let agent.prompt.prompt be overridden",
        "has no post-call webhook",
        "posts no call_initiation_failure",
    ):
        assert words in steps[1].detail
    assert changing(simulator) == []


async def test_what_is_missing_is_made_once(
    build: Build, simulator: ElevenLabsSimulator, agent: Agent, vault: Vault
) -> None:
    steps = await build().setup(PLAN)
    assert actions(steps) == [("webhook", SetupAction.CREATE, True), ("agent", SetupAction.CHANGE, True)]
    (hook,) = simulator.webhooks.values()
    assert (hook.url, hook.retry, hook.disabled) == (ADDRESS, True, False)
    assert vault.values["elevenlabs", "webhook_secret"] == hook.secret
    attached = agent.platform_settings["workspace_overrides"]["webhooks"]
    assert attached == {
        "post_call_webhook_id": hook.webhook_id,
        "events": ["transcript", "call_initiation_failure"],
    }
    assert "tentative_user_transcript" in agent.conversation_config["conversation"]["client_events"]
    before = changing(simulator)
    assert actions(await build().setup(PLAN)) == AT_REST
    assert changing(simulator) == before
    assert simulator.traffic.violations == []


async def test_formats_follow_the_setting(build: Build, agent: Agent) -> None:
    await build().setup(PLAN)
    steps = await build(ELEVENLABS_AUDIO_FORMAT="ulaw_8000").setup(PLAN)
    assert steps[1].detail == "hears pcm_16000 instead of ulaw_8000; speaks pcm_16000 instead of ulaw_8000"
    assert agent.conversation_config["asr"]["user_input_audio_format"] == "ulaw_8000"
    assert agent.conversation_config["tts"]["agent_output_audio_format"] == "ulaw_8000"


@pytest.mark.parametrize(
    "path, value, words",
    [
        (("conversation_config", "conversation", "client_events"), ["audio"], "does not send interruption"),
        (("conversation_config", "tts", "agent_output_audio_format"), "pcm_44100", "speaks pcm_44100"),
        (
            ("platform_settings", "overrides", "conversation_config_override"),
            {},
            "does not let tts.voice_id be overridden",
        ),
        (("platform_settings", "workspace_overrides"), {}, "has no post-call webhook"),
        (
            ("platform_settings", "workspace_overrides", "webhooks"),
            {"post_call_webhook_id": "wh_other", "events": ["audio"]},
            "has another post-call webhook (wh_other)",
        ),
    ],
)
async def test_drift_is_shown_and_mended(
    build: Build, agent: Agent, path: tuple[str, ...], value: Any, words: str
) -> None:
    agents = build()
    await agents.setup(PLAN)
    place: Any = {
        "conversation_config": agent.conversation_config,
        "platform_settings": agent.platform_settings,
    }
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    shown = await agents.setup(SHOW)
    assert words in shown[1].detail
    assert place[path[-1]] == value
    assert (await agents.setup(PLAN))[1] == replace(shown[1], applied=True)
    assert actions(await agents.setup(PLAN)) == AT_REST


async def test_another_address_takes_another_webhook(
    build: Build, simulator: ElevenLabsSimulator, agent: Agent, vault: Vault
) -> None:
    agents = build()
    await agents.setup(PLAN)
    (old,) = simulator.webhooks
    moved = replace(PLAN, public_url="https://new.example.com/")
    steps = await agents.setup(moved)
    assert [step.action for step in steps] == [SetupAction.CHANGE] * 3
    assert steps[0].detail.startswith(f"{ADDRESS} -> https://new.example.com/webhooks/elevenlabs/post-call")
    (hook,) = simulator.webhooks.values()
    assert hook.webhook_id != old
    assert vault.values["elevenlabs", "webhook_secret"] == hook.secret
    assert actions(await agents.setup(moved)) == AT_REST


async def test_an_old_webhook_in_use_elsewhere_stays(
    build: Build, simulator: ElevenLabsSimulator, agent: Agent
) -> None:
    agents = build()
    await agents.setup(replace(PLAN, agents=("agent_new", "agent_demo")))
    steps = await agents.setup(replace(PLAN, public_url="https://new.example.com"))
    assert steps[-1].detail == "could not be deleted; delete it in the dashboard"
    assert len(simulator.webhooks) == 2


async def test_a_webhook_that_was_switched_off_is_switched_on(
    build: Build, simulator: ElevenLabsSimulator, agent: Agent
) -> None:
    agents = build()
    await agents.setup(PLAN)
    (hook,) = simulator.webhooks.values()
    hook.disabled = True
    assert (await agents.setup(SHOW))[0].action is SetupAction.CHANGE
    assert hook.disabled
    assert (await agents.setup(PLAN))[0].applied
    assert not hook.disabled


async def test_a_webhook_whose_secret_is_lost_is_replaced(
    build: Build, simulator: ElevenLabsSimulator, agent: Agent, vault: Vault
) -> None:
    await build().setup(PLAN)
    (old,) = simulator.webhooks
    vault.values.clear()
    steps = await build().setup(PLAN)
    assert "secret of the one there is not known" in steps[0].detail
    (hook,) = simulator.webhooks.values()
    assert hook.webhook_id != old
    assert vault.values["elevenlabs", "webhook_secret"] == hook.secret


async def test_a_webhook_with_a_secret_of_the_operator_is_taken_as_it_is(
    build: Build, simulator: ElevenLabsSimulator, agent: Agent, vault: Vault
) -> None:
    await build().setup(PLAN)
    (hook,) = simulator.webhooks.values()
    vault.values.clear()
    steps = await build(ELEVENLABS_WEBHOOK_SECRET=hook.secret).setup(PLAN)
    assert actions(steps) == AT_REST


async def test_an_unknown_agent_is_told_and_the_others_are_mended(build: Build, agent: Agent) -> None:
    steps = await build().setup(replace(PLAN, agents=("agent_gone", "agent_new")))
    assert [step.applied for step in steps] == [True, False, True]
    assert "the workspace does not know it" in steps[1].detail


async def test_without_a_public_address_there_is_no_webhook(
    build: Build, simulator: ElevenLabsSimulator, agent: Agent
) -> None:
    steps = await build().setup(replace(PLAN, public_url=""))
    assert "polling only" in steps[0].detail
    assert simulator.webhooks == {}
    assert "webhook" not in steps[1].detail


def line(results: list[CheckResult], name: str) -> CheckResult:
    return next(result for result in results if result.name.startswith(name))


async def test_a_healthy_workspace(build: Build, agent: Agent) -> None:
    agents = build(PUBLIC)
    await agents.setup(PLAN)
    results = await agents.check()
    assert [(result.name, result.health) for result in results] == [
        ("API key", Health.OK),
        ("credits", Health.OK),
        ("webhook", Health.OK),
        ("agent agent_new", Health.OK),
    ]
    assert line(results, "agent").detail == "hears pcm_16000, speaks pcm_16000"
    assert line(results, "credits").detail == "80000 left (plan pro)"


async def test_before_the_set_up(build: Build) -> None:
    results = await build(PUBLIC).check()
    assert line(results, "webhook").health is Health.WARNING
    assert line(results, "agents").detail == "none was set up yet"
    assert all(result.remedy for result in results if result.health is not Health.OK)


async def test_a_wrong_key(build: Build, simulator: ElevenLabsSimulator) -> None:
    (result,) = await build(ELEVENLABS_API_KEY="sk_wrong_key").check()
    assert result.health is Health.FAILED
    assert "invalid_api_key" in result.detail
    assert "sk_wrong_key" not in repr(result)


async def test_no_connection(build: Build) -> None:
    (result,) = await build(ELEVENLABS_BASE_URL="http://127.0.0.1:9").check()
    assert (result.health, result.remedy) == (Health.FAILED, "Check ELEVENLABS_BASE_URL and the network.")


@pytest.mark.parametrize(
    "change, health, words",
    [
        ({"credits_used": 99_999}, Health.FAILED, "1 left (plan pro), at least 500 are needed"),
        ({"extension": "unlimited"}, Health.OK, "no limit (plan pro)"),
        ({"status": "past_due"}, Health.WARNING, "the plan pro is past_due"),
        ({"permissions": {"convai_read"}}, Health.WARNING, "the key lacks user_read"),
    ],
)
async def test_credits(
    build: Build, simulator: ElevenLabsSimulator, change: dict[str, Any], health: Health, words: str
) -> None:
    for name, value in change.items():
        setattr(simulator.account, name, value)
    result = line(await build().check(), "credits")
    assert result.health is health
    assert words in result.detail


async def test_agents_that_cannot_hold_calls(
    build: Build, simulator: ElevenLabsSimulator, agent: Agent
) -> None:
    agents = build(PUBLIC)
    await agents.setup(PLAN)
    agent.conversation_config["tts"]["agent_output_audio_format"] = "pcm_8000"
    assert line(await agents.check(), "agent").health is Health.WARNING
    agent.conversation_config["conversation"]["client_events"] = ["ping"]
    assert line(await agents.check(), "agent").health is Health.FAILED
    simulator.remove_agent("agent_new")
    result = line(await agents.check(), "agent")
    assert result.health is Health.FAILED
    assert "ELEVENLABS_BASE_URL" in result.detail


async def test_the_webhooks_state(build: Build, simulator: ElevenLabsSimulator, agent: Agent) -> None:
    agents = build(PUBLIC)
    await agents.setup(PLAN)
    (hook,) = simulator.webhooks.values()
    hook.disabled = True
    assert line(await agents.check(), "webhook").detail == f"{ADDRESS} is switched off"
    simulator.account.permissions.discard("workspace_webhooks")
    assert line(await agents.check(), "webhook").remedy == "Let the key read workspace webhooks."
    simulator.faults.add(Fault("GET /v1/convai/agents/*", FaultKind.STATUS, times=3))
    assert line(await agents.check(), "agent").health is Health.FAILED
