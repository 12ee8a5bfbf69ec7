"""The relay set of a chain, as roles take it."""

import json
from dataclasses import replace

import pytest

from peerstream.identity.network import NetworkMode
from peerstream.node.chain.source import ChainSource
from peerstream.node.config import Bootstrap, NetworkParameters
from peerstream.node.ports import SourceError
from peerstream.node.protocol.directory.bundle import decode_entries
from peerstream.node.protocol.directory.directory import Directory
from peerstream.node.protocol.directory.relay_set import registry_view
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.roles.rings import Rings
from tests.node.chain.chains import ACCOUNTS, CONSTANTS, DEVICE, EPOCH_S, KEY, relay_id

FIRST = Bootstrap(relay_id(1), (Endpoint.parse("/ip4/127.2.0.1/tcp/4001"),))


def network_of(chain):
    anchor = chain.anchor()
    contracts = {
        "relay_registry": anchor.relay_registry,
        "identity_registry": anchor.identity_registry,
    }
    values = {name: getattr(CONSTANTS, name) for name in CONSTANTS.constants_json()}
    return NetworkParameters(
        **values,
        mode=NetworkMode.CHAIN,
        chain_id=anchor.chain_id,
        genesis_hash=anchor.genesis_hash,
        contracts=contracts,
        bootstrap=(FIRST,),
    )


def source_of(chain, *handlers):
    found = handlers or (chain.handle, chain.handle)
    clients = [chain.client(handler, f"http://e{n}.example") for n, handler in enumerate(found)]
    return ChainSource(network_of(chain), clients)


async def test_a_directory_and_rings_can_be_made_of_it(populated):
    network = network_of(populated)
    async with source_of(populated) as source:
        snapshot = await source.read(populated.wall)
    directory = Directory(network.directory_rules)
    for view in snapshot.views:
        directory.add_view(view)
    assert len(directory.view(populated.wall)) == 3
    assert snapshot.endpoints == {FIRST.relay_id: FIRST.endpoints}
    assert snapshot.identities.identity_key(ACCOUNTS[20].address) == KEY
    assert snapshot.identities.is_device_revoked(ACCOUNTS[20].address, DEVICE)
    ring = Rings(network).ring(network.period(populated.wall), snapshot)
    assert set(ring.stores(bytes(32), 0)) <= {relay_id(n) for n in (1, 2, 3)}


async def test_what_came_before_the_first_block_is_not_asked_for(populated):
    ranges = []

    def watch(request):
        asked = json.loads(request.content)
        questions = asked if isinstance(asked, list) else [asked]
        logs = [q["params"][0] for q in questions if q["method"] == "eth_getLogs"]
        ranges.extend(int(wanted["fromBlock"], 16) for wanted in logs)
        return populated.handle(request)

    first = populated.deployment.block
    network = replace(network_of(populated), first_block=first)
    clients = [populated.client(watch, f"http://e{n}.example") for n in range(2)]
    async with ChainSource(network, clients) as source:
        snapshot = await source.read(populated.wall)
    assert min(ranges) == first > 0
    assert {view.epoch: len(view) for view in snapshot.views}[populated.wall // EPOCH_S] == 3


async def test_a_first_block_after_the_relays_gives_no_other_set(populated):
    network = replace(network_of(populated), first_block=populated.ledger.head.header.block_number)
    clients = [populated.client(populated.handle, f"http://e{n}.example") for n in range(2)]
    async with ChainSource(network, clients) as source:
        with pytest.raises(SourceError, match="RegistryRootError"):
            await source.read(populated.wall)


async def test_others_can_make_the_same_view_of_its_documents(populated):
    async with source_of(populated) as source:
        snapshot = await source.read(populated.wall)
    epoch = populated.wall // EPOCH_S
    view = next(view for view in snapshot.views if view.epoch == epoch)
    entries = decode_entries(snapshot.documents[epoch])
    network = network_of(populated)
    again = registry_view(epoch, view.root, entries, network_id=network.network_id, epoch_s=EPOCH_S)
    assert again == view


async def test_what_the_chain_refuses_is_a_source_error_and_passes(populated):
    async with source_of(populated) as source:
        with pytest.raises(SourceError, match="StaleEndpointError"):
            await source.read(populated.wall + 10_000)
        assert await source.read(populated.wall)
