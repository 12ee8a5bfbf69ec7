"""A stateful test: whatever points answer and whoever joins, a call does as its table says."""

from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from peerstream.node.protocol.errors import RemoteProtocolError
from peerstream.node.protocol.rendezvous.call import (
    ATTEMPTS_MAX,
    BROKEN_PATHS_MAX,
    JOIN_SECONDS,
    NEXT_SECONDS,
    TRANSITIONS,
    State,
)
from peerstream.node.protocol.rendezvous.errors import (
    CallStateError,
    NoAnswerError,
    PointUnknownError,
)
from peerstream.node.protocol.session.errors import CallRefusedError, HandshakeError
from tests.node.protocol.parties import RENDEZVOUS, Party
from tests.node.protocol.rendezvous.calling import FOUND, IDS, answered, introduce, new_call

OVER = {State.JOINED, State.FAILED}
STRANGER = Party("stranger")
ELSEWHERE = answered(introduce(STRANGER.call(FOUND))[1])


def in_state(*states):
    return precondition(lambda self: self.call.state in states)


class Calls(RuleBasedStateMachine):
    """One call, the points it asks, the callee that may answer any introduction, and the clock."""

    def __init__(self):
        super().__init__()
        self.call = new_call()
        self.now = 0.0
        self.bodies = []
        self.asked = []
        self.counted = 0
        self.broken = 0
        self.reasons = 0
        self.before = State.READY
        self.accepted = None

    @in_state(State.READY)
    @rule(choice=st.integers(0, 99))
    def ask(self, choice):
        if self.counted == ATTEMPTS_MAX:
            with pytest.raises(NoAnswerError) as failed:
                _ = self.call.points
            assert len(failed.value.reasons) == self.reasons
            return
        points = self.call.points
        point = points[choice % len(points)]
        assert point not in self.asked
        self.asked.append(point)
        self.counted += 1
        self.bodies.append(self.call.introduce(point, RENDEZVOUS))

    @in_state(State.INTRODUCING)
    @rule()
    def pass_on(self):
        self.call.passed_on(self.now)
        another = self.counted < ATTEMPTS_MAX and self.call._left
        assert self.call.deadline == self.now + (NEXT_SECONDS if another else JOIN_SECONDS)

    @in_state(State.INTRODUCING)
    @rule(reason=st.sampled_from(["BUSY", "NOT_FOUND", "LIMIT"]))
    def refuse(self, reason):
        self.call.refused(reason)
        self.reasons += 1

    @in_state(State.INTRODUCING)
    @rule()
    def lose_on_the_way(self):
        self.call.unreached("no circuit of 4 hops")
        self.reasons += 1
        self.broken += 1
        if self.broken <= BROKEN_PATHS_MAX:  # as if it had not been asked
            assert self.asked.pop() in self.call._left
            self.counted -= 1

    @rule(seconds=st.sampled_from([0.5, 5.0, 12.0]))
    def wait(self, seconds):
        self.now += seconds
        late = self.call.state is State.WAITING and self.now >= self.call.deadline
        self.call.tick(self.now)
        self.reasons += late
        assert (self.call.state is State.WAITING) <= (self.now < self.call.deadline)

    @precondition(lambda self: self.bodies)
    @rule(which=st.integers(0, ATTEMPTS_MAX + BROKEN_PATHS_MAX))
    def callee_joins(self, which):
        over = self.call.state in OVER
        blob = answered(self.bodies[which % len(self.bodies)])
        if over:
            with pytest.raises((CallStateError, NoAnswerError)):
                self.call.joined(blob)
        else:
            self.accepted = self.call.joined(blob)
            assert self.call.state is State.JOINED

    @in_state(State.READY, State.INTRODUCING, State.WAITING)
    @rule(which=st.integers(0, ATTEMPTS_MAX))
    def callee_refuses(self, which):
        if self.bodies:
            blob = answered(self.bodies[which % len(self.bodies)], anonymous=False)
            with pytest.raises(CallRefusedError):
                self.call.joined(blob)
            assert self.call.state is State.FAILED

    @in_state(State.READY, State.INTRODUCING, State.WAITING)
    @rule(blob=st.one_of(st.just(ELSEWHERE), st.binary(max_size=64), st.just(bytes(9_184))))
    def somebody_else_joins(self, blob):
        with pytest.raises(HandshakeError):
            self.call.joined(blob)
        assert self.call.state is State.FAILED

    @rule(
        what=st.sampled_from(
            ["introduce", "passed_on", "refused", "unreached", "none_safe", "joined"]
        )
    )
    def out_of_turn(self, what):
        """Inputs that have no place in the table change nothing."""
        calls = {
            "introduce": lambda: self.call.introduce(IDS[0], RENDEZVOUS),
            "passed_on": lambda: self.call.passed_on(self.now),
            "refused": lambda: self.call.refused("CLOSED"),
            "unreached": lambda: self.call.unreached("CLOSED"),
            "none_safe": lambda: self.call.none_safe("excluded"),
            "joined": lambda: self.call.joined(ELSEWHERE),
        }
        turns = {
            "introduce": State.READY, "passed_on": State.INTRODUCING, "refused": State.INTRODUCING,
            "unreached": State.INTRODUCING, "none_safe": State.READY,
        }  # fmt: skip
        state, points = self.call.state, dict(self.call._left)
        if turns.get(what) is state or (what == "joined" and state not in OVER):
            return
        with pytest.raises((CallStateError, PointUnknownError, NoAnswerError)):
            calls[what]()
        assert (self.call.state, self.call._left) == (state, points)

    @invariant()
    def the_table_is_followed(self):
        steps = {after for (state, _), after in TRANSITIONS.items() if state is self.before}
        assert self.call.state is self.before or self.call.state in steps
        self.before = self.call.state

    @invariant()
    def attempts_are_bounded(self):
        assert len(self.call._handshakes) == len(self.bodies)
        assert len(self.bodies) <= ATTEMPTS_MAX + BROKEN_PATHS_MAX
        assert self.counted <= ATTEMPTS_MAX
        assert len(set(self.asked)) == len(self.asked)

    @invariant()
    def only_an_answer_joins(self):
        assert (self.call.state is State.JOINED) == (self.accepted is not None)

    def teardown(self):
        """Left alone with points that pass nothing on, every call ends."""
        for _ in range(2 * ATTEMPTS_MAX + 2):
            if self.call.state is State.INTRODUCING:
                self.call.passed_on(self.now)
            self.now += JOIN_SECONDS
            self.call.tick(self.now)
            with suppress(RemoteProtocolError):
                if self.call.state is State.READY:
                    introduce(self.call)
        assert self.call.state in OVER


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=40, stateful_step_count=14, deadline=None)
