"""Stores and questions of a running network: what is kept, handed on, limited and refused."""

from dataclasses import replace
from functools import partial

import pytest
import trio

from peerstream.node.ports import QuestionError
from peerstream.node.protocol.directory.bundle import (
    ANSWER_MAX,
    Done,
    Fetch,
    FetchView,
    Page,
    Publish,
    Recall,
    Recalled,
    Replicate,
    decode_request,
    frame,
)
from peerstream.node.protocol.directory.commands import Answer, Get, Kind, Put, epoch_key
from peerstream.node.protocol.directory.dir_hash import read_directory_page
from peerstream.node.protocol.onion.errors import CircuitRefusedError
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles import replication, stores
from peerstream.node.roles.remembered import ENTRIES_MAX, Remembered
from tests.node.protocol.directory.test_store import key_of, record
from tests.node.roles.relays import START_WALL, ask, open_circuit, until
from tests.node.roles.test_keeper import EPOCH, PERIOD, descriptor_of, running_network


def key_in(world, name="S"):
    return key_of(name, PERIOD, world.network.network_id)


def record_in(world, name="S", **options):
    return record(key_in(world, name), **options)


def put_of(document):
    return Put(Kind.RECORD, document).encode()


def places(nodes, blinded):
    """Return the nodes that keep a key, and the others."""
    ids = nodes[0].keeper.ring(PERIOD).responsible(blinded)
    ours = [node for node in nodes if node.relay_id in ids]
    return ours, [node for node in nodes if node not in ours]


async def network_with_a_client(nursery, count=12):
    world, nodes = await running_network(nursery, count)
    return world, nodes, await world.start_client()


def route(nodes, store):
    """Return a path of two hops that ends at a store."""
    return [next(node.relay_id for node in nodes if node is not store), store.relay_id]


async def look_up(client, path, get):
    owner = await open_circuit(client, path, Command.DIR_GET, get.encode())
    await until(lambda: owner.take(Command.DIR_RECORD), 10)
    return Answer.decode(owner.take(Command.DIR_RECORD)[0])


async def test_a_record_put_at_one_store_is_found_at_all_the_others(nursery, autojump_clock):
    world, nodes, client = await network_with_a_client(nursery)
    document, blinded = record_in(world), key_in(world).blinded
    ours, others = places(nodes, blinded)
    await open_circuit(client, route(nodes, ours[0]), Command.DIR_PUT, put_of(document))
    await until(lambda: all(len(node.relay.stores) for node in ours), 10)
    for store in ours[1:3]:
        answer = await look_up(client, route(nodes, store), Get(Kind.RECORD, blinded))
        assert (answer.status, answer.document) == (Status.OK, document)
    assert not any(len(node.relay.stores) for node in others)
    answer = await look_up(client, route(nodes, others[0]), Get(Kind.RECORD, blinded))
    assert answer.status is Status.NOT_FOUND
    asked = sum(node.links.asked for node in nodes)
    await ask(
        client,
        await open_circuit(client, route(nodes, ours[1])),
        Command.DIR_PUT,
        put_of(document),
    )
    await trio.sleep(0.5)
    assert sum(node.links.asked for node in nodes) - asked < len(ours)  # nothing new to hand on


async def test_a_store_that_was_away_gets_the_record_when_it_is_back(nursery, autojump_clock):
    world, nodes, client = await network_with_a_client(nursery)
    ours, _ = places(nodes, key_in(world).blinded)
    world.internet.refusing.add(ours[1].relay_id)
    owner = await open_circuit(
        client, route(nodes, ours[0]), Command.DIR_PUT, put_of(record_in(world))
    )
    assert owner.message == b""
    await trio.sleep(5)
    assert len(ours[1].relay.stores) == 0
    world.internet.refusing.clear()
    await until(lambda: len(ours[1].relay.stores), 90)


async def restart(world, node):
    """Kill a relay and start it anew, with an empty store."""
    number = next(n for n, other in world.nodes.items() if other is node)
    node.kill()
    await trio.sleep(1)
    return await world.start_relay(number)


async def test_a_store_that_starts_empty_asks_the_others_for_what_it_kept(nursery, autojump_clock):
    world, nodes, client = await network_with_a_client(nursery)
    document, blinded = record_in(world), key_in(world).blinded
    ours, others = places(nodes, blinded)
    await open_circuit(client, route(nodes, ours[0]), Command.DIR_PUT, put_of(document))
    await until(lambda: all(len(node.relay.stores) for node in ours), 10)
    again = await restart(world, ours[1])
    assert len(again.relay.stores) == 0
    await until(lambda: len(again.relay.stores), 30)
    assert again.relay.refilling.answers["OK"] >= 1
    answer = await look_up(client, [others[0].relay_id, again.relay_id], Get(Kind.RECORD, blinded))
    assert (answer.status, answer.document) == (Status.OK, document)
    stranger = await restart(world, others[0])
    await trio.sleep(60)
    assert len(stranger.relay.stores) == 0


async def test_a_store_that_starts_while_the_others_are_away_asks_again(nursery, autojump_clock):
    world, nodes, client = await network_with_a_client(nursery)
    ours, _ = places(nodes, key_in(world).blinded)
    await open_circuit(client, route(nodes, ours[0]), Command.DIR_PUT, put_of(record_in(world)))
    await until(lambda: all(len(node.relay.stores) for node in ours), 10)
    world.internet.refusing |= {node.relay_id for node in nodes if node is not ours[1]}
    again = await restart(world, ours[1])
    await trio.sleep(5)
    assert len(again.relay.stores) == 0
    world.internet.refusing.clear()
    await until(lambda: len(again.relay.stores), 120)


@pytest.mark.parametrize("lie", ["noise", "no end", "forged", "another's", "refused"])
async def test_what_a_store_is_told_after_its_start_is_checked(nursery, autojump_clock, lie):
    world, nodes, client = await network_with_a_client(nursery)
    document, blinded = record_in(world), key_in(world).blinded
    ours, _ = places(nodes, blinded)
    await open_circuit(client, route(nodes, ours[0]), Command.DIR_PUT, put_of(document))
    await until(lambda: all(len(node.relay.stores) for node in ours), 10)
    honest = ours[0]
    foreign = next(
        record(key_of(name, PERIOD, world.network.network_id))
        for name in map(str, range(1_000))
        if ours[1].relay_id
        not in honest.keeper.ring(PERIOD).responsible(
            key_of(name, PERIOD, world.network.network_id).blinded
        )
    )
    told = {
        "noise": b"noise",
        "no end": frame(Recalled((), b"\1" * 32).encode()),
        "forged": frame(Recalled(((Kind.RECORD, document[:-1] + b"\0"),), b"").encode()),
        "another's": frame(Recalled(((Kind.RECORD, foreign),), b"").encode()),
        "refused": frame(Done(Status.LIMIT).encode()),
    }[lie]

    async def answer(asker, question, real):
        return told if type(decode_request(question[4:])) is Recall else await real(asker, question)

    for node in nodes:
        if node not in (honest, ours[1]):
            node.links.serve(partial(answer, real=node.relay.questions.answer))
    again = await restart(world, ours[1])
    companions = again.relay.stores.companions()
    assert len(companions) > 3
    await trio.sleep(500)
    wanted = honest.relay_id in companions
    assert len(again.relay.stores) == int(wanted)


async def test_stores_tell_relays_of_the_set_alone_and_not_without_end(nursery, autojump_clock):
    world, nodes, client = await network_with_a_client(nursery)
    ours, _ = places(nodes, key_in(world).blinded)
    await open_circuit(client, route(nodes, ours[0]), Command.DIR_PUT, put_of(record_in(world)))
    await until(lambda: all(len(node.relay.stores) for node in ours), 10)
    question = frame(Recall().encode())

    async def told(asker):
        return (await ours[0].relay.questions.answer(asker, question))[4:]

    assert Recalled.decode(await told(client.relay_id)).documents == ()
    assert len(Recalled.decode(await told(ours[1].relay_id)).documents) == 1
    answers = [await told(ours[1].relay_id) for _ in range(200)]
    assert Done.decode(answers[-1]).status is Status.LIMIT
    assert len(Recalled.decode(await told(ours[2].relay_id)).documents) == 1


async def test_a_refused_record_names_its_status(nursery, autojump_clock):
    world, nodes, client = await network_with_a_client(nursery)
    document = record_in(world)
    ours, others = places(nodes, key_in(world).blinded)
    damaged = document[:-1] + bytes([document[-1] ^ 1])
    for store, body, status in (
        (ours[0], put_of(damaged), Status.BAD_RECORD),
        (ours[0], put_of(document[:-1]), Status.BAD_RECORD),
        (others[0], put_of(document), Status.NOT_RESPONSIBLE),
        (ours[0], bytes([Kind.DIRECTORY_HASH]) + bytes(32), Status.PROTO),
        (ours[0], b"", Status.PROTO),
    ):
        owner = await open_circuit(client, route(nodes, store), Command.DIR_PUT, body)
        assert isinstance(owner.error, CircuitRefusedError)
        assert owner.error.status is status
    path = route(nodes, ours[0])
    owner = await open_circuit(client, path)
    assert await ask(client, owner, Command.DIR_PUT, put_of(document)) is Status.OK
    stale = put_of(record_in(world, revision=START_WALL - 9))
    assert await ask(client, owner, Command.DIR_PUT, stale) is Status.STALE_REVISION
    assert ours[0].relay.stores.refused["BAD_RECORD"] == 2


async def test_a_circuit_puts_four_at_once_then_one_every_ten_seconds(nursery, autojump_clock):
    world, nodes, client = await network_with_a_client(nursery)
    ours, _ = places(nodes, key_in(world).blinded)
    owner = await open_circuit(client, route(nodes, ours[0]))

    async def put(number):
        document = record_in(world, revision=START_WALL + number)
        return await ask(client, owner, Command.DIR_PUT, put_of(document))

    assert [await put(number) for number in range(6)] == [Status.OK] * 4 + [Status.LIMIT] * 2
    await trio.sleep(10)
    assert [await put(number) for number in (7, 8)] == [Status.OK, Status.LIMIT]


async def test_a_flood_through_one_neighbour_leaves_the_others_free(
    nursery, autojump_clock, monkeypatch
):
    monkeypatch.setattr(stores, "NEIGHBOUR_PUT_RATE", 1.0)
    monkeypatch.setattr(stores, "NEIGHBOUR_PUT_BURST", 10.0)
    world, nodes, client = await network_with_a_client(nursery)
    ours, others = places(nodes, key_in(world).blinded)
    store = ours[0]
    statuses = []
    for number in range(20):
        path = [others[0].relay_id, store.relay_id]
        document = record_in(world, revision=START_WALL + number)
        owner = await open_circuit(client, path, Command.DIR_PUT, put_of(document))
        statuses.append(Status.OK if owner.error is None else owner.error.status)
        if owner.error is None:
            owner.circuit.close()
    assert statuses[:10] == [Status.OK] * 10
    assert statuses[-5:] == [Status.LIMIT] * 5
    path = [others[1].relay_id, store.relay_id]
    late = put_of(record_in(world, revision=START_WALL + 99))
    assert (await open_circuit(client, path, Command.DIR_PUT, late)).error is None
    await trio.sleep(40)
    assert len(store.relay.stores._puts) == 1  # closed circuits are forgotten


async def test_lookups_of_one_circuit_are_limited_and_answered_all(nursery, autojump_clock):
    _, nodes, client = await network_with_a_client(nursery, 4)
    owner = await open_circuit(client, route(nodes, nodes[0]))
    for _ in range(40):
        owner.circuit.send_control(Command.DIR_GET, Get(Kind.RECORD, bytes(32)).encode())
    client.links.wake()
    await until(lambda: len(owner.take(Command.DIR_RECORD)) == 40, 10)
    statuses = [Answer.decode(data).status for data in owner.take(Command.DIR_RECORD)]
    assert statuses == [Status.NOT_FOUND] * 32 + [Status.LIMIT] * 8


async def test_hash_and_pages_are_those_of_the_directory(nursery, autojump_clock):
    _, nodes, client = await network_with_a_client(nursery, 5)
    path, directory = route(nodes, nodes[0]), client.keeper.directory
    answer = await look_up(client, path, Get(Kind.DIRECTORY_HASH, epoch_key(EPOCH)))
    assert answer.document == directory.directory_hash(EPOCH)
    answer = await look_up(client, path, Get(Kind.DIRECTORY_PAGE, epoch_key(EPOCH)))
    assert read_directory_page(answer.document) == directory.descriptor_hashes(EPOCH)
    for key in (epoch_key(EPOCH + 5), epoch_key(0)):
        answer = await look_up(client, path, Get(Kind.DIRECTORY_HASH, key))
        assert answer.status is Status.NOT_FOUND
    owner = await open_circuit(
        client, path, Command.DIR_GET, Get(Kind.DIRECTORY_HASH, b"\1" * 32).encode()
    )
    assert owner.error.status is Status.PROTO


async def test_replication_is_bounded(nursery, autojump_clock, monkeypatch):
    monkeypatch.setattr(replication, "WAITING_MAX", 3)
    world, nodes = await running_network(nursery, 5)
    world.internet.hanging.update(node.relay_id for node in nodes[1:])
    relay = nodes[0].relay
    relay._replication.hand_on(
        [node.relay_id for node in nodes[1:]], Replicate(Kind.RECORD, record_in(world))
    )
    assert nodes[0].keeper.causes["ReplicationFullError"] == 1
    await until(lambda: relay._replication._waiting == 0, 200)


# Questions


async def question(node, asker, request):
    """Ask as somebody with this key, and return the status of the answer."""
    return Done.decode((await node.relay.questions.answer(asker, frame(request)))[4:]).status


async def test_strangers_may_fetch_and_nothing_else(nursery, autojump_clock):
    world, nodes, client = await network_with_a_client(nursery, 4)
    document = record_in(world)
    ours, _ = places(nodes, key_in(world).blinded)
    stranger = client.relay_id
    replicate = Replicate(Kind.RECORD, document).encode()
    assert await question(ours[0], stranger, replicate) is Status.DENIED
    own = descriptor_of(world.identities[1], world.network)
    assert await question(nodes[0], stranger, Publish(own, b"").encode()) is Status.DENIED
    endpoints = (world.identities[0].endpoint,)
    answer = await client.links.ask(
        nodes[0].relay_id, endpoints, frame(Fetch(EPOCH).encode()), ANSWER_MAX
    )
    assert len(Page.decode(answer[4:]).descriptors) == 4


async def test_a_relay_publishes_its_own_and_nobody_elses(nursery, autojump_clock):
    world, nodes = await running_network(nursery, 4)
    node, (me, other) = nodes[0], world.identities[1:3]
    theirs = nodes[2].keeper.directory.descriptor(other.relay_id, EPOCH).encode()
    assert await question(node, me.relay_id, Publish(theirs, b"").encode()) is Status.DENIED
    assert await question(node, other.relay_id, Publish(theirs, b"").encode()) is Status.OK
    addresses = nodes[2].keeper.directory.signed_addresses()[other.relay_id]
    assert await question(node, other.relay_id, Publish(b"", addresses).encode()) is Status.OK
    second = Publish(descriptor_of(me, world.network), b"").encode()
    assert await question(node, me.relay_id, second) is Status.BAD_RECORD  # an equivocation
    assert len(node.keeper.directory.evidence()) == 1
    old = descriptor_of(me, world.network, epoch=EPOCH - 5)
    assert await question(node, me.relay_id, Publish(old, b"").encode()) is Status.BAD_RECORD


async def test_a_relay_that_publishes_or_replicates_all_the_time_is_limited(
    nursery, autojump_clock
):
    world, nodes = await running_network(nursery, 4)
    ours, _ = places(nodes, key_in(world).blinded)
    me = world.identities[1]
    publish = Publish(nodes[1].keeper.directory.descriptor(me.relay_id, EPOCH).encode(), b"")
    statuses = [await question(nodes[0], me.relay_id, publish.encode()) for _ in range(12)]
    assert statuses[-1] is Status.LIMIT
    damaged = Replicate(Kind.RECORD, record_in(world)[:-1]).encode()
    statuses = [await question(ours[0], me.relay_id, damaged) for _ in range(401)]
    assert set(statuses[:400]) == {Status.BAD_RECORD}
    assert statuses[400] is Status.LIMIT
    other = world.identities[2].relay_id
    good = Replicate(Kind.RECORD, record_in(world)).encode()
    assert await question(ours[0], other, good) is Status.OK


async def test_a_replicated_record_is_not_passed_on(nursery, autojump_clock):
    world, nodes = await running_network(nursery, 4)
    ours, _ = places(nodes, key_in(world).blinded)
    good = Replicate(Kind.RECORD, record_in(world)).encode()
    assert await question(ours[0], nodes[1].relay_id, good) is Status.OK
    await trio.sleep(5)
    assert [len(node.relay.stores) for node in ours] == [1, 0, 0, 0]


async def test_the_view_is_answered_where_its_document_is_known(nursery, autojump_clock):
    _, nodes = await running_network(nursery, 3)
    request = FetchView(1).encode()
    assert await question(nodes[0], b"a" * 32, request) is Status.NOT_FOUND
    source = nodes[0].source
    source.snapshot = replace(source.snapshot, documents={1: b"the signed file"})
    await nodes[0].keeper.read()
    answer = await nodes[0].relay.questions.answer(b"a" * 32, frame(request))
    assert answer == frame(b"the signed file")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\1",
        b"\0\0\0\1\xa0\xa0",
        b"\0\0\0\1\xa0",
        b"\xff" * 64,
        bytes(20_485),
    ],
)
async def test_what_is_no_question_gets_no_answer(nursery, autojump_clock, data):
    world, nodes, client = await network_with_a_client(nursery, 3)
    endpoints = (world.identities[0].endpoint,)
    with pytest.raises(QuestionError):
        await client.links.ask(nodes[0].relay_id, endpoints, data, ANSWER_MAX)


def test_answers_are_remembered_for_a_moment_and_not_without_bound():
    now = [0.0]
    remembered = Remembered(lambda: now[0], 1.0)
    made = []

    def make():
        made.append(len(made))
        return bytes([len(made) % 256])

    assert remembered.get(1, make) == remembered.get(1, make)
    now[0] = 1.0
    remembered.get(1, make)
    assert len(made) == 2
    for number in range(3 * ENTRIES_MAX):
        remembered.get(number, make)
    assert len(remembered._entries) <= ENTRIES_MAX
