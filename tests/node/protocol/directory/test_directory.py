"""The directory and its messages: everything is checked once, a bad document spoils only itself."""

from dataclasses import replace

import pytest

from peerstream.node.protocol.directory.bundle import (
    KNOWN_MAX,
    PAGE_RELAYS,
    Fetch,
    Page,
    Publish,
    decode_request,
    fetch_from,
    merge,
    page_of,
)
from peerstream.node.protocol.directory.directory import Directory
from peerstream.node.protocol.directory.errors import (
    BadDocumentSignatureError,
    DirectoryIncompleteError,
    EquivocationError,
    MalformedDocumentError,
    NoDescriptorError,
    StaleDocumentError,
    UnknownRelayError,
    ViewMismatchError,
    WrongEpochError,
)
from peerstream.node.protocol.directory.guards import GuardState, refresh
from peerstream.node.protocol.directory.paths import PathChooser, PathInputs, Purpose
from peerstream.node.protocol.directory.relay_descriptor import Role
from peerstream.node.protocol.onion.setup import build_setup
from tests.node.protocol.directory.network import (
    DEVNET,
    EPOCH,
    EPOCH_S,
    NETWORK,
    WALL,
    full_directory,
    onion_key,
    relay,
    rules,
    seeded,
    view_of,
)

RELAYS = [relay(n, signed=n == 1) for n in range(12)]


def test_a_full_directory_gives_paths_to_build_with():
    directory = full_directory(RELAYS)
    directory.require_usable(WALL)
    guards = refresh(
        GuardState(NETWORK),
        directory.guard_candidates(WALL),
        DEVNET.guard_rules,
        members=len(RELAYS),
        wall=WALL,
        entropy=seeded(1),
    )
    chooser = PathChooser(PathInputs(directory.candidates(WALL), guards))
    path = chooser.path(Purpose.SERVICE_INTRODUCTION, 2, seeded(2))
    hops = [directory.hop(relay_id, WALL) for relay_id in path]
    built = build_setup(
        hops, b"", cell_class=2, real_time=False, bucket=WALL // 600, entropy=seeded(3)
    )
    assert len(built.frame) == 16_384
    assert directory.endpoints(path[0], WALL)


def test_below_nine_tenths_of_the_weight_no_path_is_drawn():
    directory = Directory(rules())
    directory.add_view(view_of(RELAYS))
    for count, each in enumerate(RELAYS, start=1):
        assert directory.usable(WALL) is False
        with pytest.raises(DirectoryIncompleteError):
            directory.require_usable(WALL)
        directory.add_descriptor(each.descriptor().encode(), WALL)
        if count == 11:
            break
    assert directory.usable(WALL) is True


def test_without_a_view_nothing_is_known():
    directory = Directory(rules())
    with pytest.raises(DirectoryIncompleteError):
        directory.view(WALL)
    assert directory.usable(WALL) is False


def test_views_are_compared_by_epoch_and_root():
    directory = Directory(rules())
    views = {e: view_of(RELAYS[: 9 + e - EPOCH], e) for e in range(EPOCH - 2, EPOCH + 2)}
    for view in views.values():
        directory.add_view(view)
    assert directory.view(WALL) == views[EPOCH]
    for epoch in (EPOCH - 1, EPOCH, EPOCH + 1):
        assert directory.check_view(epoch, views[epoch].root, WALL) == views[epoch]
    for epoch, root in (
        (EPOCH, bytes(32)),
        (EPOCH, views[EPOCH - 1].root),
        (EPOCH - 2, views[EPOCH - 2].root),
        (EPOCH + 2, bytes(32)),
    ):
        with pytest.raises(ViewMismatchError):
            directory.check_view(epoch, root, WALL)
    with pytest.raises(ViewMismatchError):
        directory.add_view(replace(views[EPOCH], root=bytes(32)))
    larger = replace(views[EPOCH], root=bytes([1]) * 32, grows=True)
    directory.add_view(larger)  # where nobody vouches for the whole set, one more may turn up
    assert directory.check_view(EPOCH, larger.root, WALL) == larger


def test_a_relay_of_a_neighbouring_epoch_is_known():
    directory = Directory(rules())
    directory.add_view(view_of(RELAYS[:5]))
    directory.add_view(view_of(RELAYS[:6], EPOCH + 1))
    assert directory.entry(RELAYS[5].relay_id, WALL) == RELAYS[5].entry
    with pytest.raises(UnknownRelayError):
        directory.entry(RELAYS[6].relay_id, WALL)


def test_documents_of_strangers_and_other_times_are_refused():
    directory = full_directory(RELAYS[:5])
    stranger = relay(77)
    for add, document, error in (
        (directory.add_descriptor, stranger.descriptor(), UnknownRelayError),
        (directory.add_descriptor, RELAYS[0].descriptor(EPOCH + 2), WrongEpochError),
        (directory.add_descriptor, RELAYS[0].descriptor(EPOCH - 2), WrongEpochError),
        (directory.add_addresses, stranger.addresses(), UnknownRelayError),
        (directory.add_addresses, RELAYS[0].addresses(seq=0), StaleDocumentError),
    ):
        with pytest.raises(error):
            add(document.encode(), WALL)


def test_a_descriptor_by_another_relay_is_forged():
    directory = full_directory(RELAYS[:5])
    document = RELAYS[5].descriptor(relay_id=RELAYS[0].relay_id, epoch=EPOCH + 1)
    with pytest.raises(BadDocumentSignatureError):
        directory.add_descriptor(document.encode(), WALL)


def test_an_onion_key_that_is_none_is_refused():
    directory = Directory(rules())
    directory.add_view(view_of(RELAYS))
    broken = b"\xff" * 1_184 + onion_key(0)[1_184:]
    with pytest.raises(MalformedDocumentError):
        directory.add_descriptor(RELAYS[0].descriptor(onion_key=broken).encode(), WALL)


def test_an_equivocating_relay_is_left_out_for_the_epoch():
    directory = full_directory(RELAYS)
    liar = RELAYS[1]
    before = directory.directory_hash(EPOCH)
    with pytest.raises(EquivocationError):
        directory.add_descriptor(liar.descriptor(onion_key=onion_key(50)).encode(), WALL)
    assert liar.relay_id not in directory.candidates(WALL)
    assert liar.relay_id not in directory.descriptor_hashes(EPOCH)
    assert directory.directory_hash(EPOCH) != before
    with pytest.raises(NoDescriptorError):
        directory.hop(liar.relay_id, WALL)
    assert len(directory.evidence()) == 1
    assert directory.add_descriptor(liar.descriptor(EPOCH + 1).encode(), WALL)


def test_the_descriptor_of_the_next_epoch_waits():
    directory = full_directory(RELAYS)
    directory.add_view(view_of(RELAYS, EPOCH + 1))
    later = RELAYS[0].descriptor(EPOCH + 1, onion_key=onion_key(60))
    directory.add_descriptor(later.encode(), WALL)
    relay_id = RELAYS[0].relay_id
    assert directory.hop(relay_id, WALL).onion_key.raw == onion_key(0)
    assert directory.hop(relay_id, WALL + EPOCH_S).onion_key.raw == onion_key(60)
    with pytest.raises(NoDescriptorError):
        directory.hop(RELAYS[2].relay_id, WALL + EPOCH_S)


def test_a_descriptor_is_judged_by_the_entry_of_its_epoch():
    plain, signed = relay(1), relay(1, signed=True)
    directory = Directory(rules())
    directory.add_view(view_of([plain]))
    directory.add_view(view_of([signed], EPOCH + 1))
    directory.add_descriptor(plain.descriptor().encode(), WALL)
    with pytest.raises(BadDocumentSignatureError):
        directory.add_descriptor(plain.descriptor(EPOCH + 1).encode(), WALL)
    directory.add_descriptor(signed.descriptor(EPOCH + 1).encode(), WALL)


def test_a_relay_of_another_version_is_no_hop():
    directory = Directory(rules())
    directory.add_view(view_of(RELAYS))
    directory.add_descriptor(RELAYS[0].descriptor(versions=(2, 3)).encode(), WALL)
    with pytest.raises(NoDescriptorError):
        directory.hop(RELAYS[0].relay_id, WALL)


@pytest.mark.parametrize(("subnet_rule", "count"), [(True, 0), (False, 12)])
def test_where_subnets_count_a_relay_without_address_is_not_chosen(subnet_rule, count):
    directory = Directory(rules(subnet_rule=subnet_rule))
    directory.add_view(view_of(RELAYS))
    for each in RELAYS:
        directory.add_descriptor(each.descriptor().encode(), WALL)
    assert len(directory.candidates(WALL)) == count


def test_operator_family_and_subnet_make_conflicts():
    family = bytes([1]) * 32
    relays = [
        relay(0),
        relay(1, operator=0),
        relay(2, family=family),
        relay(3, family=family),
    ]
    found = full_directory(relays).candidates(WALL)
    one, same_operator, third, same_family = (found[each.relay_id] for each in relays)
    assert one.conflicts([same_operator])
    assert third.conflicts([same_family])
    assert not one.conflicts([third])
    free = full_directory(relays, family_rule=False).candidates(WALL)
    assert not free[third.relay_id].conflicts([free[same_family.relay_id]])


def test_only_a_relay_that_says_so_is_a_guard():
    directory = Directory(rules(subnet_rule=False))
    directory.add_view(view_of(RELAYS))
    directory.add_descriptor(RELAYS[0].descriptor(roles=Role.MEETING).encode(), WALL)
    directory.add_descriptor(RELAYS[1].descriptor().encode(), WALL)
    found = directory.candidates(WALL)
    assert [found[each.relay_id].guard for each in RELAYS[:2]] == [False, True]
    every = directory.guard_candidates(WALL)
    assert len(every) == 12
    assert every[RELAYS[5].relay_id].weight == 0


def test_what_is_over_is_forgotten():
    directory = full_directory(RELAYS)
    later = WALL + 2 * EPOCH_S
    directory.add_view(view_of(RELAYS, EPOCH + 2))
    directory.prune(later)
    assert directory.descriptor_hashes(EPOCH) == {}
    with pytest.raises(ViewMismatchError):
        directory.check_view(EPOCH, view_of(RELAYS).root, later)
    with pytest.raises(NoDescriptorError):
        directory.endpoints(RELAYS[0].relay_id, WALL + 3_600)


# Messages


def test_a_directory_goes_from_node_to_node():
    source, target = full_directory(RELAYS), Directory(rules())
    target.add_view(view_of(RELAYS))
    page = Page.decode(page_of(source, Fetch(EPOCH)).encode())
    assert page.after == b""
    assert merge(target, page, WALL).refused == ()
    assert target.directory_hash(EPOCH) == source.directory_hash(EPOCH)
    assert target.signed_addresses() == source.signed_addresses()


def test_what_the_asker_has_is_not_sent_again():
    source, target = full_directory(RELAYS), full_directory(RELAYS)
    assert page_of(source, fetch_from(target, EPOCH, b"")) == Page((), (), b"")
    moved = RELAYS[3].addresses(seq=2)
    source.add_addresses(moved.encode(), WALL)
    page = page_of(source, fetch_from(target, EPOCH, b""))
    assert page == Page((), (moved.encode(),), b"")
    assert merge(target, page, WALL).refused == ()
    nothing = Directory(rules())
    nothing.add_view(view_of(RELAYS))
    assert fetch_from(nothing, EPOCH, b"").known == b""
    assert len(page_of(source, fetch_from(nothing, EPOCH, b"")).descriptors) == len(RELAYS)


def test_another_descriptor_of_a_relay_is_sent_to_whoever_has_the_first():
    source, target = full_directory(RELAYS), Directory(rules())
    target.add_view(view_of(RELAYS))
    other = RELAYS[0].descriptor(bandwidth_class=1).encode()
    for signed in (other, *(each.descriptor().encode() for each in RELAYS[1:])):
        target.add_descriptor(signed, WALL)
    page = page_of(source, fetch_from(target, EPOCH, b""))
    assert page.descriptors == (RELAYS[0].descriptor().encode(),)
    (error,) = merge(target, page, WALL).refused
    assert isinstance(error, EquivocationError)


def test_a_question_of_somebody_who_has_everything_fits():
    class Everything:
        def signed_descriptors(self, epoch):
            return {n.to_bytes(32, "big"): b"d%d" % n for n in range(600)}

        def signed_addresses(self):
            return {n.to_bytes(32, "big"): b"a%d" % n for n in range(600)}

    fetch = fetch_from(Everything(), EPOCH, b"")
    assert len(fetch.known) == KNOWN_MAX
    assert decode_request(fetch.encode()) == fetch
    page = page_of(Everything(), fetch)
    assert (page.descriptors, page.addresses) == ((), ())
    assert page.after == (255).to_bytes(32, "big")
    with pytest.raises(MalformedDocumentError):
        decode_request(replace(fetch, known=bytes(KNOWN_MAX + 8)).encode())
    with pytest.raises(MalformedDocumentError):
        decode_request(replace(fetch, known=bytes(7)).encode())


def test_a_bad_document_spoils_only_itself():
    source, target = full_directory(RELAYS), Directory(rules())
    target.add_view(view_of(RELAYS))
    page = page_of(source, Fetch(EPOCH))
    forged = relay(77).descriptor().encode()
    bad = Page((forged, b"garbage", *page.descriptors), (b"", *page.addresses), b"")
    merged = merge(target, bad, WALL)
    assert merged.kept == 24
    assert [type(error) for error in merged.refused] == [
        UnknownRelayError,
        MalformedDocumentError,
        MalformedDocumentError,
    ]
    target.require_usable(WALL)


def test_a_relay_publishes_its_own():
    target = Directory(rules())
    target.add_view(view_of(RELAYS))
    own = Publish(RELAYS[0].descriptor().encode(), RELAYS[0].addresses().encode())
    assert merge(target, own, WALL).kept == 2
    assert merge(target, Publish(b"", b""), WALL).kept == 0
    assert target.hop(RELAYS[0].relay_id, WALL)


def test_pages_follow_each_other():
    class Many:
        def signed_descriptors(self, epoch):
            return {n.to_bytes(32, "big"): b"d" for n in range(600)}

        def signed_addresses(self):
            return {n.to_bytes(32, "big"): b"a" for n in range(300, 601)}

    after, descriptors, addresses, pages = b"", 0, 0, 0
    while after or not pages:
        page = page_of(Many(), Fetch(EPOCH, after))
        descriptors += len(page.descriptors)
        addresses += len(page.addresses)
        after, pages = page.after, pages + 1
        assert len(page.descriptors) <= PAGE_RELAYS
    assert (descriptors, addresses, pages) == (600, 301, 3)
