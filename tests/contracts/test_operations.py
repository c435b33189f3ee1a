"""Every integration in every role: checking changes nothing, and setting up twice is setting up once."""

from collections.abc import AsyncIterator

import pytest

from callwright.ports.operations import CheckResult, Health, SetupAction, SetupStep
from callwright.registry import IntegrationSpec, Role, integrations
from callwright.simulation.faults import Fault, FaultKind
from tests.contracts.agents_stage import AgentsStage
from tests.contracts.carrier_stage import CarrierStage
from tests.contracts.crm_stage import CrmStage
from tests.contracts.leaks import Leaks
from tests.contracts.stage import Stage

STAGES: dict[Role, type[CarrierStage | AgentsStage | CrmStage]] = {
    Role.CARRIER: CarrierStage,
    Role.VOICE_AGENTS: AgentsStage,
    Role.CRM: CrmStage,
}
FILLED = [(spec, role) for _, spec in sorted(integrations().items()) for role in spec.roles]
OFTEN = 200


@pytest.fixture(params=FILLED, ids=[f"{spec.name}-{role}" for spec, role in FILLED])
async def stage(request: pytest.FixtureRequest, leaks: Leaks) -> AsyncIterator[Stage]:
    """Each integration in each of its roles; not set up yet."""
    found: tuple[IntegrationSpec, Role] = request.param
    spec, role = found
    opened = STAGES[role](spec, leaks)
    await opened.open()
    try:
        yield opened
        opened.assert_nothing_leaked()
    finally:
        await opened.close()


def shown(steps: list[SetupStep]) -> list[tuple[str, SetupAction, bool]]:
    """What matters of steps."""
    return [(step.name, step.action, step.applied) for step in steps]


def test_every_role_has_a_stage() -> None:
    assert set(STAGES) == set(Role)


async def test_an_adapter_is_closed_without_having_done_anything(stage: Stage) -> None:
    await stage.another().close()
    assert stage.requests() == []


async def test_a_plan_that_is_not_applied_changes_nothing(stage: Stage) -> None:
    await stage.port.check()  # whatever token is needed is there from now on
    stage.mark()
    steps = await stage.port.setup(stage.plan(apply=False))
    assert steps, "set-up that looks at nothing cannot tell that something is missing"
    assert [item.name for item in stage.requests(reads=False)] == []
    assert not any(step.applied for step in steps)
    assert shown(await stage.port.setup(stage.plan(apply=False))) == shown(steps)


async def test_applying_twice_changes_nothing_the_second_time(stage: Stage) -> None:
    planned = await stage.port.setup(stage.plan(apply=False))
    applied = await stage.port.setup(stage.plan())
    assert [step.name for step in planned if step.action is not SetupAction.UNCHANGED] == [
        step.name for step in applied if step.action is not SetupAction.UNCHANGED
    ], "what is done is what was shown"
    assert all(step.applied for step in applied if step.action is not SetupAction.UNCHANGED)
    stage.mark()
    for port in (stage.port, stage.another()):
        again = await port.setup(stage.plan())
        assert {step.action for step in again} == {SetupAction.UNCHANGED}, shown(again)
    assert [item.name for item in stage.requests(reads=False)] == []
    stage.assert_no_violations()


async def test_drift_is_shown_and_mended(stage: Stage) -> None:
    first = await stage.port.setup(stage.plan())
    elsewhere = "http://127.0.0.1:9"
    if all(step.action is SetupAction.UNCHANGED for step in first):
        pytest.skip(f"{stage.spec.name} sets nothing up at the vendor")
    moved = await stage.port.setup(stage.plan(apply=False, public_url=elsewhere))
    drifted = [step for step in moved if step.action is not SetupAction.UNCHANGED]
    assert drifted
    assert all(step.detail for step in drifted), "each step tells what differs"
    await stage.port.setup(stage.plan(public_url=elsewhere))
    back = await stage.port.setup(stage.plan())
    assert any(step.applied for step in back)
    assert {step.action for step in await stage.port.setup(stage.plan())} == {SetupAction.UNCHANGED}


async def test_a_set_up_integration_passes_its_check(stage: Stage) -> None:
    await stage.set_up()
    before = await stage.port.setup(stage.plan(apply=False))
    results: list[CheckResult] = await stage.port.check()
    failed = [result for result in results if result.health is Health.FAILED]
    assert results
    assert failed == []
    assert all(result.name and result.detail for result in results)
    assert shown(await stage.port.setup(stage.plan(apply=False))) == shown(before), "a check changes nothing"


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
async def test_a_check_that_fails_says_what_to_do(stage: Stage, status: int) -> None:
    stage.fault(Fault("", FaultKind.STATUS, OFTEN, status=status))
    results: list[CheckResult] = await stage.port.check()
    failed = [result for result in results if result.health is Health.FAILED]
    assert failed, f"{stage.spec.name} sees nothing wrong when everything is answered {status}"
    assert all(result.remedy for result in failed), failed
    stage.leaks.said += [repr(results)]


async def test_a_check_of_a_vendor_that_is_gone_says_so(stage: Stage) -> None:
    stage.fault(Fault("", FaultKind.DROP_BEFORE, OFTEN))
    results: list[CheckResult] = await stage.port.check()
    assert any(result.health is Health.FAILED for result in results)


async def test_nothing_that_is_shown_holds_a_secret(stage: Stage) -> None:
    stage.leaks.said += [repr(await stage.port.setup(stage.plan(apply=False)))]
    stage.leaks.said += [repr(await stage.port.setup(stage.plan()))]
    stage.leaks.said += [repr(await stage.port.check()), repr(stage.configuration), str(stage.configuration)]
    for _, settings in stage.configuration.integrations.values():
        stage.leaks.said += [repr(settings), str(settings), repr(settings.model_dump())]
