"""Exposed services: bytes, ends and breaks both ways, who may call, what is logged."""

import json
import os
import socket
import stat
import struct

import pytest
import trio
import trio.lowlevel

from peerstream.node.gateway import datagrams_out, exposing
from peerstream.node.gateway.access_log import FileLog
from peerstream.node.gateway.errors import AccessLogError
from peerstream.node.ports import SessionEndedError, StreamResetError
from peerstream.node.protocol.wire.status import Status
from tests.node.gateway.local import (
    PATIENCE_S,
    Lines,
    called,
    exposed,
    free_port,
    program,
    read_all,
)
from tests.node.services.memory_streams import CALLEE, CALLER, memory_stream_pair

BODY = bytes(range(256)) * 1_000


async def echo(local):
    async with local:
        async for data in local:
            await local.send_all(data)
        await local.send_eof()


async def idle(service):
    while service.open:  # noqa: ASYNC110 - nobody tells when a handler is through
        await trio.sleep(0.01)


async def status_of(stream):
    with pytest.raises(StreamResetError) as reset:
        await stream.receive()
    return reset.value.status


async def test_bytes_and_ends_go_both_ways():
    log = Lines()
    async with program(echo) as port:
        service = exposed(f"127.0.0.1:{port}", log=log)
        async with called(service) as (ours, theirs):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ours.send, BODY)
                got = b""
                while len(got) < len(BODY):
                    got += await ours.receive()
            assert theirs.taken
            await ours.send_end()
            assert await read_all(ours) == b""
            assert got == BODY
            await idle(service)
    assert service.outcomes == {"ended": 1}
    [line] = log.lines
    assert (line["caller"], line["outcome"]) == (str(CALLER), "ended")
    assert (line["received"], line["sent"]) == (len(BODY), len(BODY))


async def test_each_half_ends_by_itself():
    async def first_the_end(local):
        await local.send_eof()
        heard.append([data async for data in local])
        await local.aclose()

    heard = []
    async with program(first_the_end) as port, called(exposed(port)) as (ours, _):
        assert await ours.receive() == b""  # its half is over, ours goes on
        await ours.send(b"still there?")
        await ours.send_end()
        while not heard:
            await trio.lowlevel.checkpoint()
    assert b"".join(heard[0]) == b"still there?"


async def test_a_dead_port_is_told_before_the_stream_is_taken():
    log = Lines()
    service = exposed(free_port(), log=log)
    async with called(service) as (ours, theirs):
        assert await status_of(ours) is Status.CONNECT
        assert not theirs.taken
    assert service.outcomes == {"refused": 1}
    assert [line["outcome"] for line in log.lines] == ["refused"]


async def test_localhost_is_both_families_and_nothing_is_looked_up():
    service = exposed(f"localhost:{free_port()}")
    async with called(service) as (ours, _):
        assert await status_of(ours) is Status.CONNECT
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="::1")
        nursery.start_soon(trio.serve_listeners, echo, listeners)
        port = listeners[0].socket.getsockname()[1]
        async with called(exposed(f"localhost:{port}")) as (ours, _):
            await ours.send(b"six")
            assert await ours.receive() == b"six"
        nursery.cancel_scope.cancel()


async def test_a_unix_socket(tmp_path):
    with trio.socket.socket(socket.AF_UNIX) as listening:
        await listening.bind(str(tmp_path / "x.sock"))
        listening.listen()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, echo, [trio.SocketListener(listening)])
            async with called(exposed(f"unix:{tmp_path}/x.sock")) as (ours, _):
                await ours.send(b"by path")
                assert await ours.receive() == b"by path"
            nursery.cancel_scope.cancel()
    async with called(exposed(f"unix:{tmp_path}/none.sock")) as (ours, _):
        assert await status_of(ours) is Status.CONNECT


async def test_a_program_that_resets_resets_the_stream():
    async def reset(local):
        await local.receive_some()
        local.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        local.socket.close()

    log = Lines()
    async with program(reset) as port:
        service = exposed(port, log=log)
        async with called(service) as (ours, _):
            await ours.send(b"x")
            assert await status_of(ours) is Status.CLOSED
    assert [line["outcome"] for line in log.lines] == ["reset"]


@pytest.mark.parametrize("how", ["reset", "end_session"])
async def test_a_caller_that_breaks_off_resets_the_program(how):
    broken = trio.Event()

    async def listen(local):
        await local.send_all(await local.receive_some())
        with pytest.raises(trio.BrokenResourceError):
            await local.receive_some()
        broken.set()

    async with program(listen) as port, called(exposed(port)) as (ours, _):
        await ours.send(b"x")
        assert await ours.receive() == b"x"
        getattr(ours, how)()
        await broken.wait()


@pytest.mark.parametrize(
    ("allow", "caller", "status"),
    [
        ([str(CALLEE)], CALLER, Status.DENIED),
        (["contacts"], CALLER, Status.DENIED),
        ([], None, Status.DENIED),
    ],
)
async def test_whoever_is_not_allowed_reaches_no_program(allow, caller, status):
    reached = []

    async def note(local):
        reached.append(local)

    log = Lines()
    async with program(note) as port:
        service = exposed(port, allow=allow, contacts={CALLEE}, log=log)
        async with called(service, caller=caller) as (ours, theirs):
            assert await status_of(ours) is status
            assert not theirs.taken
    assert reached == []
    assert service.outcomes == {"denied": 1}
    assert [line["caller"] for line in log.lines] == [None if caller is None else str(caller)]
    assert service.offer().anonymous is False


async def test_anyone_may_call_where_the_user_says_so():
    async with program(echo) as port:
        service = exposed(port, allow="anyone")
        assert service.offer().anonymous is True
        async with called(service, caller=None) as (ours, _):
            await ours.send(b"nobody")
            assert await ours.receive() == b"nobody"


async def test_streams_are_bounded(monkeypatch):
    monkeypatch.setattr(exposing, "STREAMS_MAX", 1)
    async with program(echo) as port:
        service = exposed(port)
        async with called(service) as (first, _):
            await first.send(b"1")
            assert await first.receive() == b"1"
            async with called(service) as (second, _):
                assert await status_of(second) is Status.BUSY


async def test_datagrams_go_there_and_back():
    with trio.socket.socket(type=socket.SOCK_DGRAM) as server:
        await server.bind(("127.0.0.1", 0))
        service = exposed(f"udp:127.0.0.1:{server.getsockname()[1]}", log=(log := Lines()))
        async with called(service) as (ours, _):
            for text in (b"", b"one", b"two"):
                await ours.send_datagram(text)
                data, place = await server.recvfrom(2_000)
                assert data == text
                await server.sendto(text.upper(), place)
                assert await ours.receive_datagram() == text.upper()
            await ours.send_end()
            await idle(service)
    assert [line["outcome"] for line in log.lines] == ["ended"]


async def test_datagrams_for_nobody_are_lost_and_an_idle_stream_ends(autojump_clock):
    service = exposed(f"udp:127.0.0.1:{free_port()}")
    async with called(service, patience_s=10 * datagrams_out.IDLE_S) as (ours, _):
        began = trio.current_time()
        for _ in range(3):
            await ours.send_datagram(b"x")
            await trio.sleep(1)
        await idle(service)
    assert trio.current_time() - began == pytest.approx(datagrams_out.IDLE_S + 2, abs=1.5)


async def test_a_session_that_ends_ends_its_datagrams():
    with trio.socket.socket(type=socket.SOCK_DGRAM) as server:
        await server.bind(("127.0.0.1", 0))
        service = exposed(f"udp:127.0.0.1:{server.getsockname()[1]}")
        ours, theirs = memory_stream_pair()
        ours.end_session()
        with trio.fail_after(PATIENCE_S), pytest.raises(SessionEndedError):
            await service.handle(theirs)
    assert service.outcomes == {"reset": 1}


async def test_an_access_log_is_ours_alone_and_one_object_a_line(tmp_path):
    path = tmp_path / "access.jsonl"
    log = FileLog.open(path, lambda: 1_700_000_000.1234)
    async with program(echo) as port:
        service = exposed(port, log=log, allow="anyone")
        for caller in (CALLER, None):
            async with called(service, caller=caller) as (ours, _):
                await ours.send(b"line\n")
                await ours.receive()
                await ours.send_end()
                await read_all(ours)
                await idle(service)
    log.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["caller"] for line in lines] == [str(CALLER), None]
    assert lines[0] == {
        "at": 1_700_000_000.123,
        "service": "web",
        "caller": str(CALLER),
        "level": "anonymous",
        "outcome": "ended",
        "seconds": lines[0]["seconds"],
        "received": 5,
        "sent": 5,
    }


async def test_a_log_that_cannot_be_written_ends_nothing(tmp_path):
    log = FileLog(os.open("/dev/full", os.O_WRONLY), lambda: 0.0)
    async with program(echo) as port, called(exposed(port, log=log)) as (ours, _):
        await ours.send_end()
        assert await read_all(ours) == b""
        while not log.lost:
            await trio.lowlevel.checkpoint()
    log.close()
    assert log.lost == 1
    with pytest.raises(AccessLogError):
        FileLog.open(tmp_path)
