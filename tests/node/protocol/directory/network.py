"""Relays, entropy and views for the directory's tests."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.identity.network import static_network_id
from peerstream.identity.signer import LocalSigner
from peerstream.node.config import committed_constants
from peerstream.node.protocol.directory.address_record import AddressRecord, SignedAddressRecord
from peerstream.node.protocol.directory.directory import Directory, DirectoryRules
from peerstream.node.protocol.directory.relay_descriptor import (
    RelayDescriptor,
    Role,
    SignedRelayDescriptor,
)
from peerstream.node.protocol.directory.relay_set import (
    NO_FAMILY,
    NO_SIGN_KEY,
    RelayEntry,
    RelayView,
    prove_possession,
    registry_root,
    registry_view,
)
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.protocol.onion.kem import KemPrivateKey

NETWORK = static_network_id(bytes(range(32)))
EPOCH_S = 600
EPOCH = 3_000_000
WALL = EPOCH * EPOCH_S + 5
ALL_ROLES = Role.GUARD | Role.MEETING
DEVNET = committed_constants("devnet")


def seeded(seed: object) -> Callable[[int], bytes]:
    """Entropy that is the same in every run."""
    state = hashlib.sha256(repr(seed).encode()).digest()

    def draw(size: int) -> bytes:
        nonlocal state
        state = hashlib.sha256(state).digest()
        return hashlib.shake_256(state).digest(size)

    return draw


@dataclass(frozen=True)
class Relay:
    number: int
    key: Ed25519PrivateKey
    entry: RelayEntry
    signer: LocalSigner | None = None

    @property
    def relay_id(self) -> bytes:
        return self.entry.relay_id

    def descriptor(self, epoch: int = EPOCH, **changes: object) -> SignedRelayDescriptor:
        descriptor = RelayDescriptor(
            self.relay_id, epoch, onion_key(self.number), (1,), ALL_ROLES, 0
        )
        return SignedRelayDescriptor.sign(
            replace(descriptor, **changes),
            self.key,
            network_id=NETWORK,
            statement_signer=self.signer,
        )

    def addresses(self, seq: int = 1, expiry: int = WALL + 3_600) -> SignedAddressRecord:
        endpoint = Endpoint.parse(f"/ip4/127.{self.number + 1}.0.1/tcp/4001")
        record = AddressRecord(self.relay_id, seq, (endpoint,), expiry)
        return SignedAddressRecord.sign(record, self.key, network_id=NETWORK)


_ONION_KEYS: dict[int, bytes] = {}


def onion_key(number: int) -> bytes:
    if number not in _ONION_KEYS:
        seed = hashlib.sha256(b"onion" + number.to_bytes(4, "big")).digest()
        _ONION_KEYS[number] = KemPrivateKey.from_seed(seed).public.raw
    return _ONION_KEYS[number]


def relay(
    number: int,
    *,
    operator: int | None = None,
    family: bytes = NO_FAMILY,
    weight: int = 1_000,
    from_epoch: int = 1,
    signed: bool = False,
) -> Relay:
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"%d" % number).digest())
    relay_id = key.public_key().public_bytes_raw()
    owner = (number if operator is None else operator).to_bytes(20, "big")
    signer = LocalSigner(hashlib.sha256(b"signer%d" % number).digest()) if signed else None
    entry = RelayEntry(
        slot=number,
        relay_id=relay_id,
        operator=owner,
        family=family,
        weight=weight,
        sign_key=signer.address.raw if signer else NO_SIGN_KEY,
        from_epoch=from_epoch,
        to_epoch=EPOCH + 100,
        possession=prove_possession(key, NETWORK, owner, relay_id),
    )
    return Relay(number, key, entry, signer)


def view_of(relays: list[Relay], epoch: int = EPOCH) -> RelayView:
    entries = [relay.entry for relay in relays]
    return registry_view(
        epoch, registry_root(entries), entries, network_id=NETWORK, epoch_s=EPOCH_S
    )


def rules(**changes: object) -> DirectoryRules:
    base = DirectoryRules(
        network_id=NETWORK,
        epoch_s=EPOCH_S,
        address_life_s=86_400,
        private_addresses=True,
        subnet_rule=True,
        family_rule=True,
        weights=DEVNET.weight_rules,
    )
    return replace(base, **changes)


def full_directory(relays: list[Relay], **changes: object) -> Directory:
    directory = Directory(rules(**changes))
    directory.add_view(view_of(relays))
    for each in relays:
        directory.add_descriptor(each.descriptor().encode(), WALL)
        directory.add_addresses(each.addresses().encode(), WALL)
    return directory
