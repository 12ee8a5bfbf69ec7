"""A network under measurement, whichever it is (docs/performance.md)."""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from peerstream.node.lab.bench.meter import Roles
from peerstream.node.lab.bench.socks import Place


async def _nothing() -> None:
    """Stand in where there is nothing to forget."""


@dataclass(slots=True)
class Subject:
    """A running network with one caller and one callee.

    front: the port of the caller's SOCKS5. host: the callee's name, which may be dialled often.
    fresh: names that were never dialled, used once each; without any, a fresh user name means a
    cold dial. roles: the processes by role, `relay`, `caller`, `callee`. forget: end what the
    dials so far left behind.
    """

    name: str
    profile: str | None
    version: str
    front: int
    host: str
    roles: Roles
    ready_s: float
    fresh: Sequence[str] = ()
    forget: Callable[[], Coroutine[None, None, None]] = _nothing
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def label(self) -> str:
        """What to call it in reports."""
        return self.name if self.profile is None else f"{self.name} {self.profile}"

    def places(self, number: int) -> list[Place]:
        """Return ways to the callee that share nothing with each other or with earlier ones."""
        return [Place(self.front, self.host, f"i{next(self._numbers)}") for _ in range(number)]

    def cold_places(self, start: int, number: int) -> list[Place]:
        """Return ways whose descriptor was never fetched; from `start` of the fresh names."""
        hosts = self.fresh[start : start + number] or [self.host] * number
        return [Place(self.front, host, f"c{next(self._numbers)}") for host in hosts]
