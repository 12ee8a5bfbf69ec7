"""The rendezvous board: which records blinded keys committed themselves to (SPEC 8.8).

Read as the registries are: all of it, for the periods around now, from endpoints that must agree.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from peerstream.identity.address import Address
from peerstream.identity.descriptor.commitment import Commitment
from peerstream.node.chain.events import Log, event_topic
from peerstream.node.chain.quantities import WORD, refuse

COMMITTED: Final = event_topic("Committed(bytes32,uint64,uint64,bytes32)")
_TOPICS: Final = 3
_U64: Final = 2**64 - 1


@dataclass(slots=True)
class Board:
    """The newest commitment of each blinded key, by key (32 bytes) and period."""

    _newest: dict[tuple[bytes, int], Commitment] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._newest)

    def copy(self) -> "Board":
        """Return an independent copy."""
        return Board(dict(self._newest))

    def commitments(self) -> Mapping[tuple[bytes, int], Commitment]:
        """Return all of them."""
        return dict(self._newest)

    def apply(self, logs: Iterable[Log]) -> None:
        """Take logs in their order on the chain. Raises MalformedAnswerError."""
        for log in logs:
            found = read_commitment(log)
            place = (found.blinded, found.period)
            before = self._newest.get(place)
            if before is not None and found.revision <= before.revision:
                refuse("a commitment that the contract would have refused")
            self._newest[place] = found

    def keep(self, periods: range) -> None:
        """Drop what belongs to other periods: anybody may commit a key of his own to any."""
        self._newest = {place: c for place, c in self._newest.items() if place[1] in periods}


def read_commitment(log: Log) -> Commitment:
    """Return what a log of the board says. Raises MalformedAnswerError."""
    if len(log.topics) != _TOPICS or log.topics[0] != COMMITTED or len(log.data) != 2 * WORD:
        refuse("a log of another shape than Committed")
    period, revision = (int.from_bytes(word, "big") for word in (log.topics[2], log.data[:WORD]))
    if max(period, revision) > _U64:
        refuse("a number out of range")
    return Commitment(log.topics[1], period, revision, log.data[WORD:])


def board_of(contracts: Mapping[str, Address]) -> Address | None:
    """Return the board that a network file names, if it names one."""
    return contracts.get("rendezvous_board")
