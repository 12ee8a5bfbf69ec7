"""A devnet as a process of its own; what is left behind is in tests/system/chain."""

import time

from peerstream.node.chain.devnet import Devnet, dev_accounts
from peerstream.node.chain.endpoints import Endpoints
from peerstream.node.chain.reader import read_registry
from peerstream.node.chain.registration import register_relays
from tests.node.chain.chains import EPOCH_S, registration, relay_id


async def test_relays_that_were_registered_in_the_past_count_at_once():
    async with await Devnet.start(backend="embedded", past=True) as devnet:
        async with devnet.client() as rpc:
            relays = [registration(devnet, number) for number in range(1, 13)]
            await register_relays(rpc, devnet.deployment, relays)
            await devnet.catch_up()
            wall = int(time.time())
            snapshot = await read_registry(Endpoints.of([rpc]), devnet.deployment.anchor(), wall)
        assert snapshot.block.timestamp <= wall
        (view,) = [view for view in snapshot.views if view.epoch == wall // EPOCH_S]
        assert {entry.relay_id for entry in view} == {relay_id(n) for n in range(1, 13)}
        assert devnet.backend == "embedded"
        assert devnet.pid == devnet._process.pid
        assert devnet.accounts == dev_accounts()
    assert devnet._process.returncode == 0
    await devnet.stop()
