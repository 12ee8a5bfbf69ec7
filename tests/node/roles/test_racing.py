"""Attempts that overtake each other (SPEC 10.6)."""

import pytest
import trio

from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.errors import CircuitFailedError, CommandRefusedError
from peerstream.node.roles.racing import Race


def racing(*attempts):
    """Return a race of (seconds, result or error) in the order in which they begin, and its log."""
    left, begun, discarded = list(attempts), [], []

    async def attempt():
        begun.append(trio.current_time())
        seconds, result = left.pop(0)
        await trio.sleep(seconds)
        if isinstance(result, Exception):
            raise result
        return result

    return Race(attempt, discarded.append, 3), begun, discarded


async def test_one_that_is_quick_has_no_rival(autojump_clock):
    race, begun, discarded = racing((0.1, "first"))
    assert await race.run(0.5) == "first"
    assert len(begun) == 1
    assert discarded == []


async def test_one_that_stalls_is_overtaken(autojump_clock):
    race, begun, _ = racing((60, "stuck"), (60, "stuck"), (0.1, "third"))
    started = trio.current_time()
    assert await race.run(0.5) == "third"
    assert trio.current_time() - started == pytest.approx(1.1)
    assert [at - started for at in begun] == pytest.approx([0.0, 0.5, 1.0])


async def test_one_that_is_late_may_still_win(autojump_clock):
    race, begun, _ = racing((1.2, "first"), (60, "stuck"), (60, "stuck"))
    assert await race.run(0.5) == "first"
    assert len(begun) == 3


async def test_two_at_once_leave_one(autojump_clock):
    race, _, discarded = racing((1.0, "one"), (0.5, "other"), (60, "stuck"))
    won = await race.run(0.5)
    assert {won, *discarded} <= {"one", "other"}
    assert won not in discarded


async def test_a_failure_is_told_when_nobody_is_left(autojump_clock):
    failed = CircuitFailedError("no path")
    race, begun, _ = racing((0.1, failed))
    with pytest.raises(CircuitFailedError) as told:
        await race.run(0.5)
    assert told.value is failed
    assert len(begun) == 1  # an attempt tries again by itself


async def test_a_refusal_waits_for_those_on_their_way(autojump_clock):
    """The first may have reached the rendezvous point, which then refuses the second."""
    refused = CommandRefusedError(Status.EXISTS, bytes(32))
    race, _, _ = racing((2.0, "first"), (0.1, refused))
    assert await race.run(0.5) == "first"


async def test_a_refusal_is_told_before_other_failures(autojump_clock):
    refused = CommandRefusedError(Status.EXISTS, bytes(32))
    race, _, _ = racing((2.0, CircuitFailedError("late")), (0.1, refused))
    with pytest.raises(CommandRefusedError):
        await race.run(0.5)
