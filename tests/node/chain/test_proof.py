"""Our proofs against the library's tries."""

from hashlib import sha256

import pytest
import rlp as library
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from peerstream.identity.keys import keccak256
from peerstream.node.chain.errors import BadProofError, MalformedAnswerError
from peerstream.node.chain.proof import EMPTY_TRIE, NODES_MAX, storage_words, trie_value
from peerstream.node.chain.rlp import RlpError, decode
from tests.node.chain.chains import ACCOUNTS

ITEM = st.recursive(
    st.binary(max_size=70), lambda inner: st.lists(inner, max_size=20), max_leaves=30
)


def depth(item) -> int:
    return 1 + max(map(depth, item), default=0) if isinstance(item, list) else 0


@given(ITEM)
def test_rlp_as_the_library_writes_it(item):
    if depth(item) <= 8:
        assert decode(library.encode(item)) == item


@given(st.binary(max_size=100))
def test_rlp_from_strangers(data):
    try:
        expected = library.decode(data)
    except library.exceptions.DecodingError:
        with pytest.raises(RlpError):
            decode(data)
    else:
        try:
            found = decode(data)
        except RlpError as error:
            assert "deep" in str(error)  # noqa: PT017
        else:
            assert found == (list(expected) if isinstance(expected, tuple) else expected)


@pytest.mark.parametrize(
    "text",
    [
        *("", "8100", "817f", "8180ff", "b800", "b80100", "b8", "b900ff", "c1", "f800", "83aabb"),
        *("c281", "c000", "bfffffffffffffffff", "ffffffffffffffffff", "c1" * 9 + "c0"),
    ],
)
def test_rlp_in_another_form(text):
    with pytest.raises(RlpError):
        decode(bytes.fromhex(text))


def built(values: dict[bytes, bytes]) -> HexaryTrie:
    trie = HexaryTrie({})
    for key, value in values.items():
        trie[keccak256(key)] = value
    return trie


def nodes(trie: HexaryTrie, key: bytes) -> list[bytes]:
    return [library.encode(node) for node in trie.get_proof(keccak256(key))]


VALUES = st.dictionaries(st.binary(max_size=8), st.binary(min_size=1, max_size=40), max_size=40)


@given(VALUES, st.binary(max_size=8))
def test_a_trie_says_what_the_library_says(values, key):
    trie = built(values)
    for asked in (*values, key):
        assert trie_value(trie.root_hash, asked, nodes(trie, asked)) == values.get(asked, b"")


@given(VALUES.filter(bool), st.data())
def test_a_damaged_proof_never_gives_another_value(values, data):
    trie = built(values)
    key = data.draw(st.sampled_from(sorted(values)))
    proof = nodes(trie, key)
    which = data.draw(st.integers(0, len(proof) - 1))
    node = bytearray(proof[which])
    node[data.draw(st.integers(0, len(node) - 1))] ^= data.draw(st.integers(1, 255))
    damaged = [*proof[:which], bytes(node), *proof[which + 1 :]]
    with pytest.raises(BadProofError, match="missing"):
        trie_value(trie.root_hash, key, damaged)


@given(VALUES.filter(bool), st.data())
def test_a_shortened_proof_proves_nothing(values, data):
    trie = built(values)
    key = data.draw(st.sampled_from(sorted(values)))
    proof = nodes(trie, key)
    missing = data.draw(st.integers(0, len(proof) - 1))
    with pytest.raises(BadProofError):
        trie_value(trie.root_hash, key, proof[:missing] + proof[missing + 1 :])


def test_an_empty_trie():
    assert trie_value(EMPTY_TRIE, b"key", []) == b""


PATH = keccak256(b"key").hex()


def crafted(*items):
    """Return a trie of these nodes, each of which names the next one, and their RLP."""
    raw = [library.encode(item) for item in items]
    return keccak256(raw[0]), raw


def compact(part: str, *, leaf: bool) -> bytes:
    flag = 2 * leaf + len(part) % 2
    return bytes.fromhex(f"{flag:x}" + ("" if len(part) % 2 else "0") + part)


def test_a_small_node_stands_in_its_parent():
    leaf = [compact(PATH[61:], leaf=True), b"v"]
    branch = [leaf if f"{n:x}" == PATH[60] else b"" for n in range(16)] + [b""]
    below = library.encode(branch)
    root, raw = crafted([compact(PATH[:60], leaf=False), keccak256(below)], branch)
    assert trie_value(root, b"key", raw) == b"v"
    assert trie_value(root, b"other", raw) == b""


BRANCH = [b""] * 17


@pytest.mark.parametrize(
    "node",
    [
        b"bytes",
        [],
        [b"a"],
        [b"a", b"b", b"c"],
        [b"", b"v"],
        [b"\x00", b"v"],
        [b"\x40", b"v"],
        [b"\xff", b"v"],
        [[], b"v"],
        [compact(PATH, leaf=True), []],
        [compact(PATH, leaf=False), b"v"],
        [compact(PATH[:1], leaf=False), b"short"],
        [b"\x11" * 20 for _ in range(17)],
    ],
)
def test_nodes_of_another_shape(node):
    root, raw = crafted(node)
    with pytest.raises(BadProofError):
        trie_value(root, b"key", raw)


def test_a_node_that_is_no_rlp():
    raw = b"\xb8\x00"
    with pytest.raises(BadProofError, match="no RLP"):
        trie_value(keccak256(raw), b"key", [raw])


def proof_of(chain, slots):
    contract = chain.deployment.relay_registry
    return chain.methods.call(
        "eth_getProof", [str(contract), [hex(slot) for slot in slots], "latest"]
    )


def test_storage_of_the_embedded_chain(populated):
    registry, root = populated.deployment.relay_registry, populated.ledger.head.header.state_root
    words = storage_words(proof_of(populated, range(8)), root, registry, range(8))
    stored = [
        populated.methods.call("eth_getStorageAt", [str(registry), hex(slot), "latest"])
        for slot in range(8)
    ]
    assert ["0x" + word.hex() for word in words] == stored
    assert any(word != bytes(32) for word in words)


@pytest.mark.parametrize(
    "change",
    [
        {"accountProof": None},
        {"accountProof": []},
        {"accountProof": ["0x80"] * (NODES_MAX + 1)},
        {"accountProof": [1]},
        {"storageProof": []},
        {"storageProof": None},
        {"storageProof": [{"proof": []}, {"proof": []}]},
        {"storageProof": [17, 17]},
    ],
)
def test_an_answer_that_proves_nothing(populated, change):
    registry, root = populated.deployment.relay_registry, populated.ledger.head.header.state_root
    with pytest.raises((BadProofError, MalformedAnswerError)):
        storage_words(proof_of(populated, (1, 2)) | change, root, registry, (1, 2))


def test_a_proof_of_another_account_or_block(populated):
    registry, root = populated.deployment.relay_registry, populated.ledger.head.header.state_root
    found = proof_of(populated, (1,))
    other = sha256(root).digest()
    for wrong_root, contract in ((other, registry), (root, ACCOUNTS[0].address)):
        with pytest.raises(BadProofError):
            storage_words(found, wrong_root, contract, (1,))


def test_an_account_that_does_not_exist(populated):
    nobody = ACCOUNTS[0].address.raw[::-1]
    root = populated.ledger.head.header.state_root
    found = populated.methods.call("eth_getProof", ["0x" + nobody.hex(), [], "latest"])
    assert found["balance"] == found["nonce"] == "0x0"
    with pytest.raises(BadProofError):
        storage_words(found, root, type(ACCOUNTS[0].address)(nobody), ())
