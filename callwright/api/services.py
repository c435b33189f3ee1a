"""What the API needs of the application around it."""

from typing import Protocol

from callwright.calls.agents import AgentService
from callwright.calls.directory import Directory
from callwright.calls.live import LiveCalls
from callwright.calls.service import CallService
from callwright.config import Configuration, Settings
from callwright.ports.clock import Clock
from callwright.storage.database import Database


class Services(Protocol):
    """The application as its HTTP side sees it; callwright.app.Callwright is one."""

    @property
    def settings(self) -> Settings:
        """Our own settings."""
        ...

    @property
    def configuration(self) -> Configuration:
        """All settings, and which integrations are in use."""
        ...

    @property
    def clock(self) -> Clock:
        """Where time comes from."""
        ...

    @property
    def database(self) -> Database:
        """The open database."""
        ...

    @property
    def directory(self) -> Directory:
        """The configured integrations."""
        ...

    @property
    def calls(self) -> CallService:
        """Creates, finds and steers calls."""
        ...

    @property
    def live(self) -> LiveCalls:
        """The conversations that this process holds."""
        ...

    @property
    def agents(self) -> AgentService:
        """Keeps agents."""
        ...

    async def ready(self) -> dict[str, str]:
        """Part -> "ok", or what is wrong with it."""
        ...
