"""Junk before and after the handshake: counted, bounded, and the next stranger is served."""

import random
from contextlib import suppress

import pytest
import trio
from libp2p.io.exceptions import ConnectionClosedError

from peerstream.node.network.counters import Counters
from peerstream.node.network.errors import HandshakeFailedError
from peerstream.node.network.gate import AcceptLimits
from peerstream.node.network.shared import MuxerLimits
from peerstream.node.network.yamux_frames import DATA, GO_AWAY, HEADER, PING, SYN, WINDOW_UPDATE
from tests.node.network.attack import ECHO, GREETING, our_host, ours_and_stock, ours_lives
from tests.node.network.support import (
    LOOPBACK,
    PATIENCE_S,
    eventually,
    make_links,
    running_stock,
    stock_host,
)

SEED = 20_261_124
NOISE = b"\x07/noise\n"
AESGCM = b"\x14/psp/noise-aesgcm/1\n"


def raw_handshakes() -> dict[str, bytes]:
    chance = random.Random(SEED)
    cases = {
        "nothing": b"",
        "random": chance.randbytes(1_000),
        "http": b"GET / HTTP/1.1\r\n\r\n",
        "tls": bytes.fromhex("160301") + chance.randbytes(300),
        "endless varint": b"\xff" * 20,
        "huge length": b"\xff\xff\xff\x7f" + b"a" * 5_000,
        "greeting alone": GREETING,
        "greeting and bad text": GREETING + b"\x05\xff\xfe\xff\xfe\n",
        "greeting and newline": GREETING + b"\x01\n",
        "ls": GREETING + b"\x03ls\n",
        "greetings": GREETING * 1_000,
        "searching": GREETING + b"\x04/xy\n" * 20_000,
        "plaintext": GREETING + b"\x11/plaintext/2.0.0\n",
        "zero messages": GREETING + NOISE + b"\0\0" * 10,
        "short message": GREETING + NOISE + b"\x00\x05hello",
        "random keys": GREETING + NOISE + b"\0\x20" + chance.randbytes(32) + b"\0\x40" + bytes(64),
        "low order point": GREETING + NOISE + b"\0\x20" + bytes(32),
        "largest message": GREETING + NOISE + b"\xff\xff" + chance.randbytes(65_535),
        "junk third message": GREETING + AESGCM + b"\0\x20" + chance.randbytes(32) + b"\xff\xff",
    }
    for number in range(30):
        start = GREETING[: chance.randint(0, 20)] + NOISE[: chance.randint(0, 8)]
        cases[f"random {number}"] = start + chance.randbytes(chance.randint(1, 3_000))
    return cases


async def say(port: int, junk: bytes, source: str) -> None:
    """Connect, say it, and wait until the host hangs up or ignores us for its patience."""
    sock = trio.socket.socket()
    with sock, suppress(OSError, trio.BrokenResourceError):
        await sock.bind((source, 0))
        await sock.connect(("127.0.0.1", port))
        stream = trio.SocketStream(sock)
        await stream.send_all(junk)
        while await stream.receive_some(65_536):
            pass


async def test_junk_instead_of_a_handshake(mock_clock) -> None:
    mock_clock.rate = 1
    host = our_host(accept=AcceptLimits(upgrade_timeout_s=5, pending_per_place=100))
    cases = raw_handshakes()
    async with host.run([LOOPBACK]):
        port = int(host.addresses[0].value_for_protocol("tcp"))
        await ours_lives(host)
        await eventually(lambda: not host.transport.gate.open)
        tasks = trio.lowlevel.current_statistics().tasks_living
        mock_clock.rate = 10
        with trio.fail_after(10 * PATIENCE_S):
            async with trio.open_nursery() as nursery:
                for number, junk in enumerate(cases.values()):
                    nursery.start_soon(say, port, junk, f"127.0.1.{number % 4 + 1}")
        mock_clock.rate = 1
        await eventually(lambda: not host.transport.gate.open)
        assert trio.lowlevel.current_statistics().tasks_living <= tasks
        assert host.counters["upgrade_failed"] == len(cases)
        assert host.counters["bug"] == 0
        assert not host.swarm.get_connections()
        await ours_lives(host)


def authenticated_junk() -> dict[str, bytes]:
    chance = random.Random(SEED + 1)
    cases = {
        "bad version": b"\x07" * 12,
        "bad type": HEADER.pack(0, 9, 0, 0, 0),
        "unknown stream": HEADER.pack(0, DATA, 0, 77, 10) + b"a" * 10,
        "second syn": HEADER.pack(0, WINDOW_UPDATE, SYN, 101, 0) * 2,
        "number of ours": HEADER.pack(0, WINDOW_UPDATE, SYN, 2, 0),
        "number zero": HEADER.pack(0, WINDOW_UPDATE, SYN, 0, 0),
        "4 GiB": HEADER.pack(0, DATA, SYN, 101, 0xFFFFFFFF),
        "endless window": HEADER.pack(0, WINDOW_UPDATE, SYN, 101, 0)
        + HEADER.pack(0, WINDOW_UPDATE, 0, 101, 0xFFFFFFFF) * 5,
        "go away": HEADER.pack(0, GO_AWAY, 0, 0, 99),
        "pings": HEADER.pack(0, PING, SYN, 0, 1) * 5_000,
        "new streams": b"".join(
            HEADER.pack(0, WINDOW_UPDATE, SYN, 2 * i + 101, 0) for i in range(5_000)
        ),
        "syn and rst": HEADER.pack(0, WINDOW_UPDATE, 9, 101, 0),
        "syn and fin": HEADER.pack(0, WINDOW_UPDATE, 5, 101, 0),
        "junk on a stream": HEADER.pack(0, DATA, SYN, 101, 500) + chance.randbytes(500),
        "identify": HEADER.pack(0, DATA, SYN, 101, 36) + GREETING + b"\x0f/ipfs/id/1.0.0\n",
    }
    for number in range(12):
        cases[f"random {number}"] = chance.randbytes(chance.randint(1, 3_000))
    for number in range(12):  # plausible headers with random fields
        cases[f"fields {number}"] = b"".join(
            HEADER.pack(0, chance.randint(0, 3), chance.randint(0, 15), chance.randint(0, 9), 0)
            for _ in range(30)
        )
    return cases


@pytest.mark.parametrize("name", list(authenticated_junk()))
async def test_junk_behind_a_handshake(name: str) -> None:
    junk = authenticated_junk()[name]
    async with ours_and_stock() as (host, _client, connection):
        with suppress(ConnectionClosedError):
            for start in range(0, len(junk), 30_000):
                await connection.muxed_conn.secured_conn.write(junk[start : start + 30_000])
        await ours_lives(host)
        assert host.counters["bug"] == 0
        assert host.shared.budget.used == 0


async def test_junk_on_a_link_ends_the_link_alone() -> None:
    far, other = make_links(), make_links(echo=True)
    async with ours_and_stock() as (host, client, _connection):
        del host
        async with far.listen([LOOPBACK]), other.listen([LOOPBACK]):
            await client.get_network().dial_addr(far.addresses[0], far.host.peer_id)
            link = await far.dial(other.host.relay_id, other.addresses)
            stream = await client.new_stream(far.host.peer_id, ["/psp/link/1.0.0"])
            await eventually(lambda: len(far.statistics()) == 2)
            await stream.write(b"anything")
            await stream.reset()
            await eventually(lambda: len(far.statistics()) == 1)
            link.send(b"still here")
            await link.until(lambda: link.received == b"still here")


async def test_connections_from_one_place_are_limited() -> None:
    host = our_host(accept=AcceptLimits(per_place=2, upgrade_timeout_s=5))
    async with host.run([LOOPBACK]):
        clients = [our_host(source_address="127.0.0.7") for _ in range(3)]
        async with clients[0].run(), clients[1].run(), clients[2].run():
            for client in clients[:2]:
                await client.dial(host.relay_id, host.addresses)
            with pytest.raises(Exception, match="handshake"):
                await clients[2].dial(host.relay_id, host.addresses)
            assert host.counters["connection_refused"] == 1
            await ours_lives(host)


async def test_a_newcomer_gets_in_while_other_places_flood(mock_clock) -> None:
    mock_clock.rate = 1
    host = our_host(accept=AcceptLimits(upgrade_timeout_s=5))
    begun = GREETING + AESGCM + b"\0\x20" + bytes(16)  # and never the rest of it
    async with host.run([LOOPBACK]), trio.open_nursery() as nursery:
        port = int(host.addresses[0].value_for_protocol("tcp"))

        async def flood(source: str, junk: bytes) -> None:
            while True:
                await say(port, junk, source)
                await trio.sleep(0.05)

        for number in range(128):
            junk = (b"", begun, b"junk" * 100)[number % 3]
            nursery.start_soon(flood, f"127.0.4.{number % 4 + 1}", junk)
        await eventually(lambda: host.counters["connection_refused"] > 200)
        newcomer = our_host(source_address="127.0.5.1")
        async with newcomer.run():
            await newcomer.dial(host.relay_id, host.addresses)
        assert host.counters["bug"] == 0
        nursery.cancel_scope.cancel()


async def test_a_cause_is_logged_once_and_names_nobody(capsys, caplog) -> None:
    host = our_host(accept=AcceptLimits(upgrade_timeout_s=0.3))
    async with host.run([LOOPBACK]):
        port = int(host.addresses[0].value_for_protocol("tcp"))
        for _ in range(3):
            await say(port, b"secret words 127.0.3.1", "127.0.3.1")
        await eventually(lambda: host.counters["upgrade_failed"] == 3)
    assert not [record for record in caplog.records if record.name.startswith("libp2p")]
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "upgrade_failed" in line]) == 1
    assert not any("127.0" in line or "secret" in line for line in lines)
    assert "127.0" not in str(host.counters.snapshot())


def test_a_bug_is_counted_and_logged_each_time(capsys) -> None:
    counters = Counters()
    for _ in range(2):
        counters.count_bug(ZeroDivisionError("text of a stranger"))
    assert counters.snapshot() == {"bug": 2}
    assert capsys.readouterr().out.count("network.bug") == 2


async def test_unread_bytes_are_bounded_over_all_connections() -> None:
    limits = MuxerLimits(buffered=300_000)
    host, client = our_host(muxer=limits), stock_host()

    async def silent(_stream) -> None:
        await trio.sleep_forever()

    host.set_handler("/silent/1", silent)
    async with host.run([LOOPBACK]), running_stock(client):
        connection = await client.get_network().dial_addr(host.addresses[0], host.peer_id)
        with suppress(ConnectionClosedError):
            for number in range(8):
                proposal = GREETING + b"\x0a/silent/1\n"
                opening = HEADER.pack(0, DATA, SYN, 101 + 2 * number, len(proposal)) + proposal
                body = HEADER.pack(0, DATA, 0, 101 + 2 * number, 60_000) + bytes(60_000)
                await connection.muxed_conn.secured_conn.write(opening)
                await connection.muxed_conn.secured_conn.write(body)
        await eventually(lambda: host.counters["FloodError"] == 1)
        await eventually(lambda: host.shared.budget.used == 0)
        await ours_lives(host)


async def test_what_libp2p_lets_out_of_a_new_stream_is_named_and_counted() -> None:
    class Connection:
        async def new_stream(self) -> None:
            raise ValueError("what a stranger sent")

    host = our_host()
    with pytest.raises(HandshakeFailedError):
        await host.open_stream(Connection(), ECHO)
    assert host.counters["ValueError"] == 1
