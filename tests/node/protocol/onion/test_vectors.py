"""The frozen vectors that the slow second implementation made, and Tor's for the composition."""

import json
from hashlib import sha256, shake_256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from peerstream.node.protocol.onion.kem import KemPrivateKey
from peerstream.node.protocol.onion.keys import LayerKeys
from peerstream.node.protocol.onion.layer import Layer
from peerstream.node.protocol.onion.reply import PendingCircuit, PendingHop
from peerstream.node.protocol.onion.setup import process_setup
from peerstream.node.protocol.wire.status import Status
from tests.reference.slow_onion import SlowLayer, layer_vector, setup_vector
from tests.reference.uiv_polyval import PolyvalLayer

VECTORS = Path(__file__).parents[3] / "vectors"


def cases(name):
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))["cases"]


def fixed(*values):
    """An entropy source that gives these bytes, each once and in its length."""
    left = list(values)

    def draw(count):
        value = left.pop(0)
        assert len(value) == count
        return value

    return draw


@pytest.mark.parametrize("case", cases("onion-cgo.json"), ids=lambda case: case["name"])
def test_tors_uiv_vectors_pass_through_our_composition(case):
    layer = PolyvalLayer(bytes.fromhex(case["keys"]), bytes.fromhex(case["tweak"]), 509)
    cell = memoryview(bytes.fromhex(case["left"] + case["right"]))
    out = memoryview(bytearray(509 + 16))
    left = (layer.encipher if case["encrypt"] else layer.decipher)(cell, out)
    assert left.hex() == case["left_out"]
    assert out[:509].hex() == case["left_out"] + case["right_out"]


def _processed(case):
    frame, done = bytes.fromhex(case["frame"]), []
    for hop in case["hops"]:
        key = KemPrivateKey.from_seed(bytes.fromhex(hop["key_seed"]))
        done.append(
            process_setup(
                frame,
                relay_id=bytes.fromhex(hop["relay_id"]),
                onion_keys={key.public.key_id: key},
                entropy=fixed(bytes.fromhex(hop["hop_ephemeral"])),
            )
        )
        frame = done[-1].next_frame
    return done


@pytest.mark.parametrize("case", cases("onion-circuit.json"), ids=lambda case: case["name"])
def test_hops_process_the_slow_owners_setup(case):
    done = _processed(case)
    assert sha256(done[-1].payload).hexdigest() == case["payload_sha256"]
    for hop, processed in zip(case["hops"], done, strict=True):
        assert processed.cell_class == case["cell_class"]
        assert processed.real_time == case["real_time"]
        assert processed.bucket == case["bucket"]
        assert processed.binding.hex() == hop["binding"]
        assert processed.keys.forward.raw.hex() == hop["forward"]
        assert processed.keys.backward.raw.hex() == hop["backward"]


@pytest.mark.parametrize("case", cases("onion-circuit.json"), ids=lambda case: case["name"])
def test_hops_seal_the_same_replies_as_the_slow_hops(case):
    inner = bytes.fromhex(case["message"])
    padding = [bytes.fromhex(case["reply_padding"])]
    for hop, processed in reversed(list(zip(case["hops"], _processed(case), strict=True))):
        entropy = fixed(bytes.fromhex(hop["reply_fields"]), *padding)
        inner = processed.reply.seal(inner, status=Status.OK, entropy=entropy)
        assert inner.hex() == hop["reply"]
        padding = []


@pytest.mark.parametrize("case", cases("onion-circuit.json"), ids=lambda case: case["name"])
def test_the_owner_opens_the_slow_hops_reply(case):
    hops = [
        PendingHop(
            bytes.fromhex(hop["relay_id"]),
            X25519PrivateKey.from_private_bytes(bytes.fromhex(hop["encapsulation_ephemeral"])),
            bytes.fromhex(hop["ciphertext"]),
            bytes.fromhex(hop["chain"]),
        )
        for hop in case["hops"]
    ]
    opened = PendingCircuit(hops, b"").open_reply(bytes.fromhex(case["hops"][0]["reply"]))
    assert opened.message.hex() == case["message"]
    assert [keys.forward.raw.hex() for keys in opened.keys] == [h["forward"] for h in case["hops"]]


@pytest.mark.parametrize("case", cases("onion-layer.json"), ids=lambda case: case["name"])
def test_layers_match_the_slow_layer_cell_by_cell(case):
    size, keys = case["cell_size"], LayerKeys(bytes.fromhex(case["keys"]))
    owner, hop = Layer(keys, size), Layer(keys, size)
    kept = {row["cell"]: row for row in case["kept"]}
    for number in range(case["cells"]):
        name = f"vector {case['name']} cell {number}".encode()
        cell = bytearray(shake_256(name).digest(size))
        control = number in case["control"]
        if control:
            cell[:16] = owner.originate()
        out, back = memoryview(bytearray(size + 16)), memoryview(bytearray(size + 16))
        owner.decipher(memoryview(cell), out)
        if number in kept:
            assert cell[:16].hex() == kept[number]["left"]
            assert out[:size].hex() == kept[number]["out"]
        left = hop.encipher(out[:size], back)
        assert back[:size] == cell
        assert hop.is_for_us(left) == control
        if control:
            hop.consume()


def test_the_committed_vectors_are_what_the_slow_implementation_makes():
    assert cases("onion-circuit.json")[0] == setup_vector(1)
    assert cases("onion-layer.json")[1] == layer_vector(1024, 3, {1})


def test_the_slow_layer_undoes_itself():
    first, second = SlowLayer(bytes(range(144))), SlowLayer(bytes(range(144)))
    for number in range(3):
        cell = bytes((number,)) * 48
        assert second.encipher(first.decipher(cell)) == cell
