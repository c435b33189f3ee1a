"""What the probes tell while the database is away: a real one, which lets nobody in for a while."""

import asyncio
import re
import time
import uuid
from pathlib import Path

import httpx2
import psycopg

from tests.databases import postgres_url
from tests.scenarios.stage import Stage, StageOptions


async def test_figures_are_told_while_the_database_is_away(tmp_path: Path, postgres_server: str) -> None:
    """Whoever watches has to see the process, and that its database is away."""
    name = f"away_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        options = StageOptions(database_url=postgres_url(postgres_server, name))
        async with (
            Stage(tmp_path, {}, options) as stage,
            httpx2.AsyncClient(
                base_url=f"http://127.0.0.1:{stage.port}", timeout=20, trust_env=False
            ) as http,
        ):
            assert await _figure(http, "callwright_database_up") == 1
            assert await _figure(http, 'callwright_calls{state="queued"}') == 0
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
            try:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
                )
                assert await _figure(http, "callwright_database_up") == 0
                assert await _figure(http, 'callwright_calls{state="queued"}') is None
                assert await _figure(http, "process_open_fds") is not None
                ready = await http.get("/ready")
                assert ready.status_code == 503
                assert "database" in {item["where"] for item in ready.json()["errors"]}
                assert (await http.get("/health")).status_code == 200
                problem = await http.get("/api/v1/calls", headers={"authorization": "Bearer cw_x"})
                assert (problem.status_code, problem.headers["retry-after"]) == (503, "5")
                assert problem.json()["type"] == "/problems/busy"
                assert name not in problem.text
            finally:
                admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
            deadline = time.monotonic() + 30
            while await _figure(http, "callwright_database_up") != 1:
                assert time.monotonic() < deadline, "it does not come back"
                await asyncio.sleep(0.1)
            assert await _figure(http, 'callwright_calls{state="queued"}') == 0


async def _figure(http: httpx2.AsyncClient, name: str) -> float | None:
    response = await http.get("/metrics")
    assert response.status_code == 200, response.text
    found = re.search(rf"^{re.escape(name)} (\S+)$", response.text, re.MULTILINE)
    return float(found[1]) if found else None
