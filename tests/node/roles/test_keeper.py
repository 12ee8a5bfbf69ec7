"""A directory that is kept whole by relays nobody trusts."""

from dataclasses import replace

import pytest
import trio

from peerstream.identity.address import Address
from peerstream.identity.network import NetworkMode
from peerstream.node.ports import SourceSnapshot
from peerstream.node.protocol.directory.admission import Admission, SignedAdmission
from peerstream.node.protocol.directory.bundle import Fetch, Page, decode_request, frame, page_of
from peerstream.node.protocol.directory.commands import Kind, read_epoch_key
from peerstream.node.protocol.directory.dir_hash import directory_hash, directory_page
from peerstream.node.protocol.directory.errors import ViewMismatchError
from peerstream.node.protocol.directory.relay_descriptor import (
    RelayDescriptor,
    SignedRelayDescriptor,
)
from peerstream.node.protocol.onion.kem import KemPrivateKey
from peerstream.node.roles.admissions import admits
from peerstream.node.roles.announcer import ALL_ROLES
from peerstream.node.roles.errors import (
    CircuitFailedError,
    DirectoryUnavailableError,
    RingUnknownError,
)
from peerstream.node.roles.rings import Rings
from tests.node.roles.relays import (
    SIGNER,
    START_WALL,
    MemoryClock,
    NoAccounts,
    RelayIdentity,
    World,
    make_network,
    until,
    view_of,
)

EPOCH = START_WALL // 600
PERIOD = START_WALL // 2_400
ADDRESS = Address(b"c" * 20)


async def running_network(nursery, count=5, **options):
    world = World(nursery, count, **options)
    nodes = await world.start()
    await until(lambda: all(node.usable for node in nodes), 10)
    await trio.sleep(1)  # pages are remembered for half a second
    return world, nodes


def descriptor_of(identity: RelayIdentity, network, *, epoch=EPOCH, seed=b"x", key=None):
    onion_key = KemPrivateKey.from_seed(seed * 32).public.raw
    descriptor = RelayDescriptor(identity.relay_id, epoch, onion_key, (1,), ALL_ROLES, 0)
    return SignedRelayDescriptor.sign(
        descriptor, key or identity.key, network_id=network.network_id, statement_signer=None
    ).encode()


# Starting


async def test_a_client_starts_from_the_source_alone(nursery, autojump_clock):
    world, _ = await running_network(nursery)
    client = world.client()
    await client.keeper.start()
    assert client.usable
    assert client.keeper.identities.identity_key(None) is None
    assert client.keeper.roots() == {1: client.keeper.directory.view(START_WALL).root}


async def test_without_a_source_or_relays_the_reason_is_named(nursery, autojump_clock):
    world = World(nursery, 3)
    client = world.client()
    with pytest.raises(DirectoryUnavailableError):
        client.keeper.snapshot  # noqa: B018  # it is what raises
    assert client.keeper.roots() == {}
    client.source.broken = True
    with pytest.raises(DirectoryUnavailableError, match="could not be read"):
        await client.keeper.start()
    client.source.broken = False
    with pytest.raises(DirectoryUnavailableError, match="UnreachableError"):
        await client.keeper.start()


async def test_what_is_missing_at_the_start_is_asked_for_before_the_next_round(
    nursery, autojump_clock
):
    world, nodes = await running_network(nursery, 12)
    client = world.client()
    for node in nodes:
        node.keeper.directory._addresses.pop(nodes[11].relay_id)
    nursery.start_soon(client.run)
    await client.keeper.start()
    assert client.usable
    assert not client.keeper.directory.complete(world.clock.wall())
    nodes[0].relay._nursery.start_soon(nodes[11].relay._announcer.tell, b"")
    # A client's rounds are 50 s apart in a devnet.
    await until(lambda: client.keeper.directory.complete(world.clock.wall()), 20)


async def test_relays_that_hang_refuse_or_talk_nonsense_do_not_keep_a_client(
    nursery, autojump_clock
):
    world, nodes = await running_network(nursery, 7)
    world.internet.hanging.add(nodes[0].relay_id)
    world.internet.refusing.add(nodes[1].relay_id)
    for node, answer in zip(nodes[2:], NONSENSE, strict=False):
        node.links.serve(always(answer))
    client = world.client()
    took = trio.current_time()
    await client.keeper.start()
    assert trio.current_time() - took < 60
    assert client.usable


NONSENSE = (b"", b"\0\0\0\5abc", b"\xff\xff\xff\xff", frame(Page((), (), b"\1" * 32).encode()))


def always(answer):
    async def serve(asker: bytes, question: bytes) -> bytes:
        return answer

    return serve


async def test_a_cursor_that_never_ends_is_left(nursery, autojump_clock):
    world, nodes = await running_network(nursery, 3)
    client = world.client()
    await client.keeper.read()
    asked = []

    async def endless(asker: bytes, question: bytes) -> bytes:
        asked.append(decode_request(question[4:]))
        after = (len(asked)).to_bytes(32, "big")
        return frame(Page((), (), after).encode())

    nodes[0].links.serve(endless)
    await client.keeper.fetcher.fetch(nodes[0].relay_id, (EPOCH,))
    assert len(asked) == 16
    assert client.keeper.causes == {"MalformedDocumentError": 1}
    assert nodes[0].relay_id not in client.keeper.fetcher.choose(3)  # set aside for a while


async def test_preferred_relays_are_asked_first(nursery, autojump_clock):
    world, nodes = await running_network(nursery)
    client = world.client()
    await client.keeper.read()
    client.keeper.preferred = (nodes[3].relay_id,)
    before = [node.links.asked for node in nodes]
    await client.keeper.fetch()
    gained = [node.links.asked - had for node, had in zip(nodes, before, strict=True)]
    assert gained[3] >= 1
    assert client.usable


# Lying relays


async def test_forged_foreign_and_old_documents_spoil_only_themselves(nursery, autojump_clock):
    world, nodes = await running_network(nursery)
    liar, honest = world.identities[0], nodes[1].keeper.directory
    outsider = RelayIdentity(99, world.network)
    bad = (
        descriptor_of(world.identities[2], world.network, key=liar.key),  # not signed by it
        descriptor_of(outsider, world.network),  # of no relay
        descriptor_of(liar, world.network, epoch=EPOCH - 5),
        descriptor_of(liar, make_network(epoch_s=1_200), epoch=EPOCH + 7),
        b"\xa0",
    )

    async def lie(asker: bytes, question: bytes) -> bytes:
        page = page_of(honest, Fetch(EPOCH))
        return frame(replace(page, descriptors=(*bad, *page.descriptors)).encode())

    nodes[0].links.serve(lie)
    client = world.client()
    await client.keeper.read()
    await client.keeper.fetcher.fetch(liar.relay_id, (EPOCH,))
    assert client.usable
    assert client.keeper.directory.descriptor_hashes(EPOCH) == honest.descriptor_hashes(EPOCH)
    assert client.keeper.causes["BadDocumentSignatureError"] == 1
    assert client.keeper.causes["UnknownRelayError"] == 1
    assert client.keeper.causes["WrongEpochError"] == 2
    assert client.keeper.causes["MalformedDocumentError"] == 1


async def test_a_relay_with_two_descriptors_is_left_out_everywhere(nursery, autojump_clock):
    world, nodes = await running_network(nursery)
    liar = world.identities[0]
    second = frame(Page((descriptor_of(liar, world.network),), (), b"").encode())
    nodes[0].links.serve(always(second))
    await until(lambda: all(node.keeper.directory.evidence() for node in nodes[1:]), 120)
    for node in nodes[1:]:
        (evidence,) = node.keeper.directory.evidence()
        assert len(set(evidence.evidence)) == 2
        assert liar.relay_id not in node.keeper.directory.candidates(START_WALL)


async def test_a_source_that_breaks_leaves_what_there_was(nursery, autojump_clock):
    _, nodes = await running_network(nursery, 3)
    nodes[0].source.broken = True
    reads = nodes[0].source.reads
    await until(lambda: nodes[0].source.reads > reads + 3, 300)
    assert nodes[0].keeper.causes["SourceError"] > 3
    assert nodes[0].usable
    nodes[0].source.broken = False


# Comparing


class Circuits:
    """Answers what relays hold, over no circuits at all."""

    def __init__(self, epoch, held) -> None:
        self.epoch, self.held = epoch, held
        self.failing: set[bytes] = set()

    async def fetch(self, relay_id, get):
        await trio.lowlevel.checkpoint()
        if relay_id in self.failing:
            raise CircuitFailedError("no circuit")
        epoch, page = read_epoch_key(get.key)
        assert epoch == self.epoch
        if get.kind is Kind.DIRECTORY_HASH:
            return directory_hash(epoch, self.held)
        return directory_page(self.held, page)


async def test_equal_directories_are_fine_and_two_answers_are_too_few(nursery, autojump_clock):
    world, _ = await running_network(nursery)
    client = await world.start_client()
    held = client.keeper.directory.descriptor_hashes(EPOCH)
    circuits = Circuits(EPOCH, held)
    comparison = await client.keeper.compare_directory_hash(circuits.fetch)
    assert (comparison.answers, comparison.equal, comparison.disputed) == (3, 3, frozenset())
    circuits.failing = {identity.relay_id for identity in world.identities[:3]}
    with pytest.raises(ViewMismatchError):
        await client.keeper.compare_directory_hash(circuits.fetch)


async def test_a_descriptor_shown_to_us_alone_is_given_up_for_that_of_the_others(
    nursery, autojump_clock
):
    world, nodes = await running_network(nursery)
    liar = world.identities[0]
    ours = descriptor_of(liar, world.network)
    client = world.client()
    await client.keeper.read()
    directory = client.keeper.directory
    directory.add_descriptor(ours, START_WALL)
    honest = page_of(nodes[1].keeper.directory, Fetch(EPOCH))
    theirs = nodes[1].keeper.directory.descriptor(liar.relay_id, EPOCH).encode()
    for document in honest.descriptors:
        if document != theirs:
            directory.add_descriptor(document, START_WALL)
    for document in honest.addresses:
        directory.add_addresses(document, START_WALL)
    circuits = Circuits(EPOCH, nodes[1].keeper.directory.descriptor_hashes(EPOCH))
    comparison = await client.keeper.compare_directory_hash(circuits.fetch)
    assert comparison.disputed == {liar.relay_id}
    assert liar.relay_id not in directory.candidates(START_WALL)
    await client.keeper.fetcher.fetch(nodes[1].relay_id, (EPOCH,))
    assert directory.descriptor(liar.relay_id, EPOCH).encode() == theirs
    await client.keeper.fetcher.fetch(nodes[0].relay_id, (EPOCH,))
    assert (await client.keeper.compare_directory_hash(circuits.fetch)).equal == 3


# Rings and admissions


def snapshot(*views, randomness=None):
    return SourceSnapshot(views, NoAccounts(), randomness=randomness or {})


def test_a_ring_is_of_the_periods_start_and_stays():
    network = make_network()
    relays = [RelayIdentity(number, network) for number in range(6)]
    start = PERIOD * 2_400
    early = view_of(relays[:4], network, not_before=start - 10, not_after=start + 600)
    late = view_of(relays, network, serial=2, not_before=start + 600, not_after=start + 9_000)
    rings = Rings(network)
    assert len(rings.ring(PERIOD, snapshot(early, late))) == 4
    assert len(rings.ring(PERIOD, snapshot(late))) == 4
    assert len(rings.ring(PERIOD + 1, snapshot(early, late))) == 6
    assert len(Rings(network).ring(PERIOD, snapshot(late))) == 6  # a network's first period
    with pytest.raises(RingUnknownError):
        rings.ring(PERIOD + 9, snapshot(early, late))
    with pytest.raises(RingUnknownError):
        Rings(network).ring(PERIOD, snapshot(view_of([], network)))


def test_a_ring_is_made_anew_when_its_relay_set_turns_out_to_be_larger():
    network = make_network()
    relays = [RelayIdentity(number, network) for number in range(6)]
    part, whole = (replace(view_of(some, network), grows=True) for some in (relays[:4], relays))
    rings = Rings(network)
    first = rings.ring(PERIOD, snapshot(part))
    rings.renew(snapshot(part))
    assert rings.ring(PERIOD, snapshot(part)) is first
    whole = replace(whole, root=b"w" * 32)
    rings.renew(snapshot(whole))
    assert len(rings.ring(PERIOD, snapshot(whole))) == 6


async def test_a_source_with_news_is_read_at_once_and_what_grew_is_fetched(nursery, autojump_clock):
    world, _ = await running_network(nursery, 6)
    client = world.client()
    whole = client.source.snapshot
    everybody = replace(whole.views[0], grows=True)
    part = replace(everybody, root=b"p" * 32, relays=everybody.relays[:5])
    client.source.snapshot = replace(whole, views=(part,))
    nursery.start_soon(client.run)
    await client.keeper.start()
    await until(lambda: client.keeper.directory.complete(world.clock.wall()), 60)
    assert client.keeper.relays == 5
    began = trio.current_time()
    client.source.snapshot = replace(whole, views=(everybody,))
    client.source.told.set()
    await until(
        lambda: client.keeper.relays == 6 and client.keeper.directory.complete(world.clock.wall()),
        5,
    )
    assert trio.current_time() - began < 5  # the next reading is a minute away, the next round too


def test_a_ring_of_a_chain_waits_for_its_randomness():
    network = replace(make_network(), mode=NetworkMode.CHAIN, genesis_hash=bytes(32), chain_id=1)
    object.__setattr__(network, "contracts", {"relay_registry": ADDRESS})
    relays = [RelayIdentity(number, make_network()) for number in range(3)]
    view = view_of(relays, make_network())
    rings = Rings(network)
    with pytest.raises(RingUnknownError):
        rings.ring(PERIOD, snapshot(view))
    known = snapshot(view, randomness={PERIOD: b"r" * 32})
    first = rings.ring(PERIOD, known)
    rings.renew(known)
    assert rings.ring(PERIOD, known) is first
    other = snapshot(view, randomness={PERIOD: b"s" * 32})
    rings.renew(other)
    assert rings.ring(PERIOD, other).seed != first.seed


def test_only_an_admission_key_admits_a_relay_outside_of_the_views():
    signer = SIGNER.public_key().public_bytes_raw()
    static = make_network()
    network = replace(static, mode=NetworkMode.DHT, admission_keys=(signer,))
    relay_id = b"r" * 32
    admission = Admission(relay_id, bytes(20), bytes(32), START_WALL, START_WALL + 100)
    signed = SignedAdmission.sign(admission, SIGNER, network_id=network.network_id).encode()
    assert admits(network, relay_id, signed, START_WALL)
    assert not admits(network, b"s" * 32, signed, START_WALL)
    assert not admits(network, relay_id, signed, START_WALL + 100)
    assert not admits(network, relay_id, b"nonsense", START_WALL)
    assert not admits(static, relay_id, signed, START_WALL)


async def test_behind_a_sleep_everything_is_looked_at_at_once(nursery, autojump_clock):
    world, _ = await running_network(nursery)
    client = await world.start_client()
    await trio.sleep(1)
    reads, asked = client.source.reads, []
    ask = client.keeper.fetcher.fetch

    async def noting(relay_id, epochs):
        asked.append(trio.current_time())
        await ask(relay_id, epochs)

    client.keeper.fetcher.fetch = noting
    client.keeper.look_again()
    started = trio.current_time()
    await until(lambda: asked, 10)
    assert client.source.reads == reads + 1
    assert asked[0] - started < 0.1


async def test_a_node_whose_clock_was_wrong_is_of_use_again_at_once(nursery, autojump_clock):
    world, _ = await running_network(nursery)
    others, world.clock = world.clock, MemoryClock(world.clock.wall())
    client, clock, world.clock = world.client(), world.clock, others
    nursery.start_soon(client.run)
    await client.keeper.start()
    for hours, usable in ((3, False), (-3, True)):
        clock._offset += hours * 3_600
        assert not client.keeper.directory.usable(clock.wall())
        client.keeper.look_again()
        await trio.sleep(1)
        assert client.keeper.directory.usable(clock.wall()) is usable
