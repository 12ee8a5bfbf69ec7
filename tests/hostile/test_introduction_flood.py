"""Strangers that introduce themselves without end to one address, by real introductions."""

import trio

from peerstream.node.protocol.directory.paths import Purpose
from peerstream.node.protocol.wire.command import Command
from peerstream.node.roles.circuits import CircuitPlan
from peerstream.node.roles.dialler import Dialling, Wish
from peerstream.node.roles.errors import CircuitFailedError
from peerstream.node.roles.favours import NO_FAVOUR
from tests.node.roles.people import Person, echo, exchange
from tests.node.roles.relays import network, until


def wish(target):
    return Wish(target, "echo", Dialling())


class Flood:
    """Introductions of a stranger who answers nobody: each is a handshake of its own."""

    def __init__(self, stranger, target):
        self.stranger, self.target = stranger, target
        self.passed_on = self.refused = 0

    async def send(self, count, every):
        """`count` of them, one each `every` seconds, each over a circuit of its own."""
        dialler = self.stranger.client.dialler
        found = await dialler._descriptor(wish(self.target))
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(self._introduce, dialler, found)
                await trio.sleep(every)

    async def _introduce(self, dialler, found):
        cookie = self.stranger.parts.environment.entropy(32)
        call = dialler._new_call(wish(self.target), found, (2, 2), cookie, NO_FAVOUR)
        rendezvous = found.contents.introduction_points[0].relay_id
        plan = CircuitPlan(
            purpose=Purpose.CLIENT_INTRODUCTION, level=2, command=Command.INTRODUCE,
            body=lambda point, _binding: call.introduce(point, rendezvous),
            named=call.points, attempts=1, detours=0,
        )  # fmt: skip
        try:
            circuit = await self.stranger.circuits.open(plan)
        except CircuitFailedError:
            self.refused += 1
            return
        circuit.close()
        self.passed_on += 1


async def three_people(world):
    callee, contact, stranger = (Person(world, name) for name in ("callee", "contact", "stranger"))
    async with trio.open_nursery() as nursery:
        for person in (callee, contact, stranger):
            nursery.start_soon(person.start)
    friends = {contact.identity.account}
    await callee.serve(is_contact=friends.__contains__, echo=echo)
    return callee, contact, stranger


async def call(person, target):
    """How long a new session takes, to the first echo."""
    began = trio.current_time()
    driver = await person.client.dial(target, "echo", Dialling())
    stream = driver.open_stream("echo")
    await exchange(stream, b"x" * 100)
    took = trio.current_time() - began
    await driver.aclose()
    return took


async def test_a_contact_gets_through_while_strangers_are_kept_waiting(autojump_clock):
    async with network() as world:
        callee, contact, stranger = await three_people(world)
        await call(contact, callee.target)  # which brings tickets
        flood = Flood(stranger, callee.target)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood.send, 400, 0.002)
            await trio.sleep(0.5)
            took = [await call(contact, callee.target) for _ in range(3)]
        assert max(took) < 1
        door = callee.service._door
        assert flood.passed_on == 400
        assert len(door._room) <= 256
        refused = door.causes["CommandRefusedError"]  # joins where nobody listened
        assert refused < 256 + 20 * 3 < flood.passed_on


async def test_a_contact_without_a_ticket_is_known_by_its_name(autojump_clock):
    async with network() as world:
        callee, contact, stranger = await three_people(world)
        flood = Flood(stranger, callee.target)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood.send, 280, 0.002)
            await trio.sleep(0.5)
            assert await call(contact, callee.target) < 1


async def test_strangers_solve_a_puzzle_under_flood_and_none_in_peace(autojump_clock):
    async with network() as world:
        callee, _, stranger = await three_people(world)
        other = Person(world, "other")
        await other.start()
        found = await other.client.dialler._descriptor(wish(callee.target))
        assert found.contents.puzzle is None
        effort = callee.service._door.reception.effort
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Flood(stranger, callee.target).send, 440, 0.002)
            await until(lambda: effort.puzzle, within=30)
            assert await published(callee, other, lambda puzzle: puzzle) < 5
            other.client.dialler._forget(wish(callee.target))
            assert await call(other, callee.target) < 8  # by its second call at the latest
            nursery.cancel_scope.cancel()
        # an hour of peace later nobody asks for anything
        assert await published(callee, other, lambda puzzle: puzzle is None) < 900
        assert effort.puzzle is None


async def published(callee, reader, wanted):
    """How long until the descriptor says so."""
    began = trio.current_time()
    while True:
        reader.client.dialler._forget(wish(callee.target))
        found = await reader.client.dialler._descriptor(wish(callee.target))
        if wanted(found.contents.puzzle):
            return trio.current_time() - began
        await trio.sleep(1)


async def test_a_point_that_floods_is_left(autojump_clock):
    async with network() as world:
        callee = Person(world, "callee")
        await callee.start()
        await callee.serve(echo=echo)
        point = callee.service.points[0]
        relay = next(n.relay for n in world.nodes.values() if n.relay.core._parts.relay_id == point)
        introductions = relay.core._commands.introductions
        circuit = next(iter(introductions._keys))
        with trio.fail_after(30):
            while point in callee.service.points:  # hostile: what nobody introduced, past any rate
                while circuit.own_room_for(9_184):
                    circuit.send_control(Command.INTRODUCTION, bytes(9_184))
                relay._neighbours.links.wake()
                await trio.sleep(0.05)
        causes = callee.service.causes["SuiteError"]
        assert 800 <= causes < 1_000
        await until(lambda: len(callee.service.points) == 5, within=10)
        assert point not in callee.service.points
