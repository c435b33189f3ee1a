"""`callwright keys`: who may use the API, and for what."""

import asyncio
from typing import Annotated

import typer

from callwright.cli.output import moment, print_json, say, table
from callwright.domain.errors import InvalidInput, NotFound, Problem
from callwright.domain.scopes import Scope

app = typer.Typer(help="Who may use the API, and for what.", no_args_is_help=True)

_SCOPES = ", ".join(Scope)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is for, so that you know it again.")],
    scope: Annotated[
        list[str], typer.Option(metavar="SCOPE", help=f"What it may do; repeat for several: {_SCOPES}.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make an API key. It is shown once; only its hash is kept."""
    asyncio.run(_create(name, scope, as_json))


@app.command("list")
def listing(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List all keys, the revoked ones too."""
    asyncio.run(_list(as_json))


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, or its name if only one has it.")],
) -> None:
    """Refuse a key from now on."""
    asyncio.run(_revoke(key_id))


async def _create(name: str, scopes: list[str], as_json: bool) -> None:
    from callwright.cli.workshop import configure, open_database
    from callwright.storage import api_keys

    unknown = sorted(set(scopes) - set(Scope))
    if unknown:
        raise InvalidInput(
            *(Problem("--scope", f"{item!r} is not a scope.", f"There are: {_SCOPES}.") for item in unknown)
        )
    if not name.strip() or len(name) > 100:
        raise InvalidInput(Problem("NAME", "is empty or longer than 100 characters."))
    async with open_database(configure().settings) as database, database.write() as conn:
        key, secret = await api_keys.create(conn, name.strip(), scopes, database.clock.now())
    if as_json:
        print_json({"id": key.id, "name": key.name, "scopes": key.scopes, "key": secret})
        return
    say(f"{key.name} ({key.id}): {', '.join(key.scopes)}")
    say(secret, "bold")
    say("Keep it now: nobody can find it out later. Send it as `Authorization: Bearer ...`,")
    say("or set CALLWRIGHT_API_KEY to it for the commands that ask the server, such as `callwright call`.")


async def _list(as_json: bool) -> None:
    from callwright.cli.workshop import configure, open_database
    from callwright.storage import api_keys

    async with open_database(configure().settings) as database, database.read() as conn:
        keys = await api_keys.listing(conn)
    if as_json:
        names = ("id", "name", "scopes", "created_at", "last_used_at", "revoked_at")
        print_json([{name: getattr(key, name) for name in names} for key in keys])
        return
    rows = (
        (
            key.id,
            key.name,
            ", ".join(key.scopes),
            *map(moment, (key.created_at, key.last_used_at, key.revoked_at)),
        )
        for key in keys
    )
    table(("id", "name", "scopes", "created", "last used", "revoked"), rows)


async def _revoke(wanted: str) -> None:
    from callwright.cli.workshop import configure, open_database
    from callwright.storage import api_keys

    async with open_database(configure().settings) as database, database.write() as conn:
        live = [key for key in await api_keys.listing(conn) if key.revoked_at is None]
        found = [key for key in live if key.id == wanted] or [key for key in live if key.name == wanted]
        if not found:
            raise NotFound(
                f"there is no key {wanted!r} that is not revoked; `callwright keys list` shows all"
            )
        if len(found) > 1:
            ids = ", ".join(key.id for key in found)
            raise InvalidInput(
                Problem("KEY_ID", f"{len(found)} keys are named {wanted!r}.", f"Give an id: {ids}.")
            )
        await api_keys.revoke(conn, found[0].id, database.clock.now())
    say(f"{found[0].name} ({found[0].id}) is revoked.")
