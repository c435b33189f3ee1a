"""The database: tables, queries, migrations, durable workflows and secrets, on SQLite or PostgreSQL."""
