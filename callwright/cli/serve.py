"""`callwright serve`: everything in one process."""

import asyncio
import contextlib
import dataclasses
import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from callwright.cli.output import report_problems, say, warn
from callwright.domain.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from callwright.app import Callwright
    from callwright.config import Configuration

_STOP_S = 45.0
"""Conversations get about half a minute to end politely; then the process goes anyway."""

_KILLED = 130


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on instead of HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port instead of PORT; 0 takes a free one.", min=0, max=65535)
    ] = None,
) -> None:
    """Run the server: API, webhooks, media and calls.

    It stops on SIGTERM or Ctrl-C: nobody is dialled any more, and whoever is on the line hears the agent's apology
    before the hang-up. With SQLite one process uses a data folder.
    """
    import uvloop

    from callwright.config import load, secret_values
    from callwright.toolkit.logs import configure_logs

    configuration = load()
    report_problems(configuration.doubts, style="yellow")
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    configuration = dataclasses.replace(
        configuration, settings=configuration.settings.model_copy(update=given)
    )
    configure_logs(configuration.settings.log_level, secret_values(configuration))
    uvloop.run(_serve(configuration))


async def _serve(configuration: "Configuration") -> None:
    from callwright.app import Callwright
    from callwright.cli.workshop import opening

    stopping = asyncio.Event()
    _on_signal(stopping.set)
    with opening(configuration.settings):
        app = await Callwright.build(configuration)
    try:
        await _run(app, stopping)
    finally:
        # Who asks again does not want to wait; a start after that goes on from what is committed.
        _on_signal(lambda: os._exit(_KILLED))
        stopped = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                stopped = await app.stop()
        if not stopped:
            warn("Not everything stopped in time; what is left is taken up at the next start.")
    if not stopped:
        # A thread that waits for a database that hangs would keep Python from ending.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


async def _run(app: "Callwright", stopping: asyncio.Event) -> None:
    from callwright.api import build_api
    from callwright.media.collector import spare_collector
    from callwright.media.server import WebServer

    settings = app.settings
    api = build_api(app)
    server = WebServer(api, app.media, host=settings.host, port=settings.port, lifespan="off")
    try:
        await server.start()
    except OSError as error:
        raise ConfigurationError(_not_listening(error, settings.host, settings.port)) from error
    try:
        await app.start()
        spare_collector()
        _tell(app, server.port)
        await _first(stopping, app.fenced)
        if app.fenced.is_set():
            warn("Other processes have given this one up and taken over its calls; it stops.")
        _on_signal(lambda: os._exit(_KILLED))
        say("Stopping: whoever is on the line hears the apology first. Press Ctrl-C again to go at once.")
        await app.end_calls()
    finally:
        api.close_streams()
        await server.stop()


def _not_listening(error: OSError, host: str, port: int) -> Problem:
    """Why the port cannot be had, and which of HOST and PORT is to blame."""
    known = error.errno is not None and error.errno > 0
    why = os.strerror(error.errno or 0) if known else error.strerror or str(error)
    what = f"cannot listen on {host}:{port} ({why})."
    if error.errno in {errno.EADDRINUSE, errno.EACCES}:
        return Problem("PORT", what, "Stop what uses it, or set PORT to another one, above 1023.")
    return Problem("HOST", what, "Set it to an address of this machine: 127.0.0.1, or 0.0.0.0 for all.")


def _on_signal(act: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, act)


def _tell(app: "Callwright", port: int) -> None:
    settings = app.settings
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    say(f"Callwright listens on http://{host}:{port} (reference: /docs, process {app.process_id})")
    if not settings.our_base_url:
        warn("OUR_BASE_URL is not set: vendors cannot reach this server, so no real call can be placed.")
    if not app.configuration.integrations:
        warn("No integration is configured: `callwright settings` tells how, `callwright demo` needs none.")


async def _first(*events: asyncio.Event) -> None:
    """Wait until any of the events is set."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
