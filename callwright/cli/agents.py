"""`callwright agents`: bring agents in, look at them, check them."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callwright.cli.output import print_json, report_problems, say, table
from callwright.domain.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from callwright.domain.agent import AgentDefinition

app = typer.Typer(help="Who speaks, what it finds out, and where the answers go.", no_args_is_help=True)

_Files = Annotated[list[Path], typer.Argument(help="YAML files, one agent in each document.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_LARGEST_FILE = 1024 * 1024


@app.command("import")
def import_(files: _Files) -> None:
    """Check and store agents, all or none of them.

    Other content than before becomes the next version; calls keep the version they were created with.
    """
    asyncio.run(_import(files))


@app.command("check")
def check(files: _Files) -> None:
    """Check agents without storing them.

    They are compared with what is configured and with the CRM's fields.
    """
    asyncio.run(_check(files))


@app.command("list")
def listing(as_json: _Json = False) -> None:
    """List all agents that are not archived."""
    asyncio.run(_list(as_json))


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="The agent's name.")],
    version: Annotated[int | None, typer.Option(help="By default the newest.", min=1)] = None,
    as_json: _Json = False,
) -> None:
    """Print an agent as YAML, as it can be imported."""
    asyncio.run(_show(name, version, as_json))


@app.command("archive")
def archive(name: Annotated[str, typer.Argument(help="The agent's name.")]) -> None:
    """Keep an agent from new calls; importing it undoes that."""
    asyncio.run(_archive(name))


async def _import(files: list[Path]) -> None:
    from callwright.cli.workshop import configure, open_workshop

    definitions = read_definitions(files)
    async with open_workshop(configure()) as workshop:
        for definition in definitions:
            await workshop.agents.check(definition)
        for definition in definitions:
            version, warnings = await workshop.agents.put(definition)
            say(f"{definition.name}: version {version}")
            report_problems(warnings, style="yellow")


async def _check(files: list[Path]) -> None:
    from callwright.cli.workshop import configure, open_workshop

    definitions = read_definitions(files)
    async with open_workshop(configure()) as workshop:
        for definition in definitions:
            warnings = await workshop.agents.check(definition)
            say(f"{definition.name}: usable" + (", as far as could be checked" if warnings else ""))
            report_problems(warnings, style="yellow")


async def _list(as_json: bool) -> None:
    from callwright.cli.workshop import configure, open_workshop

    async with open_workshop(configure()) as workshop:
        found = await workshop.agents.listing()
    if as_json:
        print_json(
            [{"version": version, **definition.model_dump(mode="json")} for version, definition in found]
        )
        return
    rows = (
        (
            item.name,
            version,
            item.carrier,
            item.engine.platform,
            item.crm.system if item.crm else "",
            item.description,
        )
        for version, item in found
    )
    table(("agent", "version", "carrier", "platform", "CRM", "description"), rows)


async def _show(name: str, version: int | None, as_json: bool) -> None:
    import yaml

    from callwright.cli.workshop import configure, open_workshop

    async with open_workshop(configure()) as workshop:
        found, definition = await workshop.agents.get(name, version)
    if as_json:
        print_json({"version": found, **definition.model_dump(mode="json")})
        return
    written = definition.model_dump(mode="json", exclude_defaults=True)
    say(f"# version {found}")
    say(yaml.safe_dump(written, sort_keys=False, allow_unicode=True).rstrip())


async def _archive(name: str) -> None:
    from callwright.cli.workshop import configure, open_workshop

    async with open_workshop(configure()) as workshop:
        await workshop.agents.archive(name)
    say(f"{name} takes no new calls.")


def read_definitions(files: list[Path]) -> "list[AgentDefinition]":
    """The agents in YAML files; raises InvalidInput with every problem of every file."""
    from callwright.domain.agent import parse_agent

    problems: list[Problem] = []
    definitions = []
    for path in files:
        documents = _documents(path, problems)
        for number, document in enumerate(documents, 1):
            where = f"{path} (agent {number})" if len(documents) > 1 else str(path)
            try:
                definitions.append(parse_agent(document))
            except InvalidInput as error:
                problems.extend(
                    Problem(f"{where}: {item.where}", item.what, item.remedy) for item in error.problems
                )
    if problems:
        raise InvalidInput(*problems)
    return definitions


def _documents(path: Path, problems: list[Problem]) -> list[Any]:
    import yaml

    try:
        if path.stat().st_size > _LARGEST_FILE:
            problems.append(Problem(str(path), "is larger than 1 MiB."))
            return []
        documents = [
            item for item in yaml.safe_load_all(path.read_text(encoding="utf-8")) if item is not None
        ]
    except OSError as error:
        problems.append(Problem(str(path), f"cannot be read ({error.strerror})."))
    except UnicodeDecodeError:
        problems.append(Problem(str(path), "is not UTF-8 text.", "Save it as UTF-8."))
    except yaml.YAMLError as error:
        problems.append(Problem(str(path), f"is not YAML: {error}."))
    else:
        if not documents:
            problems.append(Problem(str(path), "is empty.", "Start with `name: my-agent`."))
        return documents
    return []
