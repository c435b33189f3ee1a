"""The simulated vendor as a whole: what the demo and the tests start, and look into."""

import asyncio
from collections import Counter

from callwright.integrations.infobip.simulator.account import Account
from callwright.integrations.infobip.simulator.api import build_app
from callwright.integrations.infobip.simulator.calls import SimCall
from callwright.integrations.infobip.simulator.events import Events
from callwright.integrations.infobip.simulator.exchange import Exchange
from callwright.integrations.infobip.simulator.limits import RateLimits
from callwright.integrations.infobip.simulator.media_leg import MediaLeg, MediaRules
from callwright.simulation.faults import Faults
from callwright.simulation.server import SimulatorServer
from callwright.simulation.traffic import Traffic
from callwright.simulation.webhooks import WebhookSender
from callwright.simulation.world import World

API_KEY = "simulated-infobip-key-5f0d1c"
WEBHOOK_USERNAME = "callwright"
WEBHOOK_PASSWORD = "simulated-infobip-events-84c1"  # noqa: S105  (a secret of the simulated world)


class InfobipSimulator:
    """Infobip on loopback.

    Faults are drawn at `METHOD /path`, `webhook TYPE`, `socket` (see socket_faults), `frame to us`, `frame from us`.
    """

    name = "infobip"

    def __init__(self, world: World) -> None:
        self.faults = Faults(world.options.seed)
        folder = world.options.traffic_folder
        self.traffic = Traffic(self.name, folder / f"{self.name}.jsonl" if folder else None)
        self.account = Account()
        self.rates = RateLimits()
        self._world = world
        speed = world.options.speed
        self._sender = WebhookSender(
            self.faults, self.traffic, retry_after_s=(1 / speed, 5 / speed, 15 / speed)
        )
        self.events = Events(self.account, self._sender, world.clock)
        self.exchange = Exchange(world, self.account, self.events, self.faults, self.traffic)
        app = build_app(self.exchange, self.rates, self.traffic, API_KEY)
        self._server = SimulatorServer(app, self.faults, self.traffic)

    @property
    def base_url(self) -> str:
        """The address of the API."""
        return self._server.base_url

    @property
    def calls(self) -> dict[str, SimCall]:
        """Every leg ever made, by id."""
        return self.exchange.calls

    @property
    def dials_by_phone(self) -> Counter[str]:
        """How often each number (E.164) was dialled; legs of dialogs do not count."""
        return self.exchange.dials_by_phone

    @property
    def media(self) -> dict[str, MediaLeg]:
        """Media sockets by the id of their websocket leg, closed ones too."""
        return self.exchange.legs

    @property
    def rules(self) -> MediaRules:
        """What the platform tolerates of our media; may be changed."""
        return self.exchange.rules

    def calls_to(self, e164: str) -> list[SimCall]:
        """The calls to a number, oldest first."""
        return [call for call in self.calls.values() if call.e164 == e164]

    async def start(self) -> None:
        """Listen on a free loopback port."""
        await self._server.start()
        self.events.api_base_url = self.base_url

    async def stop(self) -> None:
        """Close every socket and task."""
        await self.exchange.close()
        await asyncio.gather(self._server.stop(), self._sender.close())
        self.traffic.close()

    def environment(self) -> dict[str, str]:
        """Settings with which our adapter talks to this simulator."""
        return {
            "INFOBIP_API_KEY": API_KEY,
            "INFOBIP_BASE_URL": self.base_url,
            "INFOBIP_CALLER_IDS": ",".join(self._world.options.call_signs),
            "INFOBIP_WEBHOOK_AUTH": "basic",
            "INFOBIP_WEBHOOK_USERNAME": WEBHOOK_USERNAME,
            "INFOBIP_WEBHOOK_PASSWORD": WEBHOOK_PASSWORD,
        }
