"""What commands share that run a node for a while: options, identity, dialling (SPEC 13.5)."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import trio
from cyclopts import Parameter

from peerstream.identity.address import Address
from peerstream.identity.contact import ContactCard
from peerstream.node.cli.logs import log_to_stderr
from peerstream.node.cli.options import StateOptions, named_network
from peerstream.node.cli.targets import parse_target
from peerstream.node.config import NetworkParameters
from peerstream.node.lab.steps import Steps, step
from peerstream.node.library.clock import SystemClock
from peerstream.node.library.identities import NoIdentityError, load_identity
from peerstream.node.ports import ByteStream, Environment
from peerstream.node.roles.identity import LocalIdentity, Target
from peerstream.node.store.contacts import Contacts

if TYPE_CHECKING:
    from peerstream.node.library.node import NodeSettings


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions(StateOptions):
    """A node of a network."""

    network: Annotated[
        Path | None, Parameter(env_var="PSP_NETWORK", help="The network file (psp.network/1).")
    ] = None
    relay_file: Annotated[
        Path | None,
        Parameter(
            env_var="PSP_RELAY_FILE", help="The signed relay file of a network without a chain."
        ),
    ] = None
    source_address: Annotated[
        str | None, Parameter(help="Connections leave from this IP address of the machine.")
    ] = None

    def identity(self, network: NetworkParameters) -> LocalIdentity:
        """Return the identity for a network. Raises IdentityStateError, WrongNetworkError."""
        environment = Environment(SystemClock(), os.urandom)
        with self.keystore() as keystore:
            return load_identity(keystore, environment, network.network_id)

    def settings(self, network: NetworkParameters) -> "NodeSettings":
        """Return what the node runs on."""
        from peerstream.node.library.node import NodeSettings  # noqa: PLC0415 - libp2p

        return NodeSettings(
            network=network,
            state=self.directory,
            static_file=self.relay_file,
            source_address=self.source_address,
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom to dial, by address or card, and how."""

    whom: Address | ContactCard = field(repr=False)  # a card holds a secret
    level: int
    anonymous: bool = False

    @classmethod
    def of(cls, text: str, level: int, *, anonymous: bool = False) -> Self:
        """Read the target. Raises BadAddressError."""
        return cls(parse_target(text), level, anonymous)

    @property
    def address(self) -> str:
        """The address that the target names."""
        return str(self.whom.account if isinstance(self.whom, ContactCard) else self.whom)


@dataclass(frozen=True, slots=True)
class Dialled:
    """A stream to an address, and how long it took to get it."""

    address: str
    stream: ByteStream
    dial_s: float


@asynccontextmanager
async def dialled(
    options: NodeOptions, wish: Wish, service: str, steps: Steps
) -> AsyncIterator[Dialled]:
    """Run a node and dial an address; showing both steps.

    Raises IdentityStateError, NetworkFileError, StoreError, RoleError, IdentityError,
    ProtocolError, each as a subclass that says what to do.
    """
    from peerstream.node.library.node import open_node  # noqa: PLC0415 - libp2p, a second

    log_to_stderr()
    network = named_network(options.network)
    identity = identity_or_none(options, network, anonymous=wish.anonymous)
    started = trio.current_time()
    steps.begin("relays of the network")
    async with open_node(options.settings(network), identity) as node:
        steps.done("relays of the network are known", trio.current_time() - started)
        started = trio.current_time()
        with step(steps, f"dial {wish.address}") as shown:
            target = (
                Target.of_card(wish.whom)
                if isinstance(wish.whom, ContactCard)
                else await node.resolve(wish.whom)
            )
            stream = await node.connect(target, service, level=wish.level, anonymous=wish.anonymous)
            shown.result = f"dialled {wish.address}"
        try:
            yield Dialled(wish.address, stream, trio.current_time() - started)
        finally:
            await stream.aclose()


def identity_or_none(
    options: NodeOptions, network: NetworkParameters, *, anonymous: bool
) -> LocalIdentity | None:
    """Return who calls; without an identity there must be no name to call under.

    Raises IdentityStateError, WrongNetworkError.
    """
    return kept_secrets(options, network, anonymous=anonymous)[0]


def kept_secrets(
    options: NodeOptions, network: NetworkParameters, *, anonymous: bool
) -> tuple[LocalIdentity | None, Contacts | None]:
    """Return who calls, as `identity_or_none`, and the contacts of the state directory."""
    environment = Environment(SystemClock(), os.urandom)
    contacts = None
    try:
        with options.keystore() as keystore:
            contacts = Contacts(keystore)
            return load_identity(keystore, environment, network.network_id), contacts
    except NoIdentityError:
        if anonymous:
            return None, contacts
        raise
