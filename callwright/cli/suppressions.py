"""`callwright suppressions`: numbers that must not be called."""

from typing import Annotated
from urllib.parse import quote

import typer

from callwright.cli.options import Json, Server, spread
from callwright.cli.output import moment, print_json, say, table

app = typer.Typer(help="Numbers that must not be called.", no_args_is_help=True)

_Phone = Annotated[str, typer.Argument(help="The number, for example +447700900123.")]


@app.command("list")
@spread
def listing(
    server: Server,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1_000_000)] = 100,
    as_json: Json = False,
) -> None:
    """List suppressed numbers, in the order of the numbers."""
    with server.connect() as client:
        found = list(client.pages("/suppressions", limit))
    if as_json:
        print_json(found)
        return
    rows = (
        (
            item["phone"],
            item["reason"],
            item["source"],
            moment(item["created_at"]),
            moment(item["expires_at"]) or "never",
            item["evidence"],
        )
        for item in found
    )
    table(("number", "reason", "source", "since (UTC)", "ends", "evidence"), rows)


@app.command("add")
@spread
def add(
    phone: _Phone,
    server: Server,
    reason: Annotated[str, typer.Option(help="Why, in words.")],
    evidence: Annotated[str, typer.Option(help="Where that can be looked up.")] = "",
    until: Annotated[
        str | None, typer.Option(help="When it ends, such as 2027-01-01T00:00:00Z; by default never.")
    ] = None,
) -> None:
    """Never call this number, or not until a moment. What lasts longer already stands."""
    body = {"reason": reason, "evidence": evidence, "expires_at": until}
    with server.connect() as client:
        found = client.put(_path(phone), {name: value for name, value in body.items() if value is not None})
    ends = f"until {moment(found['expires_at'])} UTC" if found["expires_at"] else "for good"
    say(f"{found['phone']} is not called, {ends}: {found['reason']}")


@app.command("remove")
@spread
def remove(phone: _Phone, server: Server) -> None:
    """Let a number be called again; only if the person wants it."""
    with server.connect() as client:
        client.delete(_path(phone))
    say(f"{phone} may be called again.")


def _path(phone: str) -> str:
    return f"/suppressions/{quote(phone, safe='')}"
