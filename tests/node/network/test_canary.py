"""The inside of libp2p 0.8.1 that we lean on: a new version that changes it is noticed here."""

import inspect
import os
from importlib.metadata import version

from libp2p.abc import IMuxedConn, IMuxedStream, ITransport
from libp2p.host.basic_host import BasicHost
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.stream.net_stream import NetStream
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.security.noise.patterns import PatternXX
from libp2p.security.noise.transport import Transport
from libp2p.security.security_multistream import SecurityMultistream
from libp2p.stream_muxer.muxer_multistream import MuxerMultistream
from libp2p.transport.manager import TransportManager
from libp2p.transport.upgrader import TransportUpgrader
from noise.connection import Keypair, NoiseConnection

from peerstream.node.network.host import Host
from peerstream.node.network.noise import SUITE_AESGCM
from peerstream.node.network.peers import host_key, peer_id_of, relay_id_of, relay_id_of_key
from peerstream.node.network.transport import TcpTransport
from peerstream.node.network.yamux import Yamux
from peerstream.node.network.yamux_stream import YamuxStream


def test_this_is_the_version_that_was_read() -> None:
    assert version("libp2p") == "0.8.1"


def test_the_cipher_states_are_where_we_take_the_keys_from() -> None:
    """NoiseSession: stock.conn.noise_state.noise_protocol.cipher_state_{encrypt,decrypt}.{k,n}."""
    left, right = (NoiseConnection.from_name(SUITE_AESGCM) for _ in range(2))
    left.set_as_initiator()
    right.set_as_responder()
    for side in (left, right):
        side.set_keypair_from_private_bytes(Keypair.STATIC, os.urandom(32))
        side.start_handshake()
    right.read_message(left.write_message())
    left.read_message(right.write_message())
    right.read_message(left.write_message())
    sending = left.noise_protocol.cipher_state_encrypt
    receiving = right.noise_protocol.cipher_state_decrypt
    assert bytes(sending.k) == bytes(receiving.k)
    assert len(sending.k) == 32
    assert sending.n == receiving.n == 0


def test_the_pattern_has_a_name_that_can_be_set() -> None:
    """NoiseTransport.get_pattern sets PatternXX.protocol_name for our own suite."""
    key = host_key(os.urandom(32))
    pattern = PatternXX(peer_id_of(relay_id_of_key(key)), key.private_key, key.private_key)
    assert pattern.protocol_name == b"Noise_XX_25519_ChaChaPoly_SHA256"
    assert "self.get_pattern()" in inspect.getsource(Transport.secure_inbound)
    assert "self.get_pattern()" in inspect.getsource(Transport.secure_outbound)


def test_the_hooks_that_we_override_are_called() -> None:
    for method in (SecurityMultistream.secure_inbound, SecurityMultistream.secure_outbound):
        assert "self.select_transport_and_protocol(" in inspect.getsource(method)
    assert "muxer_multistream.new_conn(" in inspect.getsource(TransportUpgrader.upgrade_connection)
    assert "YamuxStream" not in inspect.getsource(MuxerMultistream)
    assert "set_swarm" in inspect.getsource(TransportManager)
    assert "background_nursery" in inspect.getsource(Swarm.listen)
    assert "self.common_stream_handler" in inspect.getsource(Swarm.set_stream_handler)
    assert "on_close" in inspect.getsource(SwarmConn.__init__)
    assert "_started" in inspect.getsource(AutoConnector.maybe_connect)


def test_our_classes_are_whole() -> None:
    for ours, theirs in ((Yamux, IMuxedConn), (YamuxStream, IMuxedStream)):
        assert issubclass(ours, theirs)
        assert not inspect.isabstract(ours)
    assert issubclass(TcpTransport, ITransport)
    assert not inspect.isabstract(TcpTransport)


def test_a_host_is_silent_and_serves_nothing_of_its_own() -> None:
    host = Host(os.urandom(32))
    assert isinstance(host.libp2p, BasicHost)
    assert not host.libp2p.get_mux().get_protocols()
    assert not host.swarm.notifees
    assert list(host.swarm.upgrader.security_multistream.transports) == [
        "/psp/noise-aesgcm/1",
        "/noise",
    ]


def test_what_a_net_stream_offers() -> None:
    fields = inspect.getsource(NetStream.__init__)
    assert "self.muxed_stream =" in fields
    assert "self.swarm_conn =" in fields


def test_a_relay_id_is_the_key_inside_the_peer_id() -> None:
    key = host_key(bytes(range(32)))
    relay_id = relay_id_of_key(key)
    assert len(relay_id) == 32
    assert peer_id_of(relay_id) == ID.from_pubkey(key.public_key)
    assert relay_id_of(ID.from_pubkey(key.public_key)) == relay_id
    assert str(peer_id_of(relay_id)).startswith("12D3Koo")
