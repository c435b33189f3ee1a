"""One application for all tests of this folder."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from callwright.api.application import Api
from callwright.toolkit.logs import configure_logs
from tests.api.site import Site
from tests.scenarios.stage import ANSWERS, Stage

PERSON = "+447700900201"
TALKER = "+447700900202"


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The application on a port of its own, with every vendor simulated."""
    configure_logs("ERROR")
    people = {PERSON: ANSWERS, TALKER: {**ANSWERS, "replies": []}}
    async with Stage(tmp_path_factory.mktemp("site"), people) as stage:
        api = stage.server._config.app
        assert isinstance(api, Api)
        opened = Site(stage, api)
        try:
            yield opened
        finally:
            api.close_streams()
            await opened.close()
