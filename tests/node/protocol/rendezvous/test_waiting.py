"""Who is served next, and who not at all."""

import math

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from peerstream.node.protocol.rendezvous.tickets import Standing
from peerstream.node.protocol.rendezvous.waiting import (
    BACKLOG,
    LANES,
    SLOW_S,
    STAY_S,
    STRANGERS_FIRST,
    STRANGERS_LEAST,
    STRANGERS_MOST,
    WaitingRoom,
)

STRANGER, KNOWN, FIRST = Standing.STRANGER, Standing.KNOWN, Standing.FIRST


def fill(room, count, standing=STRANGER, now=0.0, effort=0):
    for number in range(count):
        room.put((standing, number), standing, effort, now)


def drain(room, now):
    taken = []
    while (item := room.take(now)) is not None:
        taken.append(item)
    return taken


def test_in_peace_everybody_passes_in_the_same_moment():
    room, now = WaitingRoom(0.0), 0.0
    for number in range(200):
        now += 0.013
        room.put(number, STRANGER, 0, now)
        assert room.take(now) == number
        assert len(room) == 0
        room.joined(0.1, now)
    assert room.take_lost() == 0


def test_contacts_then_tickets_then_effort_then_the_newest():
    room = WaitingRoom(0.0)
    for name, standing, effort, came in [
        ("old", STRANGER, 0, 0.0), ("hard", STRANGER, 500, 0.1), ("new", STRANGER, 0, 0.2),
        ("ticket", KNOWN, 0, 0.3), ("contact", FIRST, 0, 0.4), ("easy", STRANGER, 64, 0.5),
    ]:  # fmt: skip
        room.put(name, standing, effort, came)
    assert drain(room, 1.0) == ["contact", "ticket", "hard", "easy", "new", "old"]


def test_strangers_leave_room_for_everybody_else():
    room = WaitingRoom(0.0)
    fill(room, 20)
    assert len(drain(room, 0.0)) == STRANGERS_FIRST
    for _ in range(STRANGERS_FIRST):
        room.joined(0.1, 0.5)
    fill(room, 256, now=1.0)
    fill(room, 10, FIRST, now=1.0)
    fill(room, 10, KNOWN, now=1.0)
    taken = drain(room, 1.0)
    assert [standing for standing, _ in taken[:20]] == [FIRST] * 10 + [KNOWN] * 10
    assert len(taken) == 28  # eight strangers: so many come at once in a flood


def test_a_backlog_ends_the_burst_and_twenty_a_second_follow():
    room = WaitingRoom(0.0)
    fill(room, BACKLOG + 1)
    served = 0
    for step in range(50):
        for _ in drain(room, step / 10):
            room.joined(0.1, step / 10)
            served += 1
        fill(room, 40, now=step / 10)
    assert 8 + 5 * 20 - 3 <= served <= 8 + 5 * 20 + 1
    assert room.take_lost() > 1_000
    assert room.take_lost() == 0


def test_the_least_worthy_leaves_when_it_is_full():
    room = WaitingRoom(0.0)
    fill(room, 256, effort=64)
    room.put("late and lazy", STRANGER, 0, 0.1)
    room.put("late and eager", STRANGER, 65, 0.1)
    assert room.take_lost() == 2
    assert room.take(0.2) == "late and eager"


def test_who_waited_as_long_as_callers_do_is_let_go():
    room = WaitingRoom(0.0)
    fill(room, 64 + BACKLOG)
    drain(room, 0.0)
    left = len(room)
    assert left
    assert drain(room, STAY_S + 0.1) == []
    assert room.take_lost() == left


def test_it_says_how_long_until_the_next():
    room = WaitingRoom(0.0)
    assert room.wait(0.0) == math.inf
    fill(room, BACKLOG + 9)
    for _ in drain(room, 0.0):
        room.joined(0.1, 0.0)
    assert 0 < room.wait(0.0) <= 0.05
    assert room.take(0.0) is None
    assert room.take(0.0 + room.wait(0.0) + 1e-9) is not None


def test_slow_circuits_of_strangers_become_fewer_and_quick_ones_more():
    room, now = WaitingRoom(0.0), 0.0
    widths = []
    for took in [SLOW_S + 1] * 6 + [0.2] * 80:
        now += SLOW_S
        room.put("next", STRANGER, 0, now)
        assert room.take(now) == "next"
        room.joined(took, now)
        widths.append(room._joins_max(STRANGER))
    assert widths[:3] == [STRANGERS_FIRST // 2, STRANGERS_FIRST // 4, STRANGERS_LEAST]
    assert widths[-1] == STRANGERS_MOST
    assert room._joins_max(FIRST) == 256


def test_what_was_queued_together_narrows_once():
    room = WaitingRoom(0.0)
    fill(room, STRANGERS_FIRST)
    for _ in drain(room, 0.0):
        room.joined(SLOW_S + 1, 3.0)
    assert room._joins_max(STRANGER) == STRANGERS_FIRST // 2


class Room(RuleBasedStateMachine):
    """Any calls at any time: bounded, in order, nobody served twice or out of nothing."""

    def __init__(self):
        super().__init__()
        self.now, self.number, self.joins = 0.0, 0, 0
        self.room, self.waits = WaitingRoom(0.0), {}

    @rule(
        standing=st.sampled_from(Standing), effort=st.integers(0, 1 << 15), count=st.integers(1, 90)
    )
    def come(self, standing, effort, count):
        for _ in range(count):
            self.number += 1
            self.waits[self.number] = (standing, self.now)
            self.room.put(self.number, standing, effort, self.now)

    @rule()
    def serve(self):
        number = self.room.take(self.now)
        if number is not None:
            standing, came = self.waits.pop(number)
            assert self.now - came <= STAY_S
            assert self.joins < LANES[standing].joins_max
            self.joins += 1

    @precondition(lambda self: self.joins)
    @rule(took=st.floats(0, 5))
    def join(self, took):
        self.joins -= 1
        self.room.joined(took, self.now)

    @rule(seconds=st.floats(0.001, 4.0))
    def pass_time(self, seconds):
        self.now += seconds

    @invariant()
    def is_bounded(self):
        assert len(self.room) <= sum(lane.places for lane in LANES.values())
        assert self.joins <= 256


TestRoom = Room.TestCase
