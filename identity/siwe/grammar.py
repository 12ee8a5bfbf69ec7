"""The characters and parts of RFC 3986 that a sign-in message may hold (SPEC 20.2).

Texts are cut at fixed delimiters first and each part is matched against one class of characters,
possessively: no part is read twice, so that time is linear in the length whatever a stranger sends.
"""

import ipaddress
import re
from typing import Final

from peerstream.identity.siwe.errors import DomainError, UriError

_UNRESERVED: Final = r"A-Za-z0-9\-._~"
_SUBDELIMS: Final = r"!$&'()*+,;="
_ESCAPE: Final = r"%[0-9A-Fa-f]{2}"


def _runs(characters: str) -> re.Pattern[str]:
    return re.compile(rf"(?:[{characters}]++|{_ESCAPE})*+")


SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*+")
STATEMENT: Final = re.compile(rf"[{_UNRESERVED}:/?#\[\]@{_SUBDELIMS} ]*+")
SEGMENT: Final = _runs(rf"{_UNRESERVED}{_SUBDELIMS}:@")
_PATH: Final = _runs(rf"{_UNRESERVED}{_SUBDELIMS}:@/")
_QUERY: Final = _runs(rf"{_UNRESERVED}{_SUBDELIMS}:@/?")
_USER: Final = _runs(rf"{_UNRESERVED}{_SUBDELIMS}:")
_NAME: Final = _runs(rf"{_UNRESERVED}{_SUBDELIMS}")
_PORT: Final = re.compile(r"[0-9]*+")
_FUTURE: Final = re.compile(rf"[vV][0-9A-Fa-f]++\.[{_UNRESERVED}{_SUBDELIMS}:]++")
# RFC 3986, appendix B, with a scheme that must be there
_URI: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+\-.]*+):(?://(?P<authority>[^/?#]*+))?"
    r"(?P<path>[^?#]*+)(?:\?(?P<query>[^#]*+))?(?:#(?P<fragment>.*+))?",
    re.DOTALL,
)


def check_domain(text: str) -> None:
    """Raise DomainError unless the text is an RFC 3986 authority whose host is not empty."""
    if not text.isascii():
        raise DomainError("a name outside ASCII goes into the message as its A-label, xn--...")
    if not is_authority(text) or not _host_and_port(text)[0]:
        raise DomainError("the domain is no host with an optional port")


def check_uri(text: str) -> None:
    """Raise UriError unless the text is an absolute URI of RFC 3986."""
    cut = _URI.fullmatch(text)
    if cut is None:
        raise UriError("a URI starts with a scheme and a colon")
    authority, query, fragment = cut["authority"], cut["query"], cut["fragment"]
    if authority is not None and not is_authority(authority):
        raise UriError("the authority of the URI is malformed")
    if not _PATH.fullmatch(cut["path"]):
        raise UriError("the path of the URI has a character that must be escaped")
    if not all(_QUERY.fullmatch(part) for part in (query, fragment) if part is not None):
        raise UriError("the query or fragment of the URI has a character that must be escaped")


def origin_of(uri: str) -> str:
    """Return ``scheme://authority`` of a URI that was checked, in the spelling it has."""
    cut = _URI.fullmatch(uri)
    if cut is None or cut["authority"] is None:
        return uri
    return f"{cut['scheme']}://{cut['authority']}"


def is_authority(text: str) -> bool:
    """Tell whether the text is ``[userinfo@]host[:port]``."""
    user, at, rest = text.rpartition("@")
    if at and not _USER.fullmatch(user):
        return False
    host, port = _host_and_port(rest)
    if not _PORT.fullmatch(port):
        return False
    return _is_literal(host) if host.startswith("[") else bool(_NAME.fullmatch(host))


def _host_and_port(text: str) -> tuple[str, str]:
    text = text.rpartition("@")[2]
    if text.startswith("["):
        literal, bracket, port = text.partition("]")
        if port and not port.startswith(":"):
            return text, ""
        return literal + bracket, port[1:]
    host, _, port = text.partition(":")
    return host, port


def _is_literal(host: str) -> bool:
    if not host.endswith("]"):
        return False
    inner = host[1:-1]
    if inner[:1] in ("v", "V"):
        return bool(_FUTURE.fullmatch(inner))
    if "%" in inner:  # a zone, which RFC 3986 does not have and Python takes
        return False
    try:
        ipaddress.IPv6Address(inner)
    except ValueError:
        return False
    return True
