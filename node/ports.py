"""What the roles need from outside: clock, chance, links, relay sets, storage, streams (SPEC 10).

Protocols only. `node.network`, `node.chain` and `node.store` implement them, tests do so in memory,
and a role never learns which of the two it runs on.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from peerstream.identity.address import Address
from peerstream.identity.descriptor.commitment import Commitment
from peerstream.node.port_errors import (
    CommitError,
    DatagramTooLargeError,
    PortError,
    QuestionError,
    SessionEndedError,
    SourceError,
    StorageError,
    StreamError,
    StreamResetError,
    UnreachableError,
)
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.directory.guards import GuardState
from peerstream.node.protocol.directory.relay_set import RelayView
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.protocol.onion.replay import ReplayRecord
from peerstream.node.protocol.session.datagram import DATAGRAM_SIZE_MAX
from peerstream.node.protocol.wire.status import Status

DATAGRAM_MAX = DATAGRAM_SIZE_MAX  # bytes
__all__ = [
    "Answer",
    "ByteStream",
    "Clock",
    "Commit",
    "CommitError",
    "DatagramTooLargeError",
    "Entropy",
    "Environment",
    "GuardStore",
    "Identities",
    "IncomingStream",
    "LinkOwner",
    "Links",
    "OnionKeyStore",
    "Peer",
    "PinStore",
    "PortError",
    "QuestionError",
    "RelaySource",
    "ReplayStore",
    "SessionEndedError",
    "SourceError",
    "SourceSnapshot",
    "StorageError",
    "StreamError",
    "StreamResetError",
    "UnreachableError",
]

Entropy = Callable[[int], bytes]
Answer = Callable[[bytes, bytes], Awaitable[bytes]]
# Posts a commitment with the blinded key's signature (64 B). Raises CommitError.
Commit = Callable[[Commitment, bytes], Awaitable[None]]


class Clock(Protocol):
    """The two clocks of a node."""

    def now(self) -> float:
        """Seconds that never go back, from an arbitrary start."""
        ...

    def wall(self) -> int:
        """Unix seconds: directory time."""
        ...


@dataclass(frozen=True, slots=True)
class Environment:
    """The clock and the chance that a role runs on."""

    clock: Clock
    entropy: Entropy = field(repr=False)


# Links


class LinkOwner(Protocol):
    """What a node does for its links: called by the implementation of `Links`."""

    def make_link(self, *, dialer: bool, peer: bytes, now: float) -> Link:
        """Return the machine of a new link to the neighbour with this host key (32 B)."""
        ...

    def link_closed(self, link: Link, peer: bytes, error: BaseException) -> None:
        """Learn that the connection under a link is gone; the link is closed already."""
        ...

    def turn(self, now: float) -> None:
        """Act on what came in, before anything is sent: once for each wake-up."""
        ...


class Links(Protocol):
    """The neighbours that this node can reach, one link to each."""

    @property
    def relay_id(self) -> bytes:
        """Our own host key, Ed25519, 32 bytes."""
        ...

    async def dial(self, relay_id: bytes, endpoints: Sequence[Endpoint]) -> Link:
        """Return the link to a relay, dialling if there is none. Raises UnreachableError."""
        ...

    def close(self, link: Link) -> None:
        """End a link of ours; `LinkOwner.link_closed` follows."""
        ...

    async def ask(
        self, relay_id: bytes, endpoints: Sequence[Endpoint], question: bytes, limit: int
    ) -> bytes:
        """Ask a directory question of SPEC 6.13, an answer of at most `limit` bytes.

        On a connection of its own. Raises UnreachableError, QuestionError.
        """
        ...

    def serve(self, answer: Answer) -> None:
        """Answer such questions: ``await answer(relay_id_of_the_asker, question)`` for each."""
        ...

    def wake(self) -> None:
        """Have `LinkOwner.turn` called soon, and then everything sent that waits."""
        ...


# Where the relay set comes from


class Identities(Protocol):
    """What the network's root says of accounts: whole snapshots, never a question about one."""

    def identity_key(self, account: Address) -> bytes | None:
        """Return the identity key that the account lists, 32 bytes, or None."""
        ...

    def revoked_before(self, account: Address) -> int:
        """Return the unix second up to which the account revoked its delegations; 0 for never."""
        ...

    def is_device_revoked(self, account: Address, device_key: bytes) -> bool:
        """Whether the account revoked the device with this Ed25519 key (32 B)."""
        ...


@dataclass(frozen=True, slots=True)
class SourceSnapshot:
    """What a source knows at one moment, all of it verified.

    views: of the epoch in force and its neighbours, and of the start of the period if that is
    longer ago. randomness: 32 bytes by period, for ring seeds; empty where there is no chain.
    endpoints: where to ask first, by relay_id. documents: by epoch, what others are given who ask
    for the view (SPEC 6.13). commitments: by blinded key (32 B) and period, to records (SPEC 2.5).
    """

    views: tuple[RelayView, ...]
    identities: Identities
    randomness: Mapping[int, bytes] = field(default_factory=dict)
    endpoints: Mapping[bytes, tuple[Endpoint, ...]] = field(default_factory=dict)
    documents: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    commitments: Mapping[tuple[bytes, int], Commitment] = field(default_factory=dict, repr=False)


class RelaySource(Protocol):
    """Where the relay set is rooted: a chain, a signed file, an admission key."""

    async def read(self, wall: int) -> SourceSnapshot:
        """Read it as of now. Raises SourceError, and then nothing of it is used."""
        ...

    async def news(self) -> None:
        """Wait until reading again is worth it before it is time to; for ever if never."""
        ...


# What must survive a restart


class GuardStore(Protocol):
    """Keeps the guards of one network. Both raise StorageError."""

    def load_guards(self) -> GuardState:
        """Return the state kept, an empty one at first."""
        ...

    def save_guards(self, state: GuardState) -> None:
        """Keep the state; it is on disk when this returns."""
        ...


class ReplayStore(Protocol):
    """Keeps the tags of what was opened once. All raise StorageError."""

    def load_tags(self, wall: int) -> Mapping[int, Iterable[bytes]]:
        """Return the tags of each bucket that still counts."""
        ...

    def append_tag(self, record: ReplayRecord) -> None:
        """Keep one tag; it survives the process when this returns."""
        ...

    def expire_tags(self, wall: int) -> None:
        """Forget the buckets whose time is over."""
        ...


class OnionKeyStore(Protocol):
    """Keeps a relay's onion key seeds, and only those it was last given. Raises StorageError."""

    def load_onion_seeds(self) -> Mapping[int, bytes]:
        """Return the seeds (32 B) by epoch."""
        ...

    def save_onion_seeds(self, seeds: Mapping[int, bytes]) -> None:
        """Keep these in place of all others."""
        ...


class PinStore(Protocol):
    """Keeps the highest of what only rises, so that nobody can roll it back.

    To pin raises StorageError.
    """

    def newest_issued(self, account: Address) -> int:
        """Return when the newest delegation seen of the account was issued; 0 for none."""
        ...

    def pin_issued(self, account: Address, issued: int) -> None:
        """Remember a verified delegation."""
        ...

    def highest_revision(self, blinded: bytes) -> int:
        """Return the highest revision seen, or published, under a blinded key; 0 for none."""
        ...

    def pin_revision(self, blinded: bytes, revision: int, forget_at: int) -> None:
        """Remember a revision until the unix second `forget_at`."""
        ...


# What services see


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: a verified account, or nobody in particular.

    address: None for an anonymous caller. level: 1 or 2, the one reached. hops: relays on the way.
    """

    address: Address | None
    level: int
    hops: int


class ByteStream(Protocol):
    """Ordered bytes to and from a verified address; anyio's ByteStream with a few words more."""

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        ...

    @property
    def service(self) -> str:
        """The service that the stream was opened to."""
        ...

    async def accepted(self) -> None:
        """Wait until the peer's service took the stream, which may be used before.

        Raises StreamResetError with NO_SERVICE where there is none, SessionEndedError.
        """
        ...

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Return 1 to `max_bytes` bytes, or b"" at the end that the peer wrote.

        Raises StreamResetError, SessionEndedError: the end is not the peer's, bytes are missing.
        """
        ...

    async def send(self, data: bytes | memoryview) -> None:
        """Hand all of `data` over, waiting while the peer does not read; do not change it after.

        Raises StreamResetError, SessionEndedError.
        """
        ...

    async def send_end(self) -> None:
        """End our half behind what was sent; the peer's goes on."""
        ...

    async def drain(self) -> None:
        """Wait until the peer's node acknowledged everything sent. Raises as `send`."""
        ...

    async def send_datagram(self, data: bytes, life_s: float = 1.0) -> bool:
        """Send an unordered message of at most DATAGRAM_MAX bytes beside the stream, once.

        Worthless in `life_s` seconds: it is dropped when it could not leave before. False when
        it was dropped at once, since too many wait or our half has ended. Raises
        DatagramTooLargeError, and as `send`.
        """
        ...

    async def receive_datagram(self) -> bytes | None:
        """Return the oldest datagram that waits, or None when the peer ended its half.

        They may be lost, come in any order, and never come twice; the oldest give way when too many
        wait. Raises as `receive`.
        """
        ...

    async def aclose(self) -> None:
        """End our half, and give up the peer's unless it has ended already."""
        ...

    def reset(self, status: Status = Status.CLOSED) -> None:
        """Give the stream up in both directions."""
        ...


class IncomingStream(ByteStream, Protocol):
    """A stream that a caller opened, as the service sees it."""

    def accept(self) -> None:
        """Tell the caller that its stream was taken. Reset it instead to refuse it by a status."""
        ...
