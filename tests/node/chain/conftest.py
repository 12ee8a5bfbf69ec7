"""One deployed chain for all tests; each takes back what it did."""

import pytest
import trio

from peerstream.node.chain.identities import revoke_device, set_identity
from peerstream.node.chain.registration import register_relays
from tests.node.chain.chains import (
    ACCOUNTS,
    DEVICE,
    EPOCH_S,
    KEY,
    Chain,
    deployed_chain,
    registration,
)


@pytest.fixture(scope="session")
def shared_chain() -> Chain:
    return deployed_chain()


@pytest.fixture
def chain(shared_chain: Chain):
    with shared_chain.undone() as chain:
        yield chain


@pytest.fixture
async def rpc(chain: Chain):
    async with chain.client() as client:
        yield client


@pytest.fixture(scope="session")
def shared_populated() -> Chain:
    """Three relays in force for an epoch; an account with a key that revoked a device."""
    chain = deployed_chain()
    trio.run(_populate, chain)
    return chain


@pytest.fixture
def populated(shared_populated: Chain):
    with shared_populated.undone() as chain:
        yield chain


@pytest.fixture
async def populated_rpc(populated: Chain):
    async with populated.client() as client:
        yield client


async def _populate(chain: Chain) -> None:
    rpc, deployment = chain.client(), chain.deployment
    await register_relays(rpc, deployment, [registration(chain, n) for n in (1, 2, 3)])
    await set_identity(rpc, deployment, ACCOUNTS[20].secret, KEY)
    await revoke_device(rpc, deployment, ACCOUNTS[20].secret, DEVICE)
    chain.advance(3 * EPOCH_S)
