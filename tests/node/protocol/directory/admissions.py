"""Admissions of a network of mode dht, and books of them, for tests."""

from collections.abc import Iterable
from ipaddress import IPv4Address

from peerstream.identity.network import dht_network_id
from peerstream.node.protocol.directory.admission import Admission, SignedAdmission
from peerstream.node.protocol.directory.admission_book import AdmissionBook, BookRules
from peerstream.node.protocol.directory.relay_set import NO_FAMILY
from peerstream.node.protocol.directory.subnets import Endpoint
from tests.node.protocol.directory.network import EPOCH_S, WALL, Relay, relay

KEEPER = relay(900)
NETWORK = dht_network_id(KEEPER.relay_id)
PERIOD_S = 4 * EPOCH_S
LONG_AGO = WALL - 3 * PERIOD_S
RULES = BookRules((KEEPER.relay_id,), NETWORK, EPOCH_S, PERIOD_S)
RELAYS = tuple(relay(number) for number in range(1, 25))


def admit(
    who: Relay,
    *,
    begins: int = LONG_AGO,
    ends: int = WALL + 86_400,
    network: bytes = NETWORK,
    keeper: Relay = KEEPER,
) -> bytes:
    admission = Admission(who.relay_id, bytes([who.number]) * 20, NO_FAMILY, begins, ends)
    return SignedAdmission.sign(admission, keeper.key, network_id=network).encode()


def book_of(relays: Iterable[Relay]) -> AdmissionBook:
    book = AdmissionBook(RULES)
    for each in relays:
        book.add(admit(each), WALL)
    return book


def where(number: int) -> tuple[Endpoint, ...]:
    return (Endpoint(IPv4Address(f"127.{number}.0.1"), 4_001),)
