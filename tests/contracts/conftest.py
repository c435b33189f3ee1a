"""A stage for each integration that the registry finds, by role; what was said on it is searched for secrets."""

from collections.abc import AsyncIterator, Iterator

import pytest
import stamina

from callwright.registry import IntegrationSpec, Role, with_role
from tests.contracts.agents_stage import AgentsStage
from tests.contracts.carrier_stage import CarrierStage
from tests.contracts.crm_stage import CrmStage
from tests.contracts.leaks import Leaks


def _named(spec: IntegrationSpec) -> str:
    return spec.name


@pytest.fixture(autouse=True)
def no_waits_between_repeats() -> Iterator[None]:
    """Requests that are repeated are repeated at once, as often as ever."""
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def leaks() -> Iterator[Leaks]:
    """Everything that is logged and said."""
    found = Leaks()
    with found.listening():
        yield found


@pytest.fixture(params=with_role(Role.CARRIER), ids=_named)
async def carrier(request: pytest.FixtureRequest, leaks: Leaks) -> AsyncIterator[CarrierStage]:
    """Each carrier; not set up yet."""
    stage = CarrierStage(request.param, leaks)
    await stage.open()
    try:
        yield stage
        stage.assert_nothing_leaked()
    finally:
        await stage.close()


@pytest.fixture(params=with_role(Role.VOICE_AGENTS), ids=_named)
async def agents(request: pytest.FixtureRequest, leaks: Leaks) -> AsyncIterator[AgentsStage]:
    """Each platform of voice agents; not set up yet."""
    stage = AgentsStage(request.param, leaks)
    await stage.open()
    try:
        yield stage
        stage.assert_nothing_leaked()
    finally:
        await stage.close()


@pytest.fixture(params=with_role(Role.CRM), ids=_named)
async def crm(request: pytest.FixtureRequest, leaks: Leaks) -> AsyncIterator[CrmStage]:
    """Each CRM."""
    stage = CrmStage(request.param, leaks)
    await stage.open()
    try:
        yield stage
        stage.assert_nothing_leaked()
    finally:
        await stage.close()
