"""Programs reach a contact through the daemon's front, until it drains (SPEC 16.3, 17.2)."""

import os
from contextlib import AsyncExitStack

import pytest
import trio

from peerstream.identity.contact import ContactCard
from peerstream.node.library.daemon.opening import open_daemon
from peerstream.node.store.contacts import Contacts
from peerstream.node.store.keystore import Keystore
from peerstream.node.store.state import StateDirectory
from tests.node.gateway.fronts import read
from tests.node.gateway.test_socks import OPEN, by_name
from tests.node.library.daemon.test_daemon import callee, settings
from tests.node.library.test_node import relays
from tests.node.network.support import PATIENCE_S
from tests.node.roles.people import echo


def keep_contact(wanted, target):
    """A keystore without an identity: the daemon calls anonymously, by the cards it has."""
    card = ContactCard(target.account, target.identity_key, target.contact_secret)
    with StateDirectory.open(wanted.state) as state:
        unlock = wanted.unlock()
        unlock.make(os.urandom)
        keystore = Keystore.create(state.file("keystore"), unlock, os.urandom)
        Contacts(keystore).add("alice", card)


async def site(stream):
    """Answer each request of a browser."""
    while await stream.receive():
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


async def test_a_browser_reaches_a_contact_by_its_address(tmp_path):
    with trio.fail_after(5 * PATIENCE_S):
        async with AsyncExitStack() as stack:
            relay_settings, _ = await stack.enter_async_context(relays(tmp_path, 7))
            target = await stack.enter_async_context(callee(tmp_path, relay_settings, site))
            wanted = settings(
                tmp_path, relay_settings, gateway={"socks": "off", "http": "127.0.0.1:0"}
            )
            keep_contact(wanted, target)
            daemon = await stack.enter_async_context(open_daemon(wanted))
            port = int(daemon.status().listeners.http.rpartition(":")[2])
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            host = f"echo-{str(target.account).lower()}.localhost:{port}"
            await stream.send_all(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = b""
            while not answer.endswith(b"hello"):
                answer += await stream.receive_some()
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            await stream.aclose()


async def test_a_program_reaches_a_contact_and_ends_in_its_own_time(tmp_path):
    with trio.fail_after(5 * PATIENCE_S):
        async with AsyncExitStack() as stack:
            relay_settings, _ = await stack.enter_async_context(relays(tmp_path, 7))
            target = await stack.enter_async_context(callee(tmp_path, relay_settings, echo))
            gateway = {"socks": "127.0.0.1:0", "http": "off", "extended_errors": True}
            wanted = settings(tmp_path, relay_settings, gateway=gateway)
            keep_contact(wanted, target)
            daemon = await stack.enter_async_context(open_daemon(wanted))
            place = daemon.status().listeners.socks
            port = int(place.rpartition(":")[2])

            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(OPEN + by_name(b"echo.alice.psp.alt") + b"early")
            assert (await read(stream, 17))[12:] == b"early"
            async with await trio.open_tcp_stream("127.0.0.1", port) as unknown:
                await unknown.send_all(OPEN + by_name(b"mallory.psp.alt"))
                assert (await read(unknown, 4))[2:] == b"\x05\xf6"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(daemon.drain)
                await trio.testing.wait_all_tasks_blocked(0.05)
                with pytest.raises(OSError, match="all attempts to connect"):
                    await trio.open_tcp_stream("127.0.0.1", port)
                await stream.send_all(b"still here")
                assert await read(stream, 10) == b"still here"
                await stream.aclose()
