"""The one place where the parts are put together."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from callwright.calls.agents import AgentBook, AgentService
from callwright.calls.carrier_recordings import CarrierRecordings
from callwright.calls.conversation import ConversationTools
from callwright.calls.dialing import Dialer, DialRules
from callwright.calls.directory import Directory
from callwright.calls.farewell import Farewell
from callwright.calls.finishing import FINISH, Finisher
from callwright.calls.gatekeeper import Gatekeeper
from callwright.calls.inbox import Inbox
from callwright.calls.joining import Door
from callwright.calls.ledger import Ledger
from callwright.calls.live import LiveCalls
from callwright.calls.reconciling import Reconciler
from callwright.calls.recovery import ProcessFacts, Recovery
from callwright.calls.service import CallService
from callwright.calls.stopping import Stopping
from callwright.calls.sweeper import DIAL, Sweeper, SweepRules
from callwright.calls.tools import HttpTools
from callwright.calls.upkeep import Upkeep
from callwright.calls.writeback import CrmWriter
from callwright.config import Configuration
from callwright.domain.errors import ConfigurationError, Problem
from callwright.media.metrics import MediaMetrics
from callwright.media.plane import MediaPlane
from callwright.media.recording import RecordingStore
from callwright.ports.clock import Clock, ShiftedClock, SystemClock
from callwright.registry import IntegrationContext, Role
from callwright.storage.bus import Bus
from callwright.storage.database import Database
from callwright.storage.durable import DbosWorkflows
from callwright.storage.rates import Counters
from callwright.storage.vault import Secrets, Tokens

log = structlog.get_logger(__name__)

RECORDINGS = "recordings"
_STOP_S = 30.0
_LEAST_S = 1.0
_FAREWELLS_S = 23.0
_DROP_S = 6.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Callwright:
    """Everything that one process runs. `build`, then `start` once the port listens, then `stop`."""

    def __init__(
        self, configuration: Configuration, database: Database, clock: Clock, process_id: str
    ) -> None:
        settings = configuration.settings
        self.configuration = configuration
        self.settings = settings
        self.database = database
        self.clock = clock
        self.process_id = process_id
        self.fenced = asyncio.Event()
        self.secrets = Secrets(database)
        self.bus = Bus(database)
        self.counters = Counters(database, clock)
        self._tokens = Tokens(database)
        context = IntegrationContext(clock, self._tokens, self.secrets, self.counters, settings.our_base_url)
        self.directory = Directory(configuration.integrations, context)
        self.workflows = DbosWorkflows(database, executor_id=process_id, on_lost=self.fenced.set)
        self.ledger = Ledger(database, clock, self.bus)
        self.book = AgentBook(database)
        self.agents = AgentService(database, self.directory, self.book)
        metrics = _media_metrics()
        self.media = MediaPlane(clock, self.directory.carrier, metrics=metrics)
        self.recordings = RecordingStore(settings.data_dir / RECORDINGS, clock.monotonic, metrics)
        self._http_tools = HttpTools()
        self._started = self._calls_ended = False
        self._build_calls()

    @classmethod
    async def build(cls, configuration: Configuration) -> "Callwright":
        """Open and migrate the database and build every part; nothing runs yet. Raises ConfigurationError."""
        settings = configuration.settings
        clock = _clock(configuration)
        await asyncio.to_thread(_make_folders, settings.data_dir)
        key = settings.secret_key.get_secret_value() if settings.secret_key else None
        database = await Database.open(
            settings.database_url, data_dir=settings.data_dir, clock=clock, secret_key=key
        )
        await database.migrate()
        app = cls(configuration, database, clock, f"{settings.slot}-{secrets.token_hex(6)}")
        await app.secrets.check()
        return app

    async def start(self) -> None:
        """Take up work: durable workflows, webhooks, timers, conversations, and what a dead process left.

        Raises ConfigurationError when another process uses the same data folder with SQLite, or with PostgreSQL
        the same slot or media address.
        """
        await asyncio.to_thread(self.recordings.mend)
        await self.bus.start()
        await self.workflows.launch()
        await self.recovery.announce()
        self.live.start()
        await self.sweeper.start()
        self._started = True
        log.info("started", process=self.process_id)

    async def stop(self) -> bool:
        """End conversations politely and release everything, within about half a minute whatever raises or hangs.

        False when something did not stop; the log tells what.
        """
        self._started = False
        stopped = True
        deadline = self.clock.monotonic() + _STOP_S
        await self.end_calls()
        steps: tuple[tuple[str, Callable[[], Awaitable[None]], float], ...] = (
            ("sweeper", self.sweeper.stop, 6.0),
            ("workflows", self.workflows.close, 20.0),
            ("process", self.recovery.leave, 4.0),
            ("media", self.media.close, 3.0),
            ("recordings", self.recordings.close, 5.0),
            ("tools", self._http_tools.close, 3.0),
            ("integrations", self.directory.close, 3.0),
            ("tokens", self._tokens.close, 3.0),
            ("notifications", self.bus.close, 6.0),
            ("database", self.database.close, 5.0),
        )
        for name, step, limit_s in steps:
            left_s = max(deadline - self.clock.monotonic(), _LEAST_S)
            stopped &= await _within(min(limit_s, left_s), name, step)
        return stopped

    async def end_calls(self) -> None:
        """Dial nobody any more, end the conversations that run here politely, and cancel what rings.

        Where others have given this process up they look after its people: then everything is dropped in silence.
        """
        if self._calls_ended:
            return
        self._calls_ended = True
        if not self.fenced.is_set():
            await _within(_FAREWELLS_S, "calls", self._stopping.end_calls)
            return
        self._stopping.dial_nobody()
        await _within(_DROP_S, "sweeper", self.sweeper.stop)
        await asyncio.gather(
            _within(_DROP_S, "recovery", self.recovery.drop),
            _within(_DROP_S, "conversations", self.live.abandon),
            _within(_DROP_S, "workflows", partial(self.workflows.close, at_once=True)),
        )

    async def ready(self) -> dict[str, str]:
        """Each part and how it is: `ok`, or what is wrong."""
        parts = {"calls": "ok" if self._started else "not started"}
        try:
            await self.database.ping()
            parts["database"] = "ok"
        except Exception as error:  # supervision point: whatever the driver raises is the answer
            parts["database"] = f"{type(error).__name__}"
        if stalled := self.sweeper.stalled():
            parts["loops"] = f"stand still: {', '.join(stalled)}"
        if self.fenced.is_set():
            parts["process"] = "given up by the others"
        return parts

    def media_url(self) -> str:
        """The ws or wss address of this process's media sockets."""
        base = self.settings.media_base_url or self.settings.our_base_url
        return base.replace("https://", "wss://", 1).replace("http://", "ws://", 1)

    def _build_calls(self) -> None:
        settings, ledger, directory, book = self.settings, self.ledger, self.directory, self.book
        gatekeeper = Gatekeeper(
            self.database,
            self.clock,
            directory,
            hours=settings.calling_hours,
            max_concurrent_calls=settings.max_concurrent_calls,
        )
        rules = DialRules(self.process_id, settings.default_region)
        dialer = Dialer(ledger, directory, book, gatekeeper, self.workflows, self.counters, rules)
        fetched = CarrierRecordings(directory, self.recordings.folder, self.clock)
        writer = CrmWriter(ledger, directory, self.process_id)
        finisher = Finisher(ledger, directory, book, writer, fetched, self.workflows)
        self.workflows.register(DIAL, dialer.run)
        self.workflows.register(FINISH, finisher.run)
        reconciler = Reconciler(ledger, directory, book)
        farewell = Farewell(ledger, directory, reconciler)
        door = Door(self.media, directory, self.clock, settings.slot)
        tools = ConversationTools(
            ledger, book, door, farewell, self._http_tools, self.recordings, self.process_id
        )
        self.live = LiveCalls(tools, self.bus, self.recordings.folder)
        inbox = Inbox(ledger, book, self.process_id)
        facts = ProcessFacts(self.process_id, settings.slot, self.media_url(), self.fenced.set)
        self.recovery = Recovery(ledger, self.workflows, book, reconciler, farewell, self.live, facts)
        sweep = SweepRules(self.process_id, settings.max_concurrent_calls, settings.keep_recordings_days)
        upkeep = Upkeep(
            ledger,
            self.workflows,
            dialer,
            finisher,
            keep_transcripts_days=settings.keep_transcripts_days,
        )
        self.sweeper = Sweeper(
            ledger, self.workflows, inbox, reconciler, self.live, self.recovery, upkeep, sweep
        )
        self._stopping = Stopping(ledger, gatekeeper, self.sweeper, self.live, self.process_id)
        self.calls = CallService(ledger, directory, book, inbox, self.live, region=settings.default_region)


async def _within(limit_s: float, name: str, step: Callable[[], Awaitable[None]]) -> bool:
    """One step of the stop: its error or delay is logged, and the next step is not kept waiting."""
    task = asyncio.ensure_future(step())
    try:
        await asyncio.wait({task}, timeout=limit_s)
    finally:
        if not task.done():
            task.cancel()
            log.error("a part did not stop", part=name, within_s=round(limit_s, 1))
    if task.done() and not task.cancelled() and (error := task.exception()) is not None:
        log.error("a part failed while it stopped", part=name, exc_info=error)
        return False
    return task.done()


def _make_folders(data_dir: Path) -> None:
    """The data folder and the recordings in it, for our own user only."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    (data_dir / RECORDINGS).mkdir(exist_ok=True, mode=0o700)


@cache
def _media_metrics() -> MediaMetrics:
    """One set of figures for the process: a name may be registered once."""
    return MediaMetrics()


def _clock(configuration: Configuration) -> Clock:
    """The machine's clock; a moved one only in a world where every vendor is on loopback."""
    shift = configuration.settings.simulated_clock_shift_s
    if shift == 0:
        return SystemClock()
    for name, (spec, settings) in configuration.integrations.items():
        addresses = [str(value) for value in settings.model_dump().values() if "://" in str(value)]
        outside = [address for address in addresses if urlsplit(address).hostname not in _LOOPBACK]
        if outside or (Role.CARRIER in spec.roles and not addresses):
            what = f"is set while {name} is not on a loopback address."
            remedy = "Remove it: real calls are placed by the real clock."
            raise ConfigurationError(Problem("SIMULATED_CLOCK_SHIFT_S", what, remedy))
    return ShiftedClock(timedelta(seconds=shift))
