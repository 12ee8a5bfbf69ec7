"""Twenty steps of one program, three ways: a node under trio, one under asyncio, two daemons.

The network is real: a chain with its contracts, fourteen relays, each a process. One of them dies.
"""

import hashlib
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest

import peerstream
from peerstream.identity.signer import LocalSigner
from peerstream.node.chain.devnet.accounts import dev_accounts
from peerstream.node.lab.places import CALLEE, CALLER
from tests.system.python.daemons import daemon

LIMIT_S = 900.0
LARGE = bytes(range(256)) * 60_000  # 15 MB
PLACES = {"callee": CALLEE, "caller": CALLER}


class Wallet:
    """A wallet of the devnet that counts what it is asked to sign."""

    def __init__(self, number):
        self._account = dev_accounts()[number]
        self._signer = LocalSigner(self._account.secret)
        self.secret = self._account.secret
        self.address = self._account.address
        self.signed = []

    def sign_typed_data(self, typed):
        self.signed.append(typed)
        return self._signer.sign_typed_data(typed)


@asynccontextmanager
async def embedded(network, state, name):
    async with AsyncExitStack() as stack:
        while True:
            node = peerstream.Node(network.file, state, source_address=PLACES[name])
            try:
                await stack.enter_async_context(node)
            except peerstream.UnreachableError:
                await anyio.sleep(1)  # as its remedy says: relays are slow on a busy machine
            else:
                break
        yield node


def through_daemon(network, state, name):
    return daemon(network.file, state, PLACES[name])


WAYS = {
    "trio": ("trio", embedded, (-1, -2)),
    "asyncio": ("asyncio", embedded, (-3, -4)),
    "daemon": ("asyncio", through_daemon, (-5, -6)),
}


@pytest.mark.parametrize("way", WAYS)
def test_twenty_steps(network, tmp_path, way):
    backend, opened, accounts = WAYS[way]
    wallets = dict(zip(("callee", "caller"), map(Wallet, accounts), strict=True))
    states = {name: tmp_path / name for name in wallets}
    anyio.run(Script(network, opened, wallets, states).run, backend=backend)


class Script:
    def __init__(self, network, opened, wallets, states):
        self.network, self.opened = network, opened
        self.wallets, self.states = wallets, states
        self.steps = []
        self.heard = []
        self.callee = self.caller = None
        self.target = str(wallets["callee"].address)

    def step(self, name):
        self.steps.append(name)

    async def run(self):
        with anyio.fail_after(LIMIT_S):
            self.make_identities()
            async with (
                self.opened(self.network, self.states["callee"], "callee") as self.callee,
                self.opened(self.network, self.states["caller"], "caller") as self.caller,
                anyio.create_task_group() as self.tasks,
            ):
                await self.expose()
                await self.talk()
                await self.talk_apart()
                await self.survive()
                await self.change()
                self.tasks.cancel_scope.cancel()
        self.step("close")
        with pytest.raises(anyio.ClosedResourceError):
            await self.caller.connect(self.target, "echo")
        assert len(set(self.steps)) == 20, self.steps

    async def dial(self, *whom, **how):
        """Dial, again where nobody answered: what a program does about what is retryable."""
        while True:
            try:
                return await self.caller.connect(*whom, **how)
            except peerstream.UnreachableError:
                await anyio.sleep(1)

    def make_identities(self):
        self.step("make identity")
        for name, wallet in self.wallets.items():
            card = peerstream.create_identity(
                wallet, self.network.file, self.states[name], listed=True
            )
            assert card.startswith(f"psp:{wallet.address}?k=")
        with pytest.raises(peerstream.IdentityNeededError):
            peerstream.create_identity(wallet, self.network.file, self.states[name])
        self.step("delegate")
        assert [len(wallet.signed) for wallet in self.wallets.values()] == [1, 1]

    async def expose(self):
        self.step("listen")
        await self.serve("echo", self.echo, anonymous=True)
        await self.serve("early", self.echo, early_data=True)
        await self.serve("hash", self.hash)
        await self.serve("gone", self.echo)

    async def serve(self, service, handler, **how):
        listener = await self.callee.listen(service, **how)
        assert listener.address == self.target
        self.tasks.start_soon(listener.serve, handler)
        return listener

    async def echo(self, stream):
        self.heard.append((stream.service, stream.peer.address, stream.peer.level))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.echo_datagrams, stream)
            async for data in stream:
                await stream.send(data)
            tasks.cancel_scope.cancel()
        await stream.send_eof()

    async def echo_datagrams(self, stream):
        try:
            while True:
                await stream.send_datagram(await stream.receive_datagram(), 30.0)
        except (anyio.EndOfStream, peerstream.StreamBrokenError):
            return

    async def hash(self, stream):
        got = hashlib.sha256()
        async for data in stream:
            got.update(data)
        await stream.send(got.digest())

    async def talk(self):
        self.step("dial")
        stream = await self.dial(self.target, "echo")
        assert (stream.peer.address, stream.peer.level, stream.peer.hops) == (self.target, 2, 6)
        self.step("send")
        await stream.send(b"hello")
        assert await stream.receive() == b"hello"
        assert self.heard[0] == ("echo", str(self.wallets["caller"].address), 2)
        self.step("datagram")
        for _ in range(20):  # they may be lost
            assert await stream.send_datagram(b"ping", 30.0)
            with anyio.move_on_after(10):
                assert await stream.receive_datagram() == b"ping"
                break
        else:
            raise AssertionError("no datagram came back")
        self.step("second stream")
        async with await self.dial(f"echo.{self.target.lower()}.psp.alt") as second:
            await second.send(b"second")
            assert await second.receive() == b"second"
        self.step("half-close")
        await stream.send(b"last")
        await stream.send_eof()
        assert await stream.receive() == b"last"
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        await stream.aclose()

    async def talk_apart(self):
        self.step("isolation")
        async with await self.dial(self.target, "echo", isolation=b"tab") as stream:
            await stream.send(b"apart")
            assert await stream.receive() == b"apart"
        self.step("anonymous dial")
        async with await self.dial(self.target, "echo", anonymous=True) as stream:
            await stream.send(b"who?")
            assert await stream.receive() == b"who?"
        assert self.heard[-1] == ("echo", None, 2)
        self.step("refused service")
        for service, how, status in (
            ("nothing", {}, peerstream.Status.NO_SERVICE),
            ("hash", {"anonymous": True}, peerstream.Status.AUTH_REQUIRED),
        ):
            with pytest.raises(peerstream.RefusedError) as refused:
                await self.dial(self.target, service, **how)
            assert refused.value.status is status
            assert refused.value.remedy
        self.step("reset")
        stream = await self.dial(self.target, "echo")
        await stream.send(b"x")
        assert await stream.receive() == b"x"
        stream.reset()
        with pytest.raises(anyio.ClosedResourceError):
            await stream.receive()
        self.step("early data")
        early = {"early": b"GET / ", "isolation": b"early"}
        async with await self.dial(self.target, "early", **early) as stream:
            await stream.send(b"HTTP/1.1")
            await stream.send_eof()
            assert b"".join([data async for data in stream]) == b"GET / HTTP/1.1"

    async def survive(self):
        self.step("large transfer with hash")
        async with await self.dial(self.target, "hash") as stream:
            await stream.send(LARGE)
            await stream.send_eof()
            assert await stream.receive() == hashlib.sha256(LARGE).digest()
        self.step("resume after a relay dies")
        async with await self.dial(self.target, "hash") as stream:
            sent = hashlib.sha256()
            killed = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.kill, killed)
                behind = 0
                while behind < 60:
                    piece = bytes([behind]) * 16_000
                    await stream.send(piece)
                    sent.update(piece)
                    behind += killed.is_set()
                    await anyio.sleep(0.02)
            await stream.send_eof()
            assert await stream.receive() == sent.digest()

    async def kill(self, killed):
        await self.network.kill_a_carrier()
        killed.set()

    async def dial_private(self, service):
        """Dial at level 1; stores that hand the new record on meanwhile may show the one before."""
        for isolation in range(40):
            s = await self.dial(self.target, service, level=1, isolation=bytes([isolation]))
            if s.peer.level == 1:
                return s
            await s.aclose()
            await anyio.sleep(0.5)
        raise AssertionError("the record of level 1 reached no store that was asked")

    async def change(self):
        self.step("level 1")
        await self.serve("video", self.echo, level=1)
        async with await self.dial_private("video") as s:
            assert (s.peer.level, s.peer.hops) == (1, 3)
            await s.send(b"frame")
            assert await s.receive() == b"frame"
        self.step("withdraw")
        listener = await self.serve("again", self.echo)
        await listener.aclose()
        with pytest.raises(peerstream.RefusedError):
            await self.dial(self.target, "again")
        self.step("reconnect")
        await self.serve("again", self.echo)
        async with await self.dial(self.target, "again") as stream:
            await stream.send(b"back")
            assert await stream.receive() == b"back"
        self.step("revoke")
        await self.network.revoke(self.wallets["caller"].secret)
        with pytest.raises(peerstream.RefusedError) as refused:
            await self.dial_until_refused()
        assert refused.value.status is peerstream.Status.REVOKED

    async def dial_until_refused(self):
        for number in range(600):
            isolation = b"revoked %d" % number
            async with await self.dial(self.target, "echo", isolation=isolation):
                await anyio.sleep(1)  # until the callee reads the chain again
