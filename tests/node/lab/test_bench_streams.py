"""The applications before a real front, over real sockets, as the measurement has them."""

import socket
import threading

import pytest
import trio

from peerstream.node.gateway.carrying import carry
from peerstream.node.gateway.front import FrontSettings, serve_front
from peerstream.node.lab.bench import applications, socks, target
from peerstream.node.lab.bench.errors import NoFreePortsError
from peerstream.node.lab.bench.ports import free_ports
from peerstream.node.lab.bench.socks import Place
from peerstream.node.ports import StreamResetError
from peerstream.node.protocol.wire.status import Status
from tests.node.gateway.fronts import PlayedNode


@pytest.fixture
def target_port():
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=target.serve, args=(stream,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture
async def front(nursery, target_port):
    """The port of a front that leads to the service `there` and to no other."""

    async def forward(stream):
        with trio.socket.socket() as connection:
            await connection.connect(("127.0.0.1", target_port))
            await carry(connection, stream)

    async def dial(destination, options):
        if destination.service != "there":
            raise StreamResetError(Status.NO_SERVICE)
        return await node.dial(destination, options)

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        node = PlayedNode(nursery, forward, capacity=1 << 20)
        await nursery.start(serve_front, listener, dial, FrontSettings())
        yield listener.socket.getsockname()[1]


def place(front, service, isolation):
    return Place(front, f"{service}.alice.psp.alt", isolation)


async def in_thread(act, *arguments):
    return await trio.to_thread.run_sync(act, *arguments)


async def test_dials_and_echoes_are_timed(front):
    stream, seconds = await in_thread(applications.dial, place(front, "there", "one"))
    with stream:
        times = await in_thread(applications.echo, stream, 5)
    assert seconds > 0
    assert len(times) == 5
    assert min(times) > 0


@pytest.mark.parametrize("upload", [False, True])
async def test_flows_move_all_their_blocks(front, upload):
    bulk = applications.Bulk([place(front, "there", f"{n}") for n in range(3)], upload)
    await in_thread(bulk.dial)
    assert await in_thread(bulk.move, 4) == 3 * 4 * target.BLOCK
    assert bulk.failures == []


async def test_many_dials_count_what_failed(front):
    dials = applications.Dials()
    places = [place(front, "there" if n % 3 else "nowhere", f"{n}") for n in range(9)]
    await in_thread(dials.dial_all, places, 4)
    dials.close()
    assert len(dials.seconds) == 6
    assert dials.failures == ["StreamRefusedError: SOCKS: reply 5"] * 3


async def test_a_flow_that_is_refused_is_reported(front, monkeypatch):
    monkeypatch.setattr(applications, "CONNECT_S", 0.0)
    bulk = applications.Bulk(
        [place(front, "nowhere", "a"), place(front, "there", "b")], upload=True
    )
    await in_thread(bulk.dial)
    assert bulk.failures == ["StreamRefusedError: SOCKS: reply 5"]


@pytest.mark.parametrize("answer", [b"\x05\xff", b"\x05\x02\x01\x01", b"HTTP/1.1 400 no\r\n\r\n"])
def test_an_application_refuses_a_front_that_is_none(answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def play():
            stream, _ = listener.accept()
            with stream:
                stream.sendall(answer)
                stream.recv(4_096)

        thread = threading.Thread(target=play, daemon=True)
        thread.start()
        with pytest.raises(OSError, match=r"SOCKS|closed|reset"):
            socks.connect_front(listener.getsockname()[1], "u")
        thread.join()


def test_free_ports_are_free_and_different(monkeypatch):
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()
    with pytest.raises(NoFreePortsError):
        free_ports(20_000)
