"""Deploying the contracts of a network, and the record of it (SPEC 8.6)."""

from dataclasses import dataclass
from typing import Any, Final

from peerstream.identity.address import Address
from peerstream.identity.errors import AddressError
from peerstream.identity.json_text import read_json
from peerstream.identity.network import chain_network_id
from peerstream.node.chain.abi import encode_creation
from peerstream.node.chain.anchor import ChainAnchor, final_tag
from peerstream.node.chain.errors import DeploymentFileError, MalformedAnswerError
from peerstream.node.chain.quantities import Header, read_octets, read_quantity
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.chain.sending import Sender
from peerstream.node.chain.transactions import Plan, Receipt
from peerstream.node.config import NetworkConstants

SCHEMA: Final = "psp.deployment/1"
RELAYS: Final = "relay_registry"
IDENTITIES: Final = "identity_registry"
BOARD: Final = "rendezvous_board"


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What the relay registry is made with.

    term_epochs: longest registration; unbonding_s: seconds from exit to withdrawal; minimum_stake
    in wei; parameters_hash of the network file, 32 bytes.
    """

    epoch_s: int
    term_epochs: int
    unbonding_s: int
    minimum_stake: int
    parameters_hash: bytes

    @classmethod
    def of_network(cls, constants: NetworkConstants) -> "RegistrySettings":
        """Return what a public network is made with: 15 days of term, two weeks of unbonding."""
        return cls(constants.epoch_s, 60, 14 * 86_400, 10**18, constants.parameters_hash)

    @classmethod
    def of_devnet(cls, constants: NetworkConstants) -> "RegistrySettings":
        """Return what a devnet is made with: relays stay registered while it runs."""
        return cls(constants.epoch_s, 100_000, 60, 10**18, constants.parameters_hash)


@dataclass(frozen=True, slots=True)
class Deployment:
    """The contracts of a network on a chain; hashes of 32 bytes; block: the first to read."""

    chain_id: int
    genesis_hash: bytes
    network_id: bytes
    block: int
    addresses: dict[str, Address]
    settings: RegistrySettings

    @property
    def relay_registry(self) -> Address:
        """The relay registry, which anchors the network."""
        return self.addresses[RELAYS]

    @property
    def identity_registry(self) -> Address:
        """The identity registry."""
        return self.addresses[IDENTITIES]

    def anchor(self, period_s: int = 0) -> ChainAnchor:
        """Return what a reader of this deployment needs; period_s: where rings are made."""
        return ChainAnchor(
            chain_id=self.chain_id,
            genesis_hash=self.genesis_hash,
            relay_registry=self.relay_registry,
            identity_registry=self.identity_registry,
            epoch_s=self.settings.epoch_s,
            parameters_hash=self.settings.parameters_hash,
            start=self.block,
            final_tag=final_tag(self.chain_id),
            period_s=period_s,
            board=self.addresses.get(BOARD),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the record as it stands in a file."""
        return {
            "schema": SCHEMA,
            "chain_id": self.chain_id,
            "genesis_hash": "0x" + self.genesis_hash.hex(),
            "network_id": "0x" + self.network_id.hex(),
            "block": self.block,
            "addresses": {name: str(address) for name, address in self.addresses.items()},
            "epoch_s": self.settings.epoch_s,
            "term_epochs": self.settings.term_epochs,
            "unbonding_s": self.settings.unbonding_s,
            "minimum_stake": str(self.settings.minimum_stake),
            "parameters_hash": "0x" + self.settings.parameters_hash.hex(),
        }

    @classmethod
    def parse(cls, data: bytes) -> "Deployment":
        """Read a record. Raises DeploymentFileError."""
        try:
            return cls._read(read_json(data))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DeploymentFileError(f"no {SCHEMA}: {type(error).__name__}") from error
        except (AddressError, MalformedAnswerError) as error:
            raise DeploymentFileError(f"no {SCHEMA}: {error}") from error

    @classmethod
    def _read(cls, found: dict[str, Any]) -> "Deployment":
        if found["schema"] != SCHEMA:
            raise DeploymentFileError(f"the record is no {SCHEMA}")
        settings = RegistrySettings(
            epoch_s=int(found["epoch_s"]),
            term_epochs=int(found["term_epochs"]),
            unbonding_s=int(found["unbonding_s"]),
            minimum_stake=int(found["minimum_stake"]),
            parameters_hash=read_octets(found["parameters_hash"], 32),
        )
        addresses = {name: Address.parse(text) for name, text in found["addresses"].items()}
        if not {RELAYS, IDENTITIES} <= addresses.keys():
            raise DeploymentFileError("the record lacks a registry")
        return cls(
            chain_id=int(found["chain_id"]),
            genesis_hash=read_octets(found["genesis_hash"], 32),
            network_id=read_octets(found["network_id"], 32),
            block=int(found["block"]),
            addresses=addresses,
            settings=settings,
        )


async def deploy(rpc: RpcClient, secret: bytes, settings: RegistrySettings) -> Deployment:
    """Deploy the contracts from the account of `secret` (32 bytes).

    Raises TransactionError or EndpointError, as subclasses.
    """
    chain_id = read_quantity(await rpc.call("eth_chainId"))
    genesis = Header.read(await rpc.call("eth_getBlockByNumber", "0x0", False))
    sender = Sender(rpc, secret, chain_id)
    relays = await _create(
        sender,
        "RelayRegistry",
        (
            settings.epoch_s,
            settings.term_epochs,
            settings.unbonding_s,
            settings.minimum_stake,
            settings.parameters_hash,
            genesis.hash,
        ),
    )
    registry = _created(relays)
    identities = await _create(sender, "IdentityRegistry", (str(registry),))
    board = await _create(sender, "RendezvousBoard", (str(registry),))
    return Deployment(
        chain_id=chain_id,
        genesis_hash=genesis.hash,
        network_id=chain_network_id(chain_id, registry, genesis.hash),
        block=relays.block,
        addresses={
            RELAYS: registry,
            IDENTITIES: _created(identities),
            BOARD: _created(board),
        },
        settings=settings,
    )


async def _create(sender: Sender, contract: str, arguments: tuple[Any, ...]) -> Receipt:
    return await sender.send(Plan(to=None, data=encode_creation(contract, arguments)))


def _created(receipt: Receipt) -> Address:
    if receipt.created is None:
        raise MalformedAnswerError("a receipt without the contract that was created")
    return receipt.created
