import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion import setup
from peerstream.node.protocol.onion.errors import (
    KemError,
    SetupError,
    SetupForgedError,
    SetupInstructionError,
    SetupKeyError,
    SetupLoopError,
    SetupMalformedError,
    SetupVersionError,
)
from peerstream.node.protocol.onion.kem import KemPublicKey
from peerstream.node.protocol.onion.routing import (
    NextHop,
    Terms,
    decode_routing,
    encode_routing,
)
from peerstream.node.protocol.onion.setup import Hop, build_setup, replay_tag
from peerstream.node.protocol.wire.sizes import PAYLOAD_SIZE, REPLY_SIZE, SETUP_SIZE
from tests.node.protocol.onion.paths import (
    RELAYS,
    TERMS,
    Circuit,
    Entropy,
    blocks,
    share_a_block,
)

HEADER_BITS = range(8 * 1144)
THREE = Circuit(3)


@pytest.mark.parametrize("count", range(1, 6))
def test_sizes_are_the_same_at_every_hop(count):
    circuit = Circuit(count, payload=bytes(PAYLOAD_SIZE))
    assert {len(frame) for frame in circuit.frames} == {SETUP_SIZE}
    assert {len(reply) for reply in circuit.replies} == {REPLY_SIZE}
    assert [done.payload for done in circuit.processed] == [None] * (count - 1) + [
        bytes(PAYLOAD_SIZE)
    ]


@pytest.mark.parametrize("count", range(1, 6))
@pytest.mark.parametrize("real_time", [False, True])
def test_every_hop_learns_its_neighbour_and_the_terms(count, real_time):
    circuit = Circuit(count, cell_class=count % 4, real_time=real_time, bucket=7)
    following = [relay.relay_id for relay in circuit.relays[1:]] + [None]
    assert [done.next_relay_id for done in circuit.processed] == following
    terms = {(done.cell_class, done.real_time, done.bucket) for done in circuit.processed}
    assert terms == {(count % 4, real_time, 7)}


@pytest.mark.parametrize("count", range(1, 6))
def test_a_payload_can_sign_the_binding_that_only_the_last_hop_shares(count):
    circuit = Circuit(count, payload=lambda binding: b"signed" + binding)
    last = circuit.processed[-1]
    assert last.payload.startswith(b"signed" + last.binding)
    assert circuit.pending.binding == last.binding
    assert len({done.binding for done in circuit.processed}) == count


@pytest.mark.parametrize("count", range(2, 6))
def test_no_two_links_share_a_block(count):
    circuit = Circuit(count, payload=bytes(PAYLOAD_SIZE))
    assert not share_a_block(circuit.frames)
    for frame in circuit.frames:
        assert len(blocks(frame)) == SETUP_SIZE // 16


def test_the_rest_of_the_last_hops_body_does_not_show_the_length():
    """What is behind a short payload repeats nothing and has no runs of zeros."""
    for count in (1, 5):
        payload = Circuit(count, payload=b"x").processed[-1].payload
        assert len(blocks(payload)) == PAYLOAD_SIZE // 16


def test_each_bit_of_the_header_is_covered():
    frame = bytearray(THREE.frames[1])
    for bit in HEADER_BITS:
        frame[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SetupError):
            RELAYS[1].process(bytes(frame))
        frame[bit // 8] ^= 1 << bit % 8


@given(st.integers(0, 2), st.integers(1144 * 8, SETUP_SIZE * 8 - 1))
def test_any_bit_of_the_body_is_covered_on_every_link(link, bit):
    frame = bytearray(THREE.frames[link])
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SetupForgedError):
        RELAYS[link].process(bytes(frame))


@given(st.data())
@settings(max_examples=50)
def test_a_bit_that_a_hop_changes_dies_at_the_next(data):
    """A dishonest hop may change what it sends on, filler included: the next hop drops it."""
    circuit = Circuit(4)
    link = data.draw(st.integers(1, 3))
    bit = data.draw(st.integers(8 * 8, SETUP_SIZE * 8 - 1))
    frame = bytearray(circuit.processed[link - 1].next_frame)
    assert bytes(frame) == circuit.frames[link]
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SetupForgedError):
        RELAYS[link].process(bytes(frame))


@given(st.binary(max_size=200), st.integers(0, 3))
def test_arbitrary_bytes_give_a_setup_error(data, how):
    whole = data.ljust(SETUP_SIZE, b"\7")
    valid_start = THREE.frames[0][: len(data) % 9]
    candidates = [data, whole, valid_start + whole[len(valid_start) :], THREE.frames[0] + data]
    frame = candidates[how]
    if frame == THREE.frames[0]:
        return
    with pytest.raises(SetupError):
        RELAYS[0].process(frame)


def test_each_cause_has_its_error():
    frame = bytearray(THREE.frames[0])
    for at, value, error in (
        (0, frame[0] ^ 1, SetupKeyError),
        (4, 2, SetupVersionError),
        (4, 0, SetupVersionError),
        (5, 1, SetupMalformedError),
        (7, 1, SetupMalformedError),
    ):
        changed = bytearray(frame)
        changed[at] = value
        with pytest.raises(error):
            RELAYS[0].process(bytes(changed))
    with pytest.raises(SetupForgedError):
        RELAYS[0].process(bytes(frame[:1096]) + bytes(32) + bytes(frame[1128:]))


def test_a_setup_for_another_relay_with_the_same_key_does_not_open():
    """The relay id goes into the keys: a key served under another id is of no use."""
    twin = type(RELAYS[0])(0)
    twin.relay_id = bytes(32)
    with pytest.raises(SetupForgedError):
        twin.process(THREE.frames[0])


def test_a_path_back_to_the_same_relay_is_refused_by_both_sides(monkeypatch):
    with pytest.raises(LocalProtocolError):
        _build([RELAYS[0].hop, RELAYS[0].hop])
    monkeypatch.setattr(setup, "_check_path", lambda _: None)  # a client without our checks
    frame = _build([RELAYS[0].hop, RELAYS[0].hop]).frame
    with pytest.raises(SetupLoopError):
        RELAYS[0].process(frame)


def test_a_path_may_come_back_after_another_relay():
    frame, _ = _build([RELAYS[0].hop, RELAYS[1].hop, RELAYS[0].hop])
    onward = RELAYS[1].process(RELAYS[0].process(frame).next_frame).next_frame
    assert RELAYS[0].process(onward).payload is not None


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"path": []}, LocalProtocolError),
        ({"path": [relay.hop for relay in RELAYS] + [RELAYS[0].hop]}, LocalProtocolError),
        ({"path": [Hop(bytes(31), RELAYS[0].key.public)]}, LocalProtocolError),
        ({"path": [Hop(bytes(32), RELAYS[0].key.public, 2)]}, LocalProtocolError),
        ({"path": [Hop(bytes(32), KemPublicKey(b"\xff" * 1216))]}, KemError),
        ({"payload": bytes(PAYLOAD_SIZE + 1)}, LocalProtocolError),
        ({"cell_class": 4}, LocalProtocolError),
        ({"bucket": 1 << 32}, LocalProtocolError),
    ],
)
def test_what_no_hop_would_accept_is_not_built(change, error):
    wanted = {"path": [RELAYS[0].hop], "payload": b"", "entropy": Entropy(), **TERMS}
    with pytest.raises(error):
        build_setup(**{**wanted, **change})


def test_a_replay_tag_depends_on_the_ciphertext_only():
    frame = THREE.frames[0]
    assert len(replay_tag(frame)) == 16
    assert replay_tag(frame) == replay_tag(memoryview(frame)[:1128])
    assert replay_tag(frame) != replay_tag(THREE.frames[1])


NEXT = NextHop(b"r" * 32, b"okid", 1, b"t" * 16, b"c" * 1120)


@given(st.integers(0, 3), st.booleans(), st.integers(0, 2**32 - 1), st.sampled_from([NEXT, None]))
def test_a_routing_block_survives(cell_class, real_time, bucket, following):
    terms = Terms(cell_class, real_time, bucket)
    block = encode_routing(terms, following, b"f" * 1136)
    assert len(block) == 1184
    assert decode_routing(block) == (terms, following)


@given(st.binary(max_size=64), st.integers(0, 63), st.integers(0, 7), st.booleans())
def test_a_routing_block_has_one_encoding(data, at, bit, last):
    block = bytearray(encode_routing(Terms(1, False, 9), None if last else NEXT, b"f" * 1136))
    block[at] ^= 1 << bit
    for candidate in (bytes(block), data, data.ljust(1184, b"\0")):
        try:
            terms, following = decode_routing(candidate)
        except SetupInstructionError:
            continue
        assert encode_routing(terms, following, candidate[48:]) == candidate


def _build(path):
    return build_setup(path, b"", entropy=Entropy(), **TERMS)
