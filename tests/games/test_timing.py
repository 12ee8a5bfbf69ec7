"""The observer of guards: it puts together what belongs together, and nothing by chance."""

import random

import pytest
import trio

from peerstream.node.protocol.circuit.padding import PaddingProfile
from tests.games.timing import correlation, follows, matched, play


def test_series_that_follow_each_other_are_matched():
    source = random.Random(1)
    callers = [[source.randrange(9) for _ in range(80)] for _ in range(6)]
    callees = [[2 * x + source.randrange(3) for x in series] for series in callers]
    assert matched(callers, callees) == 6
    assert matched(callers, callees[::-1]) < 3


def test_a_step_behind_is_followed_and_stillness_is_not():
    series = [0, 5, 1, 7, 2, 0, 9, 3]
    assert follows(series, [*series[1:], 0]) == pytest.approx(1.0)
    assert correlation(series, [4] * 8) == 0.0
    assert correlation(series, series) == pytest.approx(1.0)


async def test_guards_of_both_sides_put_two_pairs_together(autojump_clock):
    """Not defended: docs/attacks.md says so, docs/evidence/timing.md how well it works."""
    with trio.fail_after(300):
        assert await play(2, 12, 1) == (2, 2)


async def test_at_a_constant_rate_the_links_to_guards_tell_nothing(autojump_clock):
    """The guards themselves know padding for what it is."""
    with trio.fail_after(300):
        links, guards = await play(3, 12, 1, PaddingProfile.CONSTANT)
    assert links <= 1  # all look alike: the first callee is named for each
    assert guards == 3
