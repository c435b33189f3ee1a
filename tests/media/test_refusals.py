"""Sockets that are refused, and that a refusal touches nothing else."""

import asyncio
from base64 import b64encode
from contextlib import suppress
from hashlib import sha1

import pytest
from picows import WSInvalidStatusError, WSMsgType, ws_connect

from callwright.domain.errors import VendorError
from callwright.media.limits import MediaLimits
from callwright.media.plane import AgentUnreachable, TooManySockets
from callwright.ports.voice_agent import AgentFault
from tests.media.peers import Peer, carrier_peer, until
from tests.media.protocols import JsonAgentProtocol
from tests.media.test_relay import noise
from tests.media.world import World


async def refused_peer(peer: Peer) -> tuple[int, str]:
    await until(peer.gone.is_set)
    assert peer.closed is not None
    return peer.closed


async def test_an_unknown_token_is_refused() -> None:
    async with World() as world:
        world.plane.expect("right")
        peer = await carrier_peer(world.media_url, "wrong")
        assert await refused_peer(peer) == (1008, "unknown_token")
        assert world.refused("unknown_token") == 1


async def test_a_token_works_once() -> None:
    async with World() as world:
        call = await world.call()
        again = await carrier_peer(world.media_url, f"token-{world._calls}")
        assert await refused_peer(again) == (1008, "used_token")
        assert world.refused("used_token") == 1
        call.carrier.send_binary(noise(1, 1)[0])
        await until(lambda: call.agent.heard == noise(1, 1))
        with pytest.raises(ValueError, match="once"):
            world.plane.expect(f"token-{world._calls}")


async def test_an_expired_token_is_refused() -> None:
    async with World() as world:
        with pytest.raises(TimeoutError):
            await world.plane.expect("late").socket(0.05)
        peer = await carrier_peer(world.media_url, "late")
        assert await refused_peer(peer) == (1008, "used_token")


async def test_a_cancelled_expectation_closes_a_socket_that_nobody_fetched() -> None:
    async with World() as world:
        expected = world.plane.expect("token")
        peer = await carrier_peer(world.media_url, "token")
        await until(lambda: world.registry.get_sample_value("callwright_media_sockets", {"leg": "carrier"}))
        await until(lambda: not world.plane._expected)
        expected.cancel()
        assert (await refused_peer(peer))[0] == 1001


async def test_who_waits_for_a_cancelled_expectation_is_told() -> None:
    async with World() as world:
        expected = world.plane.expect("token")
        waiting = asyncio.create_task(expected.socket(5))
        await asyncio.sleep(0)
        expected.cancel()
        with pytest.raises(TimeoutError):
            await waiting


@pytest.mark.parametrize(
    "message, reason",
    [
        (b"no json", "malformed"),
        (b'{"event":"dtmf","digit":"1"}', "no_start"),
        (b'{"event":"connected","format":"pcm_16000","token":""}', "no_token"),
    ],
)
async def test_a_wrong_first_message_is_refused(message: bytes, reason: str) -> None:
    async with World() as world:
        peer = await carrier_peer(world.media_url)
        peer.send_text(message)
        assert await refused_peer(peer) == (1008, reason)
        assert world.refused(reason) == 1


async def test_audio_before_the_first_message_is_refused() -> None:
    async with World() as world:
        peer = await carrier_peer(world.media_url)
        peer.send_binary(bytes(640))
        assert await refused_peer(peer) == (1008, "audio_before_start")


async def test_a_socket_that_says_nothing_is_closed() -> None:
    async with World(limits=MediaLimits(first_message_s=0.1)) as world:
        peer = await carrier_peer(world.media_url)
        assert await refused_peer(peer) == (1008, "no_first_message")


@pytest.mark.parametrize("in_pieces", [False, True])
async def test_an_oversize_message_is_refused(in_pieces: bool) -> None:
    async with World() as world:
        call = await world.call()
        other = await world.call()
        transport = call.carrier.transport
        assert transport is not None
        with suppress(ConnectionError):
            if in_pieces:
                transport.send(WSMsgType.BINARY, bytes(40_000), fin=False)
                transport.send(WSMsgType.CONTINUATION, bytes(40_000), fin=False)
            else:
                transport.send(WSMsgType.BINARY, bytes(70_000))
        await until(lambda: call.watcher.lost)
        assert world.refused("oversize") == 1
        assert call.watcher.refusals == ["oversize"]
        other.carrier.send_binary(noise(1, 1)[0])
        await until(lambda: other.agent.heard == noise(1, 1))
        assert call.agent.heard == []


async def test_nonsense_in_mid_call_costs_that_socket_only() -> None:
    async with World() as world:
        call = await world.call()
        call.carrier.send_text(b"{")
        await until(lambda: call.watcher.lost)
        assert call.watcher.refusals == ["malformed"]
        assert call.watcher.lost == [(1008, "malformed")]
        assert call.agent.closed is None


async def test_paths_are_refused_before_the_upgrade() -> None:
    async with World() as world:
        base = f"ws://127.0.0.1:{world.server.port}/media"
        for path, status in (("/unknown/secret", 404), ("/testing/guess", 403), ("/testing", 403)):
            with pytest.raises(WSInvalidStatusError) as refusal:
                await ws_connect(Peer, base + path)
            assert refusal.value.response is not None
            assert refusal.value.response.status == status
        assert world.refused("unknown_carrier") == 1
        assert world.refused("wrong_path") == 2


async def test_sockets_are_limited() -> None:
    async with World(limits=MediaLimits(carrier_sockets=1)) as world:
        first = await carrier_peer(world.media_url)
        with pytest.raises(WSInvalidStatusError) as refusal:
            await carrier_peer(world.media_url)
        assert refusal.value.response is not None
        assert refusal.value.response.status == 503
        first.drop()
        await until(lambda: not world.plane._carrier_legs)
        await carrier_peer(world.media_url)


async def test_expectations_are_limited() -> None:
    async with World(limits=MediaLimits(expected_sockets=2)) as world:
        world.plane.expect("a")
        world.plane.expect("b")
        with pytest.raises(TooManySockets):
            world.plane.expect("c")


async def test_an_agent_that_cannot_be_reached_is_told_apart() -> None:
    async with World() as world:
        with pytest.raises(AgentUnreachable) as nobody:
            await world.plane.open_agent(JsonAgentProtocol("ws://127.0.0.1:9/x"), timeout_s=2)
        assert nobody.value.failure.fault is AgentFault.OPERATIONAL
        http = f"ws://127.0.0.1:{world.server.port}/media/unknown/x"
        with pytest.raises(AgentUnreachable) as refused:
            await world.plane.open_agent(JsonAgentProtocol(http), timeout_s=2)
        assert refused.value.failure.fault is AgentFault.REFUSED
        assert refused.value.failure.detail == "HTTP 404"
        assert not isinstance(refused.value, VendorError)


async def test_an_agent_that_accepts_and_says_nothing_times_out() -> None:
    async def wait_for_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        ended.set()

    ended = asyncio.Event()
    silent = await asyncio.start_server(wait_for_the_end, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with World() as world:
        with pytest.raises(AgentUnreachable):
            await world.plane.open_agent(JsonAgentProtocol(f"ws://127.0.0.1:{port}/x"), timeout_s=0.2)
        await asyncio.wait_for(ended.wait(), 5)
    silent.close()


async def test_a_cancelled_opening_starts_no_conversation() -> None:
    """The handshake ends after its call was cancelled: the socket is cut before the opening message."""
    held = asyncio.Event()
    got = bytearray()

    async def handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(
            line.split(b": ")[1]
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key")
        )
        await held.wait()
        accept = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324  RFC 6455 asks for SHA-1
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        with suppress(ConnectionError):
            got.extend(await reader.read(1000))
        writer.close()
        done.set()

    done = asyncio.Event()
    server = await asyncio.start_server(handshake, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with World() as world:
        opening = asyncio.create_task(world.plane.open_agent(JsonAgentProtocol(f"ws://127.0.0.1:{port}/x")))
        await asyncio.sleep(0.1)
        opening.cancel()
        await asyncio.wait([opening])
        held.set()
        await asyncio.wait_for(done.wait(), 5)
        assert b"initiation" not in got
    server.close()
