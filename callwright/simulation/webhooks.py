"""Sends a simulator's webhooks, with a vendor's retries and with faults: late, twice, out of order, never, corrupt."""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx2

from callwright.simulation.faults import FaultKind, Faults
from callwright.simulation.traffic import Exchange, Traffic

_WEBHOOK_FAULTS = (FaultKind.DELAY, FaultKind.REPEAT, FaultKind.REORDER, FaultKind.LOSE, FaultKind.CORRUPT)
_REORDER_S = 0.25
_CLOSE_TIMEOUT_S = 2.0


@cache
def _tls() -> ssl.SSLContext:
    """One for all senders: making it takes as long as many tests."""
    return httpx2.create_ssl_context()


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook. `name` is the event's type; `body` the raw body; `sign` returns the headers that prove it.

    Webhooks with the same `sequence`, such as those of one call, are delivered in order.
    """

    name: str
    url: str
    body: bytes
    sign: Callable[[bytes], Mapping[str, str]] = field(default=lambda _body: {})
    content_type: str = "application/json"
    decoded: Any = None
    sequence: str = ""


class WebhookSender:
    """Delivers webhooks in the background: `retry_after_s` are the vendor's pauses between tries."""

    def __init__(
        self,
        faults: Faults,
        traffic: Traffic,
        *,
        retry_after_s: tuple[float, ...] = (1, 5, 15),
        timeout_s: float = 10,
    ) -> None:
        self._faults = faults
        self._traffic = traffic
        self._retry_after_s = retry_after_s
        self._client = httpx2.AsyncClient(timeout=timeout_s, verify=_tls(), trust_env=False)
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: dict[str, asyncio.Task[None]] = {}

    def send(self, webhook: Webhook) -> None:
        """Deliver each sequence in the order of the calls, unless a fault says otherwise; returns at once."""
        fault = self._faults.draw(f"webhook {webhook.name}", *_WEBHOOK_FAULTS)
        if fault is not None and fault.kind is FaultKind.LOSE:
            self._record(webhook, None)
            return
        copies = 2 if fault is not None and fault.kind is FaultKind.REPEAT else 1
        delay = fault.seconds if fault is not None else 0.0
        detached = fault is not None and fault.kind in {FaultKind.REORDER, FaultKind.DELAY}
        if fault is not None and fault.kind is FaultKind.REORDER:
            delay = delay or _REORDER_S
        corrupt = fault is not None and fault.kind is FaultKind.CORRUPT
        for _ in range(copies):
            after = None if detached else self._last.get(webhook.sequence)
            task = asyncio.create_task(self._deliver(webhook, after, delay, corrupt=corrupt))
            self._tasks.add(task)
            if not detached:
                self._last[webhook.sequence] = task
            task.add_done_callback(lambda done: self._forget(webhook.sequence, done))

    async def close(self) -> None:
        """Give deliveries in progress 2 s, then drop them."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_TIMEOUT_S)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    def _forget(self, sequence: str, done: asyncio.Task[None]) -> None:
        self._tasks.discard(done)
        if self._last.get(sequence) is done:
            del self._last[sequence]

    async def _deliver(
        self, webhook: Webhook, after: asyncio.Task[None] | None, delay: float, *, corrupt: bool
    ) -> None:
        if delay:
            await asyncio.sleep(delay)
        if after is not None and not after.done():
            await asyncio.wait({after}, timeout=1.0)
        headers = {"content-type": webhook.content_type, **webhook.sign(webhook.body)}
        body = webhook.body[:-1] + b"!" if corrupt else webhook.body
        for pause in (*self._retry_after_s, None):
            status = await self._post(webhook, body, headers)
            if status is not None and status < httpx2.codes.MULTIPLE_CHOICES:
                return
            if pause is None or (status is not None and status < httpx2.codes.INTERNAL_SERVER_ERROR):
                return
            await asyncio.sleep(pause)

    async def _post(self, webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> int | None:
        try:
            response = await self._client.post(webhook.url, content=body, headers=dict(headers))
        except httpx2.TransportError:
            self._record(webhook, None)
            return None
        self._record(webhook, response.status_code)
        return response.status_code

    def _record(self, webhook: Webhook, status: int | None) -> None:
        self._traffic.record(
            Exchange("out", "webhook", webhook.name, webhook.decoded, time.time(), webhook.url, status=status)
        )
