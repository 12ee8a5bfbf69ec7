"""What the events add up to: the relay set by epoch, identities, revocations (SPEC 8.4).

Pure bookkeeping without I/O; the reader compares its outcome with the contract's roots.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from peerstream.identity.address import Address
from peerstream.node.chain.events import (
    DeviceRevoked,
    Event,
    IdentityRevoked,
    IdentitySet,
    RelayRemoved,
    RelaySet,
)
from peerstream.node.protocol.directory.relay_set import RelayEntry

_NO_KEY = bytes(32)


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """A listed identity: its key (32 bytes x-only) and the unix second it was listed at."""

    identity_key: bytes
    issued: int


@dataclass(slots=True)
class IdentitySnapshot:
    """Everything the identity registry says, so that no question about one account is ever sent."""

    _records: dict[bytes, IdentityRecord] = field(default_factory=dict)
    _revoked_before: dict[bytes, int] = field(default_factory=dict)
    _devices: set[tuple[bytes, bytes]] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._records)

    def copy(self) -> "IdentitySnapshot":
        """Return an independent copy."""
        return IdentitySnapshot(dict(self._records), dict(self._revoked_before), set(self._devices))

    def record(self, account: Address) -> IdentityRecord | None:
        """Return what the account lists; None when it lists nothing that is still valid."""
        found = self._records.get(account.raw)
        if found is None or found.issued <= self.revoked_before(account):
            return None
        return found

    def identity_key(self, account: Address) -> bytes | None:
        """Return the account's listed identity key, 32 bytes, or None."""
        found = self.record(account)
        return None if found is None else found.identity_key

    def revoked_before(self, account: Address) -> int:
        """Return the unix second up to which the account revoked what it issued, 0 for never."""
        return self._revoked_before.get(account.raw, 0)

    def accounts(self) -> list[Address]:
        """Return every account that lists a key or revoked something, in order."""
        known = {*self._records, *self._revoked_before, *(account for account, _ in self._devices)}
        return [Address(raw) for raw in sorted(known)]

    def revoked_devices(self, account: Address) -> list[bytes]:
        """Return the devices that the account revoked (Ed25519 keys, 32 bytes), in order."""
        return sorted(key for owner, key in self._devices if owner == account.raw)

    def is_device_revoked(self, account: Address, device_key: bytes) -> bool:
        """Whether the account revoked that device (its Ed25519 key, 32 bytes)."""
        return (account.raw, device_key) in self._devices

    def apply(self, event: IdentitySet | IdentityRevoked | DeviceRevoked) -> None:
        """Take the next event into account."""
        match event:
            case IdentitySet(account, key, _) if key == _NO_KEY:
                self._records.pop(account, None)
            case IdentitySet(account, key, issued):
                self._records[account] = IdentityRecord(key, issued)
            case IdentityRevoked(account, before):
                self._revoked_before[account] = before
            case DeviceRevoked(account, key):
                self._devices.add((account, key))


@dataclass(slots=True)
class RelayHistory:
    """Who stood in which slot from which epoch on, oldest first."""

    _slots: dict[int, list[tuple[int, RelayEntry | None]]] = field(default_factory=dict)

    def copy(self) -> "RelayHistory":
        """Return an independent copy."""
        return RelayHistory({slot: list(changes) for slot, changes in self._slots.items()})

    def apply(self, event: RelaySet | RelayRemoved) -> None:
        """Take the next event into account; `acts_from` never goes down."""
        entry = event.entry if isinstance(event, RelaySet) else None
        slot = event.entry.slot if isinstance(event, RelaySet) else event.slot
        changes = self._slots.setdefault(slot, [])
        if changes and changes[-1][0] == event.acts_from:
            changes.pop()
        changes.append((event.acts_from, entry))

    def entries(self, epoch: int) -> list[RelayEntry]:
        """Return the leaves under the root of an epoch."""
        found = (_at(changes, epoch) for changes in self._slots.values())
        return [entry for entry in found if entry is not None]

    def latest(self) -> list[RelayEntry]:
        """Return the leaves after all changes, from which siblings are made."""
        found = (changes[-1][1] for changes in self._slots.values())
        return [entry for entry in found if entry is not None]

    def forget_before(self, epoch: int) -> None:
        """Drop what no epoch from that one on needs."""
        for slot, changes in list(self._slots.items()):
            kept = [change for change in changes if change[0] > epoch]
            current = _at(changes, epoch)
            if current is not None:
                kept.insert(0, (epoch, current))
            if kept:
                self._slots[slot] = kept
            else:
                del self._slots[slot]


def _at(changes: list[tuple[int, RelayEntry | None]], epoch: int) -> RelayEntry | None:
    found = None
    for acts_from, entry in changes:
        if acts_from <= epoch:
            found = entry
    return found


def apply_all(relays: RelayHistory, identities: IdentitySnapshot, events: Iterable[Event]) -> None:
    """Take events in their order on the chain into account."""
    for event in events:
        if isinstance(event, RelaySet | RelayRemoved):
            relays.apply(event)
        else:
            identities.apply(event)
