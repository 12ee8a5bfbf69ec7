import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion import reply as reply_module
from peerstream.node.protocol.onion.errors import BadReplyError, CircuitRefusedError
from peerstream.node.protocol.onion.reply import PendingCircuit
from peerstream.node.protocol.wire.sizes import REPLY_MESSAGE_MAX, REPLY_SIZE
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.onion.paths import Circuit, Entropy, share_a_block

THREE = Circuit(3, message=b"three")
FIVE = Circuit(5, message=bytes(REPLY_MESSAGE_MAX))
REFUSALS = [status for status in Status if status is not Status.OK]


def again(circuit):
    """The owner's side once more: each opens only one reply."""
    return PendingCircuit(circuit.pending_hops, circuit.pending.binding)


@pytest.mark.parametrize("count", range(1, 6))
@pytest.mark.parametrize("message", [b"", b"m", bytes(REPLY_MESSAGE_MAX)])
def test_the_message_and_the_keys_arrive(count, message):
    circuit = Circuit(count, message=message)
    opened = circuit.pending.open_reply(circuit.replies[0])
    assert opened.message == message
    assert opened.binding == circuit.processed[-1].binding
    assert [keys.forward.raw for keys in opened.keys] == [k.forward.raw for k in circuit.hop_keys]
    assert [keys.backward.raw for keys in opened.keys] == [k.backward.raw for k in circuit.hop_keys]
    every = [raw for hop in opened.keys for raw in (hop.forward.raw, hop.backward.raw)]
    assert len(set(every)) == 2 * count


def test_no_two_links_share_a_block():
    assert not share_a_block(FIVE.replies)


@pytest.mark.parametrize("circuit", [THREE, FIVE], ids=["3", "5"])
def test_each_bit_is_detected_or_is_junk_that_nobody_reads(circuit):
    """On the owner's link: every flip either fails or changes nothing that is delivered."""
    wanted = circuit.processed[-1].keys.forward.raw
    refused = 0
    for bit in range(REPLY_SIZE * 8):
        frame = bytearray(circuit.replies[0])
        frame[bit // 8] ^= 1 << bit % 8
        try:
            opened = again(circuit).open_reply(bytes(frame))
        except BadReplyError:
            refused += 1
        else:
            assert bit // 8 >= 48 + 720
            assert opened.message == again(circuit).open_reply(circuit.replies[0]).message
            assert opened.keys[-1].forward.raw == wanted
    assert refused >= 768 * 8


@given(st.integers(1, 4), st.integers(0, REPLY_SIZE * 8 - 1))
def test_a_change_on_a_far_link_is_blamed_on_no_hop_before_it(link, bit):
    circuit = Circuit(5)
    inner = bytearray(circuit.replies[link])
    inner[bit // 8] ^= 1 << bit % 8
    frame = _reseal(circuit, link, bytes(inner))
    blamed = link
    try:
        assert circuit.pending.open_reply(frame).message == b"message"
    except BadReplyError as error:
        blamed = error.hop
    assert blamed >= link


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_refusal_names_the_hop_and_reads_like_a_reply(count):
    for status in REFUSALS[:4]:
        circuit = Circuit(5)
        frames = _refuse(circuit, count - 1, status, b"why")
        assert {len(frame) for frame in frames} == {REPLY_SIZE}
        with pytest.raises(CircuitRefusedError) as caught:
            circuit.pending.open_reply(frames[0])
        assert (caught.value.hop, caught.value.status) == (count - 1, status)
        assert caught.value.message == b"why"


def test_a_hop_in_the_middle_cannot_answer_for_the_last():
    circuit = Circuit(3)
    frames = _refuse(circuit, 1, Status.OK, b"I am the last, believe me")
    with pytest.raises(BadReplyError) as caught:
        circuit.pending.open_reply(frames[0])
    assert caught.value.hop == 1
    circuit = Circuit(3)
    frames = _refuse(circuit, 1, Status.OK, b"")
    with pytest.raises(BadReplyError) as caught:
        circuit.pending.open_reply(frames[0])
    assert caught.value.hop == 2


@given(st.binary(max_size=64), st.integers(0, 2))
def test_arbitrary_bytes_give_a_bad_reply(data, how):
    frame = [data, data.ljust(REPLY_SIZE, b"\3"), data + THREE.replies[0][len(data) :]][how]
    try:
        opened = again(THREE).open_reply(frame)
    except BadReplyError:
        return
    assert opened.message == b"three"


@pytest.mark.parametrize("point", [0, 1, 2**255 - 19, 2**255 - 18])
def test_a_low_order_ephemeral_is_a_bad_reply(point):
    frame = point.to_bytes(32, "little") + THREE.replies[0][32:]
    with pytest.raises(BadReplyError):
        again(THREE).open_reply(frame)


def test_a_reply_of_another_circuit_does_not_open():
    with pytest.raises(BadReplyError):
        again(THREE).open_reply(Circuit(3).replies[0])


def test_each_side_answers_once():
    circuit = Circuit(2)
    circuit.pending.open_reply(circuit.replies[0])
    with pytest.raises(LocalProtocolError):
        circuit.pending.open_reply(circuit.replies[0])
    with pytest.raises(LocalProtocolError):
        circuit.processed[0].reply.seal(b"", status=Status.OK, entropy=Entropy())


def test_the_secrets_are_gone_after_a_bad_reply_too():
    circuit = Circuit(2)
    with pytest.raises(BadReplyError):
        circuit.pending.open_reply(bytes(REPLY_SIZE))
    assert circuit.pending._hops == ()
    assert circuit.processed[0].reply._keys is None


def test_our_own_message_must_fit():
    fresh = Circuit(1).relays[0].process(Circuit(1).frames[0])
    with pytest.raises(LocalProtocolError):
        fresh.reply.seal(bytes(REPLY_MESSAGE_MAX + 1), status=Status.OK, entropy=Entropy())


def test_a_refusal_cannot_carry_a_frame_from_downstream():
    fresh = Circuit(1).relays[0].process(Circuit(1).frames[0])
    with pytest.raises(LocalProtocolError):
        fresh.reply.seal(bytes(REPLY_SIZE), status=Status.BUSY, entropy=Entropy())


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (bytes((200, 0, 0)), "status 200"),
        (bytes((Status.BUSY, 0xFF, 0xFF)), "65535 bytes"),
        (bytes((Status.OK, 1, 0xC1)), "449 bytes"),
    ],
)
def test_what_no_hop_may_say_is_blamed_on_the_hop_that_said_it(monkeypatch, start, reason):
    circuit = Circuit(1)
    fresh = circuit.relays[0].process(circuit.frames[0])
    monkeypatch.setattr(reply_module, "_plain", lambda *_: start + bytes(973))  # a dishonest hop
    frame = fresh.reply.seal(b"", status=Status.OK, entropy=Entropy())
    with pytest.raises(BadReplyError, match=reason) as caught:
        circuit.pending.open_reply(frame)
    assert caught.value.hop == 0


def _sealers(circuit):
    """The hops' sealers once more, with the ephemerals that the owner has not seen yet."""
    return [
        relay.process(frame) for relay, frame in zip(circuit.relays, circuit.frames, strict=True)
    ]


def _refuse(circuit, at, status, message):
    """The replies of all links when hop `at` answers itself."""
    inner, frames = message, []
    for number, done in reversed(list(enumerate(_sealers(circuit)[: at + 1]))):
        code = status if number == at else Status.OK
        inner = done.reply.seal(inner, status=code, entropy=Entropy())
        frames.insert(0, inner)
    return frames


def _reseal(circuit, link, inner):
    """What the owner gets when hop `link - 1` received `inner` from downstream."""
    for done in reversed(_sealers(circuit)[:link]):
        inner = done.reply.seal(inner, status=Status.OK, entropy=Entropy())
    return inner
