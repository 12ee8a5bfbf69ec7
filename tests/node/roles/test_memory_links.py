"""The internet in memory behaves as the real one where roles can tell."""

from functools import partial

import pytest
import trio

from peerstream.node.ports import QuestionError, UnreachableError
from peerstream.node.protocol.circuit.errors import HelloRepeatedError, NeighbourSilentError
from peerstream.node.protocol.circuit.limits import LinkLimits
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.protocol.errors import MalformedError
from peerstream.node.protocol.wire.frames import FrameType
from tests.node.roles.memory_links import CableCutError, MemoryInternet

ALICE, BOB = b"a" * 32, b"b" * 32
HOME = Endpoint.parse("/ip4/127.0.0.1/tcp/1")
AWAY = Endpoint.parse("/ip4/127.0.0.1/tcp/2")


class Owner:
    def __init__(self) -> None:
        self.closed: list[BaseException] = []
        self.turns: list[float] = []
        self.links: list[Link] = []

    def make_link(self, *, dialer: bool, peer: bytes, now: float) -> Link:
        link = Link(dialer=dialer, peer=peer, limits=LinkLimits.for_relay(), now=now)
        self.links.append(link)
        return link

    def link_closed(self, link: Link, peer: bytes, error: BaseException) -> None:
        assert link.closed
        self.closed.append(error)

    def turn(self, now: float) -> None:
        self.turns.append(now)


@pytest.fixture
async def internet(nursery):
    internet = MemoryInternet(delay=0.05)
    nursery.start_soon(internet.run)
    return internet


def pair(internet):
    owners = Owner(), Owner()
    return (
        owners,
        internet.join(ALICE, owners[0]),
        internet.join(BOB, owners[1], [HOME]),
    )


async def test_a_dial_gives_one_link_that_carries_bytes_with_their_delay(internet, autojump_clock):
    (alice, bob), links, _ = pair(internet)
    started = trio.current_time()
    link = await links.dial(BOB, [AWAY, HOME])
    assert trio.current_time() - started == pytest.approx(0.15)
    assert await links.dial(BOB, []) is link
    await trio.sleep(0.06)
    assert link.version == bob.links[0].version == 1
    assert len(alice.links) == len(bob.links) == 1


async def test_two_dials_at_once_share_one_link(internet, autojump_clock):
    (alice, _), links, other = pair(internet)
    links.endpoints.add(AWAY)
    found = []

    async def dial(node, relay_id, endpoint):
        found.append(await node.dial(relay_id, [endpoint]))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(dial, links, BOB, HOME)
        nursery.start_soon(dial, links, BOB, HOME)
        nursery.start_soon(dial, other, ALICE, AWAY)
    assert len({id(link) for link in found}) == 2  # one for each end
    assert len(alice.links) == 1


async def test_nobody_is_reached_at_another_address_or_when_refusing(internet, autojump_clock):
    _, links, _ = pair(internet)
    with pytest.raises(UnreachableError):
        await links.dial(BOB, [AWAY])
    internet.refusing.add(BOB)
    with pytest.raises(UnreachableError):
        await links.dial(BOB, [HOME])
    internet.refusing.clear()
    internet.hanging.add(BOB)
    started = trio.current_time()
    with pytest.raises(UnreachableError):
        await links.dial(BOB, [HOME])
    assert trio.current_time() - started > 5


async def test_both_ends_learn_of_a_cut_and_a_kill_only_the_survivor(internet, autojump_clock):
    (alice, bob), links, _ = pair(internet)
    await links.dial(BOB, [HOME])
    internet.cut(ALICE, BOB)
    await trio.sleep(0.1)
    assert isinstance(alice.closed[0], CableCutError)
    assert isinstance(bob.closed[0], CableCutError)
    await links.dial(BOB, [HOME])
    internet.kill(BOB)
    await trio.sleep(0.1)
    assert len(alice.closed) == 2
    assert len(bob.closed) == 1
    with pytest.raises(UnreachableError):
        await links.dial(BOB, [HOME])


async def test_a_breach_names_itself_to_the_end_that_saw_it(internet, autojump_clock):
    (alice, bob), links, _ = pair(internet)
    link = await links.dial(BOB, [HOME])
    link.send(0, FrameType.HELLO, bytes(28))
    await trio.sleep(0.2)
    assert isinstance(bob.closed[0], HelloRepeatedError)
    assert isinstance(alice.closed[0], CableCutError)


async def test_a_stalled_cable_is_noticed_by_the_links(internet, autojump_clock):
    (alice, _), links, _ = pair(internet)
    link = await links.dial(BOB, [HOME])
    await trio.sleep(1)
    internet.stall(ALICE, BOB)
    link.send(0, FrameType.PING, bytes(8))
    await trio.sleep(10)
    assert isinstance(alice.closed[0], NeighbourSilentError)


async def test_a_wake_gives_one_turn(internet, autojump_clock):
    (alice, _), links, _ = pair(internet)
    await trio.sleep(0.01)
    turns = len(alice.turns)
    links.wake()
    links.wake()
    await trio.sleep(0.01)
    assert len(alice.turns) == turns + 1


async def test_questions_are_answered_whole_or_not_at_all(internet, autojump_clock):
    _, links, other = pair(internet)
    ask = partial(links.ask, BOB, [HOME])
    with pytest.raises(QuestionError):
        await ask(b"?", 10)

    async def answer(asker: bytes, question: bytes) -> bytes:
        if question == b"late":
            await trio.sleep(60)
        if question == b"bad":
            raise MalformedError("bad")
        return asker[:1] + question

    other.serve(answer)
    assert await ask(b"who", 4) == b"awho"
    for question, limit in ((b"who", 3), (b"bad", 10), (b"late", 10), (bytes(20_485), 30_000)):
        with pytest.raises(QuestionError):
            await ask(question, limit)
