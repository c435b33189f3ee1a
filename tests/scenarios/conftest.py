"""Fixtures of the scenarios: the databases. Marks for what a process that is cut off leaves behind."""

import pytest

from tests.databases import database, database_url, open_database, postgres_server

__all__ = ["database", "database_url", "open_database", "postgres_server"]

_CUT_OFF = (
    # A task that is cancelled while it opens a connection to SQLite leaves that to the collector, whichever test
    # runs then; its thread answers a loop that is closed.
    "ignore:Exception ignored in. <function Connection.__del__:pytest.PytestUnraisableExceptionWarning",
    "ignore:Exception in thread Thread-.*_connection_worker_thread:pytest.PytestUnhandledThreadExceptionWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything else that is left open still fails."""
    for item in items:
        if item.nodeid.startswith("tests/scenarios/"):
            for entry in _CUT_OFF:
                item.add_marker(pytest.mark.filterwarnings(entry))
