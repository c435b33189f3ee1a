"""What all sockets of one simulated platform share, and what follows when a conversation is over."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from callwright.integrations.elevenlabs.simulator import records
from callwright.integrations.elevenlabs.simulator.state import Agent, Conversation, Json, Store
from callwright.integrations.elevenlabs.simulator.timer import SharedTimer
from callwright.simulation.faults import FaultKind, Faults
from callwright.simulation.traffic import Exchange, Traffic, parameters
from callwright.simulation.webhooks import Webhook as Delivery
from callwright.simulation.webhooks import WebhookSender

_RETRY_AFTER_S: Final = (1.0, 5.0, 15.0)
_LONGEST_KEPT: Final = 2000
_SECRET_HEADERS: Final = frozenset({"authorization", "xi-api-key", "sec-websocket-protocol"})


class Running(Protocol):
    """A conversation under way, as far as whoever directs the scene may touch it."""

    def call_tool(self, name: str, parameters: Json) -> str | None:
        """Let the agent call a client tool now; answers the call's id."""
        ...


class Platform:
    """Store, faults, traffic and timer; analyses conversations after their end and posts the webhook."""

    def __init__(self, store: Store, faults: Faults, traffic: Traffic) -> None:
        self.store = store
        self.faults = faults
        self.traffic = traffic
        self.timer = SharedTimer()
        self.running: dict[str, Running] = {}
        """Conversations that have a socket, by id."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._handles: set[asyncio.TimerHandle] = set()
        self._senders: dict[bool, WebhookSender] = {}
        self._closed = False

    async def close(self) -> None:
        """Stop everything that runs; what still comes to its end is not analysed any more."""
        self._closed = True
        self.timer.stop()
        for handle in self._handles:
            handle.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sender in self._senders.values():
            await sender.close()

    def spawn(self, work: Coroutine[Any, Any, None], failed: Callable[[], None]) -> None:
        """Run something; `failed` is called if it raises."""

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and task.exception() is not None:
                self.traffic.violation(f"the simulated platform failed: {task.exception()!r}")
                failed()

        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(done)

    def later(self, seconds: float, run: Callable[[], None]) -> None:
        """Run something after a while, unless the platform is closed before."""
        if self._closed:
            return

        def call() -> None:
            self._handles.discard(handle)
            run()

        handle = asyncio.get_running_loop().call_later(seconds, call)
        self._handles.add(handle)

    def record(self, direction: str, payload: bytes, conversation_id: str) -> None:
        """Keep a websocket message for assertions; audio is named `audio` or `user_audio_chunk`.

        What is no JSON object is kept as text, cut short, under the name `malformed`.
        """
        try:
            body = json.loads(payload)
        except ValueError:
            body = payload[:_LONGEST_KEPT].decode(errors="replace")
        name = body.get("type") or next(iter(body), "") if isinstance(body, dict) else "malformed"
        self.traffic.record(Exchange(direction, "ws", str(name), body, time.time(), conversation_id))

    def upgrade(self, url: str, headers: dict[str, str], status: int) -> None:
        """Keep a request that opens a websocket; its credentials are left out."""
        parts = urlsplit(url)
        query = parameters(parts.query)
        if "conversation_signature" in query:
            query["conversation_signature"] = "***"
        shown = {name: "***" if name in _SECRET_HEADERS else value for name, value in headers.items()}
        name = f"GET {parts.path}"
        row = Exchange("in", "upgrade", name, None, time.time(), parts.path, query, shown, status)
        self.traffic.record(row)

    def ended(self, conversation: Conversation, *, stuck_s: float | None) -> None:
        """Charge for a conversation, then analyse it; one that failed keeps no analysis.

        `stuck_s` keeps it in `processing` for so long, and for good if it is 0.
        """
        self.store.account.credits_used += records.credits_of(conversation)
        if conversation.error is not None:
            conversation.status = "failed"
            return
        conversation.status = "processing"
        options = self.store.world.options
        early = self.faults.draw(f"webhook {records.TRANSCRIPTION}", FaultKind.CUSTOM)
        if early is not None and early.detail == "before_done":
            self._post(conversation)
        if stuck_s == 0.0:
            return
        wait_s = stuck_s or options.analysis_s / options.speed
        self.later(wait_s, lambda: self._analysed(conversation, post=early is None))

    def _analysed(self, conversation: Conversation, *, post: bool) -> None:
        conversation.status = "done"
        if post:
            self._post(conversation)

    def _post(self, conversation: Conversation) -> None:
        agent: Agent | None = self.store.agents.get(conversation.agent_id)
        webhook_id = records.attached_webhook(agent) if agent else None
        hook = self.store.webhooks.get(webhook_id or "")
        if hook is None or hook.disabled or conversation.conversation_id not in self.store.conversations:
            return
        body = records.transcription_body(self.store, conversation)
        secret, moment = hook.secret, self.store.unix()
        delivery = Delivery(
            records.TRANSCRIPTION,
            hook.url,
            records.raw(body),
            lambda raw: records.signature(secret, moment, raw),
            decoded=body,
        )
        self._sender(retry=hook.retry).send(delivery)

    def _sender(self, *, retry: bool) -> WebhookSender:
        """Delivers webhooks, with the vendor's repeats or without; made when it is first needed."""
        if retry not in self._senders:
            pauses = _RETRY_AFTER_S if retry else ()
            self._senders[retry] = WebhookSender(self.faults, self.traffic, retry_after_s=pauses)
        return self._senders[retry]
