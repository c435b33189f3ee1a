"""Listens to one conversation: keeps what was said, and queues what needs an answer. Nothing here blocks."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from callwright.calls.live_state import LiveState
from callwright.calls.talk_log import TalkLog
from callwright.ports.voice_agent import (
    AgentClosed,
    AgentEvent,
    AgentFailed,
    AgentHangsUp,
    AgentReady,
    Hearing,
    Said,
    SpeechLevel,
    ToolCalled,
)

log = structlog.get_logger(__name__)

_MOST_INCIDENTS = 256


@dataclass(frozen=True, slots=True)
class FirstWord:
    """The first frame of the agent's speech was written, `after_ms` after the person answered."""

    after_ms: float


@dataclass(frozen=True, slots=True)
class Pressed:
    """The person pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class SocketLost:
    """The carrier's media socket is gone."""

    detail: str


@dataclass(frozen=True, slots=True)
class SocketRefused:
    """The carrier's media socket broke its protocol."""

    reason: str


Incident = (
    AgentReady
    | FirstWord
    | Pressed
    | SocketLost
    | SocketRefused
    | ToolCalled
    | AgentHangsUp
    | AgentFailed
    | AgentClosed
)


class Ear:
    """media.observer.Observer for one call. `since_answer_ms` tells milliseconds since the person answered."""

    def __init__(self, talk: TalkLog, live: LiveState, since_answer_ms: Callable[[], float]) -> None:
        self.awake = asyncio.Event()
        self._talk = talk
        self._live = live
        self._since_answer_ms = since_answer_ms
        self._incidents: deque[Incident] = deque()

    def take(self) -> Incident | None:
        """The oldest incident that was not dealt with yet."""
        return self._incidents.popleft() if self._incidents else None

    async def wait(self, limit_s: float) -> None:
        """Wait until something happens, or for `limit_s` seconds."""
        try:
            async with asyncio.timeout(limit_s):
                await self.awake.wait()
        except TimeoutError:
            return

    def agent_ready(self, ready: AgentReady) -> None:
        """The agent platform opened the conversation."""
        self._add(ready)

    def first_agent_frame(self) -> None:
        """The first frame of the agent's speech was written to the carrier."""
        self._add(FirstWord(self._since_answer_ms()))

    def agent_event(self, event: AgentEvent) -> None:
        """Something was said, or the agent wants something."""
        if isinstance(event, Said):
            if self._talk.add(event, int(self._since_answer_ms())):
                self._live.said(event.speaker)
        elif isinstance(event, SpeechLevel):
            self._live.level(event.score)
        elif isinstance(event, Hearing):
            self._live.hearing(event.text)
        elif isinstance(event, ToolCalled | AgentHangsUp):
            self._add(event)

    def agent_ended(self, ended: AgentFailed | AgentClosed) -> None:
        """The agent's side is over."""
        self._add(ended)

    def person_pressed(self, digit: str) -> None:
        """The person pressed a key."""
        self._add(Pressed(digit))

    def carrier_lost(self, code: int | None, reason: str) -> None:
        """The carrier's media socket is gone."""
        self._add(SocketLost(f"{code}: {reason}" if code else reason or "connection lost"))

    def refused(self, reason: str) -> None:
        """The carrier's socket broke its protocol."""
        self._add(SocketRefused(reason))

    def _add(self, incident: Incident) -> None:
        if len(self._incidents) >= _MOST_INCIDENTS and isinstance(
            incident, Pressed | ToolCalled | SocketRefused
        ):
            log.warning("too many incidents in one call; one was dropped", incident=type(incident).__name__)
            return
        self._incidents.append(incident)
        self.awake.set()
