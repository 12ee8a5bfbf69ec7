"""Every signed document: what was signed is what is read, and nothing else is."""

from contextlib import suppress
from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.directory import bundle, commands
from peerstream.node.protocol.directory.address_record import AddressRecord, SignedAddressRecord
from peerstream.node.protocol.directory.admission import Admission, SignedAdmission, admitted_view
from peerstream.node.protocol.directory.errors import (
    AdmissionOverError,
    BadAdmissionError,
    BadDocumentSignatureError,
    DirectoryError,
    EquivocationError,
    ExpiredDocumentError,
    ForkedFileError,
    MalformedDocumentError,
    RolledBackError,
    ViewMismatchError,
)
from peerstream.node.protocol.directory.guards import GuardState, Term
from peerstream.node.protocol.directory.relay_descriptor import (
    DESCRIPTOR_MAX,
    RelayDescriptor,
    SignedRelayDescriptor,
    require_consistent,
    statement_digest,
    statement_typed_data,
)
from peerstream.node.protocol.directory.relay_set import registry_root
from peerstream.node.protocol.directory.static import (
    SignedStaticFile,
    StaticFile,
    StaticPin,
    StaticRelay,
)
from peerstream.node.protocol.directory.subnets import Endpoint, subnets_of
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.directory.network import EPOCH, EPOCH_S, NETWORK, WALL, relay

OTHER_NETWORK = bytes(32)
PARAMETERS = bytes([7]) * 32
KEEPER = relay(900)


def static_file(serial: int = 3, count: int = 4) -> SignedStaticFile:
    relays = tuple(
        StaticRelay(relay(n).entry, (Endpoint.parse(f"/ip4/127.{n + 1}.0.1/tcp/4001"),))
        for n in range(count)
    )
    file = StaticFile(serial, WALL - 10, WALL + 10, PARAMETERS, relays)
    return SignedStaticFile.sign(file, KEEPER.key, network_id=NETWORK)


def admission(**changes: object) -> SignedAdmission:
    base = Admission(relay(1).relay_id, bytes(20), bytes(32), WALL - 10, WALL + 86_400)
    return SignedAdmission.sign(replace(base, **changes), KEEPER.key, network_id=NETWORK)


GUARDS = GuardState(
    NETWORK, (Term(bytes([1]) * 32, 5),), (), (Term(bytes([2]) * 32, 7),), (Term(bytes(32), 9),)
)
SAMPLES = {
    "descriptor": (SignedRelayDescriptor.decode, relay(1, signed=True).descriptor().encode()),
    "addresses": (SignedAddressRecord.decode, relay(1).addresses().encode()),
    "static": (SignedStaticFile.decode, static_file().encode()),
    "admission": (SignedAdmission.decode, admission().encode()),
    "guards": (GuardState.decode, GUARDS.encode()),
    "page": (bundle.Page.decode, bundle.Page((b"a",), (b"b", b"c"), bytes(32)).encode()),
    "fetch": (bundle.decode_request, bundle.Fetch(7, bytes(32), bytes(16)).encode()),
    "publish": (bundle.decode_request, bundle.Publish(b"a", b"").encode()),
    "view": (bundle.decode_request, bundle.FetchView(7).encode()),
    "replicate": (
        bundle.decode_request,
        bundle.Replicate(commands.Kind.RECORD, b"abc").encode(),
    ),
    "recall": (bundle.decode_request, bundle.Recall(bytes(32)).encode()),
    "recalled": (
        bundle.Recalled.decode,
        bundle.Recalled(
            ((commands.Kind.RECORD, b"abc"), (commands.Kind.GRANT, b"d")), bytes(32)
        ).encode(),
    ),
    "done": (bundle.Done.decode, bundle.Done(Status.OK).encode()),
    "get": (commands.Get.decode, commands.Get(commands.Kind.GRANT, bytes(32)).encode()),
    "put": (commands.Put.decode, commands.Put(commands.Kind.RECORD, b"abc").encode()),
    "answer": (
        commands.Answer.decode,
        commands.Answer(commands.Kind.RECORD, Status.OK, b"abc").encode(),
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_read_is_what_was_written(name):
    decode, data = SAMPLES[name]
    assert decode(data).encode() == data


@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.binary(max_size=600))
def test_garbage_is_malformed(name, data):
    decode, _ = SAMPLES[name]
    with suppress(MalformedDocumentError):
        assert decode(data).encode() == data


@pytest.mark.parametrize("name", SAMPLES)
@given(choice=st.data())
def test_damage_is_malformed_or_another_value(name, choice):
    decode, sample = SAMPLES[name]
    place = choice.draw(st.integers(0, len(sample) - 1))
    kind = choice.draw(st.sampled_from(["flip", "cut", "insert"]))
    if kind == "flip":
        flipped = sample[place] ^ choice.draw(st.integers(1, 255))
        data = sample[:place] + bytes([flipped]) + sample[place + 1 :]
    elif kind == "cut":
        data = sample[:place]
    else:
        data = sample[:place] + choice.draw(st.binary(min_size=1, max_size=3)) + sample[place:]
    with suppress(MalformedDocumentError):
        assert decode(data).encode() == data


def test_entries_survive_their_encoding():
    entries = tuple(relay(n).entry for n in range(5))
    assert bundle.decode_entries(bundle.encode_entries(entries)) == entries


# Relay descriptors


@pytest.mark.parametrize("signed", [False, True])
def test_a_relay_descriptor_is_its_relays(signed):
    one = relay(1, signed=signed)
    document = SignedRelayDescriptor.decode(one.descriptor().encode())
    assert document.verify(one.entry, NETWORK).epoch == EPOCH
    assert len(document.encode()) <= DESCRIPTOR_MAX
    with pytest.raises(BadDocumentSignatureError):
        document.verify(relay(2).entry, NETWORK)
    with pytest.raises(BadDocumentSignatureError):
        document.verify(one.entry, OTHER_NETWORK)
    forged = replace(document, statement=bytes(65))
    with pytest.raises(BadDocumentSignatureError):
        forged.verify(one.entry, NETWORK)


def test_a_statement_by_another_key_is_refused():
    one, other = relay(1, signed=True), relay(2, signed=True)
    document = replace(one.descriptor(), statement=other.descriptor().statement)
    with pytest.raises(BadDocumentSignatureError):
        document.verify(one.entry, NETWORK)


def test_a_descriptor_of_a_relay_with_a_statement_key_needs_the_statement():
    one = relay(1, signed=True)
    with pytest.raises(BadDocumentSignatureError):
        replace(one.descriptor(), statement=b"").verify(one.entry, NETWORK)


def test_the_statement_is_what_a_wallet_signs():
    digest = bytes([9]) * 32
    typed = statement_typed_data(NETWORK, bytes([8]) * 32, EPOCH, digest)
    account = Account.create()
    signed = account.sign_message(encode_typed_data(full_message=typed))
    assert signed.message_hash == statement_digest(NETWORK, bytes([8]) * 32, EPOCH, digest)


def test_two_descriptors_for_one_epoch_are_evidence():
    one = relay(1, signed=True)
    first, second = one.descriptor(), one.descriptor(bandwidth_class=1)
    require_consistent(first, one.descriptor())
    require_consistent(first, one.descriptor(epoch=EPOCH + 1))
    with pytest.raises(EquivocationError) as caught:
        require_consistent(first, second)
    for evidence in caught.value.evidence:
        SignedRelayDescriptor.decode(evidence).verify(one.entry, NETWORK)


def test_a_descriptor_with_another_sequence_number_is_refused():
    body = relay(1).descriptor().signed.body
    assert body.count(b"\x03\x00\x04") == 1
    with pytest.raises(MalformedDocumentError):
        RelayDescriptor.from_body(body.replace(b"\x03\x00\x04", b"\x03\x01\x04"))


# Addresses


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/ip4/1.2.3.4/udp/5",
        "/ip4/1.2.3/tcp/5",
        "/ip4/01.2.3.4/tcp/5",
        "/ip4/1.2.3.4/tcp/0",
        "/ip4/1.2.3.4/tcp/05",
        "/ip4/1.2.3.4/tcp/65536",
        "/ip4/1.2.3.4/tcp/٣",
        "/ip4/1.2.3.4/tcp/5/p2p/x",
        "/ip6/::1%lo/tcp/5",
        "/ip6/::ffff:8.8.8.8/tcp/5",
        "/ip6/::ffff:808:808/tcp/5",
        "/ip6/0:0:0:0:0:0:0:1/tcp/5",
        "/dns4/relay.example/tcp/5",
        "/ip4/1.2.3.4/tcp/" + "9" * 100,
    ],
)
def test_other_spellings_are_no_endpoints(text):
    with pytest.raises(MalformedDocumentError):
        Endpoint.parse(text)


@given(
    st.ip_addresses().filter(lambda ip: ip.version == 4 or ip.ipv4_mapped is None),
    st.integers(1, 65_535),
)
def test_an_endpoint_is_what_it_prints(address, port):
    endpoint = Endpoint(address, port)
    assert Endpoint.parse(str(endpoint)) == endpoint
    assert len(endpoint.subnet()) == (3 if address.version == 4 else 5)


@pytest.mark.parametrize(
    ("text", "fine_at_home"),
    [
        ("/ip4/127.3.0.1/tcp/1", True),
        ("/ip4/10.0.0.1/tcp/1", True),
        ("/ip4/169.254.169.254/tcp/1", True),
        ("/ip6/::1/tcp/1", True),
        ("/ip4/0.0.0.0/tcp/1", False),
        ("/ip4/224.0.0.1/tcp/1", False),
        ("/ip6/ff02::1/tcp/1", False),
    ],
)
def test_a_relay_cannot_send_its_neighbours_to_their_own_doors(text, fine_at_home):
    endpoint = Endpoint.parse(text)
    with pytest.raises(MalformedDocumentError):
        endpoint.require_routable(private=False)
    if fine_at_home:
        endpoint.require_routable(private=True)
    else:
        with pytest.raises(MalformedDocumentError):
            endpoint.require_routable(private=True)


def test_public_addresses_are_fine():
    for text in ("/ip4/8.8.8.8/tcp/1", "/ip6/2001:4860::1/tcp/1"):
        Endpoint.parse(text).require_routable(private=False)


def test_neighbours_share_a_subnet():
    a, b, c = (Endpoint.parse(f"/ip4/{ip}/tcp/1") for ip in ("1.2.3.4", "1.2.9.9", "1.3.3.4"))
    assert subnets_of([a]) == subnets_of([b]) != subnets_of([c])


def test_an_address_record_is_its_relays_for_a_time():
    one, document = relay(1), relay(1).addresses()
    limits = {"life_s": 3_600, "private": True}
    assert document.verify(one.relay_id, NETWORK, wall=WALL, **limits).seq == 1
    with pytest.raises(BadDocumentSignatureError):
        document.verify(relay(2).relay_id, NETWORK, wall=WALL, **limits)
    with pytest.raises(BadDocumentSignatureError):
        document.verify(one.relay_id, OTHER_NETWORK, wall=WALL, **limits)
    with pytest.raises(ExpiredDocumentError):
        document.verify(one.relay_id, NETWORK, wall=WALL + 3_600, **limits)
    with pytest.raises(ExpiredDocumentError):
        one.addresses(expiry=WALL + 90_000).verify(one.relay_id, NETWORK, wall=WALL, **limits)
    with pytest.raises(MalformedDocumentError):
        document.verify(one.relay_id, NETWORK, wall=WALL, life_s=3_600, private=False)


@pytest.mark.parametrize("count", [0, 2, 5])
def test_endpoints_are_one_to_four_and_distinct(count):
    endpoints = (Endpoint.parse("/ip4/8.8.8.8/tcp/1"),) * count
    with pytest.raises(MalformedDocumentError):
        AddressRecord.from_body(AddressRecord(bytes(32), 1, endpoints, WALL).body())


# Static files


def test_a_static_file_is_a_view():
    document = static_file()
    limits = {"parameters_hash": PARAMETERS, "wall": WALL}
    document.verify(KEEPER.relay_id, NETWORK, **limits)
    view = document.view(NETWORK)
    assert (view.epoch, view.root, len(view)) == (3, document.root, 4)
    assert view.in_force(WALL)
    with pytest.raises(BadDocumentSignatureError):
        document.verify(relay(1).relay_id, NETWORK, **limits)
    with pytest.raises(BadDocumentSignatureError):
        document.verify(KEEPER.relay_id, OTHER_NETWORK, **limits)
    with pytest.raises(ViewMismatchError):
        document.verify(KEEPER.relay_id, NETWORK, parameters_hash=bytes(32), wall=WALL)
    with pytest.raises(ExpiredDocumentError):
        document.verify(KEEPER.relay_id, NETWORK, parameters_hash=PARAMETERS, wall=WALL + 10)


def test_serials_do_not_go_back():
    pin = static_file(3).pinned(StaticPin())
    assert pin.serial == 3
    assert static_file(2).pinned(pin) == pin
    assert static_file(4).pinned(pin).serial == 4
    with pytest.raises(RolledBackError):
        static_file(1).pinned(pin)
    with pytest.raises(ForkedFileError):
        static_file(3, count=3).pinned(pin)


def test_the_relays_of_a_static_file_are_in_order():
    file = static_file().file
    with pytest.raises(MalformedDocumentError):
        StaticFile.from_body(replace(file, relays=file.relays[::-1]).body())


# Admissions


def test_an_admission_is_by_a_key_of_the_network():
    keys = [relay(1).relay_id, KEEPER.relay_id]
    assert admission().verify(keys, NETWORK, wall=WALL).relay_id == relay(1).relay_id
    with pytest.raises(BadAdmissionError):
        admission().verify(keys[:1], NETWORK, wall=WALL)
    with pytest.raises(BadAdmissionError):
        admission().verify(keys, OTHER_NETWORK, wall=WALL)


@pytest.mark.parametrize(
    "changes",
    [{"not_before": WALL + 1}, {"not_after": WALL - 1}, {"not_after": WALL + 31 * 86_400}],
)
def test_an_admission_is_for_a_month_at_most(changes):
    with pytest.raises((BadAdmissionError, AdmissionOverError)):
        admission(**changes).verify([KEEPER.relay_id], NETWORK, wall=WALL)


def test_an_admission_that_ends_before_it_begins_is_none():
    with pytest.raises(MalformedDocumentError):
        SignedAdmission.decode(admission(not_before=WALL, not_after=WALL).encode())


def test_admitted_relays_have_equal_weight_and_a_root_over_all_of_them():
    long_ago = WALL - 9 * EPOCH_S
    first = replace(admission().admission, not_before=long_ago)
    later = replace(
        first,
        not_before=WALL - 5 * EPOCH_S,
        not_after=first.not_after + 5,
        operator=bytes([1]) * 20,
    )
    other = replace(first, relay_id=relay(2).relay_id)
    view = admitted_view(EPOCH, [later, first, other], epoch_s=EPOCH_S)
    assert view.root == registry_root(view)
    assert {entry.weight for entry in view} == {1}
    found = view.get(first.relay_id)
    assert found.operator == later.operator  # the one that ends last
    assert found.from_epoch == long_ago // EPOCH_S  # as old as the oldest
    assert admitted_view(EPOCH, [other, later, first], epoch_s=EPOCH_S).root == view.root
    assert admitted_view(EPOCH, [later, other], epoch_s=EPOCH_S).root != view.root


def test_an_admission_counts_from_two_epochs_after_it_began_to_the_last_whole_one():
    begins, ends = EPOCH * EPOCH_S + 7, (EPOCH + 9) * EPOCH_S + 7
    only = [replace(admission().admission, not_before=begins, not_after=ends)]
    counts = [
        epoch - EPOCH
        for epoch in range(EPOCH - 1, EPOCH + 12)
        if len(admitted_view(epoch, only, epoch_s=EPOCH_S))
    ]
    assert counts == list(range(2, 9))


# Commands


def test_an_epochs_key_names_epoch_and_page():
    assert commands.read_epoch_key(commands.epoch_key(7, 2)) == (7, 2)
    with pytest.raises(MalformedDocumentError):
        commands.read_epoch_key(b"\x01" + bytes(31))


def test_a_document_beside_a_refusal_is_malformed():
    body = commands.Answer(commands.Kind.RECORD, Status.NOT_FOUND).encode()
    assert commands.Answer.decode(body).status is Status.NOT_FOUND
    with pytest.raises(MalformedDocumentError):
        commands.Answer.decode(body + b"x")


def test_a_frame_says_how_much_follows():
    framed = bundle.frame(b"abc")
    assert bundle.frame_length(framed[:4], 10) == 3
    with pytest.raises(MalformedDocumentError):
        bundle.frame_length(framed[:4], 2)
    with pytest.raises(MalformedDocumentError):
        bundle.frame_length(b"\0", 10)


def test_every_directory_error_says_what_to_do():
    pending = [DirectoryError]
    while pending:
        error = pending.pop()
        assert error.__doc__
        pending.extend(error.__subclasses__())
