"""An agent behind TLS, as every real one is."""

import datetime as dt
import ssl
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from picows import ws_create_server

from callwright.media.plane import AgentUnreachable
from callwright.ports.voice_agent import AgentFault
from tests.media.peers import AgentPeer, until
from tests.media.protocols import JsonAgentProtocol, agent_event
from tests.media.test_relay import noise
from tests.media.world import Watcher, World


def certificate(folder: Path) -> Path:
    """A self-signed certificate of 127.0.0.1 with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    plain = serialization.NoEncryption()
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(built.public_bytes(encoding) + key.private_bytes(encoding, form, plain))
    return file


async def test_an_agent_behind_tls_is_reached_and_its_certificate_checked(tmp_path: Path) -> None:
    file = certificate(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    peers: list[AgentPeer] = []

    def listen(request: object) -> AgentPeer:
        peers.append(AgentPeer(request, agent_event("metadata", input="pcm_16000")))  # type: ignore[arg-type]  # loosely typed there
        return peers[-1]

    server = await ws_create_server(listen, "127.0.0.1", 0, ssl=serving)
    protocol = JsonAgentProtocol(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/c")
    async with World() as world:
        with pytest.raises(AgentUnreachable) as refused:
            await world.plane.open_agent(protocol, timeout_s=3)
        assert refused.value.failure.fault is AgentFault.OPERATIONAL
        trusting = ssl.create_default_context(cafile=str(file))
        leg = await world.plane.open_agent(protocol, timeout_s=3, ssl_context=trusting)
        bridge = world.plane.bridge(leg, Watcher())
        carrier = await world.join(bridge)
        await until(lambda: bridge.times.agent_ready)
        frames = noise(1, 5)
        for frame in frames:
            carrier.send_binary(frame)
        await until(lambda: peers[-1].heard == frames)
        bridge.close()
        await until(peers[-1].gone.is_set)
    server.close()
    await server.wait_closed()
