"""Profiles of padding in a whole network, and what they cost."""

import pytest
import trio

from peerstream.node.protocol.circuit.constant import STEPS
from peerstream.node.protocol.circuit.padding import PaddingProfile
from peerstream.node.roles import padder as padder_module
from peerstream.node.roles.dialler import Dialling
from peerstream.node.roles.padder import Padder, PaddingSettings
from tests.node.roles.people import Person, echo, exchange, two_people
from tests.node.roles.relays import network


def profile(person, settings):
    """Start with this profile."""
    person.node.neighbours.padder = Padder(person.node.environment, settings)


async def sent_over(links, seconds):
    """Bytes that each link sent in so long."""
    before = [link.bytes_sent for link in links]
    await trio.sleep(seconds)
    return [link.bytes_sent - b for link, b in zip(links, before, strict=True)]


async def test_a_caller_at_a_constant_rate_sends_the_same_in_peace_and_in_talk(autojump_clock):
    async with network() as world:
        callee, caller = Person(world, "callee"), Person(world, "caller")
        profile(caller, PaddingSettings(PaddingProfile.CONSTANT, 256))
        for person in (callee, caller):
            await person.start()
        await callee.serve(echo=echo)
        stream = await caller.client.open_stream(callee.target, "echo", Dialling())
        await exchange(stream, b"x" * 1_000)
        await trio.sleep(3)  # a second path stands
        links = [link for link in caller.node.neighbours._open if link.constant]
        assert links
        quiet = await sent_over(links, 2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange, stream, b"y" * 300_000)
            loud = await sent_over(links, 2)
        each = links[0].constant.step_bytes
        assert all(abs(count - 2 * STEPS * each) <= each for count in quiet + loud)
        found = caller.node.neighbours.padder.statistics()
        assert found["profile"] == "constant"
        assert found["constant_links"] == len(links)
        assert 0 < found["share"] < 1


async def test_guards_answer_at_the_rate_that_was_asked(autojump_clock):
    async with network() as world:
        caller = Person(world, "caller")
        profile(caller, PaddingSettings(PaddingProfile.CONSTANT, 64))
        await caller.start()
        await trio.sleep(3)
        guards = [
            link for node in world.nodes.values() for link in node.neighbours._open if link.constant
        ]
        assert guards
        sent = await sent_over(guards, 2)
        each = guards[0].constant.step_bytes
        assert all(abs(count - 2 * STEPS * each) <= each for count in sent)


@pytest.mark.parametrize("wanted", [PaddingProfile.OFF, PaddingProfile.LINK])
async def test_a_resting_caller_sends_padding_only_if_it_is_to(autojump_clock, wanted):
    async with network() as world:
        callee, caller = await two_people(world, echo=echo)
        del callee
        resting = Person(world, "resting")
        profile(resting, PaddingSettings(wanted))
        await resting.start()
        await trio.sleep(60)
        found = resting.node.neighbours.padder.statistics()
        assert found["profile"] == wanted.value
        assert bool(found["bytes"]) is (wanted is PaddingProfile.LINK)
        assert caller.node.neighbours.padder.statistics()["profile"] == "link"


async def test_a_relay_gives_so_much_and_no_more(autojump_clock, monkeypatch):
    monkeypatch.setattr(padder_module, "CONSTANT_BYTES_MAX", 300_000)
    async with network() as world:
        people = [Person(world, name) for name in "abcdef"]
        for person in people:
            profile(person, PaddingSettings(PaddingProfile.CONSTANT, 64))
            await person.start()
        await trio.sleep(5)
        for node in world.nodes.values():
            given = [
                link.constant.bytes_per_second for link in node.neighbours._open if link.constant
            ]
            assert sum(given) <= 300_000


def test_a_rate_is_one_of_those_there_are():
    with pytest.raises(ValueError, match="cells a second"):
        PaddingSettings(PaddingProfile.CONSTANT, 100)
