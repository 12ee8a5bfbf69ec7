"""Which relays there are in an epoch: entries, the agreed root, the view (SPEC 6.2).

A view is named (epoch, root) in handshakes. On a chain the root is the Merkle root in the
registry; in a static network it is the hash of the signed file and the epoch its serial; with
only a DHT it is the same Merkle root over the admitted relays (SPEC 6.12).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from peerstream.identity.keys import keccak256
from peerstream.identity.labels import RELAY_POSSESSION
from peerstream.node.protocol.directory import document
from peerstream.node.protocol.directory.document import SigningKey
from peerstream.node.protocol.directory.errors import (
    BadDocumentSignatureError,
    BadPossessionError,
    MalformedDocumentError,
    RootMismatchError,
    UnknownRelayError,
)
from peerstream.node.protocol.directory.merkle import CAPACITY, merkle_root

NO_SIGN_KEY: Final = bytes(20)
NO_FAMILY: Final = bytes(32)
WEIGHT_MAX: Final = 2**96 - 1  # the contract holds a bond in a uint96
_ENTRY_FIELDS: Final = 9


@dataclass(frozen=True, slots=True)
class RelayEntry:
    """One relay as its operator registered it.

    Sizes: relay_id 32 (Ed25519 host key), operator 20, family 32 (zero: none), sign_key 20 (zero:
    none), possession 64. weight: the bond, or what the static file says. In force for
    from_epoch <= epoch <= to_epoch; from_epoch survives renewals and so is the relay's age.
    """

    slot: int
    relay_id: bytes
    operator: bytes
    family: bytes
    weight: int
    sign_key: bytes
    from_epoch: int
    to_epoch: int
    possession: bytes

    def leaf(self) -> bytes:
        """Hash of the entry in the registry's tree, 32 bytes."""
        return relay_leaf(self)

    def in_force(self, epoch: int) -> bool:
        """Whether the entry counts in that epoch of the registry."""
        return self.from_epoch <= epoch <= self.to_epoch

    def verify_possession(self, network_id: bytes) -> None:
        """Raise BadPossessionError unless relay_id itself agreed to this operator."""
        message = possession_message(network_id, self.operator, self.relay_id)
        try:
            document.verify_ed25519(self.relay_id, message, self.possession)
        except BadDocumentSignatureError as error:
            raise BadPossessionError(f"relay {self.relay_id.hex()[:16]}") from error

    def to_fields(self) -> list[Any]:
        """Return the entry as it stands in documents."""
        return [
            self.slot,
            self.relay_id,
            self.operator,
            self.family,
            self.weight.to_bytes(12, "big"),
            self.sign_key,
            self.from_epoch,
            self.to_epoch,
            self.possession,
        ]

    @classmethod
    def from_fields(cls, value: object) -> "RelayEntry":
        """Read what `to_fields` wrote. Raises MalformedDocumentError."""
        if not isinstance(value, list) or len(value) != _ENTRY_FIELDS:
            raise MalformedDocumentError("no relay entry")
        read = document.Fields(dict(enumerate(value, start=1)), required=_ENTRY_FIELDS)
        entry = cls(
            slot=read.number(1, CAPACITY - 1),
            relay_id=read.octets(2, 32),
            operator=read.octets(3, 20),
            family=read.octets(4, 32),
            weight=int.from_bytes(read.octets(5, 12), "big"),
            sign_key=read.octets(6, 20),
            from_epoch=read.number(7),
            to_epoch=read.number(8),
            possession=read.octets(9, 64),
        )
        if entry.from_epoch > entry.to_epoch:
            raise MalformedDocumentError("a relay entry ends before it begins")
        return entry


def relay_leaf(entry: RelayEntry) -> bytes:
    """keccak256(abi.encode(operator, relayId, signKey, family, weight, fromEpoch, toEpoch)).

    The one place that knows the encoding: seven words of 32 bytes, addresses and numbers padded
    on the left. The registry contract computes the same.
    """
    words = (
        entry.operator.rjust(32, b"\0"),
        entry.relay_id,
        entry.sign_key.rjust(32, b"\0"),
        entry.family,
        entry.weight.to_bytes(32, "big"),
        entry.from_epoch.to_bytes(32, "big"),
        entry.to_epoch.to_bytes(32, "big"),
    )
    return keccak256(b"".join(words))


def possession_message(network_id: bytes, operator: bytes, relay_id: bytes) -> bytes:
    """Return what a relay's host key signs to belong to this operator in this network."""
    return RELAY_POSSESSION + network_id + operator + relay_id


def prove_possession(key: SigningKey, network_id: bytes, operator: bytes, relay_id: bytes) -> bytes:
    """Return the relay's 64-byte Ed25519 signature for its registration."""
    return key.sign(possession_message(network_id, operator, relay_id))


def registry_root(entries: Iterable[RelayEntry]) -> bytes:
    """Return the root that the contract holds after these registrations, 32 bytes."""
    return merkle_root({entry.slot: entry.leaf() for entry in entries})


@dataclass(frozen=True, slots=True)
class RelayView:
    """The relays of one epoch, as everybody in it sees them.

    epoch and root name the view on the wire; it is in force for not_before <= wall < not_after
    (unix seconds). `relays` is sorted by relay_id. `unproven` names entries under the root whose
    proof of possession failed: they are no relays, and another source may have better proofs.
    `grows`: nobody vouches that this is all of them, another may turn up (networks of mode dht).
    """

    epoch: int
    root: bytes
    relays: tuple[RelayEntry, ...]
    not_before: int
    not_after: int
    unproven: tuple[bytes, ...] = ()
    grows: bool = False
    _by_id: dict[bytes, RelayEntry] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {entry.relay_id: entry for entry in self.relays})

    def __contains__(self, relay_id: object) -> bool:
        return relay_id in self._by_id

    def __iter__(self) -> Iterator[RelayEntry]:
        return iter(self.relays)

    def __len__(self) -> int:
        return len(self.relays)

    def get(self, relay_id: bytes) -> RelayEntry:
        """Return the relay's entry. Raises UnknownRelayError."""
        try:
            return self._by_id[relay_id]
        except KeyError:
            raise UnknownRelayError(f"{relay_id.hex()[:16]} in epoch {self.epoch}") from None

    def in_force(self, wall: int) -> bool:
        """Whether the view is the one of that moment."""
        return self.not_before <= wall < self.not_after


def proven(
    entries: Iterable[RelayEntry], network_id: bytes
) -> tuple[tuple[RelayEntry, ...], tuple[bytes, ...]]:
    """Split entries into relays, one per relay_id and sorted by it, and unproven ids.

    Of several proven entries for one relay_id the lowest slot counts: all readers must choose the
    same one.
    """
    good: dict[bytes, RelayEntry] = {}
    bad: set[bytes] = set()
    for entry in sorted(entries, key=lambda entry: entry.slot):
        try:
            entry.verify_possession(network_id)
        except BadPossessionError:
            bad.add(entry.relay_id)
        else:
            good.setdefault(entry.relay_id, entry)
    return tuple(good[key] for key in sorted(good)), tuple(sorted(bad - good.keys()))


def registry_view(
    epoch: int, root: bytes, entries: Iterable[RelayEntry], *, network_id: bytes, epoch_s: int
) -> RelayView:
    """Return the view of a registry epoch, from entries that anybody may have handed us.

    `entries` are all leaves under the root, also those not in force. Raises RootMismatchError when
    they are not the ones under `root`.
    """
    listed = tuple(entries)
    if len({entry.slot for entry in listed}) != len(listed) or registry_root(listed) != root:
        raise RootMismatchError(f"{len(listed)} entries for epoch {epoch}")
    relays, unproven = proven((e for e in listed if e.in_force(epoch)), network_id)
    start = epoch * epoch_s
    return RelayView(epoch, root, relays, start, start + epoch_s, unproven)
