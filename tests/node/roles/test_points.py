"""How many introduction points a callee has: more where callers keep away from many (SPEC 10.7)."""

from dataclasses import replace

import pytest

from peerstream.node.protocol.directory.guards import Term
from peerstream.node.roles.dialler import Dialling
from peerstream.node.roles.introducing import points_wanted
from tests.node.roles.people import echo, exchange, two_people
from tests.node.roles.relays import network


@pytest.mark.parametrize(("relays", "points"), [(0, 5), (12, 5), (99, 5), (100, 3), (5_000, 3)])
def test_a_small_network_has_more(relays, points):
    assert points_wanted(relays) == points


async def test_a_caller_that_keeps_away_from_three_relays_reaches_everybody(autojump_clock):
    """Of twelve relays these may be three points of one callee: its only ones, were it three."""
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        guarding = caller.circuits.guarding
        guards = guarding.state.guard_ids() | set(guarding.state.vanguard_ids())
        points = sorted(callee.service.points, key=lambda relay_id: relay_id in guards)
        assert len(points) == 5
        expiry = guarding.state.guards[0].expiry
        shunned = tuple(Term(relay_id, expiry) for relay_id in points[2:])
        guarding._state = replace(guarding.state, excluded=shunned)
        driver = await caller.client.dial(callee.target, "echo", Dialling())
        await exchange(driver.open_stream("echo"), b"alive")


async def test_three_are_enough_where_there_are_no_more_relays(autojump_clock):
    async with network(6) as world:
        caller, callee = await two_people(world, echo=echo)
        assert 3 <= len(callee.service.points) <= 4
        driver = await caller.client.dial(callee.target, "echo", Dialling())
        await exchange(driver.open_stream("echo"), b"alive")
