"""`callwright hold` and `callwright release`: dial nobody, and dial again."""

from typing import TYPE_CHECKING, Annotated

import typer

from callwright.cli.options import Server, spread
from callwright.cli.output import moment, say, warn
from callwright.domain.errors import Forbidden

if TYPE_CHECKING:
    from callwright.cli.client import Client


@spread
def hold(
    server: Server,
    reason: Annotated[str, typer.Option(help="Why; waiting calls tell it.")] = "",
) -> None:
    """Dial nobody until released.

    Holds for every process of the database, and across restarts. Calls that run go on; those that are placed
    meanwhile wait.
    """
    with server.connect() as client:
        found = client.put("/dialing/hold", {"reason": reason} if reason else {})
    say(f"Dialling is on hold since {moment(found['since'])} UTC: {found['reason']}")
    say("`callwright release` ends it.")


@spread
def release(server: Server) -> None:
    """Dial again; waiting calls follow as soon as the rules allow."""
    with server.connect() as client:
        client.delete("/dialing/hold")
    say("Dialling is not on hold: waiting calls are dialled as soon as the rules allow.")


def tell_hold(client: "Client") -> None:
    """Say on standard error that dialling is on hold, if it is and the key may know."""
    try:
        found = client.get("/dialing/hold")
    except Forbidden:
        return
    if found["held"]:
        since = moment(found["since"])
        warn(f"Dialling is on hold since {since} UTC: {found['reason']}. `callwright release` ends it.")
