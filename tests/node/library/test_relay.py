"""Relays as processes run them, three in one: over sockets, each with its own disk."""

import json
import os
import socket
import time
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import trio

from peerstream.identity.address import Address
from peerstream.identity.network import NetworkMode
from peerstream.identity.wallet import recover
from peerstream.node.config import Bootstrap
from peerstream.node.library.relay import RelaySettings, open_relay, run_relay
from peerstream.node.library.relay_identity import (
    RelayIdentity,
    init_relay,
    open_keystore,
    read_identity,
)
from peerstream.node.library.sources import NoSourceError
from peerstream.node.library.statistics import read_statistics, write_statistics
from peerstream.node.ports import SourceError
from peerstream.node.protocol.directory.admission import Admission, SignedAdmission
from peerstream.node.protocol.directory.errors import MalformedDocumentError
from peerstream.node.protocol.directory.relay_set import RelayEntry
from peerstream.node.protocol.directory.static import SignedStaticFile, StaticFile, StaticRelay
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.store.errors import (
    CorruptedFileError,
    ForeignStateError,
    InstanceRunningError,
    UnknownSecretError,
)
from peerstream.node.store.keystore import KeyFile
from peerstream.node.store.state import StateDirectory
from tests.node.network.support import PATIENCE_S, eventually
from tests.node.roles.relays import SIGNER, make_network

NETWORK = make_network()


def free_endpoint(number: int) -> Endpoint:
    with socket.create_server((f"127.{number + 1}.0.1", 0)) as server:
        port = server.getsockname()[1]
    return Endpoint.parse(f"/ip4/127.{number + 1}.0.1/tcp/{port}")


def entry_of(identity: RelayIdentity, slot: int) -> RelayEntry:
    operator = Address(bytes([slot + 1]) * 20)
    return RelayEntry(
        slot=slot,
        relay_id=identity.relay_id,
        operator=operator.raw,
        family=bytes(32),
        weight=1_000,
        sign_key=identity.sign_key.raw,
        from_epoch=0,
        to_epoch=2**40,
        possession=identity.prove(NETWORK.network_id, operator),
    )


def make_relays(tmp_path, count=3) -> list[RelaySettings]:
    """Return settings of so many new relays, each listed in one signed file."""
    settings, rows = [], []
    for number in range(count):
        unlock = KeyFile(tmp_path / f"unlock{number}")
        unlock.make(os.urandom)
        state = tmp_path / f"relay{number}"
        endpoint = free_endpoint(number)
        rows.append(StaticRelay(entry_of(init_relay(state, unlock), number), (endpoint,)))
        settings.append(
            RelaySettings(
                network=NETWORK,
                state=state,
                unlock=unlock,
                listen=(endpoint,),
                source_address=f"127.{number + 1}.0.1",
                static_file=tmp_path / "relays.psp",
                statistics_file=tmp_path / f"statistics{number}.json",
            )
        )
    now = int(time.time())
    file = StaticFile(1, now - 60, now + 86_400, NETWORK.parameters_hash, tuple(rows))
    signed = SignedStaticFile.sign(file, SIGNER, network_id=NETWORK.network_id)
    (tmp_path / "relays.psp").write_bytes(signed.encode())
    return settings


async def test_relays_find_each_other_and_one_comes_back(tmp_path):
    settings = make_relays(tmp_path)
    async with AsyncExitStack() as stack:
        others = [await stack.enter_async_context(open_relay(each)) for each in settings[1:]]
        async with open_relay(settings[0]) as first:
            relay_id = first.relay_id
            relays = [first, *others]
            await eventually(lambda: all(r.statistics()["usable"] for r in relays))
        async with open_relay(settings[0]) as again:
            assert again.relay_id == relay_id
            await eventually(lambda: again.statistics()["usable"])
            # the same keys as before: nobody saw two descriptors of one epoch
            for relay in (again, *others):
                assert relay.statistics()["equivocations"] == 0
                assert relay.statistics()["network"].get("bug") is None


async def test_a_process_says_when_it_serves_and_counts_in_a_file(tmp_path, nursery):
    settings = make_relays(tmp_path, count=1)[0]
    said = []
    nursery.start_soon(run_relay, settings, said.append)
    await eventually(lambda: said and settings.statistics_file.exists())
    (ready,) = said
    assert ready["endpoints"] == [str(settings.listen[0])]
    counted = read_statistics(settings.statistics_file)
    assert counted["relay_id"] == ready["relay_id"]
    assert counted["pid"] == os.getpid()
    assert counted["cells_relayed"] == counted["circuits"] == 0
    text = json.dumps(counted).replace(counted["relay_id"], "")
    assert "127." not in text  # neither addresses nor anybody's key
    nursery.cancel_scope.cancel()


async def test_what_stops_a_relay_at_its_start_has_a_name(tmp_path):
    settings = make_relays(tmp_path, count=1)[0]
    public = replace(settings, network=make_network(private_addresses=False))
    for wrong, error in (
        (public, MalformedDocumentError),
        (replace(settings, static_file=None), NoSourceError),
        (replace(settings, static_file=tmp_path / "none"), SourceError),
        (replace(settings, state=tmp_path / "empty"), UnknownSecretError),
        (replace(settings, network=dht_network()), NoSourceError),
    ):
        with pytest.raises(error):
            async with open_relay(wrong):
                pass
    with trio.fail_after(PATIENCE_S):
        async with open_relay(settings):
            with pytest.raises(InstanceRunningError):
                async with open_relay(settings):
                    pass


def dht_network():
    keeper = SIGNER.public_key().public_bytes_raw()
    return replace(NETWORK, mode=NetworkMode.DHT, static_signer=b"", admission_keys=(keeper,))


def admitted(settings: list[RelaySettings]) -> list[RelaySettings]:
    """Return the settings of the same relays in a network of mode dht: two of them are named."""
    network, begins = dht_network(), int(time.time()) - 3 * 2_400
    ids, found = [], []
    for each in settings:
        with StateDirectory.open(each.state) as state:
            ids.append(read_identity(open_keystore(state, each.unlock)).relay_id)
        path = each.state.with_suffix(".admission")
        admission = Admission(ids[-1], ids[-1][:20], bytes(32), begins, begins + 86_400)
        signed = SignedAdmission.sign(admission, SIGNER, network_id=network.network_id)
        path.write_bytes(signed.encode())
        found.append(replace(each, static_file=None, admission=path))
    first = [Bootstrap(i, each.listen) for i, each in zip(ids, settings, strict=True)][:2]
    network = replace(network, bootstrap=tuple(first))
    return [replace(each, network=network) for each in found]


async def test_relays_of_a_dht_find_each_other_and_one_whose_admission_is_lost_says_so(tmp_path):
    settings = admitted(make_relays(tmp_path, count=4))
    async with AsyncExitStack() as stack:
        relays = [await stack.enter_async_context(open_relay(each)) for each in settings[:3]]
        late = await stack.enter_async_context(open_relay(settings[3]))  # that nobody names
        relays.append(late)

        def whole(statistics):
            return statistics["complete"] and statistics["relays"] == 4

        await eventually(lambda: all(whole(relay.statistics()) for relay in relays))
        for relay in relays:
            assert relay.statistics()["network"].get("bug") is None
            assert relay.statistics()["equivocations"] == 0
    settings[0].admission.unlink()
    with pytest.raises(SourceError, match="No such file"):
        async with open_relay(settings[0]):
            pass


def test_a_relay_is_made_once_and_signs_as_itself(tmp_path):
    unlock = KeyFile(tmp_path / "unlock")
    unlock.make(os.urandom)
    identity = init_relay(tmp_path / "state", unlock)
    assert recover(bytes(32), identity.sign_statement(bytes(32))) == identity.sign_key
    entry_of(identity, 0).verify_possession(NETWORK.network_id)
    assert identity.host_seed.hex() not in repr(identity)
    assert identity.statement_secret.hex() not in repr(identity)
    with pytest.raises(ForeignStateError):
        init_relay(tmp_path / "state", unlock)


def test_statistics_are_whole_or_refused(tmp_path):
    path = tmp_path / "statistics.json"
    assert read_statistics(path) is None
    write_statistics(path, {"cells_relayed": 5})
    assert read_statistics(path)["cells_relayed"] == 5
    for data in (b"{", b"[]", b'{"schema": "other"}'):
        path.write_bytes(data)
        with pytest.raises(CorruptedFileError):
            read_statistics(path)
