"""The events of our contracts, decoded by hand (SPEC 8.4).

By hand, because a node reads nothing else from a chain and an ABI library costs it 15 MB.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from peerstream.identity.keys import keccak256
from peerstream.node.chain.quantities import (
    WORD,
    read_list,
    read_octets,
    read_quantity,
    read_table,
    refuse,
)
from peerstream.node.protocol.directory.merkle import CAPACITY
from peerstream.node.protocol.directory.relay_set import WEIGHT_MAX, RelayEntry

_ADDRESS: Final = 20
_U64: Final = 2**64 - 1
_POSSESSION: Final = 64
_RELAY_SET_WORDS: Final = 12
_POSSESSION_OFFSET: Final = 9 * WORD


@dataclass(frozen=True, slots=True)
class RelaySet:
    """The entry stands in its slot from the epoch `acts_from` on."""

    entry: RelayEntry
    acts_from: int


@dataclass(frozen=True, slots=True)
class RelayRemoved:
    """The slot is empty from the epoch `acts_from` on."""

    slot: int
    acts_from: int


@dataclass(frozen=True, slots=True)
class IdentitySet:
    """The account lists an identity key of 32 bytes (zero: none) as issued at unix seconds."""

    account: bytes
    identity_key: bytes
    issued: int


@dataclass(frozen=True, slots=True)
class IdentityRevoked:
    """Whatever the account issued up to that unix second is void."""

    account: bytes
    revoked_before: int


@dataclass(frozen=True, slots=True)
class DeviceRevoked:
    """The account's device with that Ed25519 key of 32 bytes is void for ever."""

    account: bytes
    device_key: bytes


Event = RelaySet | RelayRemoved | IdentitySet | IdentityRevoked | DeviceRevoked


@dataclass(frozen=True, slots=True)
class Log:
    """A log as an endpoint gives it, typed: topics of 32 bytes each."""

    contract: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block: int
    index: int

    @classmethod
    def read(cls, value: Any) -> "Log":
        """Read one item of eth_getLogs. Raises MalformedAnswerError."""
        log = read_table(value)
        if log.get("removed"):
            refuse("a removed log")
        topics = read_list(log.get("topics"))
        if not 1 <= len(topics) <= 4:
            refuse("a log without topics")
        return cls(
            contract=read_octets(log.get("address"), _ADDRESS),
            topics=tuple(read_octets(topic, WORD) for topic in topics),
            data=read_octets(log.get("data")),
            block=read_quantity(log.get("blockNumber")),
            index=read_quantity(log.get("logIndex")),
        )

    def decode(self) -> Event | None:
        """Return the event, None for those that no reader needs. Raises MalformedAnswerError."""
        if self.topics[0] in _OTHER_TOPICS:
            return None
        decoder = _DECODERS.get(self.topics[0])
        if decoder is None:
            refuse("a log that our contracts never write")
        return decoder(self)


def _number(word: bytes, maximum: int) -> int:
    value = int.from_bytes(word, "big")
    if value > maximum:
        refuse("a number out of range")
    return value


def _account(word: bytes) -> bytes:
    if any(word[:-_ADDRESS]):
        refuse("an address longer than 20 bytes")
    return word[-_ADDRESS:]


def _words(log: Log, indexed: int, total: int) -> list[bytes]:
    if len(log.topics) != indexed + 1 or len(log.data) != total * WORD:
        refuse("a log of another shape than its event")
    return [log.data[start : start + WORD] for start in range(0, total * WORD, WORD)]


def _relay_set(log: Log) -> RelaySet:
    words = _words(log, 2, _RELAY_SET_WORDS)
    tail = int.from_bytes(words[8], "big"), int.from_bytes(words[9], "big")
    if tail != (_POSSESSION_OFFSET, _POSSESSION) or words[1] != log.topics[2]:
        refuse("a relay event that contradicts itself")
    entry = RelayEntry(
        slot=_number(words[0], CAPACITY - 1),
        relay_id=words[1],
        operator=_account(log.topics[1]),
        family=words[3],
        weight=_number(words[6], WEIGHT_MAX),
        sign_key=_account(words[2]),
        from_epoch=_number(words[4], _U64),
        to_epoch=_number(words[5], _U64),
        possession=words[10] + words[11],
    )
    return RelaySet(entry, _number(words[7], _U64))


def _relay_removed(log: Log) -> RelayRemoved:
    slot, acts_from = _words(log, 2, 2)
    return RelayRemoved(_number(slot, CAPACITY - 1), _number(acts_from, _U64))


def _identity_set(log: Log) -> IdentitySet:
    key, issued = _words(log, 1, 2)
    return IdentitySet(_account(log.topics[1]), key, _number(issued, _U64))


def _identity_revoked(log: Log) -> IdentityRevoked:
    (before,) = _words(log, 1, 1)
    return IdentityRevoked(_account(log.topics[1]), _number(before, _U64))


def _device_revoked(log: Log) -> DeviceRevoked:
    (key,) = _words(log, 1, 1)
    return DeviceRevoked(_account(log.topics[1]), key)


def event_topic(signature: str) -> bytes:
    """Return the first topic, 32 bytes, of an event by its ABI signature."""
    return keccak256(signature.encode())


_ENTRY: Final = "(bytes32,address,bytes32,uint64,uint64)"
_DECODERS: Final[Mapping[bytes, Callable[[Log], Event]]] = {
    event_topic(f"RelaySet(address,bytes32,uint256,{_ENTRY},uint96,uint64,bytes)"): _relay_set,
    event_topic("RelayRemoved(address,bytes32,uint256,uint64)"): _relay_removed,
    event_topic("IdentitySet(address,bytes32,uint64)"): _identity_set,
    event_topic("IdentityRevoked(address,uint64)"): _identity_revoked,
    event_topic("DeviceRevoked(address,bytes32)"): _device_revoked,
}
_OTHER_TOPICS: Final = frozenset(
    event_topic(signature)
    for signature in (
        "RelayExited(address,bytes32,uint64)",
        "StakeWithdrawn(address,bytes32,uint256)",
        "RelaySlashed(address,bytes32,address,uint256,uint256)",
        "RewardWithdrawn(address,uint256)",
        "EpochSeedProven(uint256,bytes32)",
    )
)
KNOWN_TOPICS: Final = _OTHER_TOPICS | _DECODERS.keys()  # another one is no log of our contracts
