"""Which relays store what: a ring of one hop over the whole relay set (SPEC 6.7).

Ring(p) is the relay set of the epoch in which period p starts, and stays for the period. Its seed
becomes known only when nobody can enter that set any more, so no relay can choose its place next
to somebody's records. Everybody knows all members: there is no routing to lead astray.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from peerstream.identity.labels import GRANT_INDEX, RING_INDEX, RING_NODE, RING_SEED
from peerstream.node.protocol.directory.relay_set import RelayView

NO_RANDOMNESS: Final = b""
SMALL_RING: Final = 100  # relays


@dataclass(frozen=True, slots=True)
class RingRules:
    """replicas: places of a record on the ring; stores: relays after each place that keep it.

    Half as many more keep it in a small ring, where those that live are soon all among the few
    relays that a reader keeps away from.
    """

    replicas: int
    stores: int

    def stores_among(self, relays: int) -> int:
        """Return how many relays after each place keep a record, in a ring of so many."""
        return self.stores + (self.stores // 2 if relays < SMALL_RING else 0)


def ring_seed(network_id: bytes, period: int, randomness: bytes = NO_RANDOMNESS) -> bytes:
    """Seed of a period's ring, 32 bytes.

    randomness: the 32 bytes of prevrandao of the first block at or after one epoch (6 h on main)
    before the period's start (SPEC 8.5); empty where there is no chain, and then places can be
    computed ahead.
    """
    return _digest(RING_SEED, network_id, period.to_bytes(8, "big"), randomness)


def grant_index(network_id: bytes, account: bytes, period: int) -> bytes:
    """Where the grant of an account (20 bytes) that anybody may look up is stored, 32 bytes."""
    return _digest(GRANT_INDEX, network_id, account, period.to_bytes(8, "big"))


def _digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


class Ring:
    """The stores of one period. `relay_ids` are the members; `period` and `seed` name it."""

    def __init__(
        self, period: int, relay_ids: Iterable[bytes], seed: bytes, rules: RingRules
    ) -> None:
        self.period = period
        self.seed = seed
        self.rules = rules
        self._places = sorted((_digest(RING_NODE, key, seed), key) for key in set(relay_ids))
        self._reach = rules.stores_among(len(self._places))

    @classmethod
    def of_view(cls, view: RelayView, period: int, seed: bytes, rules: RingRules) -> "Ring":
        """Return the ring of a period that starts in the view's epoch."""
        return cls(period, (entry.relay_id for entry in view), seed, rules)

    def __len__(self) -> int:
        return len(self._places)

    def stores(self, key: bytes, replica: int) -> tuple[bytes, ...]:
        """relay_ids that keep replica 0.. of `key`, nearest first.

        `key` is a blinded key or a grant index, 32 bytes. Fewer than `rules.stores_among` when the
        ring has no more relays.
        """
        place = _digest(RING_INDEX, key, bytes((replica,)), self.period.to_bytes(8, "big"))
        start = bisect_left(self._places, (place, b""))
        around = chain(self._places[start:], self._places[:start])
        return tuple(relay_id for _, relay_id in islice(around, self._reach))

    def responsible(self, key: bytes) -> tuple[bytes, ...]:
        """All stores of all replicas, each once, replica 0 first."""
        replicas = (self.stores(key, replica) for replica in range(self.rules.replicas))
        return tuple(dict.fromkeys(chain.from_iterable(replicas)))

    def companions(self, relay_id: bytes) -> tuple[bytes, ...]:
        """Relays that between them keep all that this one keeps; none when it is no member.

        For each place of a key the stores are neighbours on the ring, so those before and after it.
        """
        around = [key for _, key in self._places]
        if relay_id not in around:
            return ()
        here, reach = around.index(relay_id), self._reach - 1
        steps = chain.from_iterable((step, -step) for step in range(1, reach + 1))
        near = (around[(here + step) % len(around)] for step in steps)
        return tuple(key for key in dict.fromkeys(near) if key != relay_id)

    def is_responsible(self, relay_id: bytes, key: bytes) -> bool:
        """Whether that relay keeps `key` in this period."""
        return relay_id in self.responsible(key)
