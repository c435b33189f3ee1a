"""The polite end of a process: nobody is dialled any more, and nobody is left with a ringing or silent phone."""

import asyncio

import structlog

from callwright.calls.gatekeeper import Gatekeeper
from callwright.calls.ledger import Ledger, TimerKind
from callwright.calls.live import LiveCalls
from callwright.calls.sweeper import Sweeper
from callwright.domain.attempt import Attempt
from callwright.domain.outcome import HangUpBy
from callwright.domain.states import LIVE, CallState
from callwright.storage import attempts, processes

log = structlog.get_logger(__name__)

_LIMIT_S = 20.0
_RINGING_S = 15.0
_LOOK_EVERY_S = 0.1
_BATCH = 500
_RINGS = frozenset({CallState.PLACED, CallState.RINGING})
_WHY = "the server was stopped"


class Stopping:
    """Ends what this process holds while its sweeper and its port still work."""

    def __init__(
        self, ledger: Ledger, gatekeeper: Gatekeeper, sweeper: Sweeper, live: LiveCalls, process_id: str
    ) -> None:
        self._ledger = ledger
        self._gatekeeper = gatekeeper
        self._sweeper = sweeper
        self._live = live
        self._process_id = process_id

    def dial_nobody(self) -> None:
        """Start no further call, and commit no intent to dial."""
        self._sweeper.hold()
        self._gatekeeper.close()

    async def end_calls(self) -> None:
        """End conversations with an apology; cancel what rings, unless another process can take the answer.

        Takes at most 23 s; a call that is still up then is the next start's, or another process's.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LIMIT_S
        self.dial_nobody()
        self._live.shut_down()
        try:
            async with asyncio.timeout(_RINGING_S):
                alone = await self._is_alone()
                while owned := await self._owned():
                    for attempt in owned:
                        if alone and attempt.state in _RINGS and not attempt.hang_up_requested:
                            await self._cancel(attempt)
                    if not alone and all(attempt.state in _RINGS for attempt in owned):
                        break
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            log.warning("calls are left to the next start")
        except Exception:  # supervision point: a database that is away must not keep us from stopping
            log.exception("calls could not be ended")
        await self._live.stop(max(deadline - loop.time(), 0.0))

    async def _is_alone(self) -> bool:
        async with self._ledger.database.read() as conn:
            others = {process.id for process in await processes.active(conn)} - {self._process_id}
        return not others

    async def _owned(self) -> list[Attempt]:
        """Calls that this process has at the carrier, or is just about to have."""
        async with self._ledger.database.read() as conn:
            return await attempts.in_states(
                conn, [CallState.DIALING, *LIVE], owner=self._process_id, limit=_BATCH
            )

    async def _cancel(self, attempt: Attempt) -> None:
        """Whoever answers all the same is spoken to: the reason of the end is left open."""
        async with self._ledger.open(attempt.id, "stop") as entry:
            if entry.attempt.state in _RINGS and not entry.attempt.hang_up_requested:
                await entry.set(
                    hang_up_requested=True,
                    hang_up_by=entry.attempt.hang_up_by or HangUpBy.US,
                    end_detail=entry.attempt.end_detail or _WHY,
                )
                await entry.timer(TimerKind.ASK, 0)
