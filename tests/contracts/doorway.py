"""Our side of the door: where vendors' webhooks and media sockets come in, as the real server takes them."""

from collections.abc import Awaitable, Callable

from picows import WSListener, WSUpgradeRequest, ws_create_server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from callwright.domain.errors import WebhookRejected
from callwright.ports.webhook import WebhookRequest
from callwright.simulation.faults import Faults
from callwright.simulation.server import SimulatorServer
from callwright.simulation.traffic import Traffic

Take = Callable[[WebhookRequest], Awaitable[None]]
Admit = Callable[[str], WSListener | None]


class Doorway:
    """One integration's addresses. `take` understands a webhook, `admit` makes the listener of a media socket."""

    def __init__(self, name: str, take: Take, admit: Admit) -> None:
        self.arrived: list[WebhookRequest] = []
        """Webhooks in the order of their arrival, refused ones too."""
        self.refused: list[str] = []
        """Reasons of refused webhooks."""
        self.media_paths: list[str] = []
        """What followed /media/<name>/ of the sockets that came."""
        self.public_url = ""
        self.media_url = ""
        self._name = name
        self._take = take
        self._admit = admit
        route = Route(f"/webhooks/{name}/{{path:path}}", self._receive, methods=["GET", "POST"])
        self._web = SimulatorServer(Starlette(routes=[route]), Faults(), Traffic("us"))

    async def open(self) -> None:
        """Listen."""
        await self._web.start()
        self.public_url = self._web.base_url
        self._media = await ws_create_server(self._upgrade, "127.0.0.1", 0)
        self.media_url = f"ws://127.0.0.1:{self._media.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Listen no more."""
        self._media.close()
        await self._web.stop()

    async def _receive(self, request: Request) -> Response:
        arrived = WebhookRequest(
            request.method,
            request.path_params["path"],
            dict(request.query_params),
            {name.lower(): value for name, value in request.headers.items()},
            await request.body(),
        )
        self.arrived.append(arrived)
        try:
            await self._take(arrived)
        except WebhookRejected as error:
            self.refused.append(error.reason)
            return Response(status_code=401)
        return Response(status_code=200)

    def _upgrade(self, request: WSUpgradeRequest) -> WSListener | None:
        path = request.path.decode().partition("?")[0]
        prefix = f"/media/{self._name}/"
        if not path.startswith(prefix):
            return None
        self.media_paths.append(path.removeprefix(prefix))
        return self._admit(self.media_paths[-1])
