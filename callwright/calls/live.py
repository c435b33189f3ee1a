"""The conversations that this process holds: started when a person answers, told when their row changes."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from callwright.calls import handover
from callwright.calls.conversation import Conversation, ConversationTools
from callwright.calls.ledger import TOPIC, TimerKind
from callwright.calls.live_state import LiveView
from callwright.domain.attempt import Attempt
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import CallState
from callwright.storage import attempts
from callwright.storage.bus import Bus

log = structlog.get_logger(__name__)

_BATCH = 200
_CANCELS, _CANCEL_S = 3, 0.7


class LiveCalls:
    """Starts and supervises conversations; one task for each call, none for each frame."""

    def __init__(self, tools: ConversationTools, bus: Bus, recordings: Path) -> None:
        self._tools = tools
        self._bus = bus
        self._recordings = recordings
        self._running: dict[str, tuple[Conversation, asyncio.Task[None]]] = {}
        self._wakers: list[Callable[[], None]] = []
        self._stopping = False

    def start(self) -> None:
        """Listen for changed calls."""
        self._bus.subscribe(TOPIC, self.notice)
        self._bus.on_missed(self.notice_all)

    def on_wake(self, waker: Callable[[], None]) -> None:
        """Call back when there is something to sweep."""
        self._wakers.append(waker)

    def wake(self) -> None:
        """Ask for a sweep at once."""
        for waker in self._wakers:
            waker()

    def notice(self, attempt_id: str) -> None:
        """A call was changed, here or elsewhere."""
        self._tools.ledger.tell()
        running = self._running.get(attempt_id)
        if running is not None:
            running[0].notice()
        else:
            self.wake()

    def notice_all(self) -> None:
        """Changes may have been missed: everybody looks, once."""
        self._tools.ledger.tell()
        for conversation, _ in self._running.values():
            conversation.notice()
        self.wake()

    @property
    def count(self) -> int:
        """How many conversations run here."""
        return len(self._running)

    def holds(self, attempt_id: str) -> bool:
        """Whether the conversation of this call runs here."""
        return attempt_id in self._running

    def view(self, attempt_id: str) -> LiveView | None:
        """What goes on in a conversation now; None when this process does not hold it."""
        running = self._running.get(attempt_id)
        return None if running is None else running[0].live.view()

    async def settle_handover(self, attempt_id: str) -> None:
        """Find out whether the human is still there to whom a person was handed over, by any process."""
        tools = self._tools
        attempt = await tools.ledger.get(attempt_id)
        agent = await tools.agents.of(attempt)
        await handover.settle(tools.ledger, tools.door.directory.carrier(attempt.carrier), attempt, agent)

    async def look(self) -> None:
        """Start a conversation for every answered call that is ours and has none, unless it is about to end.

        Who answers while the process stops hears the apology.
        """
        ledger, process_id = self._tools.ledger, self._tools.process_id
        async with ledger.database.read() as conn:
            answered = await attempts.in_states(conn, [CallState.ANSWERED], owner=process_id, limit=_BATCH)
        for attempt in answered:
            if attempt.id in self._running or attempt.end_reason is not None:
                continue
            try:
                await self._begin(attempt)
            except Exception:  # supervision point: one call that cannot be held must not stop the others
                log.exception("a conversation could not start", call_id=attempt.id)
                await self._give_up(attempt)

    async def _begin(self, attempt: Attempt) -> None:
        conversation = Conversation(self._tools, attempt, await self._tools.agents.of(attempt))
        task = asyncio.create_task(conversation.run(), name=f"conversation {attempt.id}")
        self._running[attempt.id] = (conversation, task)
        task.add_done_callback(partial(self._over, attempt.id))
        if self._stopping:
            conversation.shut_down()

    async def _give_up(self, attempt: Attempt) -> None:
        detail = "the conversation could not start; the log tells why"
        async with self._tools.ledger.open(attempt.id, "conversation") as entry:
            await entry.set(end_reason=EndReason.MEDIA_FAILED, hang_up_by=HangUpBy.US, end_detail=detail)
            await entry.timer(TimerKind.LONGEST_CALL, 0)

    def shut_down(self) -> None:
        """End every conversation politely, and each that begins from now on."""
        self._stopping = True
        for conversation, _ in list(self._running.values()):
            conversation.shut_down()

    async def stop(self, within_s: float) -> None:
        """Let conversations end by themselves for that long, then cancel them; each closes its sockets."""
        self.shut_down()
        tasks = [task for _, task in self._running.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=within_s)
            await _cancel(late)

    async def abandon(self) -> None:
        """Drop every conversation without a word to the people: they are in other hands now."""
        self._stopping = True
        await _cancel({task for _, task in self._running.values()})

    def recording_path(self, name: str) -> Path:
        """Where a recording lies."""
        return self._recordings / name

    def forget_recordings(self, older_than_s: float) -> None:
        """Delete recordings that were last written longer ago than that. Blocks: call it in a thread."""
        before = time.time() - older_than_s
        for path in self._recordings.iterdir():
            if path.is_file() and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)

    def _over(self, attempt_id: str, task: asyncio.Task[None]) -> None:
        self._running.pop(attempt_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the end of a conversation failed", call_id=attempt_id, exc_info=error)
        self.wake()


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel for good: the first cancellation may only end the talk, and a farewell begins."""
    for _ in range(_CANCELS):
        tasks = {task for task in tasks if not task.done()}
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_CANCEL_S)
    if tasks := {task for task in tasks if not task.done()}:
        log.error("conversations did not stop", count=len(tasks))
