import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion.keys import HopKeys, LayerKeys
from peerstream.node.protocol.onion.layer import Layer
from peerstream.node.protocol.wire.sizes import CELL_SIZES, REKEY_CELLS
from tests.node.protocol.onion.paths import Chain, Entropy, distance, share_a_block

SIZE = 256
ENTROPY = Entropy(b"layers")


def hop_keys(count):
    return [HopKeys(LayerKeys(ENTROPY(144)), LayerKeys(ENTROPY(144))) for _ in range(count)]


def chain(count=3, size=SIZE):
    return Chain(hop_keys(count), size)


@pytest.mark.parametrize("size", CELL_SIZES)
@pytest.mark.parametrize("count", range(1, 6))
def test_cells_of_every_class_pass_up_to_five_hops(size, count):
    both = chain(count, size)
    for _ in range(3):
        body = ENTROPY(size - 16)
        sent = both.seal_forward(body, left=ENTROPY(16))
        recognised, cell = both.send_forward(sent)
        assert (recognised, cell[16:]) == (None, body)
        assert {len(link) for link in both.wire} == {size}
        assert both.send_backward(count - 1, body)[1][16:] == body


@given(st.integers(0, 2**32), st.integers(600, 700))
@settings(max_examples=8)
def test_owner_and_hops_stay_in_step_over_any_schedule(seed, cells):
    """Data and control, both ways, to and from any hop, across several rekeys."""
    both, chance = chain(4), random.Random(seed)
    for _ in range(cells):
        body = chance.randbytes(SIZE - 16)
        hop = chance.randrange(4)
        if chance.random() < 0.3:
            recognised, cell = both.send_backward(hop, body)
            assert (recognised, cell[16:]) == (hop, body)
        elif chance.random() < 0.5:
            sent = both.seal_forward(body, control=hop)
            recognised, cell = both.send_forward(sent)
            assert (recognised, cell[16:]) == (hop, body)
        else:
            sent = both.seal_forward(body, left=chance.randbytes(16))
            recognised, cell = both.send_forward(sent)
            assert (recognised, cell[16:]) == (None, body)
        assert both.in_step()


@pytest.mark.parametrize("hop", [0, 1, 2])
@pytest.mark.parametrize("number", [254, 255, 256, 511, 512])
def test_a_control_cell_may_be_the_last_or_first_of_its_keys(hop, number):
    """The 256th cell as a control cell: its counter advances before the rekey, on both sides."""
    both = chain()
    both.skip(number)
    for text in (b"first", b"second", b"third"):
        body = text.ljust(SIZE - 16, b"\0")
        recognised, cell = both.send_forward(both.seal_forward(body, control=hop))
        assert (recognised, cell[16:]) == (hop, body)
        assert both.in_step()


@pytest.mark.parametrize("number", [254, 255, 256])
def test_the_same_holds_backward(number):
    both = chain()
    for _ in range(number):
        both.send_backward(2, bytes(SIZE - 16), left=b"\1" * 16)
    for _ in range(3):
        assert both.send_backward(1, bytes(SIZE - 16))[0] == 1
        assert both.in_step()


def test_the_hop_before_cannot_compare_two_control_cells():
    """Two control cells to one hop never share keystream where the hop before sees them."""
    for target in (1, 2):
        both = chain()
        messages = [ENTROPY(SIZE - 16) for _ in range(300)]
        seen = []
        for message in messages:
            both.send_forward(both.seal_forward(message, control=target))
            seen.append(both.wire[target][16:])
        streams = [_xor(cell, message) for cell, message in zip(seen, messages, strict=True)]
        assert not share_a_block(streams)
        assert len({stream[:16] for stream in streams}) == len(streams)


def test_no_two_links_share_a_block_even_when_all_cells_are_zero():
    both = chain(5)
    for number in range(20):
        both.send_forward(both.seal_forward(bytes(SIZE - 16), control=4 if number % 2 else None))
        assert not share_a_block(both.wire)
        both.send_backward(4, bytes(SIZE - 16), left=None if number % 2 else bytes(16))
        assert not share_a_block(both.wire)


def test_each_bit_of_the_left_and_some_of_the_right_turn_the_cell_into_noise():
    bits = [(at, bit) for at in range(16) for bit in range(8)]
    bits += [(at, at % 8) for at in range(16, SIZE, 7)]
    keys = hop_keys(3)
    for at, bit in bits:
        both = Chain(keys, SIZE)
        body = bytes(SIZE - 16)
        recognised, cell = both.send_forward(both.seal_forward(body, control=2), (1, at, bit))
        assert recognised is None
        assert 0.4 < distance(cell[16:], body) < 0.6
        both = Chain(keys, SIZE)
        recognised, cell = both.send_backward(2, body, (1, at, bit))
        # The owner undoes hop 0; noise begins at hop 1, which the change went around.
        assert recognised is None
        assert cell[16:] != body


@given(st.integers(1, 2), st.integers(0, SIZE * 8 - 1), st.integers(240, 256))
@settings(max_examples=10)
def test_everything_after_a_changed_cell_is_noise_across_rekeys(link, bit, when):
    both = chain()
    both.skip(when)
    sent = both.seal_forward(bytes(SIZE - 16), left=ENTROPY(16))
    both.send_forward(sent, (link, bit // 8, bit % 8))
    for number in range(2 * REKEY_CELLS + 20):
        body = bytes(SIZE - 16)
        control = 2 if number % 2 else None
        recognised, cell = both.send_forward(both.seal_forward(body, control, ENTROPY(16)))
        assert recognised is None
        assert 0.38 < distance(cell[16:], body) < 0.62


@pytest.mark.parametrize("what", ["dropped", "repeated", "swapped"])
def test_a_lost_repeated_or_swapped_cell_ruins_the_rest(what):
    both = chain()
    body = bytes(SIZE - 16)
    cells = [both.seal_forward(body, control=2) for _ in range(4)]
    order = {"dropped": [0, 2, 3], "repeated": [0, 0, 1, 2], "swapped": [1, 0, 2, 3]}[what]
    recognised = [both.send_forward(cells[index])[0] for index in order]
    ruined = recognised if what == "swapped" else recognised[1:]
    assert set(ruined) == {None}


def test_what_is_held_after_a_rekey_opens_no_earlier_cell():
    keys = hop_keys(1)
    both = Chain(keys, SIZE)
    earlier = [both.seal_forward(bytes(SIZE - 16), control=0) for _ in range(REKEY_CELLS)]
    for cell in earlier:
        both.send_forward(cell)
    first = keys[0].forward.raw
    held = _everything_held(both.hop_forward[0])
    secrets = (first[:32], first[32:64], first[64:96], first[112:])
    assert not any(secret in held for secret in secrets)
    seized = Layer(LayerKeys(both.hop_forward[0]._keys), SIZE)
    for cell in earlier[-3:]:
        buffer = memoryview(bytearray(SIZE + 16))
        left = seized.encipher(memoryview(cell), buffer)
        assert not seized.is_for_us(left)
        assert bytes(buffer[16:SIZE]) != bytes(SIZE - 16)


def test_dropping_the_contexts_changes_nothing():
    keys = hop_keys(2)
    lazy, steady = Chain(keys, SIZE), Chain(keys, SIZE)
    for number in range(300):
        body = bytes((number % 256,)) * (SIZE - 16)
        control = number % 2
        assert lazy.seal_forward(body, control) == (sent := steady.seal_forward(body, control))
        assert lazy.send_forward(sent) == steady.send_forward(sent)
        if number % 7 == 0:
            for layer in (*lazy.owner_forward, *lazy.hop_forward):
                layer.drop_contexts()


def test_an_idle_circuit_holds_less_than_4_kb(alone):
    """Objects of both directions of one hop, before any cell and after the contexts are dropped."""
    raw = [ENTROPY(144) for _ in range(400)]
    tracemalloc.start()
    layers = [Layer(LayerKeys(bytes(bytearray(keys))), SIZE) for keys in raw]
    before = tracemalloc.get_traced_memory()[0]
    buffer = memoryview(bytearray(SIZE + 16))
    for layer in layers:
        layer.encipher(buffer[:SIZE], buffer)
        layer.drop_contexts()
        assert layer._encrypt_block is None
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    circuits = len(layers) // 2
    assert before / circuits < 1_800
    assert after / circuits < 2_200


def test_in_place_and_apart_give_the_same():
    keys = LayerKeys(ENTROPY(144))
    cell = ENTROPY(SIZE)
    for direction in ("encipher", "decipher"):
        apart, together = memoryview(bytearray(SIZE + 16)), memoryview(bytearray(SIZE + 16))
        together[:SIZE] = cell
        left = getattr(Layer(keys, SIZE), direction)(memoryview(cell), apart)
        assert left == getattr(Layer(keys, SIZE), direction)(together[:SIZE], together)
        assert apart[:SIZE] == together[:SIZE]
        assert apart[:16] == left


def test_markers_count_in_the_nonce_and_wrap():
    raw = ENTROPY(96) + b"\xff" * 12 + b"tail" + ENTROPY(32)
    layer = Layer(LayerKeys(raw), SIZE)
    assert layer.originate() == b"\xff" * 12 + b"tail"
    assert layer.originate() == bytes(12) + b"tail"
    assert layer.originate() == bytes(11) + b"\1tail"


@pytest.mark.parametrize("direction", ["encipher", "decipher"])
@pytest.mark.parametrize("size", [0, 15, SIZE - 1, SIZE + 1])
def test_a_cell_of_another_size_is_our_bug(direction, size):
    layer = Layer(LayerKeys(ENTROPY(144)), SIZE)
    for _ in range(2):
        with pytest.raises(LocalProtocolError):
            getattr(layer, direction)(memoryview(bytes(size)), memoryview(bytearray(SIZE + 16)))
        layer.encipher(memoryview(bytes(SIZE)), memoryview(bytearray(SIZE + 16)))


def test_nothing_secret_is_readable_in_a_repr():
    keys = LayerKeys(ENTROPY(144))
    assert repr(keys) == "<LayerKeys>"
    assert keys.raw.hex()[:8] not in repr(Layer(keys, SIZE)) + repr(HopKeys(keys, keys))
    with pytest.raises(ValueError, match="layer keys of 143 bytes"):
        LayerKeys(bytes(143))


def _everything_held(layer):
    values = [getattr(layer, slot) for slot in Layer.__slots__]
    return b"|".join(value for value in values if isinstance(value, bytes))


def _xor(first, second):
    return bytes(a ^ b for a, b in zip(first, second, strict=True))
