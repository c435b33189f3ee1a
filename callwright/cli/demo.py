"""`callwright demo`: twelve calls through the true protocols, with simulated vendors and people on this machine."""

import asyncio
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from callwright.app import Callwright
from callwright.cli.demo_view import DemoView
from callwright.cli.demo_world import DemoWorld, choose_cast, free_port, until_listening
from callwright.config import child_environment, load
from callwright.domain.errors import InvalidInput, Problem
from callwright.domain.scopes import Scope
from callwright.media.collector import spare_collector
from callwright.ports.operations import SetupPlan
from callwright.storage import api_keys
from callwright.toolkit.logs import configure_logs

_CALLS_LIMIT_S = 90.0
_STOP_S = 15.0
_SETTLED = "done"
_PICTURE_WIDTH = 100
_SCOPES = tuple(str(scope) for scope in Scope if scope is not Scope.ADMIN)


def demo(
    serve: Annotated[bool, typer.Option(help="Keep the world running, to explore the API.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Keep database and recordings in this folder.")] = None,
    record_traffic: Annotated[
        Path | None, typer.Option(help="Write all vendor traffic to this folder.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Save what is shown as an SVG picture.")] = None,
) -> None:
    """Place twelve calls in a simulated world.

    Simulated vendors and people on this machine, true protocols, real audio: no account, no key, no internet.
    """
    configure_logs("WARNING")
    data_dir = folder or Path(tempfile.mkdtemp(prefix="callwright-demo-"))
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InvalidInput(Problem("--folder", f"{data_dir} cannot be made ({error.strerror}).")) from error
    console = Console(record=picture is not None, width=_PICTURE_WIDTH if picture is not None else None)
    code = asyncio.run(_Demo(console, data_dir.resolve(), record_traffic).run(serve=serve))
    if picture is not None:
        console.save_svg(str(picture), title="callwright demo")
    raise typer.Exit(code)


class _Demo:
    """One run: the simulators live here, the server in a process of its own."""

    def __init__(self, console: Console, data_dir: Path, traffic_folder: Path | None) -> None:
        self._console = console
        self._data_dir = data_dir
        if traffic_folder is not None:
            traffic_folder.mkdir(parents=True, exist_ok=True)
        self._demo_world = DemoWorld(choose_cast(), traffic_folder=traffic_folder)
        self._port = free_port()
        self._key = ""

    async def run(self, *, serve: bool) -> int:
        """The exit code: 0 only if everything that was said arrived, and is written as it should be."""
        started = time.monotonic()
        await self._demo_world.start()
        server: asyncio.subprocess.Process | None = None
        try:
            environment = self._demo_world.environment(self._port, self._data_dir)
            await self._set_up(environment)
            server = await self._start_server(environment)
            if not await until_listening(self._port, server):
                self._console.print("[red]The server did not start; see its log above.[/]")
                return 1
            spare_collector()
            calls = await self._place_calls()
            failures = self._report(calls, time.monotonic() - started)
            if serve:
                await self._keep_running(server)
                self._console.print(f"[red]The server ended by itself, with code {server.returncode}.[/]")
                return 1
            return 1 if failures else 0
        finally:
            if server is not None:
                await _stop(server)
            await self._demo_world.stop()

    async def _set_up(self, environment: dict[str, str]) -> None:
        """What an operator does once: set up the vendors, import the agent, create a key."""
        cast = self._demo_world.cast
        names = ", ".join(spec.title for spec in (cast.carrier, cast.engine, cast.crm))
        self._console.print(f"[bold]Callwright demo[/]: simulated {names},")
        self._console.print("true protocols, real audio, all on this machine.")
        opening = f"{self._demo_world.world.clock.now().astimezone(self._demo_world.zone):%A %H:%M}"
        self._console.print(
            f"[dim]> the agent says, < the person says. In this world it is {opening} ({self._demo_world.zone}).[/]\n"
        )
        app = await Callwright.build(load(environment))
        try:
            agent = self._demo_world.agent()
            plan = SetupPlan(
                app.settings.our_base_url,
                app.media_url(),
                app.settings.slot,
                (agent.engine.agent_id,),
                apply=True,
            )
            for _, _, integration in app.directory.all():
                await integration.setup(plan)
            await app.agents.put(agent)
            async with app.database.write() as conn:
                _, self._key = await api_keys.create(conn, "demo", _SCOPES, app.clock.now())
        finally:
            await app.stop()

    async def _start_server(self, environment: dict[str, str]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "callwright",
            "serve",
            cwd=self._data_dir,  # a .env file in the user's folder is not for this world
            env=child_environment(environment),
            stdout=asyncio.subprocess.DEVNULL,
        )

    async def _place_calls(self) -> list[dict[str, Any]]:
        base = f"http://127.0.0.1:{self._port}"
        headers = {"Authorization": f"Bearer {self._key}"}
        view = DemoView(
            self._console, {record.record_id: record for record in self._demo_world.world.records}
        )
        async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=10, trust_env=False) as client:
            agent = self._demo_world.agent().name
            for record in self._demo_world.world.records:
                response = await client.post(
                    "/api/v1/calls", json={"agent": agent, "record": record.record_id}
                )
                response.raise_for_status()
                view.created(response.json()["id"], record.record_id)
            following = asyncio.create_task(view.follow(client))
            try:
                async with asyncio.timeout(_CALLS_LIMIT_S):
                    await view.until_done(len(self._demo_world.world.records))
            except TimeoutError:
                self._console.print("[red]Not every call came to its end in time.[/]")
            finally:
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following
            return [(await client.get(f"/api/v1/calls/{call_id}")).json() for call_id in view.call_ids]

    def _report(self, calls: list[dict[str, Any]], elapsed_s: float) -> int:
        """Print the table; returns how many things are not as they should be."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in ("who", "outcome", "answers", "CRM"):
            table.add_column(column, overflow="fold")
        for column in ("talk\ns", "first\nword ms"):
            table.add_column(column, justify="right")
        unwritten, misheard = 0, []
        for call in calls:
            good = call["state"] == _SETTLED and call["crm_state"] == "written"
            unwritten += not good
            who = call["variables"].get("first_name", call["id"])
            expected = self._demo_world.expected[call["crm"]["record_id"]]
            misheard += [f"{who}: {text}" for text in expected.differences(call)]
            table.add_row(
                call["variables"].get("first_name", "-"),
                call["end_reason"] or call["state"],
                _answers(call),
                f"[green]{call['crm_state']}[/]" if good else f"[red]{call['crm_state']}[/]",
                f"{call['duration_s']:.0f}" if call["duration_s"] else "-",
                f"{call['first_word_ms']:.0f}" if call["first_word_ms"] else "-",
            )
        self._console.print(table)
        self._console.print(
            f"{len(calls) - unwritten} of {len(calls)} outcomes are in the CRM; {elapsed_s:.0f} s in all."
        )
        self._console.print(f"Recordings and database: {self._data_dir}", soft_wrap=True)
        violations = [text for sim in self._demo_world.simulators.values() for text in sim.traffic.violations]
        for text in violations:
            self._console.print(f"[red]Broken vendor rule:[/] {escape(text)}")
        for text in misheard:
            self._console.print(f"[red]Not as it was said:[/] {escape(text)}")
        if misheard:
            self._console.print(
                "On a very busy machine audio comes late, and people misunderstand each other."
            )
        return unwritten + len(violations) + len(misheard)

    async def _keep_running(self, server: asyncio.subprocess.Process) -> None:
        base = f"http://127.0.0.1:{self._port}"
        command = "callwright" if shutil.which("callwright") else sys.argv[0]
        record = self._demo_world.world.records[0].record_id
        for line in (
            f"\nThe world keeps running until Ctrl-C. API reference: [bold]{base}/docs[/]",
            "Look around from another terminal:\n",
            f"  export CALLWRIGHT_URL={base}",
            f"  export CALLWRIGHT_API_KEY={self._key}",
            f"  {command} calls list",
            f"  {command} call {self._demo_world.agent().name} --record {record} --wait",
        ):
            self._console.print(line, soft_wrap=True, highlight=False)
        with suppress(asyncio.CancelledError, KeyboardInterrupt):
            await server.wait()


def _answers(call: dict[str, Any]) -> str:
    """What the person told, and what they were asked in vain."""
    told = [_answer(name, value) for name, value in call["collected"].items() if value is not False]
    unknown = f"[dim]not learnt: {', '.join(_words(name) for name in call['missing'])}[/]"
    return ", ".join(told) if told or not call["missing"] else unknown


def _answer(name: str, value: Any) -> str:
    return _words(name) if value is True else f"{_words(name)}: {escape(str(value))}"


def _words(name: str) -> str:
    return name.replace("_", " ")


async def _stop(server: asyncio.subprocess.Process) -> None:
    if server.returncode is None:
        server.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await server.wait()
        except TimeoutError:
            server.kill()
            await server.wait()
