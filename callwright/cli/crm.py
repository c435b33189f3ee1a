"""`callwright crm`: what the CRM knows, whether an agent's mapping fits, and what is written to it again."""

import asyncio
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from callwright.cli.options import Json, Server, spread
from callwright.cli.output import print_json, report_problems, say, table, warn
from callwright.domain.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from callwright.cli.workshop import Workshop
    from callwright.domain.agent import AgentDefinition, CrmMapping
    from callwright.ports.crm import CrmRecord

app = typer.Typer(help="What the CRM knows, and whether an agent's mapping fits.", no_args_is_help=True)

_Crm = Annotated[str, typer.Option(help="Which CRM, where several are configured.")]
_Fields = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="A field to show; repeat for several.")
]


@app.command("fields")
def fields(
    module: Annotated[str, typer.Argument(help="The CRM's kind of record, such as Leads.")],
    crm: _Crm = "",
    as_json: Json = False,
) -> None:
    """List the fields of a module, as mappings name them."""
    asyncio.run(_fields(module, crm, as_json))


@app.command("find")
def find(
    phone: Annotated[str, typer.Argument(help="The number, for example +447700900123.")],
    module: Annotated[str, typer.Option(help="The kind of record.")] = "Leads",
    field: _Fields = None,
    crm: _Crm = "",
    as_json: Json = False,
) -> None:
    """Find the records that have a number, in any of their phone fields."""
    asyncio.run(_find(phone, module, tuple(field or ()), crm, as_json))


@app.command("query")
def query(
    condition: Annotated[
        str, typer.Argument(help="In the CRM's own query language, such as \"Lead_Source = 'Web'\".")
    ],
    module: Annotated[str, typer.Option(help="The kind of record.")] = "Leads",
    field: _Fields = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10_000)] = 20,
    crm: _Crm = "",
    as_json: Json = False,
) -> None:
    """List the records that meet a condition: whom would these calls go to?"""
    asyncio.run(_query(condition, module, tuple(field or ()), limit, crm, as_json))


@app.command("rewrite")
@spread
def rewrite(call_id: Annotated[str, typer.Argument(help="The call's id.")], server: Server) -> None:
    """Write to the CRM again what it did not take of a finished call.

    The running server does it. What the CRM has taken is not written twice.
    """
    with server.connect() as client:
        found = client.post(f"/calls/{quote(call_id, safe='')}/crm")
    say(f"{found['id']}  is being written again; `callwright calls show {found['id']}` tells the result")


@app.command("test-mapping")
def try_mapping(
    agent: Annotated[str, typer.Argument(help="The agent's name.")],
    record: Annotated[
        str, typer.Option(help="Read this record, and show what the agent would be told.")
    ] = "",
) -> None:
    """Check an agent's mapping, or try it on a record.

    It is compared with the CRM's fields; with --record, the record is read and shown as the agent would be told.
    Writes nothing.
    """
    asyncio.run(_test_mapping(agent, record))


async def _find(phone: str, module: str, names: tuple[str, ...], crm: str, as_json: bool) -> None:
    from callwright.cli.workshop import configure, open_workshop
    from callwright.domain.phone import to_e164

    configuration = configure()
    number = to_e164(phone, configuration.settings.default_region)
    async with open_workshop(configuration) as workshop:
        found = await workshop.directory.crm(crm or _only_crm(workshop)).find_by_phone(module, number)
    _show(found, names, as_json)


async def _query(
    condition: str, module: str, names: tuple[str, ...], limit: int, crm: str, as_json: bool
) -> None:
    from callwright.cli.workshop import configure, open_workshop

    async with open_workshop(configure()) as workshop:
        asked = workshop.directory.crm(crm or _only_crm(workshop))
        found = await asked.query(module, condition, names, limit)
    _show(found, names, as_json)


def _show(found: "list[CrmRecord]", names: tuple[str, ...], as_json: bool) -> None:
    """Records with the named fields, or with all that are filled."""
    chosen = [
        {name: value for name, value in item.values.items() if name in names or (not names and value)}
        for item in found
    ]
    if as_json:
        print_json([{"id": item.record_id, **values} for item, values in zip(found, chosen, strict=True)])
        return
    if not found:
        warn("There is no such record.")
        return
    rows = (
        (item.record_id, *(values.get(name) for name in names))
        if names
        else (item.record_id, ", ".join(f"{name}: {value}" for name, value in values.items()))
        for item, values in zip(found, chosen, strict=True)
    )
    table(("record", *(names or ("fields",))), rows)


async def _fields(module: str, crm: str, as_json: bool) -> None:
    from callwright.cli.workshop import configure, open_workshop

    async with open_workshop(configure()) as workshop:
        found = await workshop.directory.crm(crm or _only_crm(workshop)).fields(module)
    names = ("name", "label", "type", "writable", "required", "max_length", "options")
    if as_json:
        print_json([{name: getattr(field, name) for name in (*names, "is_phone")} for field in found])
        return
    rows = (
        (
            field.name,
            field.label,
            field.type + (" (phone)" if field.is_phone else ""),
            "yes" if field.writable else "no",
            "yes" if field.required else "",
            field.max_length,
            ", ".join(field.options),
        )
        for field in sorted(found, key=lambda field: field.name)
    )
    table(("field", "label", "type", "writable", "required", "longest", "options"), rows)


async def _test_mapping(name: str, record_id: str) -> None:
    from callwright.cli.workshop import configure, open_workshop

    async with open_workshop(configure()) as workshop:
        _, agent = await workshop.agents.get(name)
        if agent.crm is None:
            raise InvalidInput(
                Problem("crm", f"agent {name!r} has no CRM mapping.", "Add a `crm` section to it.")
            )
        problems = await workshop.directory.crm(agent.crm.system).mapping_problems(agent)
        if problems:
            raise InvalidInput(*problems)
        say(f"The mapping of {name} fits the fields of {agent.crm.module} in {agent.crm.system}.")
        if record_id:
            await _try_record(workshop, agent, agent.crm, record_id)


async def _try_record(
    workshop: "Workshop", agent: "AgentDefinition", mapping: "CrmMapping", record_id: str
) -> None:
    from callwright.calls.preparing import prepare
    from callwright.domain.attempt import Attempt, CrmReference
    from callwright.domain.states import CallState

    now = workshop.clock.now()
    attempt = Attempt(
        id="not-a-call",
        agent_name=agent.name,
        agent_version=0,
        carrier=agent.carrier,
        engine=agent.engine.platform,
        state=CallState.QUEUED,
        revision=0,
        source="test",
        created_at=now,
        not_before=now,
        crm=CrmReference(mapping.system, mapping.module, record_id),
    )
    prepared = await prepare(attempt, agent, workshop.directory, workshop.settings.default_region)
    say(f"It would call {prepared.phone} and be told:")
    sources = mapping.variables
    table(
        ("variable", "from", "value"),
        [(name, sources.get(name, "default"), value) for name, value in prepared.variables.items()],
    )
    unset = [name for name, value in prepared.variables.items() if value is None]
    if unset:
        missing = (Problem(f"variables.{name}", "has no value in this record.") for name in unset)
        report_problems(missing, style="yellow")


def _only_crm(workshop: "Workshop") -> str:
    from callwright.registry import Role

    names = workshop.directory.names(Role.CRM)
    if len(names) == 1:
        return names[0]
    have = (
        f"Configured are: {', '.join(names)}." if names else "None is configured; see `callwright settings`."
    )
    raise InvalidInput(Problem("--crm", "has to name the CRM.", have))
