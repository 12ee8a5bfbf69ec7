"""Registering relays and what follows: renewal, exit, slashing (SPEC 8.6)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from peerstream.identity.address import Address
from peerstream.identity.signer import LocalSigner
from peerstream.node.chain.abi import encode_call
from peerstream.node.chain.blocks import read_header
from peerstream.node.chain.deploy import Deployment
from peerstream.node.chain.errors import StaleSiblingsError, TransactionError, WrongKeyError
from peerstream.node.chain.history import IdentitySnapshot, RelayHistory, apply_all
from peerstream.node.chain.logs import read_logs
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.chain.sending import Sender, send_batch
from peerstream.node.chain.transactions import Plan
from peerstream.node.chain.units import ether
from peerstream.node.protocol.directory.merkle import CAPACITY, merkle_siblings
from peerstream.node.protocol.directory.relay_set import RelayEntry

REGISTER_GAS: Final = 400_000
ACTIVATION_EPOCHS: Final = 2
_CONTRACT: Final = "RelayRegistry"


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


class RelaySlots:
    """The leaves of the relay set after all changes, by slot, and the chain's present epoch."""

    def __init__(self, deployment: Deployment, entries: Iterable[RelayEntry], epoch: int) -> None:
        self.deployment = deployment
        self.epoch = epoch
        self._entries = {entry.slot: entry for entry in entries}

    @classmethod
    async def read(cls, rpc: RpcClient, deployment: Deployment) -> "RelaySlots":
        """Read them from the events. Raises EndpointError, as a subclass."""
        head = await read_header(rpc, "latest")
        contracts = (deployment.relay_registry,)
        logs = await read_logs(rpc, contracts, deployment.block, head.number)
        relays = RelayHistory()
        events = (log.decode() for log in logs)
        apply_all(relays, IdentitySnapshot(), (event for event in events if event is not None))
        return cls(deployment, relays.latest(), head.timestamp // deployment.settings.epoch_s)

    @property
    def entries(self) -> Mapping[int, RelayEntry]:
        """The leaves by slot."""
        return self._entries

    def of_operator(self, operator: Address, relay_id: bytes) -> RelayEntry:
        """Return the operator's entry for a relay id of 32 bytes. Raises WrongKeyError."""
        for entry in self._entries.values():
            if entry.operator == operator.raw and entry.relay_id == relay_id:
                return entry
        raise WrongKeyError("no such relay", f"{operator} has not registered {relay_id.hex()[:16]}")

    def add(self, registration: RelayRegistration) -> tuple[RelayEntry, Plan]:
        """Take the lowest free slot for a relay; return its entry and how to register it.

        Raises RegistryFullError.
        """
        slot = next((slot for slot in range(CAPACITY) if slot not in self._entries), None)
        if slot is None:
            raise RegistryFullError("no slot is free")
        acts_from = self.epoch + ACTIVATION_EPOCHS
        entry = RelayEntry(
            slot=slot,
            relay_id=registration.relay_id,
            operator=LocalSigner(registration.operator_key).address.raw,
            family=registration.family,
            weight=registration.stake,
            sign_key=registration.sign_key,
            from_epoch=acts_from,
            to_epoch=acts_from + self.deployment.settings.term_epochs,
            possession=registration.possession,
        )
        arguments = (_request(entry), slot, self._siblings(slot))
        plan = self._plan("register", arguments, _register_words(entry), value=entry.weight)
        self._entries[slot] = entry
        return entry, plan

    def renewal(self, operator: Address, changed: RelayEntry, added_stake: int = 0) -> Plan:
        """Return how to renew a relay with the keys, family and last epoch of `changed`.

        Raises WrongKeyError.
        """
        current = self.of_operator(operator, changed.relay_id)
        arguments = (_request(changed), *self._place(current))
        words = (
            f"renew relay {changed.relay_id.hex()} until epoch {changed.to_epoch}",
            f"signing key {Address(changed.sign_key)}",
            f"add {ether(added_stake)} to its stake",
        )
        return self._plan("renew", arguments, words, value=added_stake)

    def exit(self, operator: Address, relay_id: bytes) -> Plan:
        """Return how to take a relay out of the set. Raises WrongKeyError."""
        current = self.of_operator(operator, relay_id)
        words = (
            f"take relay {relay_id.hex()} out of the set",
            f"its stake of {ether(current.weight)} can be withdrawn later",
        )
        return self._plan("exit", self._place(current), words)

    def clearing(self, operator: Address, relay_id: bytes) -> Plan:
        """Return how to clear away an entry that is slashed or long expired. As WrongKeyError."""
        current = self.of_operator(operator, relay_id)
        entry, slot, siblings = self._place(current)
        arguments = (str(operator), entry, current.weight, slot, siblings)
        return self._plan("clear", arguments, (f"clear relay {relay_id.hex()} away",))

    def _place(self, current: RelayEntry) -> tuple[Any, int, list[bytes]]:
        sign_key = str(Address(current.sign_key))
        entry = (
            current.relay_id,
            sign_key,
            current.family,
            current.from_epoch,
            current.to_epoch,
        )
        return entry, current.slot, self._siblings(current.slot)

    def _siblings(self, slot: int) -> list[bytes]:
        leaves = {key: entry.leaf() for key, entry in self._entries.items()}
        return merkle_siblings(leaves, slot)

    def _plan(
        self, function: str, arguments: Sequence[Any], words: tuple[str, ...], value: int = 0
    ) -> Plan:
        data = encode_call(_CONTRACT, function, arguments)
        registry = self.deployment.relay_registry
        return Plan(to=registry, data=data, value=value, summary=words)


class Equivocation(NamedTuple):
    """Two statements of a relay for one epoch and sequence number: hashes 32 B, signatures 65 B."""

    epoch: int
    sequence: int
    first_hash: bytes
    first_signature: bytes
    second_hash: bytes
    second_signature: bytes


def slashing(
    deployment: Deployment, operator: Address, relay_id: bytes, evidence: Equivocation
) -> Plan:
    """Return how to take the stake of a relay that signed two different statements."""
    statement = (relay_id, evidence.epoch, evidence.sequence, evidence.first_hash)
    arguments = (
        str(operator),
        statement,
        evidence.first_signature,
        evidence.second_hash,
        evidence.second_signature,
    )
    words = (f"slash relay {relay_id.hex()} of {operator} for epoch {evidence.epoch}",)
    data = encode_call(_CONTRACT, "slash", arguments)
    return Plan(to=deployment.relay_registry, data=data, summary=words)


def withdrawal(deployment: Deployment, relay_id: bytes) -> Plan:
    """Return how the operator gets the stake of a relay back that left long enough ago."""
    data = encode_call(_CONTRACT, "withdraw", (relay_id,))
    words = (f"withdraw the stake of relay {relay_id.hex()}",)
    return Plan(to=deployment.relay_registry, data=data, summary=words)


def reward_withdrawal(deployment: Deployment) -> Plan:
    """Return how a reporter gets what slashing earned."""
    data = encode_call(_CONTRACT, "withdrawReward", ())
    return Plan(to=deployment.relay_registry, data=data, summary=("withdraw rewards",))


async def register_relays(
    rpc: RpcClient, deployment: Deployment, registrations: Iterable[Sequence[Any]]
) -> list[RelayEntry]:
    """Register relays, each from its own operator account, in one batch; they count from the
    epoch after next.

    Raises TransactionError, as a subclass: StaleSiblingsError when somebody else changed the set
    meanwhile, and then none after that one is registered.
    """  # noqa: D205 - one sentence
    slots = await RelaySlots.read(rpc, deployment)
    added, plans = [], []
    for registration in (RelayRegistration(*item) for item in registrations):
        entry, plan = slots.add(registration)
        added.append(entry)
        plans.append((registration.operator_key, replace(plan, gas=REGISTER_GAS)))
    await send_batch(rpc, deployment.chain_id, plans)
    return added


async def register_one_by_one(
    rpc: RpcClient, deployment: Deployment, registrations: Iterable[RelayRegistration]
) -> None:
    """Register relays, each once the one before is in the set.

    An epoch that begins meanwhile changes from when they count, and so the leaves: the set is read
    again then. Raises TransactionError, as a subclass.
    """
    slots = await RelaySlots.read(rpc, deployment)
    for registration in registrations:
        sender = Sender(rpc, registration.operator_key, deployment.chain_id)
        try:
            await sender.send(replace(slots.add(registration)[1], gas=REGISTER_GAS))
        except StaleSiblingsError:
            slots = await RelaySlots.read(rpc, deployment)
            await sender.send(replace(slots.add(registration)[1], gas=REGISTER_GAS))


def _request(entry: RelayEntry) -> tuple[bytes, str, bytes, int, bytes]:
    sign_key = str(Address(entry.sign_key))
    return entry.relay_id, sign_key, entry.family, entry.to_epoch, entry.possession


def _register_words(entry: RelayEntry) -> tuple[str, ...]:
    return (
        f"register relay {entry.relay_id.hex()} of operator {Address(entry.operator)}",
        f"signing key {Address(entry.sign_key)}",
        f"in the set from epoch {entry.from_epoch} to {entry.to_epoch}",
        f"stake {ether(entry.weight)}",
    )
