"""Nodes of a DHT that forge, replay, withhold, flood and fill; a whole network that hides another.

Over real sockets. Whatever they do, the honest nodes' admissions are found, or it is seen that
another network was shown.
"""

import pytest
import trio
from libp2p.network.stream.exceptions import StreamError

from peerstream.node.network import dht_source
from peerstream.node.network.errors import DialError
from peerstream.node.protocol.directory.admission_book import PAGE_MAX, encode_page
from peerstream.node.protocol.directory.directory import Directory
from peerstream.node.protocol.directory.errors import ViewMismatchError
from peerstream.node.protocol.directory.kad_wire import QUESTION_MAX, encode_message
from peerstream.node.protocol.directory.kademlia import Contact, KadMessage, Kind, admissions_key
from tests.node.network.kad_nodes import PROTOCOL, open_town
from tests.node.network.support import PATIENCE_S, eventually
from tests.node.protocol.directory.admissions import (
    LONG_AGO,
    NETWORK,
    PERIOD_S,
    RELAYS,
    admit,
    where,
)
from tests.node.protocol.directory.network import EPOCH, WALL, relay

KEY = admissions_key(NETWORK, WALL // PERIOD_S)
HONEST, LIAR = RELAYS[:3], RELAYS[3]
STRANGER = relay(77)  # whom no keeper admitted


def answering(value, closer=()):
    async def reply(question):
        return encode_message(KadMessage(Kind.GET_VALUE, KEY, value, tuple(closer)))

    return reply


async def tell(stream, data):
    await stream.write(data)
    return await stream.read(1)


def roots(source):
    return {view.epoch: view.root for view in source.book.views(WALL)}


async def town_of(town, reply, *, first=(LIAR, HONEST[0])):
    """Three honest relays and one that answers by `reply`; it and one honest are asked first."""
    for each in HONEST:
        await town.honest(each, knows=HONEST)
    await town.lying(LIAR, reply)
    town.bootstrap = list(first)
    return await town.source()


FORGED = {
    "BadAdmissionError": admit(STRANGER, keeper=STRANGER),
    "AdmissionOverError": admit(STRANGER, begins=LONG_AGO - 9, ends=LONG_AGO),
}
PAGES = {
    "forged": ("BadAdmissionError", encode_page([FORGED["BadAdmissionError"]])),
    "over": ("AdmissionOverError", encode_page([FORGED["AdmissionOverError"]])),
    "of another network": ("BadAdmissionError", encode_page([admit(STRANGER, network=bytes(32))])),
    "for longer than a month": (
        "BadAdmissionError",
        encode_page([admit(STRANGER, ends=LONG_AGO + 31 * 86_400)]),
    ),
    "of the future": ("AdmissionOverError", encode_page([admit(STRANGER, begins=WALL + 9)])),
    "noise": ("MalformedDocumentError", bytes(range(256))),
    "too long": ("MalformedDocumentError", encode_page([bytes(193)])),
    "a page beyond the largest": ("MalformedDocumentError", bytes(PAGE_MAX + 1)),
}


@pytest.mark.parametrize("lie", PAGES)
async def test_no_lie_about_a_relay_is_believed(lie):
    error, page = PAGES[lie]
    async with open_town() as town:
        client = await town_of(town, answering(page))
        await client.read(WALL)
        assert client.book.relay_ids() == sorted(each.relay_id for each in HONEST)
        assert client.counts()[error] == 1


async def test_what_a_forger_says_otherwise_is_not_read_either():
    page = encode_page([admit(RELAYS[5]), FORGED["BadAdmissionError"], admit(RELAYS[6])])
    async with open_town() as town:
        client = await town_of(town, answering(page))
        await client.read(WALL)
        assert RELAYS[5].relay_id in client.book  # a keeper signed it: it is true whoever says it
        assert RELAYS[6].relay_id not in client.book


async def test_a_forged_put_costs_its_connection_and_changes_nothing():
    async with open_town() as town:
        host, source = await town.honest(HONEST[0])
        asker = await town.listen(STRANGER)
        for name, document in FORGED.items():
            connection = await asker.dial(host.relay_id, host.addresses)
            put = KadMessage(Kind.PUT_VALUE, KEY, encode_page([document]))
            stream = await asker.open_stream(connection, PROTOCOL)
            with pytest.raises(StreamError):
                await tell(stream, encode_message(put))
            await eventually(lambda name=name: host.counters[name] == 1)
            closed = name == "BadAdmissionError"
            await eventually(lambda c=connection, closed=closed: c.is_closed or not closed)
        assert source.book.relay_ids() == [HONEST[0].relay_id]
        assert host.counters["bug"] == 0


async def test_who_withholds_is_made_up_for_by_one_who_does_not():
    async with open_town() as town:
        client = await town_of(town, answering(encode_page([])))
        await client.read(WALL)
        assert len(client.book) == 3


async def test_a_digest_that_nobody_holds_hides_nothing():
    """It says that it holds what we hold, and so gives nothing; the others do."""

    async def reply(question):
        return encode_message(KadMessage(Kind.GET_VALUE, KEY, question.value))

    async with open_town() as town:
        client = await town_of(town, reply)
        await client.read(WALL)
        assert len(client.book) == 3


async def test_two_halves_that_see_nothing_of_each_other_find_out_by_the_root():
    """Every node that a victim asks withholds the same relay: its view has another root."""
    async with open_town() as town:
        shown, hidden = RELAYS[:2], RELAYS[2]
        everything = await town.honest(shown[0], knows=(*shown, hidden))
        town.bootstrap = [shown[1]]
        await town.lying(shown[1], answering(encode_page([admit(each) for each in shown])))
        victim = await town.source()
        snapshot = await victim.read(WALL)
        assert len(victim.book) == 2
        theirs = roots(everything[1])
        directory = Directory(town.network().directory_rules)
        for view in snapshot.views:
            directory.add_view(view)
        directory.check_view(EPOCH, roots(victim)[EPOCH], WALL)
        with pytest.raises(ViewMismatchError):
            directory.check_view(EPOCH, theirs[EPOCH], WALL)
        # and as soon as one node tells the truth they agree
        town.bootstrap = [shown[0]]
        healed = await town.source()
        for view in (await healed.read(WALL)).views:
            directory.add_view(view)
        directory.check_view(EPOCH, theirs[EPOCH], WALL)


async def test_an_answer_without_end_is_cut():
    async def reply(question):
        return bytes(dht_source.ANSWER_MAX + 100_000)

    async with open_town() as town:
        client = await town_of(town, reply)
        await client.read(WALL)
        assert client.counts()["ResponseTooLongError"] == 1
        assert len(client.book) == 3


async def test_a_silent_node_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(dht_source, "QUESTION_S", 0.5)

    async def reply(question):
        await trio.sleep_forever()

    async with open_town() as town:
        client = await town_of(town, reply)
        with trio.fail_after(PATIENCE_S):
            await client.read(WALL)
        assert client.counts()["TooSlowError"] >= 1
        assert len(client.book) == 3


async def test_nobody_is_dialled_whom_no_keeper_admitted():
    """A node names strangers, and its own address as that of others: nobody knocks there."""
    async with open_town() as town:
        stranger = await town.listen(STRANGER)
        names = [Contact(STRANGER.relay_id, town.places[STRANGER.relay_id])]
        names += [Contact(relay(n).relay_id, where(n)) for n in range(100, 119)]
        client = await town_of(town, answering(encode_page([admit(LIAR)]), names))
        await client.read(WALL)
        assert client.counts()["dht_asked"] <= 4
        assert stranger.counters.snapshot() == {}


async def test_a_flood_of_questions_keeps_nobody_from_the_others():
    """It takes all places of one node; the search goes on, and the node is there again after."""
    async with open_town() as town:
        (host, _), *_ = [await town.honest(each, knows=HONEST) for each in HONEST]
        town.bootstrap = list(HONEST[:2])
        flooder = await town.listen(STRANGER)
        connections = [await flooder.dial(host.relay_id, host.addresses) for _ in range(6)]
        opened = 0
        for connection in connections:
            for _ in range(16):
                try:
                    await flooder.open_stream(connection, PROTOCOL)
                except DialError:
                    break
                opened += 1
        assert opened >= 64
        await eventually(lambda: host.counters["request_refused"] > 0)
        client = await town.source()
        await client.read(WALL)
        assert len(client.book) == 3
        for connection in connections:
            await connection.close()
        town.bootstrap = [HONEST[0]]
        again = await town.source()
        await again.read(WALL)
        assert len(again.book) == 3
        assert host.counters["bug"] == 0


GARBAGE = {
    "another kind of message": encode_message(KadMessage(Kind.ADD_PROVIDER, KEY)),
    "a key of another network": encode_message(KadMessage(Kind.GET_VALUE, b"/pk/x")),
    "a long length": b"\xff\xff\x7f",
    "noise": bytes([200, 1]) + bytes(range(200)),
    "more than is put at once": encode_message(
        KadMessage(Kind.PUT_VALUE, KEY, encode_page([admit(each) for each in RELAYS[:3]]))
    ),
    "a question beyond the largest": bytes([0x81, 0x10]) + bytes(QUESTION_MAX),
}


async def test_garbage_ends_its_stream_and_nothing_else():
    async with open_town() as town:
        host, source = await town.honest(HONEST[0])
        asker = await town.listen(STRANGER)
        connection = await asker.dial(host.relay_id, host.addresses)
        for data in GARBAGE.values():
            stream = await asker.open_stream(connection, PROTOCOL)
            with pytest.raises(StreamError):
                await tell(stream, data)
        stream = await asker.open_stream(connection, PROTOCOL)
        await stream.write(encode_message(KadMessage(Kind.PING)))
        assert await stream.read(64) == encode_message(KadMessage(Kind.PING))
        assert len(source.book) == 1
        assert host.counters["bug"] == 0
