"""One network: its constants, what roots it, and how this machine starts (SPEC 7.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from peerstream.identity.address import Address
from peerstream.identity.descriptor.record import RecordRules
from peerstream.identity.network import (
    NetworkMode,
    chain_network_id,
    dht_network_id,
    static_network_id,
)
from peerstream.node.config.constants import NetworkConstants
from peerstream.node.protocol.directory.directory import DirectoryRules
from peerstream.node.protocol.directory.subnets import Endpoint

SCHEMA: Final = "psp.network/1"
RELAY_REGISTRY: Final = "relay_registry"


@dataclass(frozen=True, slots=True)
class RpcEndpoint:
    """A JSON-RPC endpoint. own_node: the user says that it is theirs, and may learn addresses.

    The URL may hold an API key: it is never printed.
    """

    url: str = field(repr=False)
    own_node: bool


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A relay to ask first: relay_id (32 B) and where it listens."""

    relay_id: bytes
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class TrustedRoot:
    """A relay set root that the file vouches for: an epoch and 32 bytes."""

    epoch: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkParameters(NetworkConstants):
    """One network: its constants, what roots it, and how to start.

    CHAIN: chain_id, genesis_hash (32 B), contracts by name, of which relay_registry must be there,
    and maybe a trusted_root; first_block: the first one to read, that of the contracts or an
    earlier one. STATIC: static_signer, Ed25519, 32 B. DHT: admission_keys, Ed25519;
    the first one names the network.
    """

    mode: NetworkMode
    chain_id: int = 0
    genesis_hash: bytes = b""
    contracts: Mapping[str, Address] = field(default_factory=dict)
    trusted_root: TrustedRoot | None = None
    first_block: int = 0
    static_signer: bytes = b""
    admission_keys: tuple[bytes, ...] = ()
    rpc: tuple[RpcEndpoint, ...] = ()
    bootstrap: tuple[Bootstrap, ...] = ()

    @property
    def network_id(self) -> bytes:
        """The 32 bytes that bind every signature and handshake to this network."""
        if self.mode is NetworkMode.CHAIN:
            registry = self.contracts[RELAY_REGISTRY]
            return chain_network_id(self.chain_id, registry, self.genesis_hash)
        if self.mode is NetworkMode.STATIC:
            return static_network_id(self.static_signer)
        return dht_network_id(self.admission_keys[0])

    @property
    def record_rules(self) -> RecordRules:
        """What descriptor records are judged by."""
        return RecordRules(
            network_id=self.network_id,
            period_seconds=self.period_s,
            lifetime_seconds=self.descriptor_life_s,
        )

    @property
    def directory_rules(self) -> DirectoryRules:
        """What `directory.Directory` needs."""
        return DirectoryRules(
            network_id=self.network_id,
            epoch_s=self.epoch_s,
            address_life_s=self.address_life_s,
            private_addresses=self.private_addresses,
            subnet_rule=self.subnet_rule,
            family_rule=self.family_rule,
            weights=self.weight_rules,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the whole network file."""
        start = {
            "rpc": [{"url": e.url, "own_node": e.own_node} for e in self.rpc],
            "bootstrap": [
                {"relay_id": b.relay_id.hex(), "endpoints": [str(e) for e in b.endpoints]}
                for b in self.bootstrap
            ],
        }
        return {
            "schema": SCHEMA,
            "constants": self.constants_json(),
            "trust": self._trust_json(),
            "start": start,
        }

    def _trust_json(self) -> dict[str, Any]:
        if self.mode is NetworkMode.STATIC:
            return {"mode": "static", "signer": self.static_signer.hex()}
        if self.mode is NetworkMode.DHT:
            return {"mode": "dht", "admission_keys": [key.hex() for key in self.admission_keys]}
        trust: dict[str, Any] = {
            "mode": "chain",
            "chain_id": self.chain_id,
            "genesis_hash": "0x" + self.genesis_hash.hex(),
            "contracts": {name: str(address) for name, address in self.contracts.items()},
        }
        if self.first_block:
            trust["first_block"] = self.first_block
        if self.trusted_root is not None:
            root = self.trusted_root
            trust["trusted_root"] = {"epoch": root.epoch, "root": "0x" + root.root.hex()}
        return trust
