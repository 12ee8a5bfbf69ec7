"""PROXY v2, byte by byte as HAProxy's document has it (The PROXY protocol, 2.2)."""

import struct
from ipaddress import IPv6Address, IPv6Network

import trio
import trio.lowlevel

from peerstream.identity.address import Address
from peerstream.node.gateway.proxy_header import encode_header, ip_of
from peerstream.node.ports import Peer
from tests.node.gateway.local import called, exposed, program
from tests.node.services.memory_streams import CALLEE, CALLER

ACCOUNT = Address.parse("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")  # of ERC-55


def decode(data):
    """Read a header as the document says; return addresses, ports, TLVs and what is behind."""
    assert data[:12] == bytes.fromhex("0D0A0D0A000D0A515549540A")
    version_command, family, length = struct.unpack_from("!BBH", data, 12)
    assert (version_command, family) == (0x21, 0x21)  # version 2, PROXY; AF_INET6, STREAM
    body, rest = data[16 : 16 + length], data[16 + length :]
    assert len(body) == length
    source, destination = IPv6Address(body[:16]), IPv6Address(body[16:32])
    ports = struct.unpack_from("!HH", body, 32)
    tlvs, at = {}, 36
    while at < length:
        kind, size = struct.unpack_from("!BH", body, at)
        assert kind not in tlvs
        tlvs[kind] = body[at + 3 : at + 3 + size]
        assert len(tlvs[kind]) == size
        at += 3 + size
    return source, destination, ports, tlvs, rest


def test_a_header_by_hand():
    found = encode_header(Peer(ACCOUNT, 2, 6), Address(bytes(20)))
    assert (
        found
        == bytes.fromhex(
            "0d0a0d0a000d0a515549540a 21 21 005d"
            "fd7073700001 5aaeb6053f3e94c9b9a0 fd7073700001 00000000000000000000 0000 0000"
            "e0 002a"
        )
        + b"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
        + bytes.fromhex("e1 0009")
        + b"anonymous"
    )


def test_callers_are_told_apart_by_an_address_that_nobody_routes():
    source, destination, ports, tlvs, rest = decode(encode_header(Peer(CALLER, 1, 3), CALLEE))
    assert source == ip_of(CALLER) != ip_of(CALLEE) == destination
    assert source in IPv6Network("fd70:7370:1::/48")
    assert source.is_private
    assert ports == (0, 0)
    assert tlvs == {0xE0: str(CALLER).encode(), 0xE1: b"private"}
    assert rest == b""


def test_an_anonymous_caller_has_no_address():
    source, _, _, tlvs, _ = decode(encode_header(Peer(None, 2, 6), CALLEE))
    assert source == IPv6Address("fd70:7370:1::")
    assert tlvs == {0xE1: b"anonymous"}


async def test_the_header_goes_before_the_first_byte():
    heard = []

    async def listen(local):
        heard.append(b"".join([data async for data in local]))
        await local.aclose()

    async with program(listen) as port, called(exposed(port, proxy_protocol=True)) as (ours, _):
        await ours.send(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n")  # version 1 is only bytes here
        await ours.send_end()
        while not heard:
            await trio.lowlevel.checkpoint()
    *_, tlvs, rest = decode(heard[0])
    assert tlvs[0xE0] == str(CALLER).encode()
    assert rest == b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n"
