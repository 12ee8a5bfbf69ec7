"""A daemon over real relays and sockets: what its owner asks, and how it ends (SPEC 17)."""

import io
import json
import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import structlog
import trio

from peerstream.node.library.daemon import daemon as daemon_module
from peerstream.node.library.daemon.configuration import Configuration
from peerstream.node.library.daemon.errors import ListenerError
from peerstream.node.library.daemon.logs import configure_logs
from peerstream.node.library.daemon.opening import DaemonSettings, open_daemon
from peerstream.node.library.node import ServiceOffer, Target
from peerstream.node.store import run_folder
from peerstream.node.store.errors import InstanceRunningError
from peerstream.node.store.keystore import KeyFile
from tests.node.library.test_node import node_settings, relays
from tests.node.network.support import PATIENCE_S
from tests.node.roles.people import echo, make_identity

OFF = {"gateway": {"socks": "off", "http": "off"}}


def settings(tmp_path, relay_settings, **flags):
    configuration = Configuration.load(
        None,
        {
            "relay_file": relay_settings[0].static_file,
            "source_address": "127.100.0.1",
            **OFF,
            **flags,
        },
    )
    return DaemonSettings(
        configuration=configuration,
        network=relay_settings[0].network,
        state=tmp_path / "state",
        unlock=lambda: KeyFile(tmp_path / "state" / "keystore.key"),
    )


async def ask(folder, path):
    made = await trio.to_thread.run_sync(run_folder.connect, folder, run_folder.API_SOCKET)
    async with trio.SocketStream(trio.socket.from_stdlib_socket(made)) as stream:
        await stream.send_all(
            f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode()
        )
        data = b""
        while piece := await stream.receive_some():
            data += piece
    return data.partition(b"\r\n\r\n")[2]


@asynccontextmanager
async def callee(tmp_path, relay_settings, handler):
    """A node that answers, and its target."""
    from peerstream.node.library.node import open_node  # noqa: PLC0415 - libp2p

    identity = make_identity("callee", relay_settings[0].network.network_id, int(time.time()))
    async with open_node(node_settings(tmp_path, relay_settings, "callee", 101), identity) as node:
        await node.offer("echo", ServiceOffer(handler, anonymous=True))
        yield Target.of_card(identity.card)


async def test_a_daemon_lives_drains_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(daemon_module, "DRAIN_S", 1.0)
    folder = tmp_path / "state" / "run"
    with trio.fail_after(5 * PATIENCE_S):
        async with AsyncExitStack() as stack:
            relay_settings, _ = await stack.enter_async_context(relays(tmp_path, 7))
            target = await stack.enter_async_context(callee(tmp_path, relay_settings, echo))
            wanted = settings(tmp_path, relay_settings, api={"tcp": "127.0.0.1:0"})
            async with open_daemon(wanted) as daemon:
                with pytest.raises(InstanceRunningError):
                    async with open_daemon(wanted):
                        pass
                assert daemon.ready
                status = json.loads(await ask(folder, "/v1/status"))
                assert (status["relays"], status["account"], status["sessions"]) == (7, None, 0)
                names = {path.name for path in folder.iterdir()}
                assert names == {"api.sock", "api.token", "stream.sock"}
                assert (folder / "api.token").stat().st_mode & 0o777 == 0o600

                stream = await daemon.node.connect(target, "echo", anonymous=True)
                await stream.send(b"hello")
                assert await stream.receive() == b"hello"
                (session,) = json.loads(await ask(folder, "/v1/circuits"))["sessions"]
                assert (session["sent"], session["received"], session["streams"]) == (5, 5, 1)
                assert len(session["ways"][0]) == 3
                assert session["round_trip_ms"] > 0
                assert "psp_streams 1.0" in (await ask(folder, "/metrics")).decode()

                await daemon.drain()  # the stream does not end by itself
                assert not daemon.ready
                assert json.loads(await ask(folder, "/readyz"))["status"] == 503
                assert json.loads(await ask(folder, "/v1/status"))["draining"] is True
            assert list(folder.iterdir()) == []


async def test_the_self_test_of_a_node_that_is_well(tmp_path):
    with trio.fail_after(5 * PATIENCE_S):
        async with AsyncExitStack() as stack:
            relay_settings, _ = await stack.enter_async_context(relays(tmp_path, 7))
            daemon = await stack.enter_async_context(
                open_daemon(settings(tmp_path, relay_settings))
            )
            checks = {check.name: check for check in await daemon.checks()}
            del checks["core dumps"]  # the machine's affair
            assert len(checks) == 6
            assert all(check.ok for check in checks.values()), checks
            (tmp_path / "state" / "lock").chmod(0o644)
            found = {check.name: check for check in await daemon.checks()}["files"]
            assert (found.ok, found.fix) == (False, f"chmod -R go= {tmp_path / 'state'}")


async def test_a_stream_has_its_time_to_end(tmp_path):
    with trio.fail_after(5 * PATIENCE_S):
        async with AsyncExitStack() as stack:
            relay_settings, _ = await stack.enter_async_context(relays(tmp_path, 7))
            target = await stack.enter_async_context(callee(tmp_path, relay_settings, echo))
            async with open_daemon(settings(tmp_path, relay_settings)) as daemon:
                stream = await daemon.node.connect(target, "echo", anonymous=True)
                await stream.send(b"all of it")
                began = trio.current_time()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(daemon.drain)
                    await trio.sleep(0.05)
                    await stream.send_end()
                    assert await stream.receive() == b"all of it"
                    await stream.aclose()
                assert trio.current_time() - began < daemon_module.DRAIN_S


async def test_a_port_that_is_taken_is_found_before_anything_runs(tmp_path):
    with trio.fail_after(5 * PATIENCE_S):
        async with relays(tmp_path, 3) as (relay_settings, _):
            taken = await trio.open_tcp_listeners(0, host="127.0.0.1")
            place = f"127.0.0.1:{taken[0].socket.getsockname()[1]}"
            with pytest.raises(ListenerError):
                async with open_daemon(
                    settings(tmp_path, relay_settings, gateway={"socks": place, "http": "off"})
                ):
                    pass
            await taken[0].aclose()


@pytest.fixture
def log():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_at_info_the_log_of_everything_names_nobody(tmp_path, log):
    """Relays, a caller and a callee in this process, all with one log."""
    with trio.fail_after(5 * PATIENCE_S):
        async with AsyncExitStack() as stack:
            relay_settings, running = await stack.enter_async_context(relays(tmp_path, 7))
            target = await stack.enter_async_context(callee(tmp_path, relay_settings, echo))
            async with open_daemon(settings(tmp_path, relay_settings)) as daemon:
                daemon.jumped()
                stream = await daemon.node.connect(target, "echo", anonymous=True)
                await stream.send(b"a word that nobody else may read")
                await stream.receive()
                await stream.aclose()
                await daemon.drain()
    written = log.getvalue()
    assert '"daemon.ready"' in written
    assert '"daemon.draining"' in written
    forbidden = ["127.", str(target.account), target.identity_key.hex(), "a word", "state"]
    forbidden += [relay.relay_id.hex()[:8] for relay in running]
    forbidden += [str(endpoint) for relay in running for endpoint in relay.endpoints]
    for word in forbidden:
        assert word.lower() not in written.lower()
