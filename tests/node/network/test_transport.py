"""Which addresses are dialled, and what counts as one place."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.crypto.secp256k1 import create_new_key_pair as create_secp256k1_key_pair
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from peerstream.node.network.errors import NegotiationError, NoUsableAddressError
from peerstream.node.network.gate import PACES_MAX, AcceptLimits, Gate, place
from peerstream.node.network.peers import host_key, peer_id_of, relay_id_of
from peerstream.node.network.transport import endpoint


def test_addresses_with_and_without_a_peer() -> None:
    assert endpoint(Multiaddr("/ip4/192.0.2.1/tcp/9001")) == ("192.0.2.1", 9001)
    assert endpoint(Multiaddr("/ip6/2001:db8::1/tcp/9001")) == ("2001:db8::1", 9001)
    peer = peer_id_of(bytes(32))
    assert endpoint(Multiaddr(f"/ip4/192.0.2.1/tcp/9/p2p/{peer}")) == ("192.0.2.1", 9)


@pytest.mark.parametrize(
    "text",
    [
        "/dns4/relay.example/tcp/9001",
        "/dnsaddr/relay.example",
        "/ip4/192.0.2.1/udp/9001",
        "/ip4/192.0.2.1/tcp/9001/ws",
        "/ip4/192.0.2.1",
        "/unix/socket",
        "/ip4/192.0.2.1/udp/1/quic-v1",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(NoUsableAddressError):
        endpoint(Multiaddr(text))


@given(address=st.ip_addresses(v=4))
def test_an_ipv4_address_is_a_place(address: ipaddress.IPv4Address) -> None:
    assert place(str(address)) == str(address)
    assert place(f"::ffff:{address}") == str(address)


@given(network=st.integers(1 << 20, 2**64 - 1), hosts=st.lists(st.integers(0, 2**64 - 1)))
def test_an_ipv6_customer_is_a_place(network: int, hosts: list[int]) -> None:
    places = {place(str(ipaddress.IPv6Address(network << 64 | host))) for host in hosts}
    assert len(places) <= 1


def test_a_zone_does_not_matter() -> None:
    assert place("fe80::1%eth0") == place("fe80::2")


@given(
    events=st.lists(
        st.tuples(st.sampled_from(["enter", "upgraded", "leave"]), st.integers(0, 2)), max_size=60
    )
)
def test_the_gate_keeps_its_limits_and_forgets_who_left(events: list[tuple[str, int]]) -> None:
    limits = AcceptLimits(connections=5, per_place=3, pending=3, pending_per_place=2)
    gate = Gate(limits, lambda: 0.0)
    inside: dict[str, list[str]] = {str(number): [] for number in range(3)}
    for event, number in events:
        where, states = str(number), inside[str(number)]
        if event == "enter" and gate.admits(where):
            gate.enter(where)
            states.append("pending")
        elif event == "upgraded" and "pending" in states:
            gate.upgraded(where)
            states[states.index("pending")] = "open"
        elif event == "leave" and "open" in states:
            gate.leave(where)
            states.remove("open")
        assert gate.open == sum(map(len, inside.values())) <= 5
        assert gate.pending == sum(s.count("pending") for s in inside.values()) <= 3
        assert all(len(s) <= 3 and s.count("pending") <= 2 for s in inside.values())
    assert set(gate._open) == {where for where, states in inside.items() if states}


def test_a_place_that_comes_again_and_again_is_slowed_down() -> None:
    now = [0.0]
    gate = Gate(AcceptLimits(per_place_second=2, per_place_burst=4), lambda: now[0])

    def come(where: str) -> bool:
        admitted = gate.admits(where)
        if admitted:
            gate.enter(where)
            gate.upgraded(where)
            gate.leave(where)
        return admitted

    assert [come("a") for _ in range(6)] == [True] * 4 + [False] * 2
    assert come("b")
    now[0] = 1.0
    assert [come("a") for _ in range(3)] == [True, True, False]


def test_places_at_rest_are_forgotten() -> None:
    now = [0.0]
    gate = Gate(AcceptLimits(), lambda: now[0])
    for number in range(5_000):
        now[0] += 1.0
        assert gate.admits(str(number))
        assert len(gate._paces) <= PACES_MAX + 1


def test_a_key_of_another_kind_is_no_relay() -> None:
    other = ID.from_pubkey(create_secp256k1_key_pair().public_key)
    with pytest.raises(NegotiationError):
        relay_id_of(other)
    with pytest.raises(ValueError, match="32 bytes"):
        peer_id_of(bytes(31))
    with pytest.raises(ValueError, match="32 bytes"):
        host_key(bytes(33))
