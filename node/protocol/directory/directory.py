"""What one node knows of the network: views, relay descriptors, addresses (SPEC 6.5).

Everything comes in signed, from anybody; everything is checked here, once, before it is kept.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from peerstream.node.protocol.directory.address_record import AddressRecord, SignedAddressRecord
from peerstream.node.protocol.directory.dir_hash import directory_hash
from peerstream.node.protocol.directory.errors import (
    DirectoryIncompleteError,
    DistrustedDescriptorError,
    EquivocationError,
    MalformedDocumentError,
    NoDescriptorError,
    StaleDocumentError,
    UnknownRelayError,
    ViewMismatchError,
    WrongEpochError,
)
from peerstream.node.protocol.directory.guards import Candidate
from peerstream.node.protocol.directory.relay_descriptor import (
    RelayDescriptor,
    Role,
    SignedRelayDescriptor,
    require_consistent,
)
from peerstream.node.protocol.directory.relay_set import NO_FAMILY, RelayEntry, RelayView
from peerstream.node.protocol.directory.subnets import Endpoint, subnets_of
from peerstream.node.protocol.directory.weights import (
    WeightRules,
    capped_weights,
    guard_eligible,
    view_weights,
)
from peerstream.node.protocol.onion.errors import KemError
from peerstream.node.protocol.onion.kem import KemPublicKey
from peerstream.node.protocol.onion.setup import SETUP_VERSION, Hop

USABLE_TENTHS: Final = 9  # of the weight must have descriptors before a path is drawn
_CANDIDATES_LIFE_S: Final = 60  # an address that expires may be used this much longer


@dataclass(frozen=True, slots=True)
class DirectoryRules:
    """What the network's parameters say about its directory; times in seconds."""

    network_id: bytes
    epoch_s: int
    address_life_s: int
    private_addresses: bool
    subnet_rule: bool
    family_rule: bool
    weights: WeightRules


class Directory:
    """The relay directory of one node.

    Time is `wall`, unix seconds. The key epoch is floor(wall / epoch_s); a view's epoch has its
    own count in a static network.
    """

    def __init__(self, rules: DirectoryRules) -> None:
        self.rules = rules
        self._views: dict[int, RelayView] = {}
        self._descriptors: defaultdict[int, dict[bytes, SignedRelayDescriptor]] = defaultdict(dict)
        self._excluded: defaultdict[int, dict[bytes, EquivocationError]] = defaultdict(dict)
        self._distrusted: defaultdict[int, set[bytes]] = defaultdict(set)
        self._addresses: dict[bytes, SignedAddressRecord] = {}
        self._onion_keys: dict[tuple[bytes, int], KemPublicKey] = {}
        self._cached: tuple[tuple[int, int, int], dict[bytes, Candidate]] | None = None

    def key_epoch(self, wall: int) -> int:
        """Return the epoch whose onion keys are in use."""
        return wall // self.rules.epoch_s

    # Views

    def add_view(self, view: RelayView) -> None:
        """Keep a verified view.

        Raises ViewMismatchError for a second root of one epoch, unless the set may grow.
        """
        known = self._views.get(view.epoch)
        if known is not None and known.root != view.root and not view.grows:
            raise ViewMismatchError(f"two roots for epoch {view.epoch}")
        self._views[view.epoch] = view
        self._cached = None

    def view(self, wall: int) -> RelayView:
        """Return the view in force, the latest if two are. Raises DirectoryIncompleteError."""
        in_force = [view for view in self._views.values() if view.in_force(wall)]
        if not in_force:
            raise DirectoryIncompleteError("no relay set is in force; read the registry again")
        return max(in_force, key=lambda view: view.epoch)

    def roots(self, wall: int) -> dict[int, bytes]:
        """Return the root, 32 bytes, of the view in force and its neighbours, by epoch.

        Raises DirectoryIncompleteError.
        """
        current = self.view(wall).epoch
        return {e: view.root for e, view in self._views.items() if abs(e - current) <= 1}

    def check_view(self, epoch: int, root: bytes, wall: int) -> RelayView:
        """Return our view that another party names as (epoch, root).

        One epoch before and after the one in force are fine: two sides never switch in the same
        second. Raises ViewMismatchError.
        """
        current = self.view(wall).epoch
        view = self._views.get(epoch)
        if view is None or abs(epoch - current) > 1 or view.root != root:
            raise ViewMismatchError(f"epoch {epoch} as they see it is not as we do")
        return view

    def entry(self, relay_id: bytes, wall: int) -> RelayEntry:
        """Return a relay of the epoch in force or a neighbouring one. Raises UnknownRelayError."""
        current = self.view(wall).epoch
        for epoch in (current, current + 1, current - 1):
            view = self._views.get(epoch)
            if view is not None and relay_id in view:
                return view.get(relay_id)
        raise UnknownRelayError(f"{relay_id.hex()[:16]} around epoch {current}")

    def _entry_for(self, relay_id: bytes, key_epoch: int, wall: int) -> RelayEntry:
        """Return the entry of the descriptor's epoch: the statement key may change."""
        for view in self._views.values():
            if view.in_force(key_epoch * self.rules.epoch_s) and relay_id in view:
                return view.get(relay_id)
        return self.entry(relay_id, wall)

    # Descriptors and addresses

    def add_descriptor(self, data: bytes, wall: int) -> RelayDescriptor:
        """Verify and keep a relay descriptor of the key epoch before, in force or next.

        Raises MalformedDocumentError, WrongEpochError, UnknownRelayError,
        BadDocumentSignatureError, DistrustedDescriptorError; EquivocationError when the relay
        signed another for that epoch: it is then left out for the epoch.
        """
        document = SignedRelayDescriptor.decode(data)
        relay_id, epoch = document.descriptor.relay_id, document.descriptor.epoch
        if abs(epoch - self.key_epoch(wall)) > 1:
            raise WrongEpochError(f"a relay descriptor for epoch {epoch}")
        known = self._descriptors[epoch].get(relay_id)
        if known == document:
            return known.descriptor
        if document.hash in self._distrusted.get(epoch, ()):
            raise DistrustedDescriptorError(f"{relay_id.hex()[:16]} in epoch {epoch}")
        descriptor = document.verify(self._entry_for(relay_id, epoch, wall), self.rules.network_id)
        if known is None:
            self._onion_keys[relay_id, epoch] = _onion_key(descriptor)
            self._descriptors[epoch][relay_id] = document
        else:
            self._compare(known, document)
        self._cached = None
        return descriptor

    def _compare(self, known: SignedRelayDescriptor, other: SignedRelayDescriptor) -> None:
        try:
            require_consistent(known, other)
        except EquivocationError as error:
            excluded = self._excluded[known.descriptor.epoch]
            excluded.setdefault(known.descriptor.relay_id, error)
            self._cached = None
            raise

    def distrust(self, relay_id: bytes, epoch: int) -> None:
        """Give our descriptor of a relay up, for the one that most others hold (SPEC 6.5)."""
        document = self._descriptors.get(epoch, {}).pop(relay_id, None)
        if document is not None:
            self._distrusted[epoch].add(document.hash)
            self._cached = None

    def add_addresses(self, data: bytes, wall: int) -> AddressRecord:
        """Verify and keep an address record.

        Raises MalformedDocumentError, UnknownRelayError, BadDocumentSignatureError,
        ExpiredDocumentError; StaleDocumentError for a lower seq than known.
        """
        document = SignedAddressRecord.decode(data)
        relay_id = document.record.relay_id
        self.entry(relay_id, wall)
        known = self._addresses.get(relay_id)
        if known == document and known.record.expiry > wall:
            return known.record  # gossip brings the same ones all the time
        record = document.verify(
            relay_id,
            self.rules.network_id,
            wall=wall,
            life_s=self.rules.address_life_s,
            private=self.rules.private_addresses,
        )
        if known is not None and known.record.seq >= record.seq and known.record != record:
            raise StaleDocumentError(f"addresses of {relay_id.hex()[:16]}, seq {record.seq}")
        self._addresses[relay_id] = document
        self._cached = None
        return record

    def descriptor(self, relay_id: bytes, epoch: int) -> SignedRelayDescriptor:
        """Return the relay's one descriptor for a key epoch. Raises NoDescriptorError."""
        document = self._descriptors.get(epoch, {}).get(relay_id)
        if document is None or relay_id in self._excluded.get(epoch, {}):
            raise NoDescriptorError(f"{relay_id.hex()[:16]} in epoch {epoch}")
        return document

    def endpoints(self, relay_id: bytes, wall: int) -> tuple[Endpoint, ...]:
        """Return where to dial the relay. Raises NoDescriptorError."""
        if not self.locates(relay_id, wall):
            raise NoDescriptorError(f"no address of {relay_id.hex()[:16]}")
        return self._addresses[relay_id].record.endpoints

    def hop(self, relay_id: bytes, wall: int) -> Hop:
        """Return what a SETUP is built with, for the key epoch in force.

        Raises UnknownRelayError for a relay of no view, NoDescriptorError.
        """
        self.entry(relay_id, wall)
        epoch = self.key_epoch(wall)
        if SETUP_VERSION not in self.descriptor(relay_id, epoch).descriptor.versions:
            raise NoDescriptorError(f"{relay_id.hex()[:16]} speaks no version of ours")
        return Hop(relay_id, self._onion_keys[relay_id, epoch], SETUP_VERSION)

    # Choosing

    def candidates(self, wall: int) -> dict[bytes, Candidate]:
        """Return the relays that a path can be drawn from: in the view, with a descriptor.

        Where the subnet rule holds, also with an address: a relay that hides where it is could
        stand next to any other. The same dict for about a minute: do not change it.
        """
        key = (self.key_epoch(wall), self.view(wall).epoch, wall // _CANDIDATES_LIFE_S)
        if self._cached is None or self._cached[0] != key:
            self._cached = key, self._candidates(wall)
        return self._cached[1]

    def _candidates(self, wall: int) -> dict[bytes, Candidate]:
        described = self._described(wall)
        classes = {key: d.bandwidth_class for key, d in described.items()}
        view = self.view(wall)
        weights = view_weights(view, classes, self.rules.weights)
        eligible = guard_eligible(view, self.rules.weights)
        found = {}
        for relay_id, descriptor in described.items():
            subnets = self._subnets(relay_id, wall)
            if subnets or not self.rules.subnet_rule:
                guard = relay_id in eligible and Role.GUARD in descriptor.roles
                marks = self._marks(view.get(relay_id), subnets)
                found[relay_id] = Candidate(relay_id, weights[relay_id], marks, guard)
        return found

    def guard_candidates(self, wall: int) -> dict[bytes, Candidate]:
        """Return all relays of the view for `guards.refresh`; without a descriptor, weight 0."""
        usable = self.candidates(wall)
        return {
            entry.relay_id: usable.get(entry.relay_id)
            or Candidate(
                entry.relay_id,
                0,
                self._marks(entry, self._subnets(entry.relay_id, wall)),
                guard=False,
            )
            for entry in self.view(wall)
        }

    def require_usable(self, wall: int) -> None:
        """Raise DirectoryIncompleteError unless paths may be drawn now."""
        capped = capped_weights(self.view(wall), self.rules.weights)
        have = sum(capped[key] for key in self._described(wall))
        if not have or 10 * have < USABLE_TENTHS * sum(capped.values()):
            raise DirectoryIncompleteError(f"descriptors for {have} of {sum(capped.values())}")

    def usable(self, wall: int) -> bool:
        """Whether `require_usable` passes."""
        try:
            self.require_usable(wall)
        except DirectoryIncompleteError:
            return False
        return True

    def locates(self, relay_id: bytes, wall: int) -> bool:
        """Whether there is an address of the relay to dial."""
        document = self._addresses.get(relay_id)
        return document is not None and document.record.expiry > wall

    def complete(self, wall: int) -> bool:
        """Whether every relay of the view has a descriptor and an address. False without a view."""
        try:
            view, described = self.view(wall), self._described(wall)
        except DirectoryIncompleteError:
            return False
        return all(
            entry.relay_id in described and self.locates(entry.relay_id, wall) for entry in view
        )

    # What we give to others

    def descriptor_hashes(self, epoch: int) -> dict[bytes, bytes]:
        """Return the descriptor hash by relay_id for a key epoch, without equivocating relays."""
        excluded = self._excluded.get(epoch, {})
        documents = self._descriptors.get(epoch, {})
        return {key: document.hash for key, document in documents.items() if key not in excluded}

    def directory_hash(self, epoch: int) -> bytes:
        """Return the hash that answers DIR_GET of an epoch, 32 bytes."""
        return directory_hash(epoch, self.descriptor_hashes(epoch))

    def signed_descriptors(self, epoch: int) -> dict[bytes, bytes]:
        """Return the wire form of each descriptor of a key epoch by relay_id."""
        documents = self._descriptors.get(epoch, {})
        return {key: documents[key].encode() for key in self.descriptor_hashes(epoch)}

    @property
    def newest_record(self) -> int:
        """The unix second at which the newest address record was signed, 0 without any."""
        return max((document.record.seq for document in self._addresses.values()), default=0)

    def signed_addresses(self) -> dict[bytes, bytes]:
        """Return the wire form of each address record by relay_id."""
        return {key: document.encode() for key, document in self._addresses.items()}

    def evidence(self) -> list[EquivocationError]:
        """Return the equivocations found, to report to the registry."""
        return [error for errors in self._excluded.values() for error in errors.values()]

    def prune(self, wall: int) -> None:
        """Forget what is over: views and descriptors two epochs back, expired addresses."""
        oldest = self.key_epoch(wall) - 1
        for by_epoch in (self._descriptors, self._excluded, self._distrusted):
            for epoch in [epoch for epoch in by_epoch if epoch < oldest]:
                del by_epoch[epoch]
        self._onion_keys = {
            (relay_id, epoch): key
            for (relay_id, epoch), key in self._onion_keys.items()
            if epoch >= oldest
        }
        current = self.view(wall).epoch
        self._views = {e: view for e, view in self._views.items() if e >= current - 1}
        self._addresses = {
            key: document
            for key, document in self._addresses.items()
            if document.record.expiry > wall
        }

    def _described(self, wall: int) -> dict[bytes, RelayDescriptor]:
        epoch = self.key_epoch(wall)
        view = self.view(wall)
        excluded = self._excluded.get(epoch, {})
        return {
            key: document.descriptor
            for key, document in self._descriptors.get(epoch, {}).items()
            if key in view and key not in excluded and SETUP_VERSION in document.descriptor.versions
        }

    def _subnets(self, relay_id: bytes, wall: int) -> frozenset[bytes]:
        try:
            return subnets_of(self.endpoints(relay_id, wall))
        except NoDescriptorError:
            return frozenset()

    def _marks(self, entry: RelayEntry, subnets: frozenset[bytes]) -> frozenset[bytes]:
        marks = {b"relay" + entry.relay_id, b"operator" + entry.operator}
        if self.rules.family_rule and entry.family != NO_FAMILY:
            marks.add(b"family" + entry.family)
        if self.rules.subnet_rule:
            marks |= {b"subnet" + subnet for subnet in subnets}
        return frozenset(marks)


def _onion_key(descriptor: RelayDescriptor) -> KemPublicKey:
    key = KemPublicKey(descriptor.onion_key)
    try:
        key.check()
    except KemError as error:
        raise MalformedDocumentError("the onion key is none") from error
    return key
