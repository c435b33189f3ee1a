"""The life of calls on the platform: dialled, ringing, answered, joined, recorded, over."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from picows import WSError

from callwright.integrations.infobip.simulator import services, sockets
from callwright.integrations.infobip.simulator.account import Account
from callwright.integrations.infobip.simulator.calls import SimCall, SimDialog
from callwright.integrations.infobip.simulator.events import Events
from callwright.integrations.infobip.simulator.line import Callee, Line, Pipe
from callwright.integrations.infobip.simulator.media_leg import MediaLeg, MediaRules
from callwright.integrations.infobip.simulator.schemas import WebsocketEndpoint
from callwright.integrations.infobip.simulator.ticker import Ticker
from callwright.simulation.faults import FaultKind, Faults
from callwright.simulation.people import Phonebook
from callwright.simulation.person_script import RingOutcome
from callwright.simulation.traffic import Traffic
from callwright.simulation.world import World

_DEFAULT_RATE_HZ = 16000
_RING_STARTS_MS = 60
_ENDS = {
    RingOutcome.NO_ANSWER: "NO_ANSWER",
    RingOutcome.BUSY: "BUSY",
    RingOutcome.REJECTED: "REJECTED",
    RingOutcome.INVALID: "INVALID_DESTINATION",
    RingOutcome.UNREACHABLE: "DESTINATION_UNAVAILABLE",
    RingOutcome.BLOCKED: "FORBIDDEN",
}
_END_STATES = {"NO_ANSWER": "NO_ANSWER", "BUSY": "BUSY", "CANCELLED": "CANCELLED"}


class Exchange:
    """All calls and dialogs. `answerer` finds who answers a number; `history_after_s` is how long an ended call
    is in no list, `recording_after_s` how long its recording takes; `ends` overrides how calls to a number end:
    E.164 -> name of an error code.
    """

    def __init__(
        self, world: World, account: Account, events: Events, faults: Faults, traffic: Traffic
    ) -> None:
        self.account = account
        self.events = events
        self.calls: dict[str, SimCall] = {}
        self.dialogs: dict[str, SimDialog] = {}
        self.lines: dict[str, Line] = {}
        self.legs: dict[str, MediaLeg] = {}
        self.doubles: list[MediaLeg] = []
        self.people: dict[str, Callee] = {}
        self.recordings: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.dials_by_phone: Counter[str] = Counter()
        self.ends: dict[str, str] = {}
        self.rules = MediaRules()
        self.history_after_s = 0.0
        self.recording_after_s = 0.3
        self.answerer: Callable[[str], Callee] = Phonebook.of(world).person
        self.ticker = Ticker()
        self._clock = world.clock
        self._speed = world.options.speed
        self._faults = faults
        self._traffic = traffic
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._external_ids: set[str] = set()
        self._closing = False

    def now(self) -> datetime:
        """The world's time."""
        return self._clock.now()

    def line_rate_hz(self) -> int:
        """The rate of telephones: that of the newest media-stream configuration, so that nothing is converted."""
        configs = list(self.account.media_configs.values())
        return int(configs[-1]["sampleRate"]) if configs else _DEFAULT_RATE_HZ

    def recording_fault(self) -> str:
        """What goes wrong with the next recording, by name; empty for nothing."""
        fault = self._faults.draw("recording", FaultKind.CUSTOM)
        return fault.detail if fault is not None else ""

    def live_dialog(self, call: SimCall) -> SimDialog | None:
        """The dialog that a call is in now."""
        dialog = self.dialogs.get(call.dialog_id or "")
        return dialog if dialog is not None and dialog.live else None

    def dial(self, call: SimCall) -> None:
        """Let a telephone ring."""
        if call.external_id is not None:
            if call.external_id in self._external_ids:
                self._traffic.violation(f"externalId {call.external_id} was dialled twice")
            self._external_ids.add(call.external_id)
        self.calls[call.id] = call
        self.dials_by_phone[call.e164] += 1
        self.spawn(call, self._ring(call))

    def join(self, dialog: SimDialog) -> None:
        """Start a dialog's child leg."""
        parent, child = dialog.parent, dialog.child
        child.dialog_id = parent.dialog_id = dialog.id
        self.calls[child.id] = child
        self.dialogs[dialog.id] = dialog
        self.events.dialog("DIALOG_CREATED", dialog)
        if isinstance(child.endpoint, WebsocketEndpoint):
            self.spawn(child, self._open_socket(dialog, child.endpoint))
        else:
            self.spawn(child, self._ring(child))

    def end(self, call: SimCall, code: str, source: str) -> None:
        """A leg is over: everything that hung on it ends too; nothing happens when it is over already."""
        if not call.live or self._closing:
            return
        call.ended, call.end_code, call.hangup_source = self._clock.now(), code, source
        answered = call.answered is not None
        call.state = "FINISHED" if answered else _END_STATES.get(code, "FAILED")
        for task in [task for task, owner in self._tasks.items() if owner == call.id]:
            if task is not asyncio.current_task():
                task.cancel()
        self._close_line(call)
        leg = self.legs.get(call.id)
        if leg is not None:
            leg.close()
        self.events.call_over("CALL_FINISHED" if answered else "CALL_FAILED", call)
        dialog = self.live_dialog(call)
        if dialog is not None:
            self._end_dialog(dialog, call, code, source)
        self.spawn(None, self._archive(call))

    async def close(self) -> None:
        """Stop the clock, close every socket, drop every task."""
        self._closing = True
        await self.ticker.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        legs = [*self.legs.values(), *self.doubles]
        for leg in legs:
            leg.close()
        for leg in legs:
            with contextlib.suppress(TimeoutError):
                await leg.wait_closed()

    async def _ring(self, call: SimCall) -> None:
        """From dialling to the answer or the failure."""
        self.events.call("CALL_STARTED", call)
        person = self.people[call.id] = self.answerer(call.e164)
        plan = person.ring()
        code = self.ends.get(call.e164) or _ENDS.get(plan.outcome)
        ring_ms = plan.after_ms
        if plan.rings:
            await self.pause(_RING_STARTS_MS / 1000)
            call.state, call.ringing_at = "RINGING", self._clock.now()
            self.events.call("CALL_RINGING", call)
        if code is None:
            started = asyncio.get_running_loop().time()
            await person.prepare(self.line_rate_hz())
            ring_ms -= int((asyncio.get_running_loop().time() - started) * 1000 * self._speed)
        given_up = plan.after_ms > call.connect_timeout_s * 1000
        await self.pause(call.connect_timeout_s if given_up else max(0, ring_ms) / 1000)
        if given_up or code is not None:
            self.end(call, "NO_ANSWER" if given_up else str(code), "PLATFORM" if given_up else "ENDPOINT")
            return
        self._answer(call, person)

    def _answer(self, call: SimCall, person: Callee) -> None:
        rate_hz = self.line_rate_hz()
        stereo = call.recording is not None and call.recording.channels == "STEREO"
        line = Line(person, rate_hz, recorded=call.recording is not None, stereo=stereo)
        self.lines[call.id] = line
        person.answer(
            rate_hz,
            on_hang_up=lambda: self.end(call, "NORMAL_HANGUP", "ENDPOINT"),
            on_dtmf=lambda digit: self._pressed(call, digit),
        )
        call.state, call.answered = "ESTABLISHED", self._clock.now()
        self.ticker.add(id(line), line.tick)
        self.events.call("CALL_ESTABLISHED", call)
        self.spawn(call, self._limit(call))
        if call.detection is not None and call.detection.enabled:
            self.spawn(call, services.detect_machine(self, call, line))
        dialog = self.live_dialog(call)
        if dialog is not None and dialog.child is call:
            parent_end, child_end = Pipe.pair()
            self.lines[dialog.parent.id].party, line.party = parent_end, child_end
            self._established(dialog)

    async def _open_socket(self, dialog: SimDialog, endpoint: WebsocketEndpoint) -> None:
        """Connect a dialog's websocket leg to the address of its configuration."""
        child = dialog.child
        self.events.call("CALL_STARTED", child)
        config = self.account.media_configs[endpoint.websocket_endpoint_config_id]
        fault = sockets.draw(self._faults)
        message = sockets.hello(config, child.custom_data, fault)

        def leg_with(on_closed: Callable[[str], None]) -> MediaLeg:
            return MediaLeg(message, self.rules, self._faults, on_closed, self._traffic)

        leg = leg_with(lambda ending: self._socket_closed(child, ending))
        try:
            await sockets.connect(leg, config["url"], child.connect_timeout_s, fault)
            if fault is not None and fault.detail == "connects_twice":
                self.doubles.append(leg_with(lambda _: None))
                await sockets.connect(self.doubles[-1], config["url"], child.connect_timeout_s, None)
        except (OSError, WSError, TimeoutError) as error:
            self.end(child, sockets.failure(error), "PLATFORM")
            return
        if not child.live:
            leg.close()
            return
        self.legs[child.id] = leg
        child.state, child.answered = "ESTABLISHED", self._clock.now()
        self.events.call("CALL_ESTABLISHED", child)
        line = self.lines.get(dialog.parent.id)
        if line is not None:
            leg.set_line_rate(line.rate_hz)
            line.party = leg
        self._established(dialog)
        self.spawn(child, self._dialog_limit(dialog))

    def _socket_closed(self, child: SimCall, ending: str) -> None:
        """A websocket leg lost its socket: closed by our side, dropped, or ended by the platform."""
        source = "ENDPOINT" if ending == "CHILD_ENDPOINT" else "PLATFORM"
        self.end(child, "NORMAL_HANGUP" if source == "ENDPOINT" else "MEDIA_ERROR", source)

    def _established(self, dialog: SimDialog) -> None:
        dialog.state, dialog.established = "ESTABLISHED", self._clock.now()
        self.events.dialog("DIALOG_ESTABLISHED", dialog)

    def _end_dialog(self, dialog: SimDialog, ended: SimCall, code: str, source: str) -> None:
        side = "PARENT_ENDPOINT" if ended is dialog.parent else "CHILD_ENDPOINT"
        dialog.ended, dialog.end_code = self._clock.now(), code
        dialog.hangup_source = side if source == "ENDPOINT" else source
        was_established = dialog.established is not None
        dialog.state = "FINISHED" if was_established else "FAILED"
        line = self.lines.get(dialog.parent.id)
        if line is not None:
            line.party = None
        if ended is dialog.parent:
            self.end(dialog.child, "NORMAL_HANGUP" if was_established else "CANCELLED", source)
        elif dialog.hangs_up_parent:
            self.end(dialog.parent, "NORMAL_HANGUP", "PLATFORM")
        self.events.dialog("DIALOG_FINISHED" if was_established else "DIALOG_FAILED", dialog)

    def _close_line(self, call: SimCall) -> None:
        line = self.lines.pop(call.id, None)
        if line is None:
            return
        self.ticker.remove(id(line))
        line.close()
        call.silent_s = line.silent_s
        wav = line.recording()
        if wav is not None:
            self.spawn(None, services.keep_recording(self, call, wav))

    def _pressed(self, call: SimCall, digit: str) -> None:
        dialog = self.live_dialog(call)
        leg = self.legs.get(dialog.child.id) if dialog is not None else None
        if leg is not None:
            leg.press(digit)

    # --- in the background -------------------------------------------------------------------------------------

    async def _limit(self, call: SimCall) -> None:
        await asyncio.sleep(call.longest_s)
        self.end(call, "MAX_DURATION_REACHED", "PLATFORM")

    async def _dialog_limit(self, dialog: SimDialog) -> None:
        await asyncio.sleep(dialog.longest_s)
        self.end(dialog.child, "MAX_DURATION_REACHED", "PLATFORM")

    async def _archive(self, call: SimCall) -> None:
        """Let an ended call appear in the history, late if so configured."""
        await asyncio.sleep(self.history_after_s)
        call.archived = True

    async def pause(self, seconds: float) -> None:
        """Wait outside of media: the world's speed divides it."""
        await asyncio.sleep(seconds / self._speed)

    def spawn(self, call: SimCall | None, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background; it ends with the call, if one is named."""
        task = asyncio.create_task(work)
        self._tasks[task] = call.id if call is not None else ""
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            self._traffic.violation(f"the simulator failed: {task.exception()!r}")
