"""Roles' links over real sockets: dialled, woken, lost, asked."""

import os
from contextlib import AsyncExitStack

import pytest
import trio

from peerstream.node.network.host import Host
from peerstream.node.network.node_links import NodeLinks
from peerstream.node.ports import QuestionError, UnreachableError
from peerstream.node.protocol.circuit.limits import LinkLimits
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.directory.bundle import REQUEST_MAX
from peerstream.node.protocol.directory.subnets import Endpoint
from tests.node.network.support import PATIENCE_S, eventually

ANY = Endpoint(Endpoint.parse("/ip4/127.0.0.1/tcp/1").address, 0)


class Owner:
    def __init__(self) -> None:
        self.links: list[Link] = []
        self.closed: list[tuple[Link, bytes]] = []
        self.turned = trio.Event()

    def make_link(self, *, dialer: bool, peer: bytes, now: float) -> Link:
        link = Link(dialer=dialer, peer=peer, limits=LinkLimits.for_relay(), now=now)
        self.links.append(link)
        return link

    def link_closed(self, link: Link, peer: bytes, error: BaseException) -> None:
        self.closed.append((link, peer))

    def turn(self, now: float) -> None:
        self.turned.set()


async def test_links_of_two_hosts():
    alice, bob = Owner(), Owner()
    near, far = NodeLinks(Host(os.urandom(32)), alice), NodeLinks(Host(os.urandom(32)), bob)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(far.listen([ANY]))
        await stack.enter_async_context(near.listen())
        link = await near.dial(far.relay_id, far.endpoints)
        await eventually(lambda: link.version and bob.links and bob.links[0].version)
        assert bob.links[0].peer == near.relay_id
        assert near.statistics()[0].relay_id == far.relay_id

        alice.turned = trio.Event()
        near.wake()
        with trio.fail_after(PATIENCE_S):
            await alice.turned.wait()

        near.close(link)
        await eventually(lambda: bob.closed and alice.closed)
        assert alice.closed == [(link, far.relay_id)]
        assert bob.closed == [(bob.links[0], near.relay_id)]


async def test_a_question_of_the_largest_size_is_answered():
    near, far = (NodeLinks(Host(os.urandom(32)), Owner()) for _ in range(2))
    question = os.urandom(REQUEST_MAX + 4)

    async def answer(asker: bytes, received: bytes) -> bytes:
        return asker + received

    far.serve(answer)
    async with far.listen([ANY]), near.listen():
        got = await near.ask(far.relay_id, far.endpoints, question, 30_000)
        assert got == near.relay_id + question
        with pytest.raises(QuestionError):
            await near.ask(far.relay_id, far.endpoints, question, 100)
        with pytest.raises(UnreachableError):
            await near.ask(os.urandom(32), far.endpoints, question, 100)


async def test_without_a_host_or_a_listener_nobody_is_reached():
    near, far, idle = (NodeLinks(Host(os.urandom(32)), Owner()) for _ in range(3))
    async with far.listen([ANY]):
        endpoints = far.endpoints
        with pytest.raises(UnreachableError):
            await idle.dial(far.relay_id, endpoints)
    async with near.listen():
        with pytest.raises(UnreachableError):
            await near.dial(far.relay_id, endpoints)
        with pytest.raises(UnreachableError):
            await near.ask(far.relay_id, endpoints, b"?", 10)
