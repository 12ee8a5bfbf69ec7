"""A private network with a chain, all of it processes, and a thread that owns them."""

import os
import signal
import threading
import time

import anyio
import anyio.to_thread
import trio

from peerstream.node.chain.identities import revoke_before
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.lab.network import NetworkOptions, open_network
from peerstream.node.lab.steps import SilentSteps

START_S = 240.0
RELAYS = 14
WATCH_S = 0.7


class LabNetwork:
    def __init__(self, directory):
        self.directory = directory
        self._ready = threading.Event()
        self._failure = self._token = self._scope = self._network = None
        self._thread = threading.Thread(target=self._run, name="lab network")

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(START_S)
        assert self._failure is None, self._failure
        return self

    def __exit__(self, *_error):
        self._token.run_sync_soon(self._scope.cancel)
        self._thread.join()

    def _run(self):
        try:
            trio.run(self._main)
        except BaseException as error:  # noqa: BLE001 - raised where the test waits
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self):
        self._token = trio.lowlevel.current_trio_token()
        options = NetworkOptions(directory=self.directory, relays=RELAYS)
        with trio.CancelScope() as self._scope:
            async with open_network(options, SilentSteps()) as self._network:
                self._ready.set()
                await trio.sleep_forever()

    @property
    def file(self):
        return self._network.rooted.network_file

    async def _do(self, act, *arguments):
        """Run something where the network is, whichever loop we are in."""

        def call():
            return trio.from_thread.run(act, *arguments, trio_token=self._token)

        return await anyio.to_thread.run_sync(call)

    async def kill_a_carrier(self):
        """Kill the relay that forwards most at this moment."""
        await self._do(self._kill_a_carrier)

    async def _kill_a_carrier(self):
        relays = [relay for relay in self._network.relays if relay.process.pid is not None]
        before = [await self._cells(relay) for relay in relays]
        await trio.sleep(WATCH_S)
        rises = [await self._cells(relay) - b for relay, b in zip(relays, before, strict=True)]
        assert max(rises) > 0
        carrier = relays[rises.index(max(rises))]
        self._network.relays.remove(carrier)
        os.kill(carrier.process.pid, signal.SIGKILL)

    @staticmethod
    async def _cells(relay):
        return (await relay.statistics())["cells_relayed"]

    async def revoke(self, wallet_key):
        """Have an account take back all that it signed until now."""
        await self._do(self._revoke, wallet_key)

    async def _revoke(self, wallet_key):
        root = self._network.root
        async with RpcClient(str(root.description["rpc_url"]), own_node=True) as rpc:
            await revoke_before(rpc, root.deployment, wallet_key, int(time.time()))
