"""Fixtures of the scenarios: the databases."""

from tests.databases import database, database_url, open_database, postgres_server

__all__ = ["database", "database_url", "open_database", "postgres_server"]
