"""The services of one address: by name, as they come and go (SPEC 10.7)."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from peerstream.identity.address import Address
from peerstream.node.ports import Commit, IncomingStream, Peer
from peerstream.node.protocol.rendezvous.publication import PublicationRules
from peerstream.node.protocol.rendezvous.ranking import nobody
from peerstream.node.protocol.session.admission import ServicePolicy
from peerstream.node.protocol.session.frames import SERVICE_SIZE_MAX
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.errors import RoleError

Handler = Callable[[IncomingStream], Awaitable[None]]

PRIVATE: Final = 1
ANONYMOUS: Final = 2


class ServiceExistsError(RoleError):
    """A service of that name is offered already: withdraw it first, or take another name."""


class ServiceNameError(RoleError):
    """A service's name is 1 to 64 bytes of UTF-8, and its level 1 or 2."""


@dataclass(frozen=True, slots=True)
class ServiceOffer:
    """A name-spaced service: what serves a stream, and whether strangers may call it.

    early_data: its first bytes may come with the call, and twice. level: the least one that callers
    may use, None for the address' own. accepts: the handler says itself whether the stream is
    taken, by `accept` or `reset`, once it knows.
    """

    handler: Handler
    anonymous: bool = False
    early_data: bool = False
    level: int | None = None
    accepts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What an identity offers at the start, its own least level, the cell classes it takes.

    `is_contact`: whose calls come before those of strangers, who then have no puzzle to solve.
    `commit`: how its records are committed to on the chain, if they are.
    """

    offers: Mapping[str, ServiceOffer] = field(default_factory=dict)
    level: int = ANONYMOUS
    cell_classes: tuple[int, ...] = (0, 1, 2, 3)
    is_contact: Callable[[Address], bool] = nobody
    commit: Commit | None = None


class ServiceTable:
    """What is offered now, and what a descriptor and a call have to know of it."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._own_level = settings.level
        self._offers: dict[str, ServiceOffer] = {}
        self.policies: dict[str, ServicePolicy] = {}  # a view for the handshake, always up to date
        for name, offer in settings.offers.items():
            self.add(name, offer)

    def add(self, name: str, offer: ServiceOffer) -> None:
        """Offer a service. Raises ServiceExistsError, ServiceNameError."""
        if name in self._offers:
            raise ServiceExistsError(name)
        self._put(name, offer)

    def _put(self, name: str, offer: ServiceOffer) -> None:
        level = self._own_level if offer.level is None else offer.level
        if not 1 <= len(name.encode()) <= SERVICE_SIZE_MAX or level not in (PRIVATE, ANONYMOUS):
            raise ServiceNameError(f"{name!r} of level {level}")
        self._offers[name] = offer
        self.policies[name] = ServicePolicy(
            offer.anonymous, offer.early_data, level, takes_all=not offer.accepts
        )

    def replace(self, name: str, offer: ServiceOffer, by: ServiceOffer) -> None:
        """Offer another service in place of one; nothing when that one is not offered now.

        Raises ServiceNameError.
        """
        if self._offers.get(name) is offer:
            self._put(name, by)

    def remove(self, name: str) -> None:
        """Offer it no more; nothing when there is none of that name."""
        self._offers.pop(name, None)
        self.policies.pop(name, None)

    def get(self, name: str) -> ServiceOffer | None:
        """Return what is offered under a name."""
        return self._offers.get(name)

    @property
    def names(self) -> Iterable[str]:
        """What is offered."""
        return tuple(self._offers)

    @property
    def level(self) -> int:
        """The least level of the address: that of its least strict service."""
        return min((each.level for each in self.policies.values()), default=self._own_level)

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels at which it has to be introduced."""
        return (PRIVATE, ANONYMOUS) if self.level == PRIVATE else (ANONYMOUS,)

    def published(self, rules: PublicationRules) -> PublicationRules:
        """Return the rules of a record that says what holds for the services of this moment."""
        policies = self.policies.values()
        return replace(
            rules,
            minimum_level=self.level,
            accepts_early=any(each.early_data for each in policies),
            accepts_anonymous=any(each.anonymous for each in policies),
        )

    def find(self, name: str, peer: Peer) -> ServiceOffer | Status:
        """Return what serves a stream of this caller, or why it gets none."""
        policy = self.policies.get(name)
        if policy is None:
            return Status.NO_SERVICE
        if peer.level < policy.level:
            return Status.LEVEL
        if peer.address is None and not policy.anonymous:
            return Status.AUTH_REQUIRED
        return self._offers[name]
