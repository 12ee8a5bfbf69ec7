"""What roots a private network: contracts on its own chain, a file or admissions signed here.

See SPEC 14.3.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.identity.network import NetworkMode, dht_network_id, static_network_id
from peerstream.node.chain.deploy import Deployment
from peerstream.node.chain.devnet.accounts import DevAccount
from peerstream.node.chain.devnet.service import catch_up
from peerstream.node.chain.identities import set_identity
from peerstream.node.chain.networks import deployed_network
from peerstream.node.chain.registration import RelayRegistration, register_one_by_one
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.config import (
    Bootstrap,
    NetworkConstants,
    NetworkParameters,
    RpcEndpoint,
)
from peerstream.node.protocol.directory.admission import (
    ADMISSION_LIFE_MAX_S,
    Admission,
    SignedAdmission,
)
from peerstream.node.protocol.directory.relay_set import NO_FAMILY, RelayEntry
from peerstream.node.protocol.directory.static import SignedStaticFile, StaticFile, StaticRelay
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.store.files import write_whole

DEPLOYMENT: Final = "deployment.json"
_BOOTSTRAP: Final = 4  # relays to ask first; any of them may be gone
_STATIC_LIFE_S: Final = 30 * 86_400
_STATIC_AGO_S: Final = 3_600
_SERIAL: Final = 1


@dataclass(frozen=True, slots=True)
class ProvenRelay:
    """A relay that is ready to be registered: relay_id 32, sign_key 20, possession 64 bytes."""

    relay_id: bytes
    sign_key: bytes
    possession: bytes
    endpoint: Endpoint
    operator: DevAccount


@dataclass(frozen=True, slots=True)
class Rooted:
    """A network that has begun.

    static_file: the signed relay file of a static one. admissions: the file of each relay of one of
    mode dht, by relay_id.
    """

    parameters: NetworkParameters
    network_file: Path
    static_file: Path | None = None
    admissions: Mapping[bytes, Path] = field(default_factory=dict)


class ChainRoot:
    """Contracts on a devnet that stays in the past until the relays are registered."""

    def __init__(self, constants: NetworkConstants, description: dict[str, Any]) -> None:
        self._constants = constants
        self.description = description
        self.deployment = Deployment.parse(json.dumps(description["deployment"]).encode())

    @property
    def network_id(self) -> bytes:
        """What the relays prove possession for, 32 bytes."""
        return self.deployment.network_id

    async def begin(self, relays: Sequence[ProvenRelay], directory: Path) -> Rooted:
        """Register the relays, come to the present, write the network file.

        Raises TransactionError or EndpointError, as subclasses.
        """
        url = str(self.description["rpc_url"])
        stake = self.deployment.settings.minimum_stake
        registrations = [
            RelayRegistration(
                relay.operator.secret,
                relay.relay_id,
                relay.sign_key,
                NO_FAMILY,
                relay.possession,
                stake,
            )
            for relay in relays
        ]
        record = json.dumps(self.deployment.to_json(), indent=2)
        write_whole(directory / DEPLOYMENT, record.encode() + b"\n")
        async with RpcClient(url, own_node=True) as rpc:
            # One after the other: anvil takes up the requests of a batch in an order of its own.
            await register_one_by_one(rpc, self.deployment, registrations)
            await catch_up(rpc, int(time.time()))
        endpoint = RpcEndpoint(url, own_node=True)
        parameters = deployed_network(
            self.deployment, self._constants, [endpoint], _bootstrap(relays)
        )
        return Rooted(parameters, _write(parameters, directory))

    async def list_identities(self, listed: Sequence[tuple[DevAccount, bytes]]) -> None:
        """Have each account list its identity key of 32 bytes. Raises TransactionError."""
        async with RpcClient(str(self.description["rpc_url"]), own_node=True) as rpc:
            for account, identity_key in listed:
                await set_identity(rpc, self.deployment, account.secret, identity_key)


class StaticRoot:
    """A relay file signed by a key that is forgotten with the network."""

    def __init__(self, constants: NetworkConstants) -> None:
        self._constants = constants
        self._key = Ed25519PrivateKey.generate()
        self._signer = self._key.public_key().public_bytes_raw()

    @property
    def network_id(self) -> bytes:
        """What the relays prove possession for, 32 bytes."""
        return static_network_id(self._signer)

    async def begin(self, relays: Sequence[ProvenRelay], directory: Path) -> Rooted:
        """Sign the relay file and write both files."""
        wall = int(time.time())
        found = StaticFile(
            serial=_SERIAL,
            not_before=wall - _STATIC_AGO_S,
            not_after=wall + _STATIC_LIFE_S,
            parameters_hash=self._constants.parameters_hash,
            relays=tuple(
                StaticRelay(_entry(slot, relay), (relay.endpoint,))
                for slot, relay in enumerate(relays)
            ),
        )
        signed = SignedStaticFile.sign(found, self._key, network_id=self.network_id)
        path = directory / "relays.static"
        write_whole(path, signed.encode())
        parameters = NetworkParameters(
            **_values(self._constants),
            mode=NetworkMode.STATIC,
            static_signer=self._signer,
            bootstrap=_bootstrap(relays),
        )
        return Rooted(parameters, _write(parameters, directory), path)

    async def list_identities(self, listed: Sequence[tuple[DevAccount, bytes]]) -> None:
        """Do nothing: without a registry, nodes publish the grants that their wallets signed."""


class DhtRoot:
    """Admissions signed by a key that is forgotten with the network; relays carry them."""

    def __init__(self, constants: NetworkConstants) -> None:
        self._constants = constants
        self._key = Ed25519PrivateKey.generate()
        self._keeper = self._key.public_key().public_bytes_raw()

    @property
    def network_id(self) -> bytes:
        """What the admissions are signed for, 32 bytes."""
        return dht_network_id(self._keeper)

    async def begin(self, relays: Sequence[ProvenRelay], directory: Path) -> Rooted:
        """Sign an admission for each relay and write it, and the network file."""
        parameters = NetworkParameters(
            **_values(self._constants),
            mode=NetworkMode.DHT,
            admission_keys=(self._keeper,),
            bootstrap=_bootstrap(relays),
        )
        # as if the relays were there when the period began: rings are of the relays of that time
        begins = int(time.time()) - parameters.period_s - 3 * parameters.epoch_s
        found = {}
        for number, relay in enumerate(relays, start=1):
            admission = Admission(
                relay.relay_id,
                relay.operator.address.raw,
                NO_FAMILY,
                begins,
                begins + ADMISSION_LIFE_MAX_S,
            )
            signed = SignedAdmission.sign(admission, self._key, network_id=self.network_id)
            found[relay.relay_id] = directory / f"relay-{number:02}.admission"
            write_whole(found[relay.relay_id], signed.encode())
        return Rooted(parameters, _write(parameters, directory), admissions=found)

    async def list_identities(self, listed: Sequence[tuple[DevAccount, bytes]]) -> None:
        """Do nothing: without a registry, nodes publish the grants that their wallets signed."""


Root = ChainRoot | StaticRoot | DhtRoot


def _values(constants: NetworkConstants) -> dict[str, Any]:
    return {name: getattr(constants, name) for name in constants.constants_json()}


def _entry(slot: int, relay: ProvenRelay) -> RelayEntry:
    return RelayEntry(
        slot=slot,
        relay_id=relay.relay_id,
        operator=relay.operator.address.raw,
        family=NO_FAMILY,
        weight=1,
        sign_key=relay.sign_key,
        from_epoch=_SERIAL,
        to_epoch=2**32,
        possession=relay.possession,
    )


def _bootstrap(relays: Sequence[ProvenRelay]) -> tuple[Bootstrap, ...]:
    return tuple(Bootstrap(relay.relay_id, (relay.endpoint,)) for relay in relays[:_BOOTSTRAP])


def _write(parameters: NetworkParameters, directory: Path) -> Path:
    path = directory / "network.json"
    write_whole(path, json.dumps(parameters.to_json(), indent=2).encode() + b"\n")
    return path
