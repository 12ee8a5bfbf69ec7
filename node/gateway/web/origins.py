"""Which address a browser's Host names, and which page asks for it (SPEC 19.7)."""

import re
from typing import Final

import h11

from peerstream.node.gateway.errors import DestinationError, ForeignNameError
from peerstream.node.gateway.names import ENS_SUFFIX, SUFFIX, Alias, Destination, parse_destination
from peerstream.node.gateway.web.fields import values
from peerstream.node.gateway.web.refusal import PageError

HTTP_PORT: Final = 80  # a label without a service means the one of this port
_HOST: Final = re.compile(
    r"(?:(?P<label>[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.)?localhost(?::[0-9]{1,5})?"
)
_OWN: Final = frozenset({b"same-origin", b"none"})


def host_of(request: h11.Request) -> str:
    """Return the one Host of a request, in lower case. Raises PageError."""
    found = values(request.headers, b"host")
    if len(found) != 1:
        raise PageError(400, "a request names one Host")
    return found[0].decode("ascii", "replace").lower()


def destination_of(host: str) -> Destination:
    """Return whom a Host names: one label, as IPFS inlines names. Raises PageError."""
    found = _HOST.fullmatch(host)
    if found is None:
        raise PageError.of(421, ForeignNameError("this is a gateway to addresses alone"))
    label = found["label"]
    if label is None:
        raise PageError(
            404, "No address is named.", f"Put one before it: http://0x….{host}/, or name-eth."
        )
    try:
        return _destination(label)
    except DestinationError as error:
        raise PageError.of(404, error) from error


def _destination(label: str) -> Destination:
    name = label.replace("--", "\0").replace("-", ".").replace("\0", "-")
    found = parse_destination(name if name.endswith(ENS_SUFFIX) else name + SUFFIX)
    if isinstance(found.target, Alias):
        raise ForeignNameError("an alias is no origin: it may come to mean another address")
    return found.at_port(HTTP_PORT)


def label_of(name: str) -> str:
    """Return the label under `localhost` for a host of SPEC 16.1."""
    return name.removesuffix(SUFFIX).replace("-", "--").replace(".", "-")


def check_asker(request: h11.Request, host: str) -> None:
    """Let only the address's own pages, and the user, make us call it. Raises PageError.

    By Fetch Metadata (W3C), and by Origin for browsers and requests without it.
    """
    origins = values(request.headers, b"origin")
    if any(origin.lower() != f"http://{host}".encode() for origin in origins):
        raise _foreign()
    site = values(request.headers, b"sec-fetch-site")
    if not site or _OWN.issuperset(site):
        return
    if not _is_navigation(request):
        raise _foreign()
    raise PageError(
        403,
        f"Another page wants to open {host}. Whoever it belongs to will learn your address.",
        "If that is not what you meant, close this page: nothing was sent.",
        link=request.target.decode("ascii", "replace"),
        title="Open this address?",
    )


def _is_navigation(request: h11.Request) -> bool:
    """Whether the whole window shall show it."""
    mode, target = b"sec-fetch-mode", b"sec-fetch-dest"
    return (
        request.method in {b"GET", b"HEAD"}
        and request.target.startswith(b"/")
        and not request.target.startswith((b"//", b"/\\"))  # browsers read both as a host
        and values(request.headers, mode) == [b"navigate"]
        and values(request.headers, target) == [b"document"]
    )


def _foreign() -> PageError:
    return PageError(
        403, "Another page asked for this, and it would have learnt who reads it.", "Open it here."
    )
