"""One application for all tests of this folder, on each database."""

import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import psycopg
import pytest
import pytest_asyncio
import structlog

from callwright.api.application import Api
from callwright.toolkit.logs import configure_logs
from tests.api.site import Site
from tests.databases import KINDS, postgres_server, postgres_url
from tests.scenarios.stage import ANSWERS, Stage, StageOptions

__all__ = ["postgres_server"]

PERSON = "+447700900201"
TALKER = "+447700900202"
BUSY = "+447700900203"


@pytest_asyncio.fixture(scope="package", loop_scope="package", params=KINDS)
async def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """The application on a port of its own, with every vendor simulated."""
    people = {PERSON: ANSWERS, TALKER: {**ANSWERS, "replies": []}, BUSY: {"manner": "busy"}}
    options = StageOptions(database_url="" if request.param == "sqlite" else _new_database(request))
    with _errors_alone():
        async with Stage(tmp_path_factory.mktemp("site"), people, options) as stage:
            api = stage.server._config.app
            assert isinstance(api, Api)
            opened = Site(stage, api)
            try:
                yield opened
            finally:
                api.close_streams()
                await opened.close()


@contextmanager
def _errors_alone() -> Iterator[None]:
    """Log errors alone, and leave logging as it was: other tests read logs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logs("ERROR")
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)


def _new_database(request: pytest.FixtureRequest) -> str:
    server: str = request.getfixturevalue("postgres_server")
    name = f"api_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}".encode())
    return postgres_url(server, name)
