"""What belongs together and what does not, in processes made by hand."""

import os

import pytest

from peerstream.node.lab.audit.linking import (
    Joined,
    clusters_of,
    coalition,
    drop_public,
    values_of,
)
from peerstream.node.protocol.directory.bundle import Fetch, Page, fingerprint, frame
from tests.node.lab.audit.scenes import (
    ADDRESS,
    CALLEE,
    CALLER,
    IP,
    KNOWN,
    NAME,
    OTHER_IP,
    RELAY,
    Scene,
)
from tests.node.protocol.directory.network import relay

IN, OUT = (1, 0x8000_0001), (2, 0x8000_0005)


@pytest.fixture
def scene():
    """Have one client, connection 1, and one other relay, connection 2."""
    found = Scene()
    found.connect(1, CALLER)
    found.connect(2, RELAY)
    return found


def joined(*scenes):
    clusters = [clusters_of(scene.view, KNOWN, {RELAY, "127.4.0.1"}) for scene in scenes]
    return [Joined(found) for found in clusters]


def linked(*scenes):
    """Return the sets of facts that the processes can link, those of one fact left out."""
    found = coalition(joined(*scenes))
    return {frozenset(cluster.facts) for cluster in found if len(cluster.facts) > 1}


def answer(page, protocol=b"/psp/dir/1.0.0"):
    """Return what a relay sends over the stream of a question."""
    names = (b"/multistream/1.0.0\n", protocol + b"\n")
    return b"".join(bytes([len(name)]) + name for name in names) + frame(page.encode())


def page_with(*more):
    relays = [relay(number) for number in range(3)]
    documents = [each.descriptor().encode() for each in relays]
    return Page((*documents, *more), tuple(each.addresses().encode() for each in relays), b"")


def test_two_who_get_the_same_page_of_the_directory_are_strangers(scene):
    scene.connect(3, CALLEE)
    for connection in (1, 3):
        scene.unit("stream", ("stream", connection, 1), answer(page_with()))
    assert linked(scene) == set()


@pytest.mark.parametrize(
    "sent", [answer(page_with(os.urandom(64))), answer(page_with(), b"/psp/other/1.0.0")]
)
def test_what_only_looks_like_a_page_links_who_gets_it(scene, sent):
    scene.connect(3, CALLEE)
    for connection in (1, 3):
        scene.unit("stream", ("stream", connection, 1), sent)
    assert linked(scene) == {frozenset({IP, OTHER_IP})}


def question(known):
    """Return what a client asks for the rest of the directory."""
    return answer(Fetch(7, b"", known))


def held_by(*scenes):
    found = [clusters_of(each.view, KNOWN, {RELAY, "127.4.0.1"}) for each in scenes]
    drop_public(found)
    return {frozenset(c.facts) for c in coalition([Joined(f) for f in found]) if len(c.facts) > 1}


def test_two_who_name_the_same_documents_are_strangers(scene):
    documents = (*page_with().descriptors, *page_with().addresses)
    known = b"".join(fingerprint(document) for document in documents)
    scene.connect(3, CALLEE)
    for connection in (1, 3):
        scene.unit("stream", ("stream", connection, 1), question(known))
    other, third = Scene("relay-02"), Scene("relay-03")
    other.unit("stream", ("stream", 5, 1), answer(page_with()))
    assert held_by(scene, other, third) == set()


def test_two_who_name_what_no_document_is_are_linked(scene):
    scene.connect(3, CALLEE)
    marked = os.urandom(8)
    for connection in (1, 3):
        scene.unit("stream", ("stream", connection, 1), question(marked))
    other, third = Scene("relay-02"), Scene("relay-03")
    other.unit("stream", ("stream", 5, 1), answer(page_with()))
    assert held_by(scene, other, third) == {frozenset({IP, OTHER_IP})}


def test_a_fact_in_a_page_is_found(scene):
    scene.unit("stream", ("stream", 1, 1), answer(page_with()) + ADDRESS)
    assert linked(scene) == {frozenset({IP, NAME})}


def test_a_circuit_of_a_client_that_ends_here_is_the_client_s(scene):
    scene.end(IN, 9, b"get " + ADDRESS)
    assert linked(scene) == {frozenset({IP, NAME})}


def test_another_s_circuit_over_a_link_between_relays_is_not(scene):
    scene.forward_cell(IN, OUT, 8)
    scene.end((2, 0x8000_0007), 9, b"get " + ADDRESS)
    assert linked(scene) == set()


@pytest.mark.parametrize("forward", [Scene.forward_cell, Scene.forward_setup])
def test_a_circuit_is_followed_through_its_layer(scene, forward):
    forward(scene, IN, OUT, 8)
    scene.unit("frame", ("circuit", *OUT), b"in clear: " + ADDRESS)
    assert linked(scene) == {frozenset({IP, NAME})}


@pytest.mark.parametrize("forward", [Scene.forward_cell, Scene.forward_setup])
def test_circuits_with_one_next_hop_are_several(scene, forward):
    forward(scene, IN, OUT, 8)
    forward(scene, (2, 7), (2, 0x8000_0009), 10)
    scene.unit("frame", ("circuit", 2, 0x8000_0009), ADDRESS)
    assert linked(scene) == set()


def test_a_splice_is_followed(scene):
    middle = os.urandom(1_008)
    before, after = os.urandom(1_008), os.urandom(1_008)
    scene.cell(*IN, before)
    scene.cipher(7, before, middle)
    scene.cipher(8, middle, after)
    scene.cell(*OUT, after)
    scene.unit("frame", ("circuit", *OUT), ADDRESS)
    assert linked(scene) == {frozenset({IP, NAME})}


def test_equal_filling_follows_nothing(scene):
    for place, key in ((IN, 7), (OUT, 8)):
        scene.cell(*place, bytes(1_008))
        scene.cipher(key, bytes(1_008), os.urandom(1_008))
    scene.unit("frame", ("circuit", *OUT), ADDRESS)
    assert linked(scene) == set()


def test_all_streams_of_a_client_are_one(scene):
    scene.unit("stream", ("stream", 1, 1), b"a question")
    scene.unit("stream", ("stream", 1, 3), ADDRESS)
    assert linked(scene) == {frozenset({IP, NAME})}


def test_streams_between_relays_are_several(scene):
    scene.connect(4, CALLEE)
    scene.unit("stream", ("stream", 2, 1), CALLER.encode())
    scene.unit("stream", ("stream", 2, 3), ADDRESS)
    assert linked(scene) == set()


def test_a_value_that_two_places_hold_joins_them(scene):
    cookie = os.urandom(8)
    scene.end(IN, 9, b"listen " + cookie)
    scene.end((2, 3), 10, cookie + b" for " + ADDRESS)
    assert linked(scene) == {frozenset({IP, NAME})}


def test_a_key_in_two_large_places_is_found():
    key = os.urandom(32)
    for _ in range(50):
        first, second = (os.urandom(9_000) + key + os.urandom(500) for _ in range(2))
        assert set(values_of(first)) & set(values_of(second))


def test_words_and_numbers_are_no_values():
    assert set(values_of(bytes(100))) == set()
    assert set(values_of(b"\xfa\xdc\x1b\xcf\x01\0\0\0")) == set()
    assert len(set(values_of(bytes(range(8))))) == 1
    assert set(values_of(b"short")) == set()


def test_a_log_is_one_place(scene):
    scene.log(b"client 127.201.0.1\nlookup of " + ADDRESS.hex().encode())
    assert linked(scene) == {frozenset({IP, NAME})}


def test_what_all_hold_joins_nothing():
    public = os.urandom(64)
    scenes = [Scene(f"relay-{number:02}") for number in range(5)]
    for scene in scenes:
        scene.unit("stream", ("stream", 9, 1), public)
    scenes[0].connect(1, CALLER)
    scenes[0].unit("stream", ("stream", 1, 1), public)
    scenes[0].unit("stream", ("stream", 3, 1), public + ADDRESS)
    found = [clusters_of(scene.view, KNOWN, {RELAY}) for scene in scenes]
    assert any({IP, NAME} <= set(c.facts) for c in Joined(found[0]).clusters)
    drop_public(found)
    assert not any({IP, NAME} <= set(c.facts) for c in Joined(found[0]).clusters)


def test_neighbours_on_a_path_know_together_what_each_does_not():
    guard, middle, last = Scene("relay-01"), Scene("relay-02"), Scene("relay-03")
    guard.connect(1, CALLER)
    _, sent = guard.forward_cell((1, 5), (2, 6), 1)
    middle_sent = os.urandom(1_008)
    middle.cell(1, 6, sent)
    middle.cipher(1, sent, middle_sent)
    middle.cell(2, 7, middle_sent)
    last.cell(1, 7, middle_sent)
    last.cipher(1, middle_sent, ADDRESS.ljust(1_008, b"\0"))
    for one in (guard, middle, last):
        assert linked(one) == set()
    assert linked(guard, middle) == linked(guard, last) == linked(middle, last) == set()
    assert linked(guard, middle, last) == {frozenset({IP, NAME})}


def test_a_guard_of_both_links_neither_to_the_other_by_what_it_reads():
    guard = Scene()
    guard.connect(1, CALLER)
    guard.connect(3, CALLEE)
    guard.forward_cell((1, 5), (2, 6), 1)
    guard.forward_cell((3, 5), (4, 6), 2)
    assert linked(guard) == set()
    held = {fact for cluster in joined(guard)[0].clusters for fact in cluster.facts}
    assert held == {IP, OTHER_IP}
