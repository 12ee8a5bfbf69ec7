"""Which pages may talk to a service: a list, never what a request says of itself (SPEC 21.4)."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from starlette.requests import Request

from peerstream.identity.web.problem import ProblemError

_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<domain>(?P<host>[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?)"
)
_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE: Final = frozenset({"same-origin", "none"})


class OriginListError(ValueError):
    """The list of origins is wrong: `https://host[:port]` each, in lower case, without a path.

    A host with letters outside ASCII is written as its A-label (`xn--...`). Plain http is for
    localhost alone.
    """


class Origins:
    """The origins that a service belongs to."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._domains: dict[str, str] = {}
        for origin in origins:
            found = _ORIGIN.fullmatch(origin)
            if found is None:
                raise OriginListError(f"{origin!r} is no origin")
            if found["scheme"] == "http" and not _is_loopback(found["host"]):
                raise OriginListError(f"{origin!r}: http is for localhost alone")
            if self._domains.setdefault(found["domain"], origin) != origin:
                raise OriginListError(f"{origin!r}: one scheme for one host")
        if not self._domains:
            raise OriginListError("a service has at least one origin")

    def __iter__(self) -> Iterator[str]:
        return iter(self._domains.values())

    def __contains__(self, origin: object) -> bool:
        return origin in self._domains.values()

    def of_domain(self, domain: str) -> str | None:
        """Return the origin whose host and port these are, or None."""
        return self._domains.get(domain)

    def check(self, request: Request) -> None:
        """Refuse a request that changes something and comes from another site's page.

        Browsers say where a request comes from and pages cannot change that; whoever is no
        browser says nothing, and has no cookies that a page could borrow.
        """
        if request.method in _SAFE_METHODS:
            return
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site")
        fine = origin in self if origin is not None else site is None or site in _OWN_SITE
        if not fine:
            raise ProblemError(403, "foreign-origin", "the request comes from another site's page")


def _is_loopback(host: str) -> bool:
    return host in _LOOPBACK or host.endswith(".localhost")
