"""A daemon exposes local programs, as configured and as it is asked, and finds its own address."""

import os
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace

import pytest
import trio

from peerstream.identity.address import Address
from peerstream.identity.signer import LocalSigner
from peerstream.node.gateway.errors import BadServiceError, ServiceConflictError
from peerstream.node.gateway.service_spec import ServiceSpec
from peerstream.node.http import schemas
from peerstream.node.library.clock import SystemClock
from peerstream.node.library.daemon import checks
from peerstream.node.library.daemon.errors import UnknownServiceError
from peerstream.node.library.daemon.opening import open_daemon
from peerstream.node.library.daemon.services import Services
from peerstream.node.library.identities import NewIdentity, NoIdentityError, make_identity
from peerstream.node.library.node import Target
from peerstream.node.ports import Environment, StreamResetError
from peerstream.node.store.keystore import Keystore
from peerstream.node.store.state import StateDirectory
from tests.node.library.daemon.test_daemon import settings
from tests.node.library.test_node import relays
from tests.node.network.support import PATIENCE_S


def become_somebody(wanted):
    """Make an identity in the daemon's state directory; return its account."""
    signer = LocalSigner(b"\7" * 32)
    with StateDirectory.open(wanted.state) as state:
        unlock = wanted.unlock()
        unlock.make(os.urandom)
        keystore = Keystore.create(state.file("keystore"), unlock, os.urandom)
        identity = NewIdentity(
            network_id=wanted.network.network_id, account=signer.address, listed=False
        )
        return make_identity(keystore, identity, signer, Environment(SystemClock(), os.urandom))


@asynccontextmanager
async def program(nursery):
    """A local program that says hello to each connection; its place."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def greet(stream):
        async with stream:
            await stream.send_all(b"hello")

    nursery.start_soon(trio.serve_listeners, greet, listeners)
    yield f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"


async def test_services_of_the_configuration_and_of_the_owner(tmp_path, nursery):
    with trio.fail_after(6 * PATIENCE_S):
        async with AsyncExitStack() as stack:
            place = await stack.enter_async_context(program(nursery))
            relay_settings, _ = await stack.enter_async_context(relays(tmp_path, 7))
            wanted = settings(tmp_path, relay_settings, service=[{"name": "hi", "target": place}])
            who = become_somebody(wanted)
            daemon = await stack.enter_async_context(open_daemon(wanted))
            assert daemon.status().services == ["hi"]
            assert daemon.status().account == str(who.account)
            assert daemon.card().card == str(who.card)
            target = Target.of_card(who.card)
            stream = await daemon.node.connect(target, "hi")
            assert await stream.receive() == b"hello"
            await stream.aclose()

            await daemon.expose(schemas.Service(name="more", target=place))
            await daemon.expose(
                schemas.Service(name="hi", target=place, allow=[str(Address(bytes(20)))])
            )
            assert daemon.status().services == ["hi", "more"]
            stream = await daemon.node.connect(target, "hi")
            with pytest.raises(StreamResetError, match="DENIED"):
                await stream.receive()
            daemon.withdraw("more")
            for act in (lambda: daemon.withdraw("more"), lambda: daemon.withdraw("ping")):
                with pytest.raises(UnknownServiceError):
                    act()
            own = {check.name: check for check in await daemon.checks()}["own address"]
            assert own.ok, own
            assert "6 hops" in own.found
            for wrong, error in (
                ({"name": "x", "target": "nowhere"}, BadServiceError),
                (
                    {"name": "x", "target": place, "http": True, "proxy_protocol": True},
                    ServiceConflictError,
                ),
            ):
                with pytest.raises(error):
                    await daemon.expose(schemas.Service(**wrong))
            nursery.cancel_scope.cancel()


async def test_nobody_exposes_nothing(tmp_path):
    with trio.fail_after(5 * PATIENCE_S):
        async with AsyncExitStack() as stack:
            relay_settings, _ = await stack.enter_async_context(relays(tmp_path, 4))
            daemon = await stack.enter_async_context(
                open_daemon(settings(tmp_path, relay_settings))
            )
            with pytest.raises(NoIdentityError):
                await daemon.expose(schemas.Service(name="x", target="127.0.0.1:1"))
            with pytest.raises(NoIdentityError):
                daemon.card()


class Unreachable:
    """A node whose record gets nowhere."""

    identity = SimpleNamespace(account=Address(b"\1" * 20))
    services = ()

    async def replace(self, *_):
        await trio.sleep_forever()


async def test_what_cannot_be_reached_yet_is_known(autojump_clock):
    specs = [
        ServiceSpec.of_table({"name": name, "target": "127.0.0.1:1"}) for name in ("web", "ssh")
    ]
    services = Services(Unreachable(), 2, None)
    with trio.move_on_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(services.expose_all, specs)
            await trio.sleep(5)
            assert services.waiting == ["ssh", "web"]
            assert services.listed() == []
            found = checks._services(services.waiting)
            assert [(line.name, line.ok) for line in found] == [("services", False)]
            assert "ssh, web" in found[0].found
    assert checks._services(()) == []


def test_a_file_that_is_replaced_meanwhile_is_no_fault(tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    gone = tmp_path / "guards.new"
    monkeypatch.setattr(type(tmp_path), "iterdir", lambda _: iter([gone]))
    assert checks._look_at_files(tmp_path).ok
