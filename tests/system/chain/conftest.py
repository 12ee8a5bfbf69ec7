"""One devnet for each backend and module, twelve relays registered in its past."""

from functools import partial

import pytest
import trio

from peerstream.node.chain.devnet import Devnet
from peerstream.node.chain.registration import register_relays
from tests.node.chain.chains import registration

BACKENDS = ("embedded", "anvil", "hardhat")
RELAYS = range(1, 13)


@pytest.fixture(scope="module", params=BACKENDS)
def devnet(request) -> Devnet:
    found = trio.run(partial(Devnet.start, backend=request.param, past=True))
    try:
        trio.run(_populate, found)
        yield found
    finally:
        trio.run(found.stop)


async def _populate(devnet: Devnet) -> None:
    async with devnet.client() as rpc:
        relays = [registration(devnet, number) for number in RELAYS]
        await register_relays(rpc, devnet.deployment, relays)
    await devnet.catch_up()


@pytest.fixture
async def rpc(devnet):
    async with devnet.client() as client:
        yield client
