"""Our messages of Kademlia against libp2p's own, byte for byte and peer for peer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.kad_dht.pb.kademlia_pb2 import Message
from libp2p.kad_dht.utils import sort_peer_ids_by_distance
from multiaddr import Multiaddr

from peerstream.node.network.peers import peer_id_of
from peerstream.node.protocol.directory.kad_wire import decode_message
from peerstream.node.protocol.directory.kademlia import Contact, nearest_first
from tests.node.protocol.directory.admissions import RELAYS
from tests.node.protocol.directory.test_kademlia import MESSAGES, body


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.kind.name)
def test_libp2p_reads_what_we_write(message):
    read = Message.FromString(body(message))
    assert (read.type, read.key) == (message.kind, message.key)
    assert read.HasField("record") == (message.value is not None)
    assert read.record.value == (message.value or b"")
    peers = [(peer.id, [str(Multiaddr(a)) for a in peer.addrs]) for peer in read.closerPeers]
    assert peers == [
        (peer_id_of(contact.relay_id).to_bytes(), [str(e) for e in contact.endpoints])
        for contact in message.closer
    ]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.kind.name)
def test_we_read_what_libp2p_writes(message):
    written = Message(type=int(message.kind), key=message.key, clusterLevelRaw=3)
    written.senderRecord = b"an envelope that we pass over"
    if message.value is not None:
        written.record.key, written.record.value = message.key, message.value
        written.record.timeReceived = "2026-01-01T00:00:00Z"
    for contact in message.closer:
        peer = written.closerPeers.add(id=peer_id_of(contact.relay_id).to_bytes(), connection=1)
        peer.addrs.extend(Multiaddr(str(e)).to_bytes() for e in contact.endpoints)
    assert decode_message(written.SerializeToString()) == message
    assert decode_message(body(message)) == message


def test_peers_that_can_be_no_relay_are_passed_over():
    written = Message(type=4, key=b"k")
    written.closerPeers.add(id=b"\x12\x20" + bytes(32))  # the hash of an RSA key
    plain = written.closerPeers.add(id=peer_id_of(RELAYS[0].relay_id).to_bytes())
    for text in ("/dns4/example.org/tcp/1", "/ip4/1.2.3.4/udp/1", "/ip4/1.2.3.4/tcp/0"):
        plain.addrs.append(Multiaddr(text).to_bytes())
    assert decode_message(written.SerializeToString()).closer == (Contact(RELAYS[0].relay_id, ()),)


@given(st.lists(st.binary(min_size=32, max_size=32), unique=True, max_size=30), st.binary())
def test_near_is_what_libp2p_takes_for_near(ids, key):
    wanted = sort_peer_ids_by_distance(key, [peer_id_of(relay_id) for relay_id in ids])
    assert [peer_id_of(relay_id) for relay_id in nearest_first(key, ids)] == wanted
