"""Fixtures of the scenarios: the databases."""

from tests.databases import database_url, postgres_server  # noqa: F401  (pytest finds fixtures by name)
