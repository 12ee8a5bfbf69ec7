"""Many relays die at once: calls, publication and guards recover by themselves (SPEC 10.6)."""

import random
from dataclasses import replace

import pytest
import trio

from peerstream.node.protocol.directory.guards import Term
from peerstream.node.roles.dialler import Dialling
from peerstream.node.roles.errors import NoGuardError, RoleError
from tests.node.roles.people import Person, echo, exchange
from tests.node.roles.relays import network, until
from tests.node.roles.test_survival import may_go_to, number_of

RELAYS = 18
SMALL = 12
DIAL_MAX_S = 3.0
GIVE_UP_S = 300


def kill(world, relay_ids):
    for relay_id in relay_ids:
        world.nodes.pop(number_of(world, relay_id)).kill()


async def dialled(caller, target):
    """Dial and hear an echo; how long that took."""
    started = trio.current_time()
    driver = await caller.client.dial(target, "echo", Dialling())
    await exchange(driver.open_stream("echo"), b"alive")
    return trio.current_time() - started


async def gets_there(caller, target):
    """Dial as often as it takes; how long that was."""
    began = trio.current_time()
    with trio.fail_after(GIVE_UP_S):
        while True:
            try:
                await dialled(caller, target)
            except RoleError:  # chance: all of a few guards, vanguards or stores of ours are dead
                await trio.sleep(5)
            else:
                return trio.current_time() - began


async def started(world, name, **services):
    person = Person(world, name)
    await person.start()
    if services:
        await person.serve(**services)
    return person


def guards_of(person):
    return [term.relay_id for term in person.circuits.guarding.state.guards]


def ways_of(person, documents=()):
    """Of each few relays that somebody depends on, one: else chance decides, or another test."""
    circuits = person.circuits
    guards, vanguards = guards_of(person)[:2], circuits.guards.vanguard_ids()
    apart = [relay_id for relay_id in vanguards if relay_id not in guards]
    return {guards[1], *apart[:1], *may_go_to(person, documents)[:1]}


async def test_every_caller_gets_there_when_two_points_of_three_and_half_of_the_stores_die(
    autojump_clock,
):
    """Callers that know nothing of it yet."""
    async with network(RELAYS) as world:
        callee = await started(world, "callee", echo=echo)
        callers = [await started(world, f"caller {number}") for number in range(3)]
        points, stores = callee.service.points, callee.service.stores
        kept = set().union(*(ways_of(person, stores) for person in (callee, *callers)))
        kill(world, {*points[1:], *stores[::2]} - {points[0]} - kept)
        times = [await dialled(caller, callee.target) for caller in callers]
        assert max(times) < DIAL_MAX_S


@pytest.mark.parametrize("seed", range(2))
async def test_a_third_of_all_relays_die(autojump_clock, seed):
    """The callee publishes again where somebody lives, and everybody who has a guard gets there."""
    async with network(RELAYS) as world:
        callee = await started(world, "callee", echo=echo)
        callers = [await started(world, f"caller {number}") for number in range(3)]
        stores = callee.service.stores
        kept = set().union(*(ways_of(person, stores) for person in (callee, *callers)))
        ids = [each.relay_id for each in world.identities if each.relay_id not in kept]
        dead = random.Random(seed).sample(ids, RELAYS // 3)
        kill(world, dead)
        await until(lambda: not set(dead).intersection(callee.service.points), GIVE_UP_S)
        await until(lambda: len(callee.service.points) >= 3, GIVE_UP_S)
        for caller in callers:
            await gets_there(caller, callee.target)


async def test_one_more_guard_is_drawn_at_once_when_none_is_up_and_others_are(autojump_clock):
    """Whoever opens a circuit just then waits for it."""
    async with network(SMALL) as world:
        caller = await started(world, "caller")
        dead = guards_of(caller)
        kill(world, dead)
        await trio.sleep(0.1)
        began = trio.current_time()
        listener = await caller.client.dialler.pool.listen(2)
        assert trio.current_time() - began < DIAL_MAX_S
        assert listener.circuit.path[0] == guards_of(caller)[3]
        assert guards_of(caller)[:3] == dead
        assert len(guards_of(caller)) == 4
        assert caller.pins.guards == caller.circuits.guarding.state


def cut(world, person):
    for cable in list(world.internet.nodes[person.node.relay_id].cables.values()):
        world.internet.cut_soon(cable, ConnectionError("cut"))


async def test_a_node_that_hears_nobody_keeps_to_its_guards(autojump_clock):
    """Whoever cuts somebody off from the network does not get to choose guards."""
    async with network(SMALL) as world:
        callee = await started(world, "callee", echo=echo)
        caller = await started(world, "caller")
        world.internet.refusing.update(each.relay_id for each in world.identities)
        cut(world, caller)
        with pytest.raises(NoGuardError):
            await dialled(caller, callee.target)
        await trio.sleep(100)
        assert len(guards_of(caller)) == 3


async def test_a_node_that_was_cut_off_tries_its_guards_before_it_draws_others(autojump_clock):
    """What it could not reach while nobody could be reached says nothing about its guards."""
    async with network(SMALL) as world:
        callee = await started(world, "callee", echo=echo)
        caller = await started(world, "caller")
        world.internet.refusing.update(each.relay_id for each in world.identities)
        cut(world, caller)
        with pytest.raises(NoGuardError):
            await dialled(caller, callee.target)
        world.internet.refusing.clear()
        await gets_there(caller, callee.target)
        assert len(guards_of(caller)) == 3


async def test_one_more_vanguard_is_drawn_at_once_when_none_is_up(autojump_clock):
    """Also where one of them is a guard of level 1, of which the node knows no better."""
    async with network(RELAYS) as world:
        callee = await started(world, "callee", echo=echo)
        caller = await started(world, "caller")
        guarding = caller.circuits.guarding
        mine = guarding.state.vanguard_ids()
        shared = Term(mine[0], guarding.state.live_guards[0].expiry)
        guarding._state = replace(guarding.state, live_guards=(shared,))
        world.internet.refusing.update(mine)
        for relay_id in set(mine):
            for other in list(world.internet.nodes[relay_id].cables):
                world.internet.cut(relay_id, other)
        await trio.sleep(0.1)
        await gets_there(caller, callee.target)
        assert 5 <= len(guarding.state.vanguard_ids()) <= 7
        assert guarding.state.vanguard_ids()[:4] == mine


async def test_whoever_has_no_vanguards_has_lost_none(autojump_clock):
    async with network(SMALL) as world:
        caller = await started(world, "caller")
        guarding = caller.circuits.guarding
        guarding._state = replace(guarding.state, vanguards=())
        await trio.sleep(2)
        assert guarding._lost == {}
