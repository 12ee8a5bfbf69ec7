"""A relay tells the others its onion keys and addresses (SPEC 6.3, 6.4, 10.5)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import trio

from peerstream.node.config import NetworkParameters
from peerstream.node.ports import Environment, PortError
from peerstream.node.protocol.directory.address_record import AddressRecord, SignedAddressRecord
from peerstream.node.protocol.directory.bundle import Done, Publish, frame
from peerstream.node.protocol.directory.document import SignedBody, SigningKey, document_hash
from peerstream.node.protocol.directory.errors import DirectoryError, NoDescriptorError
from peerstream.node.protocol.directory.relay_descriptor import (
    RelayDescriptor,
    Role,
    SignedRelayDescriptor,
    statement_digest,
)
from peerstream.node.protocol.directory.relay_set import NO_SIGN_KEY
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.protocol.onion.kem import KemPublicKey
from peerstream.node.protocol.onion.setup import SETUP_VERSION
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.errors import RelayRefusedError, StatementKeyError
from peerstream.node.roles.fetching import unframed
from peerstream.node.roles.keeper import DirectoryKeeper
from peerstream.node.roles.neighbours import Neighbours
from peerstream.node.roles.pace import PUBLISH_EARLY, PUBLISH_LATE, drawn_between, varied
from peerstream.node.roles.replication import DONE_MAX

ALL_ROLES: Final = Role.GUARD | Role.MEETING
TOLD: Final = 8  # relays that are told at once; gossip brings it to the others in a few rounds
ENOUGH: Final = 3
FIRST_PAUSE_S: Final = 0.5
_TRIES_MAX: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayCard:
    """What a relay says of itself.

    host_key: signs as relay_id. endpoints: where it can be reached, asked each time. statement_key:
    an account, 20 bytes, and sign_statement: signs 32 bytes by its key as r, s, v of 65 bytes; zero
    and None for a relay without one.
    """

    relay_id: bytes
    host_key: SigningKey = field(repr=False)
    endpoints: Callable[[], tuple[Endpoint, ...]]
    statement_key: bytes = NO_SIGN_KEY
    sign_statement: Callable[[bytes], bytes] | None = field(default=None, repr=False)
    roles: Role = ALL_ROLES
    bandwidth_class: int = 0


class Announcer:
    """Publishes the descriptors of one relay, one for each epoch, and its addresses."""

    def __init__(
        self,
        environment: Environment,
        network: NetworkParameters,
        neighbours: Neighbours,
        keeper: DirectoryKeeper,
        card: RelayCard,
    ) -> None:
        self._environment = environment
        self._network = network
        self._neighbours = neighbours
        self._keeper = keeper
        self._card = card
        self._sequence = 0
        self._addresses = b""

    def publishable_at(self, epoch: int) -> float:
        """Return when to publish an epoch's descriptor, unix seconds; drawn anew by each call."""
        start = epoch * self._network.epoch_s
        early = self._network.epoch_s / PUBLISH_EARLY
        late = self._network.epoch_s / PUBLISH_LATE
        return start - drawn_between(late, early, self._environment.entropy)

    def renew_addresses(self) -> None:
        """Sign our addresses anew, for another life."""
        wall = self._environment.clock.wall()
        self._sequence = max(self._sequence + 1, wall)
        record = AddressRecord(
            self._card.relay_id,
            self._sequence,
            self._card.endpoints(),
            wall + self._network.address_life_s,
        )
        signed = SignedAddressRecord.sign(
            record, self._card.host_key, network_id=self._network.network_id
        )
        self._addresses = signed.encode()
        self._keeper.directory.add_addresses(self._addresses, wall)

    def holds_other(self, epoch: int, onion_key: KemPublicKey) -> bool:
        """Whether we published another key for that epoch before we lost it.

        A second descriptor would be an equivocation: the relay waits for the next epoch.
        """
        try:
            known = self._keeper.directory.descriptor(self._card.relay_id, epoch)
        except NoDescriptorError:
            return False
        return known.descriptor.onion_key != onion_key.raw

    def describe(self, epoch: int, onion_key: KemPublicKey) -> bytes:
        """Sign our descriptor of an epoch and keep it; the same one whenever it is asked for.

        Raises StatementKeyError, DirectoryError as a subclass (we are in no view, most likely).
        """
        card, wall = self._card, self._environment.clock.wall()
        descriptor = RelayDescriptor(
            card.relay_id, epoch, onion_key.raw, (SETUP_VERSION,), card.roles, card.bandwidth_class
        )
        signed = SignedRelayDescriptor.sign(
            descriptor,
            card.host_key,
            network_id=self._network.network_id,
            statement_signer=None,
        )
        document = SignedRelayDescriptor(
            signed.signed, self._statement(epoch, signed.signed, wall), descriptor
        ).encode()
        self._keeper.directory.add_descriptor(document, wall)
        return document

    def _statement(self, epoch: int, signed: SignedBody, wall: int) -> bytes:
        wanted = self._keeper.directory.entry(self._card.relay_id, wall).sign_key
        if wanted == NO_SIGN_KEY:
            return b""
        sign = self._card.sign_statement
        if sign is None or wanted != self._card.statement_key:
            raise StatementKeyError("the relay set names another statement key for this relay")
        relay_id, network_id = self._card.relay_id, self._network.network_id
        digest = document_hash(signed.body)
        return sign(statement_digest(network_id, relay_id, epoch, digest))

    # Telling others

    async def tell(self, descriptor: bytes) -> None:
        """Hand a descriptor and our addresses to some other relays, again until a few took them."""
        question = frame(Publish(descriptor, self._addresses).encode())
        told: set[bytes] = set()
        pause = FIRST_PAUSE_S
        for _ in range(_TRIES_MAX):
            wanted = min(ENOUGH, len(self._keeper.fetcher.known()))
            chosen = [r for r in self._keeper.fetcher.choose(TOLD + len(told)) if r not in told]
            async with trio.open_nursery() as nursery:
                for relay_id in chosen[:TOLD]:
                    nursery.start_soon(self._tell_one, relay_id, question, told)
            if wanted and len(told) >= wanted:
                return
            await trio.sleep(varied(pause, self._environment.entropy))
            pause = min(2 * pause, self._network.epoch_s / 20)

    async def _tell_one(self, relay_id: bytes, question: bytes, told: set[bytes]) -> None:
        endpoints = self._keeper.fetcher.endpoints(relay_id)
        try:
            answer = await self._neighbours.links.ask(relay_id, endpoints, question, DONE_MAX)
            status = Done.decode(unframed(answer)).status
        except (PortError, DirectoryError) as error:
            self._keeper.count(error)
            return
        if status is Status.OK or status is Status.STALE_REVISION:
            told.add(relay_id)
        else:
            self._keeper.count(RelayRefusedError(status))
