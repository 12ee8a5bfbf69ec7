"""Relays of a simulated network: their entries, documents and what one node knows of them."""

import random
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.identity.network import static_network_id
from peerstream.node.config import committed_constants
from peerstream.node.protocol.directory.address_record import AddressRecord, SignedAddressRecord
from peerstream.node.protocol.directory.bundle import (
    LENGTH_SIZE,
    Page,
    fetch_from,
    frame,
    merge,
    page_of,
)
from peerstream.node.protocol.directory.directory import Directory, DirectoryRules
from peerstream.node.protocol.directory.guards import Candidate
from peerstream.node.protocol.directory.relay_descriptor import (
    RelayDescriptor,
    Role,
    SignedRelayDescriptor,
)
from peerstream.node.protocol.directory.relay_set import (
    NO_FAMILY,
    NO_SIGN_KEY,
    RelayEntry,
    prove_possession,
    registry_root,
    registry_view,
)
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.protocol.onion.kem import KemPrivateKey

MAIN: Final = committed_constants("main")
NETWORK: Final = static_network_id(bytes(range(32)))
EPOCH: Final = 84_000
PERIOD: Final = EPOCH * MAIN.epoch_s // MAIN.period_s
START: Final = EPOCH * MAIN.epoch_s
BONDS: Final = (1_000, 1_000, 1_000, 1_000, 2_000, 2_000, 3_000, 5_000)
_OCTETS: Final = (20, 99)  # addresses that anybody may have


@dataclass(frozen=True, slots=True)
class SimulatedRelay:
    """A relay with everything that it signs; of the size and form of a real one."""

    key: Ed25519PrivateKey
    entry: RelayEntry
    descriptor: bytes
    addresses: bytes


def make_relays(count: int, source: random.Random) -> list[SimulatedRelay]:
    """Return relays of different operators and bonds, old enough to be guards."""
    return [_make(slot, source) for slot in range(count)]


def _make(slot: int, source: random.Random) -> SimulatedRelay:
    key = Ed25519PrivateKey.from_private_bytes(source.randbytes(32))
    relay_id = key.public_key().public_bytes_raw()
    operator = source.randbytes(20)
    entry = RelayEntry(
        slot=slot,
        relay_id=relay_id,
        operator=operator,
        family=NO_FAMILY,
        weight=source.choice(BONDS),
        sign_key=NO_SIGN_KEY,
        from_epoch=EPOCH - 2 * MAIN.minimum_guard_age,
        to_epoch=EPOCH + 1_000,
        possession=prove_possession(key, NETWORK, operator, relay_id),
    )
    onion_key = KemPrivateKey.from_seed(source.randbytes(32)).public.raw
    roles = Role.GUARD | Role.MEETING
    descriptor = RelayDescriptor(relay_id, EPOCH, onion_key, (1,), roles, 0)
    place = ".".join(str(source.randint(*_OCTETS)) for _ in range(4))
    endpoint = Endpoint.parse(f"/ip4/{place}/tcp/443")
    signed = SignedRelayDescriptor.sign(
        descriptor, key, network_id=NETWORK, statement_signer=None
    ).encode()
    return SimulatedRelay(key, entry, signed, _addresses(key, endpoint, START))


def _addresses(key: Ed25519PrivateKey, endpoint: Endpoint, wall: int) -> bytes:
    """Sign where a relay is; a record's number is the second that it was signed in."""
    relay_id = key.public_key().public_bytes_raw()
    record = AddressRecord(relay_id, wall, (endpoint,), wall + MAIN.address_life_s)
    return SignedAddressRecord.sign(record, key, network_id=NETWORK).encode()


def make_directory(relays: list[SimulatedRelay]) -> Directory:
    """Return what a node knows that has the whole directory; each document is verified."""
    directory = _empty(relays)
    for relay in relays:
        directory.add_descriptor(relay.descriptor, START)
        directory.add_addresses(relay.addresses, START)
    return directory


def _empty(relays: list[SimulatedRelay]) -> Directory:
    rules = DirectoryRules(
        network_id=NETWORK,
        epoch_s=MAIN.epoch_s,
        address_life_s=MAIN.address_life_s,
        private_addresses=False,
        subnet_rule=MAIN.subnet_rule,
        family_rule=MAIN.family_rule,
        weights=MAIN.weight_rules,
    )
    entries = [relay.entry for relay in relays]
    directory = Directory(rules)
    root = registry_root(entries)
    directory.add_view(
        registry_view(EPOCH, root, entries, network_id=NETWORK, epoch_s=MAIN.epoch_s)
    )
    return directory


def download(relays: list[SimulatedRelay], served: Directory) -> tuple[Directory, int]:
    """Have a new client fetch everything; return what it knows then, and the bytes it received."""
    directory = _empty(relays)
    return directory, update(directory, served)[0]


def update(directory: Directory, served: Directory) -> tuple[int, int]:
    """Have a client fetch what it lacks; return the bytes that it received and those it sent."""
    after, received, sent = b"", 0, 0
    while True:
        question = fetch_from(directory, EPOCH, after)
        answer = frame(page_of(served, question).encode())
        received, sent = received + len(answer), sent + len(frame(question.encode()))
        page = Page.decode(answer[LENGTH_SIZE:])
        merge(directory, page, START)
        if not page.after:
            return received, sent
        after = page.after


def renew_addresses(relays: list[SimulatedRelay], served: Directory, wall: int) -> None:
    """Have relays sign their addresses anew."""
    for relay in relays:
        (endpoint, *_) = served.endpoints(relay.entry.relay_id, START)
        served.add_addresses(_addresses(relay.key, endpoint, wall), START)


def adversaries(
    candidates: dict[bytes, Candidate], shares: tuple[float, ...], source: random.Random
) -> dict[float, frozenset[bytes]]:
    """Relays of an adversary by its share of the weight; a larger one has those of the smaller."""
    order = sorted(candidates)
    source.shuffle(order)
    total = sum(candidate.weight for candidate in candidates.values())
    held: dict[float, frozenset[bytes]] = {}
    for share in shares:
        weight, taken = 0, []
        for relay_id in order:
            if weight >= share * total:
                break
            weight += candidates[relay_id].weight
            taken.append(relay_id)
        held[share] = frozenset(taken)
    return held
