"""The PROXY protocol, version 2: tells a local program who calls (SPEC 19.4).

Layout: HAProxy, The PROXY protocol, section 2.2.
"""

import struct
from ipaddress import IPv6Address
from typing import Final

from peerstream.identity.address import Address
from peerstream.node.gateway.service_spec import LEVEL_NAMES
from peerstream.node.ports import Peer

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
TLV_CALLER: Final = 0xE0  # PP2_TYPE_MIN_CUSTOM, the first for private use
TLV_LEVEL: Final = 0xE1
_VERSION_PROXY: Final = 0x21
_TCP_OVER_IPV6: Final = 0x21
_PREFIX: Final = bytes.fromhex("fd7073700001")  # RFC 4193: "psp" in a prefix that nobody routes
_SHARE: Final = 10  # bytes of an account in an address


def ip_of(account: Address | None) -> IPv6Address:
    """Return the unique local address by which programs tell callers apart; zeros for nobody."""
    share = bytes(_SHARE) if account is None else account.raw[:_SHARE]
    return IPv6Address(_PREFIX + share)


def encode_header(peer: Peer, own: Address) -> bytes:
    """Return the header that goes before the first byte of a connection."""
    places = ip_of(peer.address).packed + ip_of(own).packed + struct.pack("!HH", 0, 0)
    caller = b"" if peer.address is None else _tlv(TLV_CALLER, str(peer.address))
    body = places + caller + _tlv(TLV_LEVEL, LEVEL_NAMES[peer.level])
    return SIGNATURE + struct.pack("!BBH", _VERSION_PROXY, _TCP_OVER_IPV6, len(body)) + body


def _tlv(kind: int, text: str) -> bytes:
    return struct.pack("!BH", kind, len(text)) + text.encode("ascii")
