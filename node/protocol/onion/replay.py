"""Which SETUPs were accepted before (SPEC 3).

A machine without a disk: the caller appends what `insert` returns to the bucket's file before it
forwards the SETUP, and gives it back through `load` after a restart.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion.errors import (
    ReplayFilterFullError,
    SetupExpiredError,
    SetupReplayedError,
)
from peerstream.node.protocol.onion.setup import REPLAY_TAG_SIZE

BUCKET_SECONDS: Final = 600
DESIGN_LOAD: Final = 100_000  # SETUPs a bucket: 166 a second, about 11 MB
SETS_MAX: Final = 2  # past the design load a second set, so that no set stops us to grow
_GRACE_SECONDS: Final = 60  # for wall clocks that are set back a little


class ReplayRecord(NamedTuple):
    """What must be on disk before the SETUP goes on: append `tag` to the file of `bucket`."""

    bucket: int
    tag: bytes


def bucket_of(wall: int) -> int:
    """Return the ten minutes in which this unix second lies."""
    return wall // BUCKET_SECONDS


class ReplayFilter:
    """Exact sets of 16-byte tags, one or two a bucket; at most four buckets are alive.

    Exact, since a false hit would drop an honest circuit and a probabilistic filter can be
    filled on purpose. `design_load` is the size of one set.
    """

    def __init__(self, design_load: int = DESIGN_LOAD) -> None:
        self._design_load = design_load
        self._buckets: dict[int, list[set[bytes]]] = {}
        self._forgotten = -1  # the newest bucket that is gone; never accepted again

    def __len__(self) -> int:
        return sum(len(tags) for sets in self._buckets.values() for tags in sets)

    def check(self, tag: bytes) -> None:
        """SetupReplayedError when this tag was inserted; ask before the costly decapsulation."""
        if any(tag in tags for sets in self._buckets.values() for tags in sets):
            raise SetupReplayedError("accepted before")

    def insert(self, bucket: int, tag: bytes, wall: int) -> ReplayRecord:
        """Accept a SETUP whose body opened and says `bucket`; returns what to append.

        Raises SetupExpiredError outside now-1..now+1, SetupReplayedError when it came twice
        meanwhile, ReplayFilterFullError when the bucket has design_load * 2 tags.
        """
        self.forget(wall)
        if abs(bucket - bucket_of(wall)) > 1 or bucket <= self._forgotten:
            raise SetupExpiredError(f"bucket {bucket} at {bucket_of(wall)}")
        self.check(tag)
        self._add(bucket, tag)
        return ReplayRecord(bucket, tag)

    def load(self, bucket: int, tags: Iterable[bytes]) -> None:
        """Take back the tags of one bucket's file; any size, since each was accepted once.

        A last tag cut short by a crash is skipped: its SETUP was not forwarded.
        """
        sets = self._buckets.setdefault(bucket, [set()])
        sets[0].update(tag for tag in tags if len(tag) == REPLAY_TAG_SIZE)

    def forget(self, wall: int) -> list[int]:
        """Drop the buckets whose SETUPs are refused by their time; returns them, for their files.

        A bucket b is kept until (b + 2) * 600 + 60 seconds.
        """
        gone = [b for b in self._buckets if (b + 2) * BUCKET_SECONDS + _GRACE_SECONDS <= wall]
        for bucket in gone:
            del self._buckets[bucket]
        self._forgotten = max(self._forgotten, *gone) if gone else self._forgotten
        return gone

    def _add(self, bucket: int, tag: bytes) -> None:
        if len(tag) != REPLAY_TAG_SIZE:
            raise LocalProtocolError(f"a replay tag of {len(tag)} bytes")
        sets = self._buckets.setdefault(bucket, [set()])
        if len(sets[-1]) >= self._design_load:
            if len(sets) >= SETS_MAX:
                raise ReplayFilterFullError(f"bucket {bucket} is full")
            sets.append(set())
        sets[-1].add(tag)
