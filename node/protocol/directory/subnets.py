"""Endpoints of relays, and which of them are neighbours in the address space (SPEC 6.4).

An endpoint is written as the multiaddr ``/ip4/A/tcp/P`` or ``/ip6/A/tcp/P`` and nothing else: a
name would be resolved, and the resolver would learn who talks to whom.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from peerstream.node.protocol.directory.errors import MalformedDocumentError

ENDPOINT_TEXT_MAX: Final = 64  # /ip6/ and 39 characters and /tcp/65535 are 55
_KINDS: Final[dict[str, Callable[[str], IPv4Address | IPv6Address]]] = {
    "ip4": IPv4Address,
    "ip6": IPv6Address,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An IP address and a TCP port."""

    address: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        return f"/ip{self.address.version}/{self.address}/tcp/{self.port}"

    @classmethod
    def parse(cls, text: str) -> "Endpoint":
        """Read a multiaddr in its one spelling. Raises MalformedDocumentError."""
        parts = text.split("/")
        if len(text) > ENDPOINT_TEXT_MAX or "%" in text or len(parts) != 5 or parts[3] != "tcp":
            raise MalformedDocumentError("no /ip4|ip6/…/tcp/… multiaddr")
        try:
            endpoint = cls(_KINDS[parts[1]](parts[2]), int(parts[4]))
        except (KeyError, ValueError) as error:
            raise MalformedDocumentError("no /ip4|ip6/…/tcp/… multiaddr") from error
        if endpoint.address.version == 6 and endpoint.address.ipv4_mapped is not None:
            raise MalformedDocumentError("an IPv4 address inside an IPv6 one")
        if str(endpoint) != text or not 0 < endpoint.port < 65_536:
            raise MalformedDocumentError("a multiaddr that is not in its one spelling")
        return endpoint

    def require_routable(self, *, private: bool) -> None:
        """Raise MalformedDocumentError for addresses that a relay cannot have.

        Unless `private`, also for loopback and private ranges: a relay that announces 127.0.0.1
        or a cloud's metadata address would have its neighbours knock on their own doors.
        """
        address = self.address
        if address.is_unspecified or address.is_multicast:
            raise MalformedDocumentError(f"{address} is no relay's address")
        if not private and not address.is_global:
            raise MalformedDocumentError(f"{address} is no public address")

    def is_routable(self, *, private: bool) -> bool:
        """Whether `require_routable` passes."""
        try:
            self.require_routable(private=private)
        except MalformedDocumentError:
            return False
        return True

    def subnet(self) -> bytes:
        """Return the /16 of an IPv4 or the /32 of an IPv6 address, marked with its version."""
        return bytes((self.address.version,)) + self.address.packed[: self.address.version - 2]


def subnets_of(endpoints: Iterable[Endpoint]) -> frozenset[bytes]:
    """Return the subnets of a relay's endpoints; two relays that share one are neighbours."""
    return frozenset(endpoint.subnet() for endpoint in endpoints)
