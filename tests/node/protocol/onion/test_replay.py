"""The replay filter against a model that remembers everything."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion.errors import (
    ReplayFilterFullError,
    SetupExpiredError,
    SetupReplayedError,
)
from peerstream.node.protocol.onion.replay import BUCKET_SECONDS, ReplayFilter, bucket_of

START = 3_000_000 * BUCKET_SECONDS
LOAD = 6


def tag(number):
    return number.to_bytes(16, "big")


class Replays(RuleBasedStateMachine):
    """SETUPs of few tags and times; the clock goes on, and sometimes back; kills and restarts."""

    def __init__(self):
        super().__init__()
        self.filter = ReplayFilter(LOAD)
        self.wall = self.latest = START
        self.accepted = set()
        self.disk = {}

    def forget(self):
        """What the log on disk does by itself, by the same rule."""
        over = [b for b in self.disk if (b + 2) * BUCKET_SECONDS + 60 <= self.wall]
        for bucket in over:
            del self.disk[bucket]
        return over

    @rule(number=st.integers(0, 30), shift=st.integers(-3, 3))
    def setup(self, number, shift):
        bucket = bucket_of(self.wall) + shift
        try:
            self.filter.check(tag(number))
            record = self.filter.insert(bucket, tag(number), self.wall)
        except SetupReplayedError:
            assert any(tag(number) in tags for tags in self.disk.values())
            return
        except SetupExpiredError:
            self.forget()
            return
        except ReplayFilterFullError:
            self.forget()
            assert len(self.disk[bucket]) >= 2 * LOAD
            return
        self.forget()
        assert abs(shift) <= 1
        assert (bucket, number) not in self.accepted  # nothing is accepted twice, ever
        self.accepted.add((bucket, number))
        self.disk.setdefault(record.bucket, set()).add(record.tag)

    @rule(seconds=st.integers(0, 1_500))
    def wait(self, seconds):
        self.wall += seconds
        self.latest = max(self.latest, self.wall)
        assert sorted(self.filter.forget(self.wall)) == sorted(self.forget())

    @rule(seconds=st.integers(0, 900))
    def clock_is_set_back(self, seconds):
        self.wall -= seconds

    @rule()
    def kill_and_restart(self):
        """The filter knows what is on disk and nothing else; the clock is right again."""
        self.wall = self.latest
        self.forget()
        self.filter = ReplayFilter(LOAD)
        for bucket, tags in self.disk.items():
            self.filter.load(bucket, [*tags, b"cut short"])

    @invariant()
    def memory_is_bounded_and_the_disk_holds_the_same(self):
        assert len(self.filter) == sum(map(len, self.disk.values()))


Replays.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestReplays = Replays.TestCase


def test_a_full_bucket_refuses_and_the_next_one_does_not():
    replays = ReplayFilter(2)
    bucket = bucket_of(START)
    for number in range(4):
        replays.insert(bucket, tag(number), START)
    with pytest.raises(ReplayFilterFullError):
        replays.insert(bucket, tag(4), START)
    replays.insert(bucket + 1, tag(4), START)
    with pytest.raises(LocalProtocolError):
        replays.insert(bucket + 1, b"short", START)
