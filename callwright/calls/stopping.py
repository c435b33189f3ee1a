"""The polite end of a process: nobody is dialled any more, and nobody is left with a ringing or silent phone."""

import asyncio
from datetime import timedelta

import structlog

from callwright.calls.gatekeeper import Gatekeeper
from callwright.calls.ledger import Ledger, TimerKind
from callwright.calls.live import LiveCalls
from callwright.calls.sweeper import Sweeper
from callwright.calls.tracking import HANDED_OVER, HUMAN_ANSWERED
from callwright.domain.outcome import HangUpBy
from callwright.domain.states import LIVE, CallState
from callwright.storage import attempts, processes
from callwright.storage.attempts import Standing

log = structlog.get_logger(__name__)

_LIMIT_S = 20.0
_CALLS_S = 15.0
_LOOK_EVERY_S = 0.1
_ASK_EVERY_S = 2.0
_GRACE_S = 1.0
"""For so long it must stay true that others are at work: they may have been told to stop in the same moment."""

_HEARD_WITHIN = timedelta(seconds=5)
_HUMAN_WITHIN_S = 8.0
_BATCH = 1000
_RINGS = frozenset({CallState.PLACED, CallState.RINGING})
_UP = (CallState.DIALING, CallState.UNKNOWN, *LIVE)
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
        self._began = 0.0
        self._asked: dict[str, float] = {}

    def dial_nobody(self) -> None:
        """Start no further call, and commit no intent to dial."""
        self._sweeper.hold()
        self._gatekeeper.close()

    async def end_calls(self) -> None:
        """End conversations with an apology; cancel what rings, unless another process can take the answer.

        Takes at most 23 s; a call that is still up then is the next start's, or another process's.
        """
        self._began = self._now()
        self.dial_nobody()
        self._live.shut_down()
        try:
            async with asyncio.timeout(_CALLS_S):
                async with self._ledger.database.write() as conn:
                    await processes.stopping(conn, self._process_id)
                await self._let_go()
        except TimeoutError:
            log.warning("calls are left to the next start")
        except Exception:  # supervision point: a database that is away must not keep us from stopping
            log.exception("calls could not be ended")
        await self._live.stop(max(self._began + _LIMIT_S - self._now(), 0.0))

    async def _let_go(self) -> None:
        """Until nothing is up that is ours to end, or others take what rings."""
        alone_at = self._now()
        while True:
            async with self._ledger.database.read() as conn:
                others = await processes.others_at_work(conn, self._process_id, _HEARD_WITHIN)
                up = await attempts.standing(conn, _UP, _BATCH)
            ours = [call for call in up if self._is_ours(call, others)]
            if not others:
                alone_at = self._now()
                for call in ours:
                    await self._end(call)
            elif self._now() - alone_at > _GRACE_S:
                ours = [call for call in ours if call.state not in {*_RINGS, CallState.UNKNOWN}]
            if not ours:
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    def _is_ours(self, call: Standing, others: set[str]) -> bool:
        """Whether its end is waited for: ours, or nobody's; a person who talks with a human is with the human."""
        if call.owner in others or (others and call.owner != self._process_id):
            return False
        handed_over = bool(call.carrier_data.get(HANDED_OVER))
        return not (handed_over and (others or call.carrier_data.get(HUMAN_ANSWERED)))

    async def _end(self, call: Standing) -> None:
        """Cancel what rings, again until it has ended; let nobody wait for a human whom nobody would fetch back."""
        rings = call.state in _RINGS
        waits = bool(call.carrier_data.get(HANDED_OVER)) and self._now() - self._began > _HUMAN_WITHIN_S
        if not (rings or waits) or self._now() - self._asked.get(call.id, 0.0) < _ASK_EVERY_S:
            return
        self._asked[call.id] = self._now()
        async with self._ledger.open(call.id, "stop") as entry:
            if waits and entry.attempt.state in LIVE and not entry.attempt.carrier_data.get(HUMAN_ANSWERED):
                await entry.timer(TimerKind.LONGEST_CALL, 0)
            elif entry.attempt.state in _RINGS:
                # Whoever answers all the same is spoken to: the reason of the end is left open.
                await entry.set(
                    hang_up_requested=True,
                    hang_up_by=entry.attempt.hang_up_by or HangUpBy.US,
                    end_detail=entry.attempt.end_detail or _WHY,
                )
                await entry.timer(TimerKind.ASK, 0)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
