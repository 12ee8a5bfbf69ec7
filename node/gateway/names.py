"""Names of this network: what a program may ask a way in for (SPEC 16.1)."""

import re
from dataclasses import dataclass, replace
from typing import Final, Self

from peerstream.identity.address import Address
from peerstream.identity.errors import AddressError
from peerstream.node.gateway.errors import (
    BadNameError,
    BadPortError,
    ForeignNameError,
    NumericHostError,
)

SUFFIX: Final = ".psp.alt"  # RFC 9476: no resolver of DNS may ever answer for .alt
ENS_SUFFIX: Final = ".eth"
HOST_MAX: Final = 253  # bytes of UTF-8, as in DNS (RFC 1035 2.3.4)
PORT_MAX: Final = 65_535
SERVICES_BY_PORT: Final = {22: "ssh", 80: "web"}

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123 2.1
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE | re.ASCII)
_SHOWN: Final = 80  # letters of a host that an error repeats


@dataclass(frozen=True, slots=True)
class EnsName:
    """A name of the Ethereum Name Service as it was written: `alice.eth`, two labels."""

    text: str


@dataclass(frozen=True, slots=True)
class Alias:
    """What the user calls a contact: one label, in lower case."""

    text: str


@dataclass(frozen=True, slots=True)
class Destination:
    """Whom a program wants, and which service there; `service` is "" where the host named none."""

    target: Address | EnsName | Alias
    service: str = ""

    def at_port(self, port: int) -> Self:
        """Return it with a service: the one it names, else the one of the port.

        Raises BadPortError.
        """
        return self if self.service else replace(self, service=service_of_port(port))


def service_of_port(port: int) -> str:
    """Return the service that a port stands for: 80 `web`, 22 `ssh`, else its decimal digits.

    Raises BadPortError.
    """
    if not 1 <= port <= PORT_MAX:
        raise BadPortError(f"there is no port {port}")
    return SERVICES_BY_PORT.get(port, str(port))


def parse_destination(host: str) -> Destination:
    """Read `[service.]0x….psp.alt`, `[service.]alias.psp.alt` or `[service.]name.eth`.

    One dot at the end is dropped. An address in one case throughout carries no checksum, one in
    mixed case must be ERC-55. Raises NumericHostError, ForeignNameError, BadNameError.
    """
    if len(host.encode("utf-8", "surrogatepass")) > HOST_MAX + 1:
        raise BadNameError(f"a host has at most {HOST_MAX} bytes")
    name = host.removesuffix(".")
    lowered = name.lower()
    if lowered.endswith(SUFFIX):
        return _native(name[: -len(SUFFIX)], host)
    if lowered.endswith(ENS_SUFFIX):
        return _ens(name[: -len(ENS_SUFFIX)], host)
    if ":" in name or _NUMERIC.fullmatch(name.rpartition(".")[2]):
        raise NumericHostError(f"{shown_host(host)} is an IP address")
    raise ForeignNameError(f"{shown_host(host)} is not of this network")


def shown_host(host: str) -> str:
    """Return a stranger's host as an error may repeat it: short, and nothing a terminal obeys."""
    return ascii(host[:_SHOWN])[1:-1] or "an empty host"


def _native(front: str, host: str) -> Destination:
    service, target = _split(front, host)
    if target[:2] in ("0x", "0X"):
        try:
            return Destination(Address.parse("0x" + target[2:]), service)
        except AddressError as error:
            raise BadNameError(f"{shown_host(host)}: {error}") from None
    return Destination(Alias(_label(target, host)), service)


def _ens(front: str, host: str) -> Destination:
    service, name = _split(front, host)
    if not name or not name.isprintable() or " " in name:
        raise BadNameError(f"{shown_host(host)} is no name")
    lowered = name.lower() if name.isascii() else name  # the rest is for ENSIP-15
    return Destination(EnsName(lowered + ENS_SUFFIX), service)


def _split(front: str, host: str) -> tuple[str, str]:
    """Return the service, "" if none, and what names the target."""
    service, dot, target = front.rpartition(".")
    return (_label(service, host) if dot else "", target)


def _label(text: str, host: str) -> str:
    lowered = text.lower()
    if not text.isascii() or not _LABEL.fullmatch(lowered):
        raise BadNameError(f"{shown_host(host)}: a part is letters, digits and hyphens, 63 at most")
    return lowered
