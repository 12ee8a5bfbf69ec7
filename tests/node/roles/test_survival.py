"""Sessions outlive their circuits: each relay of a path dies or stands still (SPEC 5.8, 10.6)."""

import hashlib

import pytest
import trio

from peerstream.node.protocol.session.frames import AddPath
from peerstream.node.protocol.wire.command import Command
from peerstream.node.roles.circuits import Care
from peerstream.node.roles.dialler import Dialling
from peerstream.node.roles.offers import BURST
from tests.node.roles.people import Person, echo, two_people
from tests.node.roles.relays import network, until

PIECE = 16_000
EVERY_S = 0.05
BEHIND_S = 2.0  # so long bytes are sent behind the blow
ALONE_S = 0.3  # behind the dial: one path
STANDING_S = 4.0  # two
KILL_MAX_S = 3.0
FREEZE_MAX_S = 6.0
RELAYS = 16


class Watch:
    """A service that hashes what comes, and knows its longest pause."""

    def __init__(self):
        self.hash = hashlib.sha256()
        self.size = 0
        self.stall = 0.0
        self.done = trio.Event()

    async def __call__(self, stream):
        last = None
        while data := await stream.receive():
            now = trio.current_time()
            self.stall = max(self.stall, now - (now if last is None else last))
            last = now
            self.hash.update(data)
            self.size += len(data)
        self.done.set()


def carriers(caller, callee):
    """Return the six relays between two people, the caller's guard first."""
    for way in caller.client.ways:
        for other in callee.service.ways:
            if way[-1] == other[-1]:
                return [*way, *reversed(other[:-1])]
    raise AssertionError("no path stands")


def number_of(world, relay_id):
    return next(n for n, i in enumerate(world.identities) if i.relay_id == relay_id)


def strike(world, relay_id, kind):
    if kind == "kill":
        world.nodes.pop(number_of(world, relay_id)).kill()
    else:
        world.internet.freeze(relay_id)


async def send(stream, hashed, pieces):
    for number in range(pieces):
        piece = number.to_bytes(4, "big") * (PIECE // 4)
        hashed.update(piece)
        await stream.send(piece)
        await trio.sleep(EVERY_S)
    await stream.send_end()


def may_go_to(caller, points):
    """Those of the points that the caller does not keep away from (SPEC 6.9)."""
    state = caller.circuits.guards
    shunned = state.exclusion() | {term.relay_id for term in (*state.guards, *state.live_guards)}
    return [point for point in points if point not in shunned]


async def people(world, level=2, **services):
    """Two people of whom one may go to at least two points of the other's.

    Of sixteen relays a caller keeps away from three or more. Where these are all the points, it
    cannot call again before the callee has others, whatever dies: decision 0380 says how often.
    """
    caller, callee = await two_people(world, level=level, **services)
    for number in range(20):
        points = [p.relay_id for p in callee.service._introducing.points() if p.level == level]
        if len(may_go_to(caller, points)) >= 2:
            return caller, callee
        callee = Person(world, f"callee {number}")
        await callee.start()
        await callee.serve(level, **services)
    raise AssertionError("nobody to be called")


async def play(world, place, kind, after, level=2):
    """Have one relay struck while bytes are sent; return the longest pause at the receiver."""
    watch, sent = Watch(), hashlib.sha256()
    pieces = round((after + BEHIND_S) / EVERY_S)
    caller, callee = await people(world, level, sink=watch)
    stream = await caller.client.open_stream(callee.target, "sink", Dialling(level=level))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, stream, sent, pieces)
        await trio.sleep(after)
        strike(world, carriers(caller, callee)[place], kind)
        with trio.fail_after(60):
            await watch.done.wait()
    assert watch.size == PIECE * pieces
    assert watch.hash.digest() == sent.digest()
    return watch.stall


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize(("kind", "limit"), [("kill", KILL_MAX_S), ("freeze", FREEZE_MAX_S)])
async def test_the_end_of_any_relay_stalls_a_stream_for_seconds_at_most(
    autojump_clock, kind, limit, place
):
    async with network(RELAYS) as world:
        assert await play(world, place, kind, STANDING_S) < limit


@pytest.mark.parametrize("place", [0, 2, 5])
@pytest.mark.parametrize(("kind", "limit"), [("kill", KILL_MAX_S), ("freeze", FREEZE_MAX_S)])
async def test_so_does_the_end_of_one_before_another_path_stands_by(
    autojump_clock, kind, limit, place
):
    async with network(RELAYS) as world:
        assert await play(world, place, kind, ALONE_S) < limit


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize(("kind", "limit"), [("kill", KILL_MAX_S), ("freeze", FREEZE_MAX_S)])
async def test_so_does_the_end_of_any_relay_of_level_1(autojump_clock, kind, limit, place):
    async with network(RELAYS) as world:
        assert await play(world, place, kind, STANDING_S, level=1) < limit


def strike_first(world, circuits, wanted):
    """Freeze a relay of the first path that is drawn for a command, behind its guard."""
    struck, draw = [], circuits._draw

    def drawing(plan, inputs):
        path = draw(plan, inputs)
        if plan.command is wanted and not struck:
            struck.append(path[1])
            world.internet.freeze(path[1])
        return path

    circuits._draw = drawing
    return struck


async def test_a_path_that_stands_still_is_overtaken_by_another(autojump_clock):
    async with network(RELAYS) as world:
        caller, _ = await two_people(world, echo=echo)
        struck = strike_first(world, caller.circuits, Command.RDV_LISTEN)
        started = trio.current_time()
        listener = await caller.client.dialler.pool.listen(2, Care.hurry(frozenset(), 4.0))
        assert trio.current_time() - started < 1.5  # one second, and the second path
        assert struck[0] not in listener.circuit.path


async def test_a_callee_that_joins_again_does_not_wait_for_a_relay_that_stands_still(
    autojump_clock,
):
    async with network(RELAYS) as world:
        caller, callee = await people(world, echo=echo)
        stream = await caller.client.open_stream(callee.target, "echo", Dialling())
        await stream.send(b"x")  # a session that nobody proved yet ends with its path
        assert await stream.receive() == b"x"
        struck = strike_first(world, callee.circuits, Command.RDV_JOIN)
        waits, opening = [], callee.circuits.open

        async def timing(plan):
            began = trio.current_time()
            circuit = await opening(plan)
            if plan.command is Command.RDV_JOIN:
                waits.append((trio.current_time() - began, circuit.path))
            return circuit

        callee.circuits.open = timing
        driver = next(iter(caller.client._sessions.values()))
        driver.strand()
        driver.touch()
        await until(lambda: waits, 30)
        took, path = waits[0]
        assert took < 1.0  # a quarter of its patience, and another path
        assert struck[0] not in path


async def test_a_second_path_leads_over_other_guards_and_relays(autojump_clock):
    async with network(RELAYS) as world:
        caller, callee = await two_people(world, echo=echo)
        stream = await caller.client.open_stream(callee.target, "echo", Dialling())
        await until(lambda: len(caller.client.ways) == len(callee.service.ways) == 2, 10)
        for one, other in (caller.client.ways, callee.service.ways):
            assert one[0] != other[0]
        one, other = caller.client.ways
        assert set(one).isdisjoint(other)
        assert {way[-1] for way in caller.client.ways} == {way[-1] for way in callee.service.ways}
        await stream.send(b"x")
        assert await stream.receive() == b"x"


async def test_no_session_of_level_1_and_none_out_of_use_gets_one(autojump_clock):
    async with network(RELAYS) as world:
        caller, callee = await two_people(world, level=1, echo=echo)
        await caller.client.open_stream(callee.target, "echo", Dialling(level=1))
        driver = await caller.client.dial(callee.target, "echo", Dialling(level=2))
        await trio.sleep(10)
        assert len(caller.client.ways) == 1
        assert len(driver.ways) == 1


@pytest.mark.parametrize("kind", ["kill", "freeze"])
async def test_a_relay_of_the_path_that_stands_by_is_replaced_and_stalls_nothing(
    autojump_clock, kind
):
    async with network(RELAYS) as world:
        caller, callee = await two_people(world, echo=echo)
        stream = await caller.client.open_stream(callee.target, "echo", Dialling())
        await until(lambda: len(caller.client.ways) == 2, 10)
        carrying, standing = caller.client.ways
        struck = next(r for r in standing if r not in carriers(caller, callee))
        strike(world, struck, kind)
        for _ in range(40):
            started = trio.current_time()
            await stream.send(b"x")
            assert await stream.receive() == b"x"
            assert trio.current_time() - started < 1.0
            await trio.sleep(1)
        assert carrying in caller.client.ways
        assert sum(struck not in way for way in caller.client.ways) >= 2


async def test_a_callee_joins_only_so_many_offers_and_only_at_relays_it_knows(autojump_clock):
    async with network(RELAYS) as world:
        caller, callee = await two_people(world, echo=echo)
        await caller.client.open_stream(callee.target, "echo", Dialling())
        await until(lambda: len(caller.client.ways) == 2, 10)
        driver = next(iter(caller.client._sessions.values()))
        refused = []
        driver.on_refused = refused.append

        async def offer(relay_id, level=2):
            number = driver.session.allocate_path()
            driver.session.offer_path(AddPath(number, relay_id, bytes(32), 2, level))
            driver.touch()
            await until(lambda: number in refused, 10)

        joins = []
        offered = callee.circuits.open

        async def noting(plan):
            joins.append(plan.command)
            return await offered(plan)

        callee.circuits.open = noting
        await offer(hashlib.sha256(b"a stranger's machine").digest())
        assert joins == []
        for _ in range(2 * BURST):
            await offer(caller.client.ways[0][-1])  # nobody listens there under that cookie
        assert len(joins) <= BURST
        assert len(caller.client.ways) == 2


async def test_a_callee_that_rests_notices_that_its_guard_stands_still(autojump_clock):
    async with network(RELAYS) as world:
        caller, callee = await two_people(world, echo=echo)
        places = callee.service._introducing._places
        frozen = places[0].circuit.path[0]
        strike(world, frozen, "freeze")
        await until(lambda: all(p.circuit and p.circuit.path[0] != frozen for p in places), 6)
        await caller.client.dial(callee.target, "echo", Dialling())


async def test_a_guard_that_falls_silent_is_passed_over_at_once(autojump_clock):
    async with network(RELAYS) as world:
        caller, callee = await two_people(world, echo=echo)
        driver = await caller.client.dial(callee.target, "echo", Dialling())
        strike(world, driver.ways[0][0], "freeze")
        driver.open_stream("echo")
        await trio.sleep(4)
        started = trio.current_time()
        await caller.client.dial(callee.target, "echo", Dialling())
        assert trio.current_time() - started < 2


async def test_a_callee_of_level_1_joins_nowhere_but_at_its_own_meeting_points(autojump_clock):
    async with network(RELAYS) as world:
        caller, callee = await two_people(world, level=1, echo=echo)
        await caller.client.open_stream(callee.target, "echo", Dialling(level=1))
        driver = next(iter(caller.client._sessions.values()))
        refused = []
        driver.on_refused = refused.append
        callee.circuits.open = None  # nothing may be opened
        number = driver.session.allocate_path()
        point = caller.client.ways[0][-1]
        driver.session.offer_path(AddPath(number, point, bytes(32), 2, 1))
        driver.touch()
        await until(lambda: number in refused, 10)


async def test_a_call_that_resumes_finds_points_that_changed_meanwhile(autojump_clock):
    async with network(RELAYS) as world:
        caller, callee = await two_people(world, echo=echo)
        stream = await caller.client.open_stream(callee.target, "echo", Dialling())
        await stream.send(b"x")  # a session that nobody proved yet ends with its path
        assert await stream.receive() == b"x"
        places = callee.service._introducing._places
        before = {place.public for place in places}
        for place in places:
            while place.returns.take(trio.current_time()):
                pass  # it came back too often to come back once more
            world.internet.cut(*place.circuit.path[2:])
        await trio.sleep(5)
        assert before.isdisjoint(place.public for place in places)
        driver = next(iter(caller.client._sessions.values()))
        driver.strand()
        driver.touch()
        started = trio.current_time()
        await stream.send(b"x")
        assert await stream.receive() == b"x"
        assert trio.current_time() - started < FREEZE_MAX_S
