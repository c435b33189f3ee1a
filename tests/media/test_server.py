"""One port for HTTP and media sockets."""

import asyncio
import socket
import time

import pytest

from callwright.media.limits import MediaLimits
from callwright.media.server import WebServer
from tests.media.peers import carrier_peer, until
from tests.media.test_relay import noise
from tests.media.world import World, hello


async def exchange(port: int, request: bytes, *, timeout_s: float = 5.0) -> bytes:
    """Send bytes, and read until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), timeout_s)
    finally:
        writer.close()


async def test_http_and_media_share_the_port() -> None:
    async with World() as world:
        call = await world.call()
        answer = await exchange(world.server.port, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"hello")
        call.carrier.send_binary(noise(1, 1)[0])
        await until(lambda: call.agent.heard == noise(1, 1))


async def test_a_connection_that_a_proxy_uses_again_may_become_a_media_socket() -> None:
    async with World() as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.server.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"200" in await reader.readuntil(b"hello")
        writer.write(
            b"GET /media/testing/secret HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        writer.close()


async def test_a_media_path_without_an_upgrade_is_the_applications() -> None:
    async with World() as world:
        request = b"GET /media/testing/secret HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        assert b"hello" in await exchange(world.server.port, request)


async def test_a_handshake_that_breaks_the_protocol_is_refused() -> None:
    async with World() as world:
        request = b"GET /media/testing/secret HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        assert (await exchange(world.server.port, request)).startswith(b"HTTP/1.1 400")
        assert world.refused("bad_handshake") == 1
        assert not world.plane._carrier_legs


async def test_a_long_head_is_taken_and_a_huge_one_refused() -> None:
    async with World() as world:
        start = (
            b"GET /media/testing/secret HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", world.server.port)
        writer.write(start + b"x-long: " + b"a" * 12_000 + b"\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.close()
        answer = await exchange(world.server.port, start + b"x-long: " + b"a" * 40_000 + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 431")
        assert world.refused("head_too_big") == 1


async def test_a_head_that_does_not_end_is_cut() -> None:
    async with World(limits=MediaLimits(handshake_s=0.2)) as world:
        assert await exchange(world.server.port, b"GET / HTTP/1.1\r\nhost: x\r\n") == b""
        assert await exchange(world.server.port, b"") == b""
        assert world.refused("slow_handshake") == 2


async def test_stopping_closes_sockets_in_bounded_time() -> None:
    world = World()
    async with world:
        call = await world.call()
        await carrier_peer(world.media_url)
        lonely = await carrier_peer(world.media_url)
        began = time.monotonic()
        await world.server.stop(1.0)
        assert time.monotonic() - began < 4
        await until(lambda: call.carrier.gone.is_set() and lonely.gone.is_set())
        assert lonely.closed == (1001, "shutting down")
        await until(lambda: call.agent.closed)
        with pytest.raises(OSError, match=r"[Cc]onnect"):
            await asyncio.open_connection("127.0.0.1", world.server.port)


async def test_a_listening_socket_may_be_given() -> None:
    async with World() as world:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            server = WebServer(hello, world.plane, sock=sock, lifespan="off")
            await server.start()
            assert server.port == sock.getsockname()[1]
            answer = await exchange(server.port, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert answer.endswith(b"hello")
            await server.stop(1.0)


async def test_a_taken_port_is_an_error() -> None:
    async with World() as world:
        server = WebServer(hello, world.plane, port=world.server.port, lifespan="off")
        with pytest.raises(OSError, match="in use"):
            await server.start()
