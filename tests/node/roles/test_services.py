"""Services come and go under one address while it is published (SPEC 10.7)."""

import pytest
import trio

from peerstream.node.ports import Peer, StreamResetError
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.dialler import Dialling
from peerstream.node.roles.errors import CallDeniedError
from peerstream.node.roles.introducing import Introducing
from peerstream.node.roles.service import Service, ServiceOffer
from peerstream.node.roles.service_table import ServiceExistsError, ServiceNameError
from tests.node.roles.people import Person, echo, exchange, two_people
from tests.node.roles.relays import network


async def greet(stream):
    await stream.send(b"hello")


async def start_callee(world, **services):
    callee = Person(world, "callee")
    await callee.start()
    await callee.serve(**services)
    return callee


async def contents(person, target):
    """Return what the record says that the person has now."""
    await person.client.look_up(target)
    return next(iter(person.client.dialler._descriptors.values())).contents


async def test_a_service_comes_beside_another_and_goes(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        service = callee.service
        first = await caller.client.open_stream(callee.target, "echo", Dialling())
        await service.offer("greet", ServiceOffer(greet))
        assert service.offered == ("echo", "greet")
        stream = await caller.client.open_stream(callee.target, "greet", Dialling())
        assert await stream.receive() == b"hello"
        service.withdraw("greet")
        service.withdraw("echo")
        gone = await caller.client.open_stream(callee.target, "greet", Dialling())
        with pytest.raises(StreamResetError) as reset:
            await gone.receive()
        assert reset.value.status is Status.NO_SERVICE
        with pytest.raises(CallDeniedError) as denied:
            await caller.client.dial(callee.target, "echo", Dialling())
        assert denied.value.status is Status.NO_SERVICE
        await exchange(first, b"open ones go on")


async def test_a_service_takes_the_place_of_one_of_its_name(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        await callee.service.replace("echo", ServiceOffer(greet))
        stream = await caller.client.open_stream(callee.target, "echo", Dialling())
        assert await stream.receive() == b"hello"
        await callee.service.replace("new", ServiceOffer(greet))
        assert callee.service.offered == ("echo", "new")


async def test_the_old_service_stays_where_the_new_one_cannot_be_published(autojump_clock):
    async with network() as world:
        _caller, callee = await two_people(world, echo=echo)
        for relay in world.nodes.values():
            relay.kill()
        with trio.move_on_after(60) as scope:
            await callee.service.replace("echo", ServiceOffer(greet, anonymous=True))
        assert scope.cancelled_caught
        found = callee.service._table.find("echo", Peer(None, 2, 6))
        assert found is Status.AUTH_REQUIRED
        assert callee.service._table.get("echo").handler is echo
        with pytest.raises(ServiceNameError):
            await callee.service.replace("echo", ServiceOffer(greet, level=3))
        assert callee.service._table.get("echo").handler is echo


async def test_a_service_takes_a_stream_once_it_can_serve_it(autojump_clock):
    ready = trio.Event()

    async def gate(stream):
        if await stream.receive() == b"no":
            stream.reset(Status.CONNECT)
            return
        await ready.wait()
        stream.accept()
        await stream.send(b"yes")

    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        await callee.service.offer("gate", ServiceOffer(gate, accepts=True))
        refused = await caller.client.open_stream(callee.target, "gate", Dialling())
        await refused.send(b"no")
        with pytest.raises(StreamResetError) as reset:
            await refused.accepted()
        assert reset.value.status is Status.CONNECT
        taken = await caller.client.open_stream(callee.target, "gate", Dialling())
        await taken.send(b"hello")
        with trio.move_on_after(60) as scope:
            await taken.accepted()
        assert scope.cancelled_caught  # bytes crossed, and the stream is not taken yet
        ready.set()
        await taken.accepted()
        assert await taken.receive() == b"yes"


async def test_the_record_is_published_anew_when_it_says_something_else(autojump_clock):
    async with network() as world:
        callee = await start_callee(world, echo=echo)
        before = Person(world, "before")
        await before.start()
        old = await contents(before, callee.target)
        assert (old.accepts_anonymous, old.accepts_early) == (False, False)
        await callee.service.offer("open", ServiceOffer(echo, anonymous=True, early_data=True))
        caller = Person(world, "caller")
        await caller.start()
        new = await contents(caller, callee.target)
        assert (new.accepts_anonymous, new.accepts_early) == (True, True)
        stream = await caller.client.open_stream(
            callee.target, "open", Dialling(anonymous=True), b"early"
        )
        assert await stream.receive() == b"early"


async def test_a_service_of_level_1_comes_and_goes_beside_one_of_level_2(autojump_clock):
    async with network() as world:
        callee = await start_callee(world, quiet=echo)
        assert len(callee.service.points) == 5
        await callee.service.offer("video", ServiceOffer(echo, level=1))
        assert len(callee.service.points) == 10
        caller = Person(world, "caller")
        await caller.start()
        video = await caller.client.open_stream(callee.target, "video", Dialling(level=1))
        await exchange(video, b"quick")
        assert (video.peer.level, video.peer.hops) == (1, 3)
        # a stream of the session of level 1 does not reach the other service
        below = await caller.client.open_stream(callee.target, "quiet", Dialling(level=1))
        with pytest.raises(StreamResetError) as reset:
            await below.receive()
        assert reset.value.status is Status.LEVEL
        # nor a call of level 1: it is made again at level 2, the stricter wish
        fresh = Person(world, "fresh")
        await fresh.start()
        quiet = await fresh.client.open_stream(callee.target, "quiet", Dialling(level=1))
        await exchange(quiet, b"hidden")
        assert (quiet.peer.level, quiet.peer.hops) == (2, 6)
        callee.service.withdraw("video")
        await trio.sleep(5)
        assert len(callee.service.points) == 5
        later = Person(world, "later")
        await later.start()
        assert (await contents(later, callee.target)).minimum_level == 2


async def test_names_and_levels_that_none_has(autojump_clock):
    async with network() as world:
        callee = await start_callee(world, echo=echo)
        with pytest.raises(ServiceExistsError):
            await callee.service.offer("echo", ServiceOffer(greet))
        for name, level in (("", 2), ("ü" * 33, 2), ("fine", 3), ("fine", 0)):
            with pytest.raises(ServiceNameError):
                await callee.service.offer(name, ServiceOffer(greet, level=level))
        assert callee.service.offered == ("echo",)


async def test_an_offer_that_was_given_up_is_withdrawn(autojump_clock):
    async with network() as world:
        callee = await start_callee(world, echo=echo)
        with trio.move_on_after(0.001) as scope:
            await callee.service.offer("open", ServiceOffer(echo, anonymous=True))
        assert scope.cancelled_caught
        assert callee.service.offered == ("echo",)


async def test_an_outage_is_not_met_with_haste(autojump_clock, monkeypatch):
    async with network() as world:
        callee = Person(world, "callee")
        await callee.start()
        monkeypatch.setattr(Introducing, "complete", property(lambda _: False))
        looks = []
        upkeep = Service._upkeep

        async def counted(service):
            looks.append(trio.current_time())
            return await upkeep(service)

        monkeypatch.setattr(Service, "_upkeep", counted)
        with trio.move_on_after(20):
            await callee.serve(echo=echo)
        assert 10 <= len(looks) <= 30
