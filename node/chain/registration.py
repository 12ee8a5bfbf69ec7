"""Writing to the registries: relays and identities (SPEC 8.5)."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from peerstream.identity.address import Address
from peerstream.identity.signer import LocalSigner
from peerstream.node.chain.abi import encode_call
from peerstream.node.chain.deploy import Deployment
from peerstream.node.chain.errors import TransactionError
from peerstream.node.chain.history import IdentitySnapshot, RelayHistory, apply_all
from peerstream.node.chain.logs import read_logs
from peerstream.node.chain.quantities import Header, read_quantity
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.chain.transactions import Plan, Receipt, Sender, send_batch
from peerstream.node.protocol.directory.merkle import CAPACITY, merkle_siblings
from peerstream.node.protocol.directory.relay_set import RelayEntry

REGISTER_GAS: Final = 400_000
ACTIVATION_EPOCHS: Final = 2


class RelayRegistration(NamedTuple):
    """One relay to register. operator_key: secret, 32 B; relay_id: Ed25519, 32 B; sign_key:
    address of 20 B; family 32 B; possession: signature of 64 B; stake in wei.
    """  # noqa: D205 - one sentence

    operator_key: bytes
    relay_id: bytes
    sign_key: bytes
    family: bytes
    possession: bytes
    stake: int


class RegistryFullError(TransactionError):
    """All 4 096 slots of the relay set are taken: clear expired entries, or wait."""


class UnknownRelayEntryError(TransactionError):
    """The operator has no such relay in the set: check the operator's key and the relay id."""


async def read_entries(rpc: RpcClient, deployment: Deployment) -> dict[int, RelayEntry]:
    """Return the leaves of the relay set after all changes, by slot."""
    head = Header.read(await rpc.call("eth_getBlockByNumber", "latest", False))  # noqa: FBT003
    contracts = (deployment.relay_registry,)
    logs = await read_logs(rpc, contracts, deployment.block, head.number)
    relays = RelayHistory()
    events = (log.decode() for log in logs)
    apply_all(relays, IdentitySnapshot(), (event for event in events if event is not None))
    return {entry.slot: entry for entry in relays.latest()}


async def chain_epoch(rpc: RpcClient, deployment: Deployment) -> int:
    """Return the epoch of the chain's last block."""
    head = Header.read(await rpc.call("eth_getBlockByNumber", "latest", False))  # noqa: FBT003
    return head.timestamp // deployment.settings.epoch_s


async def register_relays(
    rpc: RpcClient, deployment: Deployment, registrations: Iterable[Sequence[Any]]
) -> list[RelayEntry]:
    """Register relays, each from its own operator account, in one batch; they count from the
    epoch after next.

    Raises TransactionError, as a subclass: StaleSiblingsError when somebody else changed the set
    meanwhile, and then none after that one is registered.
    """  # noqa: D205 - one sentence
    wanted = [RelayRegistration(*item) for item in registrations]
    entries = await read_entries(rpc, deployment)
    epoch = await chain_epoch(rpc, deployment)
    plans, added = [], []
    for registration in wanted:
        entry = _new_entry(registration, _free_slot(entries), epoch, deployment)
        plans.append((registration.operator_key, _register_plan(deployment, entry, entries)))
        entries[entry.slot] = entry
        added.append(entry)
    await send_batch(rpc, deployment.chain_id, plans)
    return added


async def renew_relay(
    sender: Sender, deployment: Deployment, changed: RelayEntry, added_stake: int = 0
) -> Receipt:
    """Renew the sender's relay with what `changed` says of keys, family and last epoch.

    Raises UnknownRelayEntryError, or another TransactionError.
    """
    entries = await read_entries(sender.rpc, deployment)
    current = _own_entry(entries, sender.address, changed.relay_id)
    data = encode_call(
        "RelayRegistry",
        "renew",
        (_request(changed), _entry(current), current.slot, _siblings(entries, current.slot)),
    )
    return await sender.send(Plan(to=deployment.relay_registry, data=data, value=added_stake))


async def exit_relay(sender: Sender, deployment: Deployment, relay_id: bytes) -> Receipt:
    """Take the sender's relay out of the set. Raises UnknownRelayEntryError, TransactionError."""
    entries = await read_entries(sender.rpc, deployment)
    current = _own_entry(entries, sender.address, relay_id)
    arguments = (_entry(current), current.slot, _siblings(entries, current.slot))
    data = encode_call("RelayRegistry", "exit", arguments)
    return await sender.send(Plan(to=deployment.relay_registry, data=data))


async def set_identity(
    rpc: RpcClient, deployment: Deployment, account_key: bytes, identity_key: bytes
) -> Receipt:
    """List an identity key (32 bytes x-only) for the account of a secret key of 32 bytes."""
    data = encode_call("IdentityRegistry", "setIdentity", (identity_key,))
    sender = Sender(rpc, account_key, deployment.chain_id)
    return await sender.send(Plan(to=deployment.identity_registry, data=data))


async def revoke_before(
    rpc: RpcClient, deployment: Deployment, account_key: bytes, time: int
) -> Receipt:
    """Void what the account issued up to a unix second that is not in the future."""
    data = encode_call("IdentityRegistry", "revokeBefore", (time,))
    sender = Sender(rpc, account_key, deployment.chain_id)
    return await sender.send(Plan(to=deployment.identity_registry, data=data))


async def revoke_device(
    rpc: RpcClient, deployment: Deployment, account_key: bytes, device_key: bytes
) -> Receipt:
    """Void a device of the account, named by its Ed25519 key of 32 bytes, for ever."""
    data = encode_call("IdentityRegistry", "revokeDevice", (device_key,))
    sender = Sender(rpc, account_key, deployment.chain_id)
    return await sender.send(Plan(to=deployment.identity_registry, data=data))


async def minimum_stake(rpc: RpcClient, deployment: Deployment) -> int:
    """Return the least stake in wei, as the contract says."""
    request = {
        "to": str(deployment.relay_registry),
        "data": "0x" + encode_call("RelayRegistry", "MINIMUM_STAKE", ()).hex(),
    }
    return read_quantity("0x" + (await rpc.call("eth_call", request, "latest"))[2:].lstrip("0"))


def _new_entry(
    registration: RelayRegistration, slot: int, epoch: int, deployment: Deployment
) -> RelayEntry:
    acts_from = epoch + ACTIVATION_EPOCHS
    return RelayEntry(
        slot=slot,
        relay_id=registration.relay_id,
        operator=LocalSigner(registration.operator_key).address.raw,
        family=registration.family,
        weight=registration.stake,
        sign_key=registration.sign_key,
        from_epoch=acts_from,
        to_epoch=acts_from + deployment.settings.term_epochs,
        possession=registration.possession,
    )


def _register_plan(
    deployment: Deployment, entry: RelayEntry, entries: dict[int, RelayEntry]
) -> Plan:
    data = encode_call(
        "RelayRegistry", "register", (_request(entry), entry.slot, _siblings(entries, entry.slot))
    )
    return Plan(
        to=deployment.relay_registry, data=data, value=entry.weight, gas=REGISTER_GAS
    )


def _request(entry: RelayEntry) -> tuple[bytes, str, bytes, int, bytes]:
    sign_key = str(Address(entry.sign_key))
    return entry.relay_id, sign_key, entry.family, entry.to_epoch, entry.possession


def _entry(entry: RelayEntry) -> tuple[bytes, str, bytes, int, int]:
    sign_key = str(Address(entry.sign_key))
    return entry.relay_id, sign_key, entry.family, entry.from_epoch, entry.to_epoch


def _siblings(entries: dict[int, RelayEntry], slot: int) -> list[bytes]:
    return merkle_siblings({key: entry.leaf() for key, entry in entries.items()}, slot)


def _free_slot(entries: dict[int, RelayEntry]) -> int:
    for slot in range(CAPACITY):
        if slot not in entries:
            return slot
    raise RegistryFullError("no slot is free")


def _own_entry(entries: dict[int, RelayEntry], operator: Address, relay_id: bytes) -> RelayEntry:
    for entry in entries.values():
        if entry.operator == operator.raw and entry.relay_id == relay_id:
            return entry
    raise UnknownRelayEntryError(f"{operator} has no relay {relay_id.hex()[:16]}")
