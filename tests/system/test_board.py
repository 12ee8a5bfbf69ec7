"""A callee commits to its records on a devnet; a caller refuses what is older."""

import os
import warnings
from dataclasses import replace
from functools import partial

import pytest
import trio

with warnings.catch_warnings():
    # libp2p 0.8.1 imports websockets.legacy, which websockets deprecates; nothing of ours uses it.
    warnings.filterwarnings("ignore", "websockets", DeprecationWarning)
    from peerstream.node.library.node import NodeSettings, ServiceOffer, open_node

from peerstream.identity.blinding import blind_secret
from peerstream.identity.errors import RolledBackError
from peerstream.node.chain.committing import ChainCommitter
from peerstream.node.chain.devnet.accounts import dev_accounts
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.chain.sending import Sender
from peerstream.node.config import load_network
from peerstream.node.lab.bench.parties import identity_of
from peerstream.node.lab.network import NetworkOptions, open_network
from peerstream.node.lab.steps import SilentSteps
from peerstream.node.library.clock import SystemClock
from peerstream.node.ports import Environment
from peerstream.node.protocol.directory.lookup import Sought
from peerstream.node.roles.lookups import Lookups
from peerstream.node.services import ping

RELAYS = 12
PAYER, CALLEE, CALLER = 60, 61, 62  # devnet accounts that no operator has
LIMIT_S = 240  # against hanging
HALF_AN_HOUR = 1_800


def party(network, directory, number, **options):
    """Settings and identity of a devnet account."""
    settings = NodeSettings(network=network, state=directory / str(number), **options)
    environment = Environment(SystemClock(), os.urandom)
    return settings, identity_of({"account": number}, settings, environment)


async def committed(node, sought, period, least=0):
    """Read the chain until this key committed itself to so high a revision."""
    while True:
        await node.parts.keeper.read()
        commitments = node.parts.keeper.snapshot.commitments
        found = commitments.get((sought.blinded(period), period))
        if found is not None and found.revision >= least:
            return found
        await trio.sleep(0.2)


async def test_a_record_that_was_rolled_back_is_refused_on_a_devnet(tmp_path):
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    options = NetworkOptions(directory=run, relays=RELAYS, source="chain", backend="embedded")
    with trio.fail_after(LIMIT_S):
        async with open_network(options, SilentSteps()) as private:
            network = load_network(private.rooted.network_file)
            async with RpcClient(network.rpc[0].url, own_node=True) as rpc:
                await commits_and_refuses(network, tmp_path, rpc)


async def commits_and_refuses(network, directory, rpc):
    payer = Sender(rpc, dev_accounts()[PAYER].secret, network.chain_id)
    committer = ChainCommitter(network.contracts["rendezvous_board"], payer)
    settings, identity = party(network, directory, CALLEE, commit=committer)
    sought = Sought(identity.account, identity.identity_key.public, identity.contact_secret)
    async with (
        open_node(settings, identity) as callee,
        open_node(*party(network, directory, CALLER)) as caller,
        trio.open_nursery() as nursery,
    ):
        offers = {ping.SERVICE: ServiceOffer(ping.answer_pings)}
        await nursery.start(partial(callee.serve, offers, level=2))
        lookups = Lookups(caller.parts)
        found = await lookups.descriptor(sought)
        said = await committed(caller, sought, found.period)
        assert said.revision <= (await lookups.descriptor(sought)).revision
        newer = replace(said, revision=said.revision + HALF_AN_HOUR, digest=bytes(32))
        key = blind_secret(identity.identity_key, found.period, identity.contact_secret)
        await committer(newer, newer.sign(key, network.network_id))
        assert await committed(caller, sought, found.period, newer.revision) == newer
        with pytest.raises(RolledBackError):
            await lookups.descriptor(sought)
        nursery.cancel_scope.cancel()
