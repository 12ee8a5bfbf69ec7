"""Datagrams on streams of their own: what is bounded, and what a failed dial costs (SPEC 16.6)."""

import trio

from peerstream.node.gateway.flows import AGAIN_S, WAITING_MAX, Flows
from peerstream.node.roles.errors import CallFailedError
from tests.node.services.memory_streams import memory_stream_pair


class Played:
    """What opens streams and takes answers."""

    def __init__(self):
        self.opened = []
        self.by_key = {}
        self.delivered = []
        self.error = None
        self.reached = trio.Event()
        self.reached.set()

    async def open_stream(self, key):
        caller, callee = memory_stream_pair()
        self.opened.append(callee)
        self.by_key[key] = callee
        await self.reached.wait()
        if self.error is not None:
            raise self.error
        return caller

    async def deliver(self, key, data):
        self.delivered.append((key, data))


async def settled():
    await trio.testing.wait_all_tasks_blocked()


async def test_each_key_has_a_stream_and_answers_know_their_key(nursery, mock_clock):
    played = Played()
    flows = Flows(nursery, played.open_stream, played.deliver)
    for key in ("a", "b", "a"):
        flows.send(key, key.encode())
    await settled()
    assert len(played.opened) == len(flows) == 2
    of_a, of_b = played.by_key["a"], played.by_key["b"]
    assert [await of_a.receive_datagram() for _ in range(2)] == [b"a", b"a"]
    assert await of_b.receive_datagram() == b"b"
    await of_b.send_datagram(b"back")
    await settled()
    assert played.delivered == [("b", b"back")]


async def test_a_failed_dial_is_not_tried_for_each_datagram(nursery, mock_clock):
    played = Played()
    played.error = CallFailedError("offline")
    flows = Flows(nursery, played.open_stream, played.deliver)
    for _ in range(20):
        flows.send("a", b"x")
        await settled()
    assert len(played.opened) == 1
    mock_clock.jump(AGAIN_S + 1)
    await settled()
    assert len(flows) == 0
    played.error = None
    flows.send("a", b"y")
    await settled()
    assert await played.opened[1].receive_datagram() == b"y"


async def test_what_waits_for_a_dial_is_bounded(nursery, mock_clock):
    played = Played()
    played.reached = trio.Event()
    flows = Flows(nursery, played.open_stream, played.deliver)
    for number in range(10 * WAITING_MAX):
        flows.send("a", number.to_bytes(2, "big"))
    played.reached.set()
    await settled()
    [callee] = played.opened
    received = [await callee.receive_datagram() for _ in range(WAITING_MAX)]
    assert received == [number.to_bytes(2, "big") for number in range(WAITING_MAX)]


async def test_a_stream_that_breaks_is_dialled_anew(nursery, mock_clock):
    played = Played()
    flows = Flows(nursery, played.open_stream, played.deliver)
    flows.send("a", b"x")
    await settled()
    played.opened[0].reset()
    await settled()
    assert len(flows) == 0
    flows.send("a", b"y")
    await settled()
    assert await played.opened[1].receive_datagram() == b"y"
