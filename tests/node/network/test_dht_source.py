"""The DHT over sockets: relays find each other's admissions, libp2p's own client reads them."""

import pytest
import trio
from libp2p.custom_types import TProtocol
from libp2p.kad_dht import value_store
from libp2p.kad_dht.value_store import ValueStore
from libp2p.peer.peerinfo import PeerInfo

from peerstream.node.network import dht_source
from peerstream.node.ports import SourceError
from peerstream.node.protocol.directory.admission_book import decode_page, encode_page
from peerstream.node.protocol.directory.kademlia import admissions_key
from tests.node.network.kad_nodes import PROTOCOL, open_town
from tests.node.network.support import PATIENCE_S, eventually, running_stock, stock_host
from tests.node.protocol.directory.admissions import LONG_AGO, NETWORK, PERIOD_S, RELAYS, admit
from tests.node.protocol.directory.network import EPOCH, WALL

KEY = admissions_key(NETWORK, WALL // PERIOD_S)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(dht_source, "FIRST_PAUSE_S", 0.01)


def ids(relays):
    return sorted(relay.relay_id for relay in relays)


async def test_a_client_reads_from_one_relay_what_all_know():
    async with open_town() as town:
        town.bootstrap = [RELAYS[0]]
        hosts = [(await town.honest(relay, knows=RELAYS[:4]))[0] for relay in RELAYS[:4]]
        client = await town.source()
        snapshot = await client.read(WALL)
        view = next(view for view in snapshot.views if view.epoch == EPOCH)
        assert [entry.relay_id for entry in view] == ids(RELAYS[:4])
        assert client.counts()["dht_asked"] == 4
        assert snapshot.endpoints == {RELAYS[0].relay_id: town.places[RELAYS[0].relay_id]}
        assert decode_page(snapshot.documents[EPOCH])
        assert [host.counters.snapshot() for host in hosts] == [{"dht_get_value": 1}] * 4


async def test_a_relay_that_starts_puts_its_admission_where_it_is_missing():
    async with open_town() as town:
        town.bootstrap = [RELAYS[0]]
        host, first = await town.honest(RELAYS[0])
        await first.read(WALL)
        newcomer = await town.source(RELAYS[1])
        await newcomer.read(WALL)
        with trio.fail_after(PATIENCE_S):
            await first.news()
        assert RELAYS[1].relay_id in first.book
        assert first.book.digest() == newcomer.book.digest()
        assert host.counters.snapshot() == {"dht_get_value": 1, "dht_put_value": 1}
        before = newcomer.counts()["dht_bytes"]
        await newcomer.news()  # the next search comes soon, and finds nothing new
        await newcomer.read(WALL)
        assert newcomer.counts()["dht_bytes"] - before < 500


async def test_a_network_that_starts_at_once_ends_with_one_view():
    async with open_town() as town:
        town.bootstrap = list(RELAYS[:2])
        for relay in town.bootstrap:
            await town.listen(relay)
        sources = [await town.source(relay) for relay in RELAYS[:6]]
        hosts = [await town.listen(relay) for relay in RELAYS[:6]]
        for source, host in zip(sources, hosts, strict=True):
            source.know(town.locate)
            source.serve(host)

        async def follow(source):
            while len(source.book) < 6:
                await source.read(WALL)
                await source.news()

        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                for source in sources:
                    nursery.start_soon(follow, source)
        roots = {source.book.views(WALL)[-1].root for source in sources}
        assert len(roots) == 1


async def test_a_network_begins_with_one_relay_and_its_clients_wait_for_it():
    async with open_town() as town:
        alone = await town.source(RELAYS[0])
        snapshot = await alone.read(WALL)
        assert {len(view) for view in snapshot.views} == {1}
        client = await town.source()
        with pytest.raises(SourceError):
            await client.read(WALL)
        with trio.fail_after(PATIENCE_S):
            await client.news()


@pytest.mark.parametrize(
    "admission",
    [
        b"",
        admit(RELAYS[1]),
        admit(RELAYS[0], ends=LONG_AGO + 1),
        admit(RELAYS[0], network=bytes(32)),
    ],
    ids=["nothing", "another's", "over", "another network's"],
)
async def test_a_relay_without_an_admission_of_its_own_is_none(admission):
    async with open_town() as town:
        source = await town.source(RELAYS[0])
        source._own = type(source._own)(RELAYS[0].relay_id, lambda: admission)
        with pytest.raises(SourceError, match="our admission"):
            await source.read(WALL)


async def test_libp2ps_own_node_reads_and_puts(monkeypatch):
    """Its client speaks to ours under our protocol, which it cannot be told by its options."""
    monkeypatch.setattr(value_store, "PROTOCOL_ID", TProtocol(PROTOCOL))
    async with open_town() as town:
        host, source = await town.honest(RELAYS[0], knows=RELAYS[:3])
        stock = stock_host()
        async with running_stock(stock):
            await stock.connect(PeerInfo(host.peer_id, list(host.addresses)))
            store = ValueStore(stock, stock.get_id())
            page = await store._get_from_peer(host.peer_id, KEY)
            assert len(decode_page(page)) == 3
            value = encode_page([admit(RELAYS[5])])
            assert await store._store_at_peer(host.peer_id, KEY, value)
            await eventually(lambda: RELAYS[5].relay_id in source.book)
            assert host.counters["bug"] == 0
