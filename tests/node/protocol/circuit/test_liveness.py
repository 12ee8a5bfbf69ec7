"""When a neighbour is asked whether it is there, and when it is gone."""

import pytest

from peerstream.node.protocol.circuit.liveness import IDLE_SECONDS, PING_SECONDS, Liveness

QUARTER = 0.25


@pytest.fixture
def liveness():
    """Return one whose round trip was measured at 0."""
    made = Liveness(0.0)
    assert made.ping_due(0.0, outstanding=False, watched=False)
    made.pong(made.ping(0.0), 0.0)
    made.heard(0.0)
    return made


def run(liveness, seconds, *, outstanding=False, watched=False, answers=False):
    """Tick four times a second; return the moments of PINGs, and that of death or None."""
    pings = []
    for quarter in range(int(seconds / QUARTER) + 1):
        now = quarter * QUARTER
        if liveness.ping_due(now, outstanding=outstanding, watched=watched):
            liveness.ping(now)
            pings.append(now)
            if answers:
                liveness.heard(now + 0.01)
        if liveness.dead:
            return pings, now
    return pings, None


def test_a_link_that_rests_unwatched_is_asked_nothing(liveness):
    assert run(liveness, 60) == ([], None)


def test_something_outstanding_is_asked_for_after_a_second(liveness):
    pings, gone = run(liveness, 10, outstanding=True)
    assert pings == [PING_SECONDS, 2 * PING_SECONDS]
    assert gone == 3 * PING_SECONDS


def test_a_watched_link_that_rests_is_asked_less_often_and_gone_as_soon(liveness):
    pings, gone = run(liveness, 10, watched=True)
    assert pings == [IDLE_SECONDS, IDLE_SECONDS + PING_SECONDS]
    assert gone == IDLE_SECONDS + 2 * PING_SECONDS


def test_a_watched_neighbour_that_answers_lives_on(liveness):
    pings, gone = run(liveness, 50, watched=True, answers=True)
    assert gone is None
    assert pings[:3] == [IDLE_SECONDS, IDLE_SECONDS + 2.75, IDLE_SECONDS + 5.5]
