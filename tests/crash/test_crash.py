"""Eight deaths at chosen moments; `make crash` has all the others."""

import asyncio

import pytest
from rich.console import Console

from tests.crash.databases import Databases
from tests.crash.scenes import boundary_scene, takeover_scene
from tests.crash.season import Kill, Season
from tests.databases import KINDS, postgres_server  # noqa: F401  (a fixture)

DEATHS: dict[str, list[tuple[Kill, str, int]]] = {
    "sqlite": [
        (boundary_scene, "request infobip POST /calls/1/calls after", 2),
        (boundary_scene, "commit calls.journal.Journal._apply after", 5),
        (boundary_scene, "request zoho POST /crm/v8/Calls after", 1),
        (boundary_scene, "step calls.finishing.Finisher.run write not recorded", 2),
    ],
    "postgresql": [
        (boundary_scene, "request zoho PUT /crm/v8/Leads/* after", 1),
        (boundary_scene, "commit calls.inbox.Inbox._store after", 12),
        (takeover_scene, "commit calls.dialing.Dialer._accept after", 3),
        (takeover_scene, "commit calls.journal.Journal._apply after", 5),
    ],
}
"""By database: how it goes on afterwards, the boundary, and at which of its occurrences."""


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("database", KINDS)
async def test_no_death_dials_twice_loses_an_outcome_or_leaves_anybody_on_the_line(
    database: str, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue("postgres_server") if database == "postgresql" else ""
    with Databases(database, server=server) as databases:
        season = Season(databases, Console(width=160), parallel=4, seed=1)
        scenes = await asyncio.gather(
            *(
                season.kill("", database, play, name, occurrence)
                for play, name, occurrence in DEATHS[database]
            )
        )
    problems = [f"{scene.name}: {problem}" for scene in scenes for problem in scene.problems]
    assert not problems, "\n".join(problems)
    assert [scene.name for scene in scenes if not scene.reached] == []
