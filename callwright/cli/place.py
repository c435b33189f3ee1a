"""`callwright call`: place one call, and follow it."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callwright.cli.hold import tell_hold
from callwright.cli.options import Following, Json, Server, spread
from callwright.cli.output import moment, plain, print_json, say, warn
from callwright.domain.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from callwright.cli.client import Client

_POLL_S = 0.5


@spread
def call(
    agent: Annotated[str, typer.Argument(help="The agent's name.")],
    following: Following,
    server: Server,
    record: Annotated[str, typer.Option(help="Call this record of the agent's CRM.")] = "",
    phone: Annotated[str, typer.Option(help="Call this number, for example +447700900123.")] = "",
    var: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A variable of the agent; repeat.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A tag that stays with the call; repeat.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Place a call to a CRM record or a number.

    The running server places it as soon as the rules allow. With --wait this command prints what happens and what is
    said, and exits with 1 unless the call was completed.
    """
    body = {
        "agent": agent,
        "record": record or None,
        "phone": phone or None,
        "variables": _pairs("--var", var or []),
        "tags": _pairs("--tag", tag or []),
    }
    with server.connect() as client:
        placed = client.post("/calls", {name: value for name, value in body.items() if value})
        tell_hold(client)
        if not as_json:
            say(f"{placed['id']}  {placed['state']}, not before {moment(placed['not_before'])} UTC")
        if following.wait:
            _follow(client, placed["id"], following.wait_limit, as_json)
        elif as_json:
            print_json(placed)


def _pairs(option: str, given: list[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise InvalidInput(Problem(option, f"{text!r} is not name=value."))
        pairs[name] = value
    return pairs


def _follow(client: "Client", call_id: str, limit_s: int, as_json: bool) -> None:
    """Print states and utterances as they come; a call is polled, since it must be seen through any proxy."""
    seen = _Seen(quiet=as_json)
    deadline = time.monotonic() + limit_s
    try:
        while True:
            found = client.get(f"/calls/{call_id}")
            seen.events(client.get(f"/calls/{call_id}/events")["items"])
            seen.lines(client.get(f"/calls/{call_id}/transcript")["items"])
            if found["state"] == "done":
                break
            if time.monotonic() > deadline:
                warn(f"Call {call_id} goes on; follow it with `callwright calls show {call_id}`.")
                raise typer.Exit(1)
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        warn(f"Call {call_id} goes on; end it with `callwright calls hang-up {call_id}`.")
        raise
    if as_json:
        print_json(found)
    else:
        _conclude(found)
    if found["end_reason"] != "completed":
        raise typer.Exit(1)


class _Seen:
    """What was printed already."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._events = 0
        self._lines: dict[str, str] = {}

    def events(self, items: list[dict[str, Any]]) -> None:
        """Print new changes of state, and what the gate decided."""
        for item in items[self._events :]:
            data = item["data"]
            if item["kind"] == "state":
                detail = " ".join(str(data[name]) for name in ("end_reason", "end_detail") if data.get(name))
                self._print(item, data["to"] + (f" ({detail})" if detail else ""), "cyan")
            elif item["kind"] == "gate" and data.get("verdict") != "allow":
                until = f" until {moment(data['until'])} UTC" if data.get("until") else ""
                self._print(item, f"gate: {data.get('verdict')}{until}: {_reasons(data)}", "yellow")
            elif item["kind"] == "deferred":
                self._print(item, f"put off until {moment(data['until'])} UTC: {data['why']}", "yellow")
        self._events = len(items)

    def lines(self, items: list[dict[str, Any]]) -> None:
        """Print new utterances, and those that were corrected."""
        for item in items:
            before = self._lines.get(item["key"])
            if before == item["text"]:
                continue
            self._lines[item["key"]] = item["text"]
            cut = " (interrupted)" if item["interrupted"] else ""
            at = f"{item['at_ms'] // 60_000:02d}:{item['at_ms'] // 1000 % 60:02d}"
            corrected = "" if before is None else " (corrected)"
            if not self._quiet:
                say(f"   {at}  {item['speaker']}: {item['text']}{cut}{corrected}")

    def _print(self, item: dict[str, Any], text: str, style: str) -> None:
        if not self._quiet:
            say(f"{moment(item['at'])}  {text}", style)


def _reasons(data: dict[str, Any]) -> str:
    """What keeps the call back; rules that allow it are left out."""
    return "; ".join(item["detail"] for item in data["reasons"] if item["verdict"] != "allow")


def _conclude(found: dict[str, Any]) -> None:
    detail = f": {found['end_detail']}" if found["end_detail"] else ""
    lasted = f" after {found['duration_s']:.0f} s" if found["duration_s"] else ""
    say(f"{found['end_reason']}{detail}{lasted}, CRM {found['crm_state']}", "bold")
    for name, value in found["collected"].items():
        say(f"   {name} = {plain(value)}")
    if found["missing"]:
        say(f"   not learnt: {', '.join(found['missing'])}")
    if found["summary"]:
        say(f"   {found['summary']}")
