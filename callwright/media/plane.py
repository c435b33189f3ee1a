"""The media plane of one process: which sockets may come, which agents are reached, which calls are bridged."""

import asyncio
import hashlib
import hmac
import logging
import secrets
import ssl
from collections.abc import Callable
from contextlib import suppress

from picows import WSCloseCode, WSError, WSInvalidStatusError, WSInvalidURL, ws_connect

from callwright.domain.errors import CallwrightError, NotFound, WebhookRejected
from callwright.media.agent_leg import AgentLeg
from callwright.media.bridge import Bridge, BridgeContext
from callwright.media.carrier_leg import CarrierLeg
from callwright.media.limits import MediaLimits
from callwright.media.metrics import MediaMetrics
from callwright.media.observer import Observer
from callwright.media.pacer import Pacer
from callwright.media.recording import Recording
from callwright.ports.carrier import Carrier, MediaStarted
from callwright.ports.clock import Clock
from callwright.ports.voice_agent import AgentFailed, AgentFault, AgentProtocol

_SWEEP_S = 1.0
_READ_BUFFER = 4096
_REMEMBERED_TOKENS = 1024

logger = logging.getLogger(__name__)


class AgentUnreachable(CallwrightError):
    """The agent's socket could not be opened; `failure` says why in the port's words."""

    def __init__(self, failure: AgentFailed) -> None:
        self.failure = failure
        super().__init__(failure.detail)


class TooManySockets(CallwrightError):
    """The process is at its limit of media sockets."""


class ExpectedSocket:
    """A call's right to one carrier socket, from the moment it is registered until the socket came or `cancel`."""

    def __init__(self, plane: "MediaPlane", key: bytes) -> None:
        self._plane = plane
        self._key = key
        self._fetched = False
        self._leg: asyncio.Future[CarrierLeg] = asyncio.get_running_loop().create_future()

    async def socket(self, timeout_s: float) -> CarrierLeg:
        """The socket, once it proved that it is the expected one. Raises TimeoutError; the token is void then."""
        try:
            async with asyncio.timeout(timeout_s):
                leg = await asyncio.shield(self._leg)
        except TimeoutError:
            if not self._leg.done():
                raise
            leg = self._leg.result()
        finally:
            if not self._leg.done():
                self.cancel()
        self._fetched = True
        return leg

    def cancel(self) -> None:
        """Void the token; who waits gets TimeoutError. A socket that came and was not fetched is closed."""
        self._plane.forget(self._key)
        if not self._leg.done():
            self._leg.set_exception(TimeoutError("no longer expected"))
            self._leg.exception()  # seen: nobody may be waiting
        elif not self._fetched and self._leg.exception() is None:
            self._leg.result().close(WSCloseCode.GOING_AWAY, "not expected any more")

    def deliver(self, leg: CarrierLeg) -> None:
        """The socket is there; used by the plane only."""
        if self._leg.done():
            raise WebhookRejected("expired_token")
        self._leg.set_result(leg)


class MediaPlane:
    """Owns all media sockets, bridges and the pacer of a process. Lives on one event loop.

    `carriers` answers the carrier of a name and raises NotFound.
    """

    def __init__(
        self,
        clock: Clock,
        carriers: Callable[[str], Carrier],
        *,
        limits: MediaLimits | None = None,
        metrics: MediaMetrics | None = None,
    ) -> None:
        self.limits = limits or MediaLimits()
        self.metrics = metrics or MediaMetrics()
        self.pacer = Pacer(clock.monotonic, self.metrics, self.limits.carrier_sockets)
        self._carriers = carriers
        self._context = BridgeContext(
            clock.monotonic, self.pacer, self.limits, self.metrics, self._bridge_closed
        )
        self._secret = secrets.token_bytes(32)
        self._expected: dict[bytes, ExpectedSocket] = {}
        self._used: dict[bytes, None] = {}
        self._carrier_legs: set[CarrierLeg] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._bridges: set[Bridge] = set()
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._tls: ssl.SSLContext | None = None
        self._closing = False

    # Sockets that come

    def expect(self, token: str) -> ExpectedSocket:
        """Let the one socket in that shows this token. Raises TooManySockets."""
        if not token:
            raise ValueError("a media socket needs a token")
        if len(self._expected) >= self.limits.expected_sockets:
            raise TooManySockets(f"{self.limits.expected_sockets} media sockets are expected already")
        key = self._key(token)
        if key in self._expected or key in self._used:
            raise ValueError("a media socket's token may be used once only")
        expected = self._expected[key] = ExpectedSocket(self, key)
        return expected

    def forget(self, key: bytes) -> None:
        """A token is void; used by ExpectedSocket only."""
        if self._expected.pop(key, None) is not None:
            self._remember(key)

    def open_carrier(self, path: str) -> CarrierLeg:
        """The leg for a socket that asks for /media/`path`; used by the server before it accepts.

        Raises NotFound (no such carrier), WebhookRejected (a path the carrier does not know), TooManySockets.
        """
        if self._closing or len(self._carrier_legs) >= self.limits.carrier_sockets:
            self.metrics.refused.labels("too_many_sockets").inc()
            raise TooManySockets("no further media socket is accepted")
        name, _, rest = path.partition("/")
        try:
            protocol = self._carriers(name).media_protocol(rest)
        except (NotFound, KeyError) as error:
            self.metrics.refused.labels("unknown_carrier").inc()
            raise NotFound(f"no carrier has media sockets at {name!r}") from error
        except WebhookRejected as error:
            self.metrics.refused.labels(error.reason).inc()
            raise
        leg = CarrierLeg(protocol, self, self.limits, self.metrics)
        self._carrier_legs.add(leg)
        self._empty.clear()
        return leg

    def admit(self, leg: CarrierLeg, started: MediaStarted) -> None:
        """Give a socket to the call whose token it shows. Raises WebhookRejected."""
        if not started.token:
            raise WebhookRejected("no_token")
        key = self._key(started.token)
        expected = self._expected.pop(key, None)
        if expected is None:
            raise WebhookRejected("used_token" if key in self._used else "unknown_token")
        self._remember(key)
        expected.deliver(leg)

    def left(self, leg: CarrierLeg) -> None:
        """A carrier's socket is gone."""
        self._carrier_legs.discard(leg)
        if not self._carrier_legs:
            self._empty.set()

    # Sockets that we open

    async def open_agent(
        self, protocol: AgentProtocol, *, timeout_s: float = 10.0, ssl_context: ssl.SSLContext | None = None
    ) -> AgentLeg:
        """Connect to an agent and send its opening messages. Raises AgentUnreachable."""
        url, headers = protocol.connection()
        leg = AgentLeg(protocol, self.limits, self.metrics)
        try:
            async with asyncio.timeout(timeout_s):
                await ws_connect(
                    lambda *_: leg,
                    url,
                    ssl_context=(ssl_context or self._shared_tls()) if url.startswith("wss:") else None,
                    websocket_handshake_timeout=timeout_s,
                    max_frame_size=self.limits.agent_message_bytes,
                    extra_headers=dict(headers),
                    max_redirects=0,
                    read_buffer_init_size=_READ_BUFFER,
                )
        except WSInvalidStatusError as error:
            raise AgentUnreachable(_handshake_failure(error)) from error
        except (OSError, TimeoutError, WSError, WSInvalidURL) as error:
            failure = AgentFailed(AgentFault.OPERATIONAL, f"no connection: {type(error).__name__}")
            raise AgentUnreachable(failure) from error
        except asyncio.CancelledError:
            leg.abort()  # the handshake may have ended a moment ago
            raise
        finally:
            # Also when the caller is cancelled: a handshake that ends later must not start a conversation.
            leg.abandoned = leg.transport is None
        return leg

    # Calls

    def bridge(
        self,
        agent: AgentLeg,
        observer: Observer,
        *,
        carrier: CarrierLeg | None = None,
        recording: Recording | None = None,
    ) -> Bridge:
        """Join the sockets of a call; the caller closes the bridge, and with it both."""
        bridge = Bridge(self._context, agent, observer, carrier, recording)
        self._bridges.add(bridge)
        self.metrics.calls.inc()
        if self._sweep_timer is None:
            self._arm_sweep()
        return bridge

    async def close(self, timeout_s: float = 2.0) -> None:
        """Close every bridge and socket, cut what is left when the time is over."""
        self._closing = True
        for expected in list(self._expected.values()):
            expected.cancel()
        for bridge in list(self._bridges):
            bridge.close("shutting down")
        for leg in list(self._carrier_legs):
            leg.close(WSCloseCode.GOING_AWAY, "shutting down")
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        for leg in list(self._carrier_legs):
            leg.abort()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        self.pacer.close()

    def _bridge_closed(self, bridge: Bridge) -> None:
        if bridge in self._bridges:
            self._bridges.remove(bridge)
            self.metrics.calls.dec()

    def _arm_sweep(self) -> None:
        self._sweep_timer = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweep_timer = None
        self.metrics.lag.set(self.pacer.take_lag())
        for bridge in list(self._bridges):
            try:
                bridge.sweep()
            except Exception:
                # Supervision point: a fault in one call must not end the watch over the others.
                logger.exception("Watching a call failed")
        if self._bridges:
            self._arm_sweep()

    def _shared_tls(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def _key(self, token: str) -> bytes:
        """Tokens are looked up by a keyed digest, so that the time of a look-up tells nothing about them."""
        return hmac.digest(self._secret, token.encode(), hashlib.sha256)

    def _remember(self, key: bytes) -> None:
        self._used[key] = None
        if len(self._used) > _REMEMBERED_TOKENS:
            del self._used[next(iter(self._used))]


def _handshake_failure(error: WSInvalidStatusError) -> AgentFailed:
    status = int(error.response.status) if error.response is not None else 0
    if status in {402, 429}:
        return AgentFailed(AgentFault.QUOTA, f"HTTP {status}")
    if 400 <= status < 500:
        return AgentFailed(AgentFault.REFUSED, f"HTTP {status}")
    return AgentFailed(AgentFault.OPERATIONAL, f"HTTP {status}")
