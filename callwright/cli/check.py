"""`callwright check`: does everything that a call needs work, and what to do about what does not."""

import asyncio
import os
import shutil
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callwright.cli.output import console, print_json
from callwright.ports.operations import CheckResult, Health

if TYPE_CHECKING:
    from pathlib import Path

    from callwright.cli.workshop import Workshop
    from callwright.config import Settings

_LIMIT_S = 45.0
_LITTLE_SPACE = 1024**3
_STYLE = {Health.OK: "green", Health.WARNING: "yellow", Health.FAILED: "red"}


@dataclass(frozen=True, slots=True)
class _Line:
    """One result, and which part it is about."""

    part: str
    result: CheckResult


def check(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Test everything that a call needs.

    Credentials, the vendors' set-up, quota, the public address (so let `callwright serve` run), the database and the
    data folder: one line each, with what to do. Exits with 1 when something does not work.
    """
    lines = asyncio.run(_check())
    if as_json:
        print_json([_as_data(line) for line in lines])
    else:
        for line in lines:
            _print(line)
    if any(line.result.health is Health.FAILED for line in lines):
        raise typer.Exit(1)


async def _check() -> list[_Line]:
    from callwright.cli.workshop import configure, open_workshop
    from callwright.domain.errors import ConfigurationError
    from callwright.registry import Role

    configuration = configure(tell_doubts=False)
    lines = [
        _Line("settings", CheckResult(doubt.where, Health.WARNING, doubt.what, doubt.remedy))
        for doubt in configuration.doubts
    ]
    lines.append(_Line("data folder", await asyncio.to_thread(_folder, configuration.settings.data_dir)))
    lines.append(_Line("public address", await _public_address(configuration.settings)))
    try:
        async with open_workshop(configuration) as workshop:
            lines.append(_Line("database", await _database(workshop)))
            lines.extend(_missing(role) for role in Role if not workshop.directory.names(role))
            lines.extend(await _integrations(workshop))
    except ConfigurationError as error:
        lines.extend(
            _Line("database", CheckResult(problem.where, Health.FAILED, problem.what, problem.remedy))
            for problem in error.problems
        )
    return lines


def _folder(folder: "Path") -> CheckResult:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        return _failed("write", error, "Set DATA_DIR to a folder that can be made.")
    if not os.access(folder, os.W_OK | os.X_OK):
        return CheckResult(
            "write",
            Health.FAILED,
            f"{folder} is not writable",
            "Change its owner, or set DATA_DIR to another one.",
        )
    free = shutil.disk_usage(folder).free
    detail = f"{folder.resolve()}, {free / 1024**3:.1f} GiB free"
    if free < _LITTLE_SPACE:
        return CheckResult(
            "space", Health.WARNING, detail, "Make room: an hour of talk takes 230 MB of recordings."
        )
    return CheckResult("write", Health.OK, detail)


async def _public_address(settings: "Settings") -> CheckResult:
    """Ask ourselves by way of the internet."""
    import httpx2

    address = settings.our_base_url
    if not address:
        remedy = "Set OUR_BASE_URL to the https address at which vendors reach this server."
        return CheckResult("OUR_BASE_URL", Health.WARNING, "is not set; real calls need it", remedy)
    name = f"{address}/health"
    try:
        async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
            response = await client.get(name)
    except httpx2.HTTPError as error:
        remedy = "Start `callwright serve`, and see that the address leads to it (DNS, proxy, firewall)."
        return _failed(name, error, remedy)
    if response.status_code != httpx2.codes.OK or not _is_ours(response):
        remedy = "Something else answers there: let the proxy forward to `callwright serve`."
        return CheckResult(
            name, Health.FAILED, f"answered {response.status_code}, not as Callwright does", remedy
        )
    if not address.startswith("https://"):
        return CheckResult(
            name, Health.WARNING, "answers, without encryption", "Vendors want https: use a proxy."
        )
    return CheckResult(name, Health.OK, "leads to a running Callwright")


def _is_ours(response: Any) -> bool:
    try:
        body = response.json()
    except ValueError:
        return False
    return isinstance(body, dict) and body.get("name") == "callwright"


async def _database(workshop: "Workshop") -> CheckResult:
    await workshop.database.ping()
    database = workshop.database
    if database.is_sqlite:
        shown = f"SQLite in {database.url.database}"
    else:
        shown = database.url.set(drivername="postgresql").render_as_string(hide_password=True)
    return CheckResult("answer", Health.OK, f"{shown}, at the newest schema")


def _missing(role: Any) -> _Line:
    from callwright.registry import with_role

    names = ", ".join(spec.name for spec in with_role(role)) or "none"
    remedy = f"`callwright settings NAME` tells what to set; there are: {names}."
    return _Line(
        str(role).replace("_", " "), CheckResult("settings", Health.WARNING, "none is configured", remedy)
    )


async def _integrations(workshop: "Workshop") -> list[_Line]:
    found = workshop.directory.all()
    results = await asyncio.gather(*(_limited(built.check()) for _, _, built in found))
    parts = [f"{name} ({str(role).replace('_', ' ')})" for name, role, _ in found]
    return [_Line(part, result) for part, answers in zip(parts, results, strict=True) for result in answers]


async def _limited(checking: Awaitable[list[CheckResult]]) -> list[CheckResult]:
    from callwright.domain.errors import CallwrightError

    try:
        async with asyncio.timeout(_LIMIT_S):
            return await checking
    except TimeoutError:
        detail = f"did not finish within {_LIMIT_S:.0f} s"
        return [CheckResult("check", Health.FAILED, detail, "Try again; look at the vendor's status page.")]
    except CallwrightError as error:
        return [_failed("check", error, "Look at the settings of this integration.")]


def _failed(name: str, error: Exception, remedy: str) -> CheckResult:
    return CheckResult(name, Health.FAILED, str(error) or type(error).__name__, remedy)


def _as_data(line: _Line) -> dict[str, str]:
    result = line.result
    return {
        "part": line.part,
        "name": result.name,
        "health": str(result.health),
        "detail": result.detail,
        "remedy": result.remedy,
    }


def _print(line: _Line) -> None:
    result = line.result
    console().print(f"{result.health!s:8}", style=_STYLE[result.health], end="")
    remedy = f"  -> {result.remedy}" if result.remedy and result.health is not Health.OK else ""
    console().print(f"{line.part}: {result.name}: {result.detail}{remedy}")
