"""Which header fields go from one side to the other (SPEC 19.5 and 19.7).

Names are compared with every sign that is no letter or digit as a hyphen: CGI and WSGI turn all of
them into the same underscore, so that `X_PSP_Peer` would come out as `X-PSP-Peer`.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import h11

from peerstream.node.gateway.web.messages import FIELDS_MAX, HEAD_MAX
from peerstream.node.gateway.web.refusal import PageError

Fields = list[tuple[bytes, bytes]]

_SIGN: Final = re.compile(rb"[^a-z0-9]")
_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"te",
        b"trailer",
        b"upgrade",
        b"http2-settings",
    }
)
_CLAIMS: Final = re.compile(  # what says who calls, or from where
    rb"x-psp-.*|forwarded|x-forwarded(-.*)?|x-real-ip|(.*-)?client-ip|cf-connecting-ip"
    rb"|(x-)?remote-.*|proxy(-.*)?|via"
)
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"host"})
_WEBSOCKET: Final = b"websocket"


def plain(name: bytes) -> bytes:
    """Return a name as every reader that could take it for another one would see it."""
    return _SIGN.sub(b"-", name.lower())


def raw(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Return names and values as they were written."""
    return list(headers.raw_items()) if hasattr(headers, "raw_items") else list(headers)


def values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """Return the values of the fields of a name, in lower case with hyphens."""
    return [value for found, value in headers if found.lower() == name]


def tokens(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> frozenset[bytes]:
    """Return the comma-separated words of a field, in lower case."""
    listed = b",".join(values(headers, name)).lower().split(b",")
    return frozenset(word.strip() for word in listed if word.strip())


def end_to_end(fields: Fields) -> Iterator[tuple[bytes, bytes]]:
    """Leave out what is meant for one hop, and what Connection names."""
    gone = _HOP | {plain(word) for word in tokens(fields, b"connection")}
    gone -= _FRAMING  # nobody may have these taken out
    return ((name, value) for name, value in fields if plain(name) not in gone)


def wants_websocket(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a message is about WebSocket, the one protocol that may be changed to."""
    fields = list(headers)
    upgrade = b"upgrade" in tokens(fields, b"connection")
    return upgrade and tokens(fields, b"upgrade") == {_WEBSOCKET}


def upgrade_fields() -> Fields:
    """Return the fields that change to WebSocket."""
    return [(b"Connection", b"Upgrade"), (b"Upgrade", _WEBSOCKET)]


def request_fields(request: h11.Request) -> Fields:
    """Return what of a request goes on, without anything that says who calls.

    Raises PageError for what could be read in two ways.
    """
    fields = raw(request.headers)
    size = len(request.target) + sum(len(name) + len(value) + 4 for name, value in fields)
    if len(fields) > FIELDS_MAX or size > HEAD_MAX:
        raise PageError(431, f"at most {FIELDS_MAX} header fields of {HEAD_MAX} bytes in all")
    if len(values(fields, b"host")) != 1:
        raise PageError(400, "a request names one Host")
    lengths, codings = values(fields, b"content-length"), values(fields, b"transfer-encoding")
    if lengths and codings:
        raise PageError(400, "a request has a length or a transfer coding, not both")
    for name, _ in fields:
        if plain(name) in _FRAMING and plain(name) != name.lower():
            raise PageError(400, "a field has a name that some take for another")
    found = [
        (name, value) for name, value in end_to_end(fields) if not _CLAIMS.fullmatch(plain(name))
    ]
    return found + (upgrade_fields() if wants_websocket(fields) else [])


def response_fields(response: h11.Response | h11.InformationalResponse) -> Fields:
    """Return what of an answer goes on."""
    fields = raw(response.headers)
    found = list(end_to_end(fields))
    if response.status_code == 101:
        return found + upgrade_fields()
    return found + ([(b"Connection", b"close")] if is_last(response) else [])


def is_last(response: h11.Response | h11.InformationalResponse) -> bool:
    """Whether the connection ends behind this answer."""
    named = tokens(response.headers, b"connection")
    return b"close" in named or response.http_version < b"1.1"


def path_of(request: h11.Request) -> bytes:
    """Return the target as a path: an absolute one must be the Host's own. Raises PageError."""
    target = request.target
    if request.http_version not in {b"1.0", b"1.1"}:
        raise PageError(505, "HTTP/1.1 is spoken here")
    if request.method == b"CONNECT":
        raise PageError(405, "there is no way further from here: CONNECT is refused")
    if target.startswith(b"/") or (target == b"*" and request.method == b"OPTIONS"):
        return target
    [host] = values(request.headers, b"host") or [b""]
    scheme, _, rest = target.partition(b"://")
    authority, slash, path = rest.partition(b"/")
    if scheme.lower() != b"http" or authority.lower() != host.lower() or b"?" in authority:
        raise PageError(421, "the request is for another place than its Host")
    return slash + path or b"/"
