"""`callwright calls`: find calls, look at them, end them, take them elsewhere."""

import contextlib
import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from callwright.cli.hold import tell_hold
from callwright.cli.options import Filters, Json, Server, spread
from callwright.cli.output import moment, print_json, say, table
from callwright.domain.errors import InvalidInput, Problem

app = typer.Typer(help="Find calls, look at them, end them, take them elsewhere.", no_args_is_help=True)

_CallId = Annotated[str, typer.Argument(help="The call's id.")]

_PHONE = re.compile(r"^\+\d{7,15}$")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = (
    "id",
    "state",
    "agent",
    "agent_version",
    "source",
    "phone",
    "crm_system",
    "crm_module",
    "crm_record",
    "created_at",
    "dialed_at",
    "answered_at",
    "ended_at",
    "duration_s",
    "first_word_ms",
    "end_reason",
    "end_detail",
    "hang_up_by",
    "successful",
    "opted_out",
    "collected",
    "missing",
    "summary",
    "crm_state",
    "carrier_call_id",
    "conversation_id",
    "tags",
)


@app.command("list")
@spread
def listing(
    filters: Filters,
    server: Server,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10_000)] = 20,
    as_json: Json = False,
) -> None:
    """List calls, newest first."""
    with server.connect() as client:
        found = list(client.pages("/calls", limit, **filters.query()))
        tell_hold(client)
    if as_json:
        print_json(found)
        return
    rows = (
        (
            item["id"],
            item["state"],
            item["agent"]["name"],
            item["phone"] or (item["crm"] or {}).get("record_id"),
            moment(item["created_at"]),
            item["end_reason"],
            None if item["duration_s"] is None else f"{item['duration_s']:.0f} s",
            item["crm_state"],
        )
        for item in found
    )
    table(("call", "state", "agent", "to", "created (UTC)", "outcome", "lasted", "CRM"), rows)


@app.command("show")
@spread
def show(
    call_id: _CallId,
    server: Server,
    events: Annotated[bool, typer.Option("--events", help="Print the log too.")] = False,
    transcript: Annotated[bool, typer.Option("--transcript", help="Print what was said too.")] = False,
    as_json: Json = False,
) -> None:
    """Show everything about a call."""
    with server.connect() as client:
        found = client.get(f"/calls/{call_id}")
        if events:
            found["events"] = client.get(f"/calls/{call_id}/events")["items"]
        if transcript:
            found["transcript"] = client.get(f"/calls/{call_id}/transcript")["items"]
    if as_json:
        print_json(found)
        return
    log, lines = found.pop("events", []), found.pop("transcript", [])
    table(
        ("", ""), [(name, _cell(value)) for name, value in found.items() if value not in (None, "", {}, [])]
    )
    for item in log:
        say(f"{moment(item['at'])}  {item['kind']}  {item['source']}  {_cell(item['data'])}")
    for item in lines:
        say(f"{item['at_ms'] / 1000:7.1f} s  {item['speaker']}: {item['text']}")


@app.command("hang-up")
@spread
def hang_up(call_id: _CallId, server: Server) -> None:
    """End a call, wherever it is."""
    with server.connect() as client:
        found = client.post(f"/calls/{call_id}/hang-up")
    say(f"{found['id']}  {found['state']}; it ends")


@app.command("export")
@spread
def export(
    filters: Filters,
    server: Server,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default the screen.")
    ] = None,
    kind: Annotated[str, typer.Option("--format", help="csv or jsonl.")] = "csv",
) -> None:
    """Write calls to a file, for spreadsheets or programs.

    All calls that match, as a table (csv) or as one JSON object a line (jsonl).
    """
    if kind not in {"csv", "jsonl"}:
        raise InvalidInput(Problem("--format", f"{kind!r} is not a format.", "There are: csv, jsonl."))
    with server.connect() as client, _open(output) as file:
        found = client.pages("/calls", sys.maxsize, **filters.query())
        count = _write_csv(file, found) if kind == "csv" else _write_lines(file, found)
    if output is not None:
        say(f"{count} calls are in {output}.")


@contextlib.contextmanager
def _open(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    try:
        file = path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise InvalidInput(Problem("--output", f"{path} cannot be written ({error.strerror}).")) from error
    with file:
        yield file


def _write_lines(file: TextIO, found: Iterable[dict[str, Any]]) -> int:
    count = 0
    for item in found:
        file.write(json.dumps(item, ensure_ascii=False) + "\n")
        count += 1
    return count


def _write_csv(file: TextIO, found: Iterable[dict[str, Any]]) -> int:
    writer = csv.writer(file)
    writer.writerow(_COLUMNS)
    count = 0
    for item in found:
        crm = item["crm"] or {}
        flat = {
            **item,
            "agent": item["agent"]["name"],
            "agent_version": item["agent"]["version"],
            "crm_system": crm.get("system"),
            "crm_module": crm.get("module"),
            "crm_record": crm.get("record_id"),
        }
        writer.writerow([_harmless(_cell(flat[name])) for name in _COLUMNS])
        count += 1
    return count


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else str(value)


def _harmless(text: str) -> str:
    """Keep a spreadsheet from taking what a person said for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) and not _PHONE.match(text) else text
