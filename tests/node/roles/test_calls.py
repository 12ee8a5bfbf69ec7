"""Calls through whole networks in memory: dialled by address, both ends verified."""

from dataclasses import replace

import pytest
import trio

from peerstream.identity.delegation import Scope
from peerstream.identity.errors import (
    ExpiredError,
    OtherIdentityError,
    ScopeError,
    SupersededError,
)
from peerstream.node.ports import SessionEndedError, StreamResetError
from peerstream.node.protocol.directory.errors import ViewMismatchError
from peerstream.node.protocol.directory.relay_descriptor import SignedRelayDescriptor
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.dialler import Dialling
from peerstream.node.roles.errors import (
    CallDeniedError,
    DescriptorUnavailableError,
    IdentityRequiredError,
)
from peerstream.node.roles.identity import Target
from peerstream.node.roles.service import ServiceOffer
from tests.node.roles.people import Person, echo, exchange, read_all, two_people
from tests.node.roles.relays import network, until

BODY = bytes(range(256)) * 4_000
HOPS = {1: 3, 2: 6}


def cells(world):
    return {number: node.relay.core.cells_relayed for number, node in world.nodes.items()}


def places(before, after):
    """How many places of one path the relays had: a relay in two places relayed twice as much."""
    rises = [after[n] - before[n] for n in before if after[n] - before[n] > 60]
    return sum(round(rise / min(rises)) for rise in rises)


@pytest.mark.parametrize("level", [1, 2])
async def test_a_stream_between_two_addresses(autojump_clock, level):
    async with network() as world:
        seen = []

        async def noting(stream):
            seen.append(stream.peer)
            await echo(stream)

        caller, callee = await two_people(world, level=level, echo=noting)
        before = cells(world)
        stream = await caller.client.open_stream(callee.target, "echo", Dialling(level=level))
        await exchange(stream, BODY)
        await stream.send_end()
        assert await read_all(stream) == b""
        assert stream.peer.address == callee.identity.account
        assert seen[0].address == caller.identity.account
        assert seen[0].level == stream.peer.level == level
        assert places(before, cells(world)) == HOPS[level] == stream.peer.hops


async def test_the_stricter_side_decides_the_level(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, level=2, echo=echo)
        stream = await caller.client.open_stream(callee.target, "echo", Dialling(level=1))
        await exchange(stream, b"x" * 100)
        assert stream.peer.level == 2


async def test_a_descriptor_is_looked_up_without_a_call(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        expiry = await caller.client.look_up(callee.target)
        assert expiry > caller.node.environment.clock.wall()
        assert callee.service.sessions == 0
        assert await caller.client.look_up(callee.target) == expiry
        with pytest.raises(DescriptorUnavailableError):
            await caller.client.look_up(caller.target)


async def test_streams_share_a_session_and_a_new_one_needs_no_dial(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        first = await caller.client.open_stream(callee.target, "echo", Dialling())
        await exchange(first, b"one")
        circuits = caller.circuits.count
        second = await caller.client.open_stream(callee.target, "echo", Dialling())
        await exchange(second, b"two")
        assert caller.circuits.count == circuits
        assert callee.service.sessions == 1
        await caller.client.aclose()
        await until(lambda: callee.service.sessions == 0, 10)


@pytest.mark.parametrize("taken", [True, False])
async def test_a_request_travels_with_the_call_where_the_service_takes_it(autojump_clock, taken):
    async with network() as world:
        offer = ServiceOffer(echo, early_data=taken)
        caller, callee = await two_people(world, echo=offer)
        request = b"GET / " * 300
        stream = await caller.client.open_stream(callee.target, "echo", Dialling(), request)
        got = b""
        while len(got) < len(request):
            got += await stream.receive()
        assert got == request
        await exchange(stream, BODY)
        await stream.send_end()
        assert await read_all(stream) == b""


async def test_what_serves_every_stream_is_known_to_take_the_first_with_the_call(autojump_clock):
    async with network() as world:
        seen = []

        async def deciding(stream):
            seen.append(stream)
            stream.accept()
            await echo(stream)

        offers = {"all": echo, "some": ServiceOffer(deciding, accepts=True)}
        caller, callee = await two_people(world, **offers)
        stream = await caller.client.open_stream(callee.target, "all", Dialling())
        with trio.fail_after(0):
            await stream.accepted()
        await exchange(stream, BODY)
        apart = Dialling(isolation=b"apart")
        other = await caller.client.open_stream(callee.target, "some", apart)
        with trio.move_on_after(0) as at_once:
            await other.accepted()
        assert at_once.cancelled_caught
        await other.accepted()
        assert len(seen) == 1


async def test_an_anonymous_caller_only_where_the_service_allows_it(autojump_clock):
    async with network() as world:
        seen = []

        async def noting(stream):
            seen.append(stream.peer.address)
            await echo(stream)

        caller, callee = await two_people(
            world, open=ServiceOffer(noting, anonymous=True), named=echo
        )
        stream = await caller.client.open_stream(callee.target, "open", Dialling(anonymous=True))
        await exchange(stream, b"who?")
        assert seen == [None]
        with pytest.raises(CallDeniedError) as caught:
            await caller.client.dial(callee.target, "named", Dialling(anonymous=True))
        assert caught.value.status is Status.AUTH_REQUIRED
        # Nor by a stream of a session that was admitted for another service.
        other = await caller.client.open_stream(callee.target, "named", Dialling(anonymous=True))
        with pytest.raises(StreamResetError) as reset:
            await other.receive()
        assert reset.value.status is Status.AUTH_REQUIRED


async def test_an_unknown_service_is_refused_in_the_handshake(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        with pytest.raises(CallDeniedError) as caught:
            await caller.client.open_stream(callee.target, "nothing", Dialling())
        assert caught.value.status is Status.NO_SERVICE


async def test_a_node_without_identity_calls_under_no_name(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        caller.client.dialler.identity = None
        with pytest.raises(IdentityRequiredError):
            await caller.client.open_stream(callee.target, "echo", Dialling())


async def test_whom_the_callee_refuses(autojump_clock):
    """Expired, out of scope, superseded, revoked, another network: each with its status."""
    async with network() as world:
        wall = world.clock.wall()
        _, callee = await two_people(world, echo=echo)
        cases = {
            "expired": ({"not_after": wall + 30, "issued": wall - 60}, Status.AUTH_FAILED),
            "scope": ({"scope": Scope.ACCEPT}, Status.AUTH_FAILED),
            "superseded": ({}, Status.AUTH_FAILED),
            "revoked": ({}, Status.REVOKED),
            "device": ({}, Status.REVOKED),
        }
        people = {name: Person(world, name, **changes) for name, (changes, _) in cases.items()}
        for person in people.values():
            await person.start()
        await trio.sleep(60)
        callee.pins.pin_issued(people["superseded"].identity.account, wall + 10)
        identities = callee.node.keeper.snapshot.identities
        revoked, device = people["revoked"].identity, people["device"].identity
        identities.revoked_before = lambda a: wall + 10 if a == revoked.account else 0
        identities.is_device_revoked = lambda a, key: (
            (a, key) == (device.account, device.device.signing_public)
        )
        for name, (_, status) in cases.items():
            with pytest.raises(CallDeniedError) as caught:
                await people[name].client.open_stream(callee.target, "echo", Dialling())
            assert (name, caught.value.status) == (name, status)


async def test_whom_the_caller_refuses(autojump_clock):
    """The callee's delegation expired, is out of scope, superseded, or not this account's."""
    async with network() as world:
        wall = world.clock.wall()
        caller = Person(world, "caller")
        await caller.start()
        cases = {
            "expired": ({"not_after": wall + 90, "issued": wall - 60}, ExpiredError),
            "scope": ({"scope": Scope.DIAL}, ScopeError),
            "superseded": ({}, SupersededError),
        }
        people = {name: Person(world, name, **changes) for name, (changes, _) in cases.items()}
        for person in people.values():
            await person.start()
            await person.serve(echo=echo)
        caller.pins.pin_issued(people["superseded"].identity.account, wall + 10)
        await trio.sleep(90)
        for name, (_, error) in cases.items():
            with pytest.raises(error):
                await caller.client.open_stream(people[name].target, "echo", Dialling())
        honest = people["superseded"].identity
        impostor = Target(
            caller.identity.account, honest.identity_key.public, honest.contact_secret
        )
        with pytest.raises(OtherIdentityError):
            await caller.client.open_stream(impostor, "echo", Dialling())


async def test_a_descriptor_for_another_relay_set_is_not_dialled(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        directory = caller.node.neighbours.directory
        view = directory.view(world.clock.wall())
        object.__setattr__(view, "root", bytes(32))
        with pytest.raises(ViewMismatchError):
            await caller.client.open_stream(callee.target, "echo", Dialling())


async def test_nobody_of_that_address_ever_published(autojump_clock):
    async with network() as world:
        caller, _ = await two_people(world, echo=echo)
        absent = Person(world, "absent")
        with pytest.raises(DescriptorUnavailableError) as caught:
            await caller.client.open_stream(absent.target, "echo", Dialling())
        assert "NOT_FOUND" in caught.value.reasons


async def test_a_listed_account_is_found_by_its_grant(autojump_clock):
    async with network() as world:
        callee = Person(world, "listed", contact_secret=b"")
        caller = Person(world, "caller")
        await callee.start()
        await caller.start()
        await callee.serve(echo=echo)
        await trio.sleep(5)
        target = await caller.client.resolve(callee.identity.account)
        stream = await caller.client.open_stream(target, "echo", Dialling())
        await exchange(stream, b"found")


async def test_a_callee_that_goes_away_ends_the_stream_by_an_error(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        stream = await caller.client.open_stream(callee.target, "echo", Dialling())
        await exchange(stream, b"there")
        session = next(iter(caller.client._sessions.values())).session
        session._limits = replace(session._limits, resume_time=20.0)
        callee.node.kill()
        with pytest.raises(SessionEndedError):
            await stream.receive()


async def test_who_answers_and_closes_is_read_to_the_end_however_slowly(autojump_clock):
    async with network() as world:

        async def answer(stream):
            await stream.receive()
            await stream.send(b"answer")
            await stream.aclose()

        caller, callee = await two_people(world, answer=answer)
        stream = await caller.client.open_stream(callee.target, "answer", Dialling())
        await stream.send(b"question")
        await trio.sleep(15)
        assert await stream.receive(2) == b"an"
        with pytest.raises(StreamResetError) as caught:
            await stream.send(b"more")
        assert caught.value.status is Status.CLOSED
        assert await stream.receive() == b"swer"
        assert await stream.receive() == b""
        await stream.aclose()


async def test_a_handler_that_fails_resets_its_stream_and_nothing_else(autojump_clock):
    async with network() as world:

        async def broken(stream):
            await stream.receive()
            raise ZeroDivisionError

        caller, callee = await two_people(world, echo=echo, broken=broken)
        stream = await caller.client.open_stream(callee.target, "broken", Dialling())
        await stream.send(b"now")
        with pytest.raises(StreamResetError) as caught:
            await stream.receive()
        assert caught.value.status is Status.INTERNAL
        assert callee.service.causes["bug"] == 1
        again = await caller.client.open_stream(callee.target, "echo", Dialling())
        await exchange(again, b"still here")


async def test_a_caller_that_resumes_before_the_callee_saw_its_path_die(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo)
        stream = await caller.client.open_stream(callee.target, "echo", Dialling())
        await exchange(stream, b"before")
        driver = next(iter(caller.client._sessions.values()))
        # The caller gives its path up at once; the callee's half stands until the relay says so.
        world.internet.stall(caller.node.relay_id, next(iter(driver._circuits.values())).path[0])
        driver.strand()
        driver.touch()
        with trio.fail_after(60):
            await exchange(stream, b"after")
        assert callee.service.sessions == 1


async def test_a_client_that_was_shown_another_descriptor_than_others_gives_it_up(autojump_clock):
    async with network() as world:
        caller = Person(world, "caller")
        await caller.start()
        directory = caller.node.neighbours.directory
        wall = world.clock.wall()
        epoch = directory.key_epoch(wall)
        victim = world.identities[0].relay_id
        signed = directory._descriptors[epoch][victim]
        other = replace(signed.descriptor, onion_key=signed.descriptor.onion_key[::-1])
        forged = SignedRelayDescriptor.sign(
            other,
            world.identities[0].key,
            network_id=world.network.network_id,
            statement_signer=None,
        )
        directory._descriptors[epoch][victim] = forged
        comparison = await caller.node.keeper.compare_directory_hash(
            caller.client.dialler.lookups.fetch
        )
        assert comparison.answers == 3
        assert comparison.disputed == {victim}
        assert victim not in directory.candidates(wall)


async def test_a_callee_that_stops_says_so(autojump_clock):
    async with network() as world:
        callee, caller = Person(world, "callee"), Person(world, "caller")
        await callee.start()
        await caller.start()
        async with trio.open_nursery() as serving:
            await callee.serve(nursery=serving, echo=echo)
            stream = await caller.client.open_stream(callee.target, "echo", Dialling())
            await exchange(stream, b"there")
            serving.cancel_scope.cancel()
        with trio.fail_after(5), pytest.raises(SessionEndedError) as caught:
            await stream.receive()
        assert caught.value.status is Status.FINISHED


async def test_what_came_whole_outlives_the_session(autojump_clock):
    async with network() as world:

        async def answer(stream):
            await stream.receive()
            await stream.send(b"answer")
            await stream.aclose()

        callee, caller = Person(world, "callee"), Person(world, "caller")
        await callee.start()
        await caller.start()
        async with trio.open_nursery() as serving:
            await callee.serve(nursery=serving, answer=answer)
            stream = await caller.client.open_stream(callee.target, "answer", Dialling())
            await stream.send(b"question")
            await trio.sleep(1)
            serving.cancel_scope.cancel()
        await trio.sleep(5)
        assert await stream.receive() == b"answer"
        assert await stream.receive() == b""
        with pytest.raises(SessionEndedError):
            await stream.send(b"more")
