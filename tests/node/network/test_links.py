"""Links between hosts of ours: dialled once, told apart, ended with a reason."""

import os
from contextlib import suppress

import pytest
import trio
from multiaddr import Multiaddr

from peerstream.node.network import links as links_module
from peerstream.node.network.errors import (
    ClosedError,
    ConnectFailedError,
    DialTimeoutError,
    HandshakeFailedError,
    ListenError,
    NoUsableAddressError,
    ProtocolRefusedError,
    RequestFailedError,
    ResponseTooLongError,
    WrongPeerError,
)
from peerstream.node.network.exchange import ServeLimits
from peerstream.node.network.host import DataPlane, Host, HostOptions
from peerstream.node.network.links import LINK_PROTOCOL, P2PLinks
from peerstream.node.network.peers import host_key, relay_id_of_key
from peerstream.node.protocol.circuit.limits import LinkLimits
from peerstream.node.protocol.circuit.link import Link
from tests.node.network.support import (
    LOOPBACK,
    PATIENCE_S,
    Recorder,
    make_links,
    running_stock,
    stock_host,
)

PLANES = list(DataPlane)
DIRECTORY = "/psp/dir/1.0.0"


@pytest.mark.parametrize("plane", PLANES)
async def test_bytes_both_ways_and_back(plane: DataPlane) -> None:
    options = HostOptions(data_plane=plane)
    near, far = make_links(options), make_links(options, echo=True)
    seen = Recorder(far)
    async with far.listen([LOOPBACK]), near.listen():
        link = await near.dial(far.host.relay_id, far.addresses)
        await seen.until(lambda: len(seen.inbound) == 1)
        assert seen.inbound[0][1] == near.host.relay_id
        assert link.dialer
        assert link.peer == far.host.relay_id
        payload = os.urandom(3_000_000)
        link.send(payload)
        await link.until(lambda: len(link.received) == len(payload))
        assert link.received == payload


@pytest.mark.parametrize("plane", PLANES)
async def test_a_link_of_the_protocol_says_hello_and_measures(plane: DataPlane) -> None:
    def make(*, dialer, peer, now):
        return Link(dialer=dialer, peer=peer, limits=LinkLimits.for_relay(), now=now)

    hosts = [Host(os.urandom(32), HostOptions(data_plane=plane)) for _ in range(2)]
    near, far = (P2PLinks(host, make) for host in hosts)
    async with far.listen([LOOPBACK]), near.listen():
        with trio.fail_after(PATIENCE_S):
            link = await near.dial(far.host.relay_id, far.addresses)
            while link.round_trip is None:
                await trio.testing.wait_all_tasks_blocked()
                await trio.sleep(0.01)
        assert link.version is not None
        assert near.host.counters["bug"] == far.host.counters["bug"] == 0


async def test_everybody_shares_one_dial() -> None:
    near, far = make_links(), make_links()
    seen = Recorder(far)
    found: list = []

    async def dial() -> None:
        found.append(await near.dial(far.host.relay_id, far.addresses))

    async with far.listen([LOOPBACK]), near.listen():
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(dial)
        assert len(found) == 20
        assert len({id(link) for link in found}) == 1
        assert await near.dial(far.host.relay_id, []) is found[0]
        await seen.until(lambda: len(seen.inbound) == 1)
        assert len(far.statistics()) == 1


async def test_one_caller_that_gives_up_does_not_take_the_dial_away() -> None:
    near, far = make_links(), make_links()
    async with far.listen([LOOPBACK]), near.listen():
        with trio.move_on_after(0):
            await near.dial(far.host.relay_id, far.addresses)
        assert (await near.dial(far.host.relay_id, far.addresses)).dialer


@pytest.mark.parametrize("round_", range(8))
async def test_two_that_dial_each_other_get_one_link(round_: int) -> None:
    seeds = sorted(
        (bytes([round_, number]) * 16 for number in range(2)),
        key=lambda seed: relay_id_of_key(host_key(seed)),
    )
    small, large = (make_links(seed=seed) for seed in seeds)
    assert small.host.relay_id < large.host.relay_id
    found: dict = {}

    async def dial(who: P2PLinks, whom: P2PLinks, steps: int) -> None:
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        found[who] = await who.dial(whom.host.relay_id, whom.addresses)

    async with small.listen([LOOPBACK]), large.listen([LOOPBACK]):
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(dial, small, large, 3 * round_)
                nursery.start_soon(dial, large, small, 20)
        assert len(small.statistics()) == len(large.statistics()) == 1
        assert small.statistics()[0].dialer != large.statistics()[0].dialer
        found[small].send(b"one and the same")
        await found[large].until(lambda: found[large].received == b"one and the same")


async def test_the_smaller_id_wins_when_the_dials_cross(monkeypatch) -> None:
    seeds = sorted((os.urandom(32) for _ in range(2)), key=lambda s: relay_id_of_key(host_key(s)))
    small, large = (make_links(seed=seed) for seed in seeds)
    both = {small: trio.Event(), large: trio.Event()}
    for links, other in ((small, large), (large, small)):
        original = links.host.dial

        async def dial(relay_id, addresses, links=links, other=other, original=original):
            both[links].set()
            await both[other].wait()
            return await original(relay_id, addresses)

        monkeypatch.setattr(links.host, "dial", dial)
    async with small.listen([LOOPBACK]), large.listen([LOOPBACK]):
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(small.dial, large.host.relay_id, large.addresses)
                nursery.start_soon(large.dial, small.host.relay_id, small.addresses)
        assert [each.dialer for each in small.statistics()] == [True]
        assert [each.dialer for each in large.statistics()] == [False]


async def test_a_neighbour_that_lost_its_link_gets_a_new_one() -> None:
    seed = os.urandom(32)
    near, far = make_links(seed=seed), make_links()
    again = make_links(seed=seed)
    seen = Recorder(far)
    async with far.listen([LOOPBACK]), near.listen(), again.listen():
        await near.dial(far.host.relay_id, far.addresses)
        await seen.until(lambda: len(seen.inbound) == 1)
        await again.dial(far.host.relay_id, far.addresses)
        await seen.until(lambda: len(seen.inbound) == 2 and len(seen.closed) == 1)
        assert seen.closed[0][0] is seen.inbound[0][0]
        assert len(far.statistics()) == 1


async def test_another_key_at_the_address_is_named() -> None:
    near, far = make_links(), make_links()
    expected = relay_id_of_key(host_key(os.urandom(32)))
    async with far.listen([LOOPBACK]), near.listen():
        with pytest.raises(WrongPeerError):
            await near.dial(expected, far.addresses)
        assert not near.statistics()
        assert not far.statistics()


async def test_the_next_address_is_tried() -> None:
    near, far = make_links(), make_links()
    async with far.listen([LOOPBACK]), near.listen():
        closed = Multiaddr("/ip4/127.0.0.1/tcp/1")
        name = Multiaddr("/dns4/localhost/tcp/1")
        await near.dial(far.host.relay_id, [name, closed, *far.addresses])


async def test_what_cannot_be_dialled_is_named() -> None:
    near = make_links()
    relay_id = relay_id_of_key(host_key(os.urandom(32)))
    async with near.listen():
        with pytest.raises(NoUsableAddressError):
            await near.dial(relay_id, [Multiaddr("/dns4/localhost/tcp/1")])
        with pytest.raises(NoUsableAddressError):
            await near.dial(relay_id, [])
        with pytest.raises(ConnectFailedError):
            await near.dial(relay_id, [Multiaddr("/ip4/127.0.0.1/tcp/1")])


async def test_an_address_that_is_not_ours_is_no_source() -> None:
    near, far = make_links(HostOptions(source_address="192.0.2.1")), make_links()
    async with far.listen([LOOPBACK]), near.listen():
        with pytest.raises(ConnectFailedError):
            await near.dial(far.host.relay_id, far.addresses)


async def test_a_silent_relay_costs_the_dial_timeout_and_no_more(monkeypatch) -> None:
    monkeypatch.setattr(links_module, "DIAL_TIMEOUT_S", 0.2)
    near = make_links()
    relay_id = relay_id_of_key(host_key(os.urandom(32)))
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    async with near.listen():
        with trio.fail_after(PATIENCE_S), pytest.raises(DialTimeoutError):
            await near.dial(relay_id, [Multiaddr(f"/ip4/127.0.0.1/tcp/{port}")])
    await listener.aclose()


@pytest.mark.parametrize("junk", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 500, b""])
async def test_a_listener_that_talks_nonsense_is_named(junk: bytes) -> None:
    near = make_links()
    relay_id = relay_id_of_key(host_key(os.urandom(32)))

    async def talk(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):  # the dialler may be gone already
            await stream.send_all(junk)
            await stream.send_eof()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, talk, 0)
        port = listeners[0].socket.getsockname()[1]
        async with near.listen():
            with trio.fail_after(PATIENCE_S), pytest.raises(HandshakeFailedError):
                await near.dial(relay_id, [Multiaddr(f"/ip4/127.0.0.1/tcp/{port}")])
        nursery.cancel_scope.cancel()


async def test_a_host_without_links_refuses() -> None:
    near, stock = make_links(), stock_host()
    async with running_stock(stock, listen=True), near.listen():
        relay_id = stock.get_id().to_bytes()[-32:]
        with pytest.raises(ProtocolRefusedError):
            await near.dial(relay_id, stock.get_addrs())


async def test_connections_leave_from_the_source_address() -> None:
    near, far = make_links(HostOptions(source_address="127.5.0.1")), make_links()
    seen = Recorder(far)
    async with far.listen([LOOPBACK]), near.listen():
        await near.dial(far.host.relay_id, far.addresses)
        await seen.until(lambda: len(seen.inbound) == 1)
        [connection] = far.host.swarm.get_connections()
        assert connection.muxed_conn.get_remote_address()[0] == "127.5.0.1"


async def test_both_sides_learn_that_a_link_has_ended() -> None:
    near, far = make_links(), make_links()
    near_seen, far_seen = Recorder(near), Recorder(far)
    async with far.listen([LOOPBACK]), near.listen():
        link = await near.dial(far.host.relay_id, far.addresses)
        await far_seen.until(lambda: len(far_seen.inbound) == 1)
        near.close(link)
        await near_seen.until(lambda: len(near_seen.closed) == 1)
        await far_seen.until(lambda: len(far_seen.closed) == 1)
        assert link.closed
        assert far_seen.closed[0][0].closed
        near.close(link)
        other = await near.dial(far.host.relay_id, far.addresses)
        assert other is not link
    assert len(near_seen.closed) == len(far_seen.closed) == 2


async def test_links_are_ticked() -> None:
    near, far = make_links(), make_links()
    async with far.listen([LOOPBACK]), near.listen():
        link = await near.dial(far.host.relay_id, far.addresses)
        await link.until(lambda: link.ticks >= 2)


async def test_the_turn_hook_runs_after_the_bytes_and_before_the_answer() -> None:
    near, far = make_links(), make_links()
    seen = Recorder(far)
    async with far.listen([LOOPBACK]), near.listen():
        link = await near.dial(far.host.relay_id, far.addresses)
        await seen.until(lambda: len(seen.inbound) == 1)
        other = seen.inbound[0][0]

        def answer(_now: float) -> None:
            if other.received:
                data, other.received = bytes(other.received), bytearray()
                other.send(data[::-1])

        far.add_turn_hook(answer)
        link.send(b"abc")
        await link.until(lambda: link.received == b"cba")


async def test_statistics_count_bytes() -> None:
    near, far = make_links(), make_links(echo=True)
    async with far.listen([LOOPBACK]), near.listen():
        link = await near.dial(far.host.relay_id, far.addresses)
        link.send(bytes(100_000))
        await link.until(lambda: len(link.received) == 100_000)
        [statistics] = near.statistics()
        assert statistics.relay_id == far.host.relay_id
        assert statistics.dialer
        assert 100_000 < statistics.bytes_in < 120_000
        assert 100_000 < statistics.bytes_out < 120_000


async def test_an_address_in_use_is_named() -> None:
    first, second = make_links(), make_links()
    async with first.listen([LOOPBACK]):
        with pytest.raises(ListenError):
            async with second.listen(first.addresses):
                pass
        with pytest.raises(ListenError):
            async with make_links().listen([Multiaddr("/dns4/localhost/tcp/0")]):
                pass


async def ask(near: P2PLinks, far: P2PLinks, question: bytes, limit: int = 10_000) -> bytes:
    return await near.request(far.host.relay_id, far.addresses, DIRECTORY, question, limit)


async def test_a_question_is_answered_beside_a_link() -> None:
    near, far = make_links(), make_links()
    askers: list[bytes] = []

    async def answer(relay_id: bytes, question: bytes) -> bytes:
        askers.append(relay_id)
        return question * 2

    far.serve(DIRECTORY, answer)
    async with far.listen([LOOPBACK]), near.listen():
        await near.dial(far.host.relay_id, far.addresses)
        assert await ask(near, far, b"what?") == b"what?what?"
        assert await ask(near, far, b"") == b""
        assert askers == [near.host.relay_id] * 2


async def test_answers_and_questions_are_bounded() -> None:
    near, far = make_links(), make_links()

    async def answer(_relay_id: bytes, question: bytes) -> bytes:
        return bytes(10_000)

    far.serve(DIRECTORY, answer, ServeLimits(request_size=100))
    async with far.listen([LOOPBACK]), near.listen():
        assert len(await ask(near, far, b"x" * 100, limit=10_000)) == 10_000
        with pytest.raises(ResponseTooLongError):
            await ask(near, far, b"x", limit=9_999)
        with pytest.raises(RequestFailedError):
            await ask(near, far, b"x" * 101)
        with pytest.raises(ProtocolRefusedError):
            await near.request(far.host.relay_id, far.addresses, "/psp/none/1", b"", 1)


async def test_a_handler_that_fails_costs_one_stream() -> None:
    near, far = make_links(), make_links()

    async def answer(_relay_id: bytes, question: bytes) -> bytes:
        if question == b"fail":
            raise ZeroDivisionError
        return question

    far.serve(DIRECTORY, answer)
    async with far.listen([LOOPBACK]), near.listen():
        with pytest.raises(RequestFailedError):
            await ask(near, far, b"fail")
        assert await ask(near, far, b"live") == b"live"
        assert far.host.counters["ZeroDivisionError"] == 1


async def test_questions_beyond_the_limit_are_refused_at_once() -> None:
    near, far = make_links(), make_links()
    busy, finish = trio.Event(), trio.Event()

    async def answer(_relay_id: bytes, question: bytes) -> bytes:
        busy.set()
        await finish.wait()
        return question

    far.serve(DIRECTORY, answer, ServeLimits(concurrent=1))
    async with far.listen([LOOPBACK]), near.listen():
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, near, far, b"first")
                await busy.wait()
                with pytest.raises((ProtocolRefusedError, RequestFailedError)):
                    await ask(near, far, b"second")
                finish.set()
        assert far.host.counters["request_refused"] == 1


def test_the_protocol_id_is_that_of_the_specification() -> None:
    assert LINK_PROTOCOL == "/psp/link/1.0.0"


async def test_a_dial_before_the_host_runs_leaves_nothing_behind() -> None:
    near, far = make_links(), make_links()
    async with far.listen([LOOPBACK]):
        with pytest.raises(ClosedError):
            await near.dial(far.host.relay_id, far.addresses)
        async with near.listen():
            with trio.fail_after(PATIENCE_S):
                assert await near.dial(far.host.relay_id, far.addresses)
