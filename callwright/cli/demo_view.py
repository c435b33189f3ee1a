"""Shows a demo's calls in the terminal while they happen, from the API's live feed."""

import asyncio
import json
import textwrap
from collections.abc import Mapping
from typing import Any

import httpx2
from rich.console import Console
from rich.markup import escape

from callwright.simulation.world import WorldRecord

_PAUSE_S = 0.5
_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "bright_red", "bright_cyan", "bright_magenta")
_SHOWN = frozenset({"ringing", "talking", "unknown"})
_INDENT = 9
"""Columns taken by a name and by the mark of who speaks."""


class DemoView:
    """Prints states and transcript lines, one colour for each person."""

    def __init__(self, console: Console, records: Mapping[str, WorldRecord]) -> None:
        self._console = console
        self._records = records
        self._people: dict[str, str] = {}
        self._outcomes: dict[str, str] = {}
        self._crm: dict[str, str] = {}
        self._done: set[str] = set()
        self._changed = asyncio.Event()
        self._cursor = 0

    @property
    def call_ids(self) -> list[str]:
        """The calls in the order in which they were created."""
        return list(self._people)

    def created(self, call_id: str, record_id: str) -> None:
        """A call was created for a record."""
        record = self._records[record_id]
        colour = _COLOURS[len(self._people) % len(_COLOURS)]
        self._people[call_id] = f"[{colour}]{escape(f'{record.first_name:>6}')}[/]"

    async def until_done(self, count: int) -> None:
        """Wait until so many calls are done; the caller sets the time limit."""
        while len(self._done) < count:
            self._changed.clear()
            await self._changed.wait()

    async def follow(self, client: httpx2.AsyncClient) -> None:
        """Read the feed from its start, again when it breaks; the caller ends it."""
        while True:
            try:
                await self._read(client)
            except httpx2.TransportError:
                await asyncio.sleep(_PAUSE_S)

    async def _read(self, client: httpx2.AsyncClient) -> None:
        params = {"cursor": str(self._cursor)}
        async with client.stream("GET", "/api/v1/events", params=params, timeout=30) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if line.startswith("id: "):
                    self._cursor = int(line.removeprefix("id: "))
                elif line.startswith("data: "):
                    self._show(json.loads(line.removeprefix("data: ")))

    def _show(self, item: dict[str, Any]) -> None:
        call_id, data = item["call_id"], item["data"]
        who = self._people.get(call_id)
        if who is None:
            return
        if item["kind"] == "state":
            self._show_state(call_id, who, data)
        elif item["kind"] == "crm":
            self._crm[call_id] = data["state"]
        elif item["kind"] == "transcript":
            for line in data["lines"]:
                mark = "<" if line["speaker"] == "person" else ">"
                self._say(who, mark, line["text"], interrupted=line["interrupted"])

    def _show_state(self, call_id: str, who: str, data: dict[str, Any]) -> None:
        """The end is told once all is known of it: the last words come after the hang-up."""
        state = data["to"]
        if state in _SHOWN:
            self._console.print(f"{who} [dim]{state}[/]")
        elif state == "ended":
            self._outcomes[call_id] = data.get("end_reason", state)
        elif state == "done":
            outcome, crm = self._outcomes.get(call_id, state), self._crm.get(call_id, "not told")
            self._console.print(f"{who} [bold]{outcome}[/][dim], CRM {crm}[/]")
            self._done.add(call_id)
            self._changed.set()

    def _say(self, who: str, mark: str, text: str, *, interrupted: bool) -> None:
        width = max(self._console.width - _INDENT, 20)
        first, *others = textwrap.wrap(text + (" (interrupted)" if interrupted else ""), width) or [""]
        self._console.print(f"{who} {mark} {escape(first)}")
        for line in others:
            self._console.print(" " * _INDENT + escape(line))
