"""Packets between machines: how long they take, how many get through (SPEC 14.7)."""

import socket
import struct
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.lab.shaped.shape import CUT, LinkShape, Shaper

A, B, C = (socket.inet_aton(f"10.{number}.0.1") for number in (1, 2, 3))


def packet(source=A, target=B, size=1_000, mark=0):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size, mark, 0, 64, 6, 0, source, target)
    return head.ljust(size, b"x")


def shaper(shape, seed=1):
    return Shaper(shape, Random(seed).random)


def test_a_packet_arrives_after_the_delay_at_the_machine_it_names():
    link = shaper(LinkShape(delay_s=0.02))
    link.take(packet(A, B, mark=1), 5.0)
    link.take(packet(B, A, mark=2), 5.005)
    assert link.next_at == pytest.approx(5.02)
    assert link.arrived(5.0199) == []
    assert link.arrived(5.02) == [(B, packet(A, B, mark=1))]
    assert link.arrived(6.0) == [(A, packet(B, A, mark=2))]
    assert link.next_at == float("inf")


def test_packets_of_a_link_wait_for_each_other_and_for_no_other_link():
    link = shaper(LinkShape(delay_s=0.01, rate=100_000.0))
    for mark in range(3):
        link.take(packet(A, B, mark=mark), 0.0)
    link.take(packet(A, C), 0.0)
    link.take(packet(B, A), 0.0)
    assert [target for target, _ in link.arrived(0.0201)] == [B, C, A]
    assert link.arrived(0.0299) == []
    assert link.arrived(0.0301) == [(B, packet(A, B, mark=1))]
    assert link.arrived(1.0) == [(B, packet(A, B, mark=2))]


def test_what_would_wait_too_long_is_dropped():
    link = shaper(LinkShape(rate=10_000.0, queue_s=0.25))
    for mark in range(9):
        link.take(packet(mark=mark), 0.0)
    assert link.counts.overflowed == 6
    assert len(link.arrived(9.0)) == 3


def test_as_many_are_lost_as_was_wished():
    link = shaper(LinkShape(loss=0.1))
    for mark in range(10_000):
        link.take(packet(mark=mark), 0.0)
    assert 800 < link.counts.lost < 1_200
    assert len(link.arrived(0.0)) == 10_000 - link.counts.lost


def test_one_link_can_be_cut_in_one_direction_and_mended():
    link = shaper(LinkShape())
    link.set_shape(A, B, CUT)
    link.take(packet(A, B), 0.0)
    link.take(packet(B, A), 0.0)
    assert [target for target, _ in link.arrived(0.0)] == [A]
    link.set_shape(A, B, None)
    link.take(packet(A, B), 0.0)
    assert [target for target, _ in link.arrived(0.0)] == [B]


@pytest.mark.parametrize("odd", [b"", b"\x60" + bytes(60), packet()[:19]])
def test_what_is_no_packet_of_ipv4_goes_nowhere(odd):
    link = shaper(LinkShape())
    link.take(odd, 0.0)
    assert link.arrived(1.0) == []
    assert link.counts.stray == 1


@given(
    st.lists(st.tuples(st.floats(0, 0.01), st.integers(20, 1_500)), max_size=60),
    st.floats(0, 0.1),
    st.one_of(st.none(), st.floats(1e4, 1e7)),
)
def test_a_link_keeps_the_order_and_its_rate(sent, delay, rate):
    link = shaper(LinkShape(delay_s=delay, rate=rate, queue_s=1e9))
    now, last, size = 0.0, 0.0, 0
    for mark, (later, length) in enumerate(sent):
        now += later
        size += length
        link.take(packet(size=length, mark=mark), now)
    found = []
    while link.next_at < float("inf"):
        last = link.next_at
        found += link.arrived(last)
    assert [each for _, each in found] == [
        packet(size=length, mark=mark) for mark, (_, length) in enumerate(sent)
    ]
    if sent and rate is not None:
        assert last + 1e-6 >= sent[0][0] + delay + size / rate
