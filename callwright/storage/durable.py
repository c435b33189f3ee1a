"""Durable workflows on DBOS Transact (docs/decisions/0001), behind ports.workflows."""

import asyncio
import contextlib
import contextvars
import json
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from dbos import DBOS, DBOSConfig, SetWorkflowID, WorkflowStatusString
from dbos import error as dbos_errors
from sqlalchemy import Engine

from callwright.domain.errors import ConfigurationError, Problem
from callwright.ports.workflows import Step, Workflow
from callwright.storage import processes
from callwright.storage.columns import to_json
from callwright.storage.database import Database
from callwright.storage.dbos_engine import JsonSerializer, engine_for, quieten
from callwright.storage.locks import AdvisoryLock, FolderLock, ProcessLock

log = structlog.get_logger(__name__)

VERSION = "callwright-1"
"""Recovery takes only workflows of the same version, so it changes only when running ones cannot go on."""

LOCK_FILE = "engine.lock"
SCHEMA = "dbos"

_THREADS = 64
_POLL_S = 300.0
_MOST_RECOVERIES = 20
_START_LIMIT_S = 30.0
_DESTROY_LIMIT_S = 15.0
_CANCEL_LIMIT_S = 5.0
_PAGE = 500
_PURGE_BATCH = 500
_FINISHED = [
    status.value
    for status in (
        WorkflowStatusString.SUCCESS,
        WorkflowStatusString.ERROR,
        WorkflowStatusString.CANCELLED,
        WorkflowStatusString.MAX_RECOVERY_ATTEMPTS_EXCEEDED,
    )
]

_launched = False


class DbosWorkflows:
    """Runs workflows in this process's event loop and remembers their steps in DBOS's tables.

    DBOS keeps one global instance per process, so only one of these can be launched at a time; `close`
    makes room for the next, and from `launch` to `close` the loop's `to_thread` runs in DBOS's 64 threads.
    On SQLite it has a database file of its own in the data folder and one process may use it; on PostgreSQL
    it lives in the schema `dbos` beside our tables, and any number of processes share it, each under an id
    of its own that is locked while it lives. A workflow that raises is logged with its id, recorded as
    failed and not run again. One that was running when its process died goes on, in this process or
    another, after its last recorded step.
    """

    def __init__(
        self,
        database: Database,
        *,
        executor_id: str,
        drain_s: float = 10.0,
        patience_s: float = 5.0,
        orphans_every_s: float = 30.0,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        """`drain_s` is how long `close` lets workflows finish, `patience_s` how long `launch` waits for its id.

        Every `orphans_every_s` seconds work of processes that were given up is looked for. `on_lost` is called when
        another process has taken our id over: this one has to stop.
        """
        self._database = database
        self._executor_id = executor_id
        self._drain_s = drain_s
        self._orphans_every_s = orphans_every_s
        self._lock: ProcessLock
        if database.is_sqlite:
            self._lock = FolderLock(database.data_dir / LOCK_FILE, executor_id)
        else:
            self._lock = AdvisoryLock(database.url, executor_id, patience_s=patience_s, on_lost=on_lost)
        self._workflows: dict[str, Workflow] = {}
        self._registered: dict[str, Callable[[str], Coroutine[Any, Any, None]]] = {}
        self._running: set[asyncio.Task[Any]] = set()
        self._starting: set[asyncio.Task[bool]] = set()
        self._engine: Engine | None = None
        self._open = False
        self._suspects: set[str] = set()
        self._watch: asyncio.Task[None] | None = None

    def register(self, name: str, workflow: Workflow) -> None:
        """Make a workflow known under a stable name, before `launch`; its argument is an attempt id."""
        if self._engine is not None:
            raise RuntimeError(f"workflow {name} is registered after the launch")
        self._workflows[name] = workflow

    async def launch(self) -> None:
        """Take up work, also what an earlier process left behind.

        Raises ConfigurationError when the id, or on SQLite the data folder, is in use by a running process.
        """
        global _launched  # noqa: PLW0603 - DBOS itself is one per process
        if _launched:
            problem = Problem("workflows", "are running in this process already.", "Close them first.")
            raise ConfigurationError(problem)
        await self._lock.take()
        _launched = True
        try:
            await self._launch()
            self._suspects = await self._orphans()
            if self._database.is_sqlite:
                await self._adopt_suspects()
        except BaseException:
            await self._destroy()
            raise
        self._watch = asyncio.create_task(self._look_for_orphans(), name="orphaned workflows")

    async def step(self, name: str, step: Step) -> Any:
        """Run one step of the running workflow; its JSON-friendly result is remembered. At least once.

        The result has passed through JSON the first time too. An error ends the step for good: when the
        workflow is taken up again after a crash it is raised anew, as StepFailed.
        """

        async def run() -> Any:
            return json.loads(to_json(await step()))

        return await DBOS.run_step_async({"name": name}, run)

    async def start(self, name: str, workflow_id: str, argument: str) -> bool:
        """Start a workflow durably unless one with this id exists; returns whether it is new.

        Raises TimeoutError when the database does not answer within 30 s; it may still be started then.
        """
        if not self._open or name not in self._registered:
            raise RuntimeError(f"workflow {name} {workflow_id} is started while it is not running here")
        # A context of its own: started inside another workflow it would become part of that one.
        start = self._start(name, workflow_id, argument)
        task = asyncio.create_task(start, name=f"start {workflow_id}", context=contextvars.Context())
        self._starting.add(task)
        task.add_done_callback(self._started)
        # Shielded, because between DBOS's row and its run a cancelled start would strand the workflow.
        async with asyncio.timeout(_START_LIMIT_S):
            return await asyncio.shield(task)

    async def is_over(self, workflow_id: str) -> bool:
        """Whether a workflow with this id ran to an end, be it a failure; False for one that is unknown."""
        status = await DBOS.get_workflow_status_async(workflow_id)
        return status is not None and status.status in _FINISHED

    def if_dead(self, process_id: str) -> AbstractAsyncContextManager[bool]:
        """Whether another process is dead; if so, its id is ours until the context ends."""
        return self._lock.if_dead(process_id)

    async def adopt(self, process_id: str) -> int:
        """Take over what a dead process left unfinished; returns how many workflows.

        0 for a process that still holds its id, whatever others think of it.
        """
        adopted = await self._adopt(process_id)
        if adopted is None:
            log.warning("a process that was given up still lives", process=process_id)
        return adopted or 0

    async def purge(self, older_than_s: float) -> int:
        """Forget finished workflows of that age; returns how many."""
        # DBOS's times are the machine's, not those of our clock, which may be a simulated one.
        before = (datetime.now(UTC) - timedelta(seconds=older_than_s)).isoformat()
        purged = 0
        while True:
            found = await DBOS.list_workflows_async(
                status=_FINISHED, end_time=before, limit=_PURGE_BATCH, load_input=False, load_output=False
            )
            if not found:
                return purged
            await DBOS.delete_workflows_async([workflow.workflow_id for workflow in found])
            purged += len(found)

    async def close(self, *, at_once: bool = False) -> None:
        """Let running workflows finish for a while, leave the rest to the next start, and release everything.

        `at_once`: others have taken them over, so they are cancelled without delay. Raises TimeoutError when the
        engine's threads hang, with the database for instance.
        """
        if not self._open:
            return
        self._open = False
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await _wait(self._starting, _CANCEL_LIMIT_S)
        unfinished = await _wait(self._running, 0.0 if at_once else self._drain_s)
        if unfinished:
            log.info("workflows are left to the next start", count=len(unfinished))
            for task in unfinished:
                task.cancel()
            await _wait(unfinished, _CANCEL_LIMIT_S)
        if not await self._destroy():
            raise TimeoutError(f"the workflow engine did not stop within {_DESTROY_LIMIT_S:.0f} s")

    async def _launch(self) -> None:
        quieten()
        self._engine = await asyncio.to_thread(engine_for, self._database)
        config: DBOSConfig = {
            "name": "callwright",
            "system_database_engine": self._engine,
            "dbos_system_schema": SCHEMA,
            "application_version": VERSION,
            "executor_id": self._executor_id,
            "max_executor_threads": _THREADS,
            "serializer": JsonSerializer(),
            "log_level": "WARNING",
            "enable_otlp": False,
            "scheduler_polling_interval_sec": _POLL_S,
        }
        dbos = DBOS(config=config)
        for name, workflow in self._workflows.items():
            decorate = DBOS.workflow(name=name, max_recovery_attempts=_MOST_RECOVERIES)
            self._registered[name] = decorate(self._supervised(name, workflow))
        # Recovered workflows run in the loop that DBOS finds running when it is launched. It is launched in a
        # thread, since that takes a second, so the loop is put where it would have put it.
        background: Any = getattr(dbos, "_background_event_loop", None)
        self._open = True
        if hasattr(background, "_main_loop"):
            background._main_loop = asyncio.get_running_loop()  # noqa: SLF001 - as said above
            await asyncio.to_thread(DBOS.launch)
        else:
            DBOS.launch()

    def _supervised(self, name: str, workflow: Workflow) -> Callable[[str], Coroutine[Any, Any, None]]:
        async def run(argument: str) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            told = {"workflow": name, "workflow_id": DBOS.workflow_id}
            with structlog.contextvars.bound_contextvars(call_id=argument):
                try:
                    await workflow(argument)
                except asyncio.CancelledError as error:
                    if not self._open:
                        raise
                    log.exception("a workflow was cancelled", **told)
                    # As a cancellation it would stay unfinished, and unnoticed, for as long as this process lives.
                    raise RuntimeError("the workflow was cancelled by its own code") from error
                except Exception:  # supervision point: DBOS records the failure but does not say whose it is
                    log.exception("a workflow failed", **told)
                    raise

        return run

    async def _start(self, name: str, workflow_id: str, argument: str) -> bool:
        try:
            with SetWorkflowID(workflow_id, workflow_id_reuse_policy="reject"):
                await DBOS.start_workflow_async(self._registered[name], argument)
        except dbos_errors.DBOSWorkflowIDInUseError:
            return False
        return True

    def _started(self, task: asyncio.Task[bool]) -> None:
        self._starting.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a workflow was not started", task=task.get_name(), error=repr(task.exception()))

    async def _adopt(self, process_id: str) -> int | None:
        """How many workflows were taken over, or None from a process that lives."""
        async with self._lock.if_dead(process_id) as dead:
            if not dead:
                return None
            # DBOS has no public call for this outside its commercial control plane (docs/decisions/0001).
            recover = DBOS._recover_pending_workflows  # noqa: SLF001 - as said above
            return len(await asyncio.to_thread(recover, [process_id]))

    async def _orphans(self) -> set[str]:
        """Ids of other processes that have unfinished workflows; on PostgreSQL, of those that were given up.

        Whether one that is announced there is dead is not ours to judge.
        """
        others: set[str] = set()
        offset, full = 0, True
        # One that ends meanwhile moves the rest up; those of a dead process stay, and the next look sees them.
        while full:
            pending = await DBOS.list_workflows_async(
                status="PENDING", limit=_PAGE, offset=offset, load_input=False, load_output=False
            )
            others |= {workflow.executor_id for workflow in pending if workflow.executor_id}
            offset, full = offset + _PAGE, len(pending) == _PAGE
        others.discard(self._executor_id)
        if others and not self._database.is_sqlite:
            async with self._database.read() as conn:
                others -= {process.id for process in await processes.active(conn)}
        return others

    async def _adopt_suspects(self) -> None:
        for process_id in sorted(self._suspects):
            adopted = await self._adopt(process_id)
            if adopted:
                log.warning("workflows of a dead process were taken over", process=process_id, count=adopted)

    async def _look_for_orphans(self) -> None:
        """Adopt what nobody adopted, also when an adopter died on the way.

        A process is looked at when it had unfinished work twice in a row, so that one that has just lost
        its lock with its connection has time to take it again.
        """
        while True:
            await asyncio.sleep(self._orphans_every_s)
            try:
                seen = await self._orphans()
                self._suspects &= seen
                await self._adopt_suspects()
                self._suspects = seen
            except Exception:  # supervision point: a database that is away must not end the watch
                log.exception("orphaned workflows could not be looked for")

    async def _destroy(self) -> bool:
        """Stop DBOS's threads; False if they do not stop, and then the id stays locked until the process ends."""
        global _launched  # noqa: PLW0603 - DBOS itself is one per process
        self._open = False
        stopped = await _in_thread(lambda: DBOS.destroy(destroy_registry=True), _DESTROY_LIMIT_S)
        # DBOS had made its own, now closed pool the loop's default.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))
        if not stopped:
            return False
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
        await self._lock.release()
        _launched = False
        return True


async def _wait(
    tasks: set[asyncio.Task[Any]] | set[asyncio.Task[bool]], limit_s: float
) -> set[asyncio.Task[Any]]:
    """Wait for tasks; returns those that are not done in time."""
    if not tasks:
        return set()
    _, unfinished = await asyncio.wait(set[asyncio.Task[Any]](tasks), timeout=limit_s)
    return unfinished


async def _in_thread(work: Callable[[], None], limit_s: float) -> bool:
    """Run blocking work in a thread that neither the loop nor the interpreter waits for; False when it is late."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def run() -> None:
        try:
            work()
        except Exception:  # supervision point: what cannot be stopped properly is left to the process's end
            log.exception("the workflow engine failed while it stopped")
        finally:
            with contextlib.suppress(RuntimeError):  # the loop was closed without us
                loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, name="stop workflows", daemon=True).start()
    try:
        async with asyncio.timeout(limit_s):
            await done.wait()
    except TimeoutError:
        return False
    return True
