"""What commands need that work on the database and the vendors themselves, beside a running server or without one."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from callwright.cli.output import report_problems, warn
from callwright.config import Configuration, Settings, load, secret_values
from callwright.domain.errors import ConfigurationError, Problem
from callwright.ports.clock import Clock, ShiftedClock, SystemClock

if TYPE_CHECKING:
    from callwright.calls.agents import AgentService
    from callwright.calls.directory import Directory
    from callwright.storage.database import Database


@dataclass(frozen=True, slots=True)
class Workshop:
    """The configured parts, without anything that runs."""

    configuration: Configuration
    database: "Database"
    directory: "Directory"
    agents: "AgentService"
    clock: Clock

    @property
    def settings(self) -> Settings:
        """Our own settings."""
        return self.configuration.settings


def configure(level: str = "ERROR", *, tell_doubts: bool = True) -> Configuration:
    """Read all settings and send logs, if bad enough, to standard error; raises ConfigurationError."""
    from callwright.toolkit.logs import configure_logs

    configuration = load()
    configure_logs(level, secret_values(configuration))
    if tell_doubts:
        report_problems(configuration.doubts, style="yellow")
    return configuration


@contextmanager
def opening(settings: Settings) -> Iterator[None]:
    """Tell what keeps the data folder or the database from being opened; raises ConfigurationError."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except OSError as error:
        what = f"{error.filename or settings.data_dir} cannot be used ({error.strerror})."
        remedy = "Give this user the right to write there, make room, or set DATA_DIR to another folder."
        raise ConfigurationError(Problem("DATA_DIR", what, remedy)) from error
    except DBAPIError as error:
        why = " ".join(str(error.orig).split())
        if settings.database_url:
            remedy = "Check it, and that the database server runs and lets this user in."
            raise ConfigurationError(Problem("DATABASE_URL", f"does not open: {why}.", remedy)) from error
        remedy = "See that this user may write there, and that there is room."
        raise ConfigurationError(
            Problem("DATA_DIR", f"the database in {settings.data_dir} does not open: {why}.", remedy)
        ) from error


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator["Database"]:
    """The database at the newest schema; it may be in use by a server at the same time."""
    from callwright.storage.database import Database

    key = settings.secret_key.get_secret_value() if settings.secret_key else None
    # Whoever is in the wrong folder would otherwise wonder where agents and keys have gone.
    is_new = not settings.data_dir.exists()
    with opening(settings):
        database = await Database.open(
            settings.database_url, data_dir=settings.data_dir, clock=clock_of(settings), secret_key=key
        )
    if is_new:
        warn(f"The data folder {settings.data_dir.resolve()} is new.")
    try:
        with opening(settings):
            await database.migrate()
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_workshop(configuration: Configuration) -> AsyncIterator[Workshop]:
    """The database, every configured integration, and what keeps agents; closed in the end."""
    from callwright.calls.agents import AgentBook, AgentService
    from callwright.calls.directory import Directory
    from callwright.registry import IntegrationContext
    from callwright.storage.rates import Counters
    from callwright.storage.vault import Secrets, Tokens

    settings = configuration.settings
    clock = clock_of(settings)
    async with open_database(settings) as database:
        context = IntegrationContext(
            clock, Tokens(database), Secrets(database), Counters(database, clock), settings.our_base_url
        )
        directory = Directory(configuration.integrations, context)
        try:
            agents = AgentService(database, directory, AgentBook(database))
            yield Workshop(configuration, database, directory, agents, clock)
        finally:
            await directory.close()


def clock_of(settings: Settings) -> Clock:
    """The clock that a server with these settings goes by."""
    shift = settings.simulated_clock_shift_s
    return ShiftedClock(timedelta(seconds=shift)) if shift else SystemClock()
