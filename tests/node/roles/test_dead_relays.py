"""Calls beside relays that are dead and still listed, or that cut circuits."""

import pytest
import trio

from peerstream.node.roles.dialler import Dialling
from tests.node.roles.people import echo, exchange, two_people
from tests.node.roles.relays import network, until

BODY = bytes(range(256)) * 4_000


async def test_a_session_outlives_the_death_of_its_rendezvous_point(autojump_clock):
    """All paths die, the caller calls again, the stream goes on where it stopped."""
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        stream = await caller.client.open_stream(callee.target, "echo", Dialling())
        await exchange(stream, BODY)
        driver = next(iter(caller.client._sessions.values()))
        point = next(iter(driver._circuits.values())).path[-1]
        number = next(n for n, i in enumerate(world.identities) if i.relay_id == point)
        await stream.send(b"in flight")
        world.nodes.pop(number).kill()
        got = b""
        with trio.fail_after(60):
            while len(got) < 9:
                got += await stream.receive()
        assert got == b"in flight"
        await exchange(stream, BODY)


async def test_a_rendezvous_point_that_goes_away_during_a_call_is_replaced_at_once(autojump_clock):
    """By the descriptor that is there, and without a pause: it says nothing about the callee."""
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        dialler, listeners, lookups = caller.client.dialler, [], []
        taking, looking_up = dialler.pool.take, dialler.lookups.descriptor

        async def take(*arguments):
            listener = await taking(*arguments)
            if not listeners:
                world.internet.cut(*listener.circuit.path[1:])
            listeners.append(listener)
            return listener

        async def descriptor(*arguments):
            lookups.append(trio.current_time())
            return await looking_up(*arguments)

        dialler.pool.take, dialler.lookups.descriptor = take, descriptor
        driver = await caller.client.dial(callee.target, "echo", Dialling())
        await exchange(driver.open_stream("echo"), b"alive")
        assert len(listeners) == 2
        assert len(lookups) == 1


@pytest.mark.parametrize("number", range(12))
async def test_calls_come_through_while_one_relay_is_dead_and_still_listed(autojump_clock, number):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        world.nodes.pop(number).kill()
        for _ in range(10):
            driver = await caller.client.dial(callee.target, "echo", Dialling())
            await exchange(driver.open_stream("echo"), b"alive")
            await driver.aclose()


async def test_an_introduction_waits_for_a_callee_whose_circuit_broke(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        await caller.client.dial(callee.target, "echo", Dialling())  # its descriptor is known now
        places = callee.service._introducing._places
        before = {place.public: place.circuit.path[-1] for place in places}
        for place in places:
            world.internet.cut(*place.circuit.path[2:])
        started = trio.current_time()
        await caller.client.dial(callee.target, "echo", Dialling())
        assert trio.current_time() - started < 5
        await trio.sleep(1)
        assert {place.public: place.circuit.path[-1] for place in places} == before


async def test_a_point_that_cuts_its_callee_off_again_and_again_is_left(autojump_clock):
    async with network() as world:
        _, callee = await two_people(world, echo=echo)
        place = callee.service._introducing._places[0]
        key, returns = place.public, 0
        while place.public == key:
            before = place.circuit
            world.internet.cut(*before.path[2:])
            await until(lambda: place.circuit not in {None, before}, 10)  # noqa: B023
            returns += 1
        assert returns == 4


async def test_a_guard_that_is_down_is_replaced_by_its_backup_in_the_same_call(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        primary = caller.pins.guards.guards[0].relay_id
        world.internet.refusing.add(primary)
        for cable in list(world.internet.nodes[caller.node.relay_id].cables.values()):
            world.internet.cut_soon(cable, ConnectionError("cut"))
        await trio.sleep(0.1)
        stream = await caller.client.open_stream(callee.target, "echo", Dialling())
        await exchange(stream, b"alive")
