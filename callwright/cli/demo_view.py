"""Shows a demo's calls in the terminal while they happen, from the API's live feed."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx2
from rich.console import Console
from rich.markup import escape

from callwright.simulation.world import WorldRecord

_PAUSE_S = 0.5
_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "bright_red", "bright_cyan", "bright_magenta")
_SHOWN = frozenset({"ringing", "answered", "talking", "ended", "done", "unknown"})


class DemoView:
    """Prints states and transcript lines, one colour for each person."""

    def __init__(self, console: Console, records: Mapping[str, WorldRecord]) -> None:
        self._console = console
        self._records = records
        self._people: dict[str, str] = {}
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
        who = self._people.get(item["call_id"])
        if who is None:
            return
        data = item["data"]
        if item["kind"] == "state" and data["to"] in _SHOWN:
            why = f" ({data['end_reason']})" if data.get("end_reason") else ""
            self._console.print(f"{who} [dim]{data['to']}{why}[/]")
            if data["to"] == "done":
                self._done.add(item["call_id"])
                self._changed.set()
        elif item["kind"] == "transcript":
            for line in data["lines"]:
                mark = "<" if line["speaker"] == "person" else ">"
                cut = " [dim](interrupted)[/]" if line["interrupted"] else ""
                self._console.print(f"{who} {mark} {escape(line['text'])}{cut}")
