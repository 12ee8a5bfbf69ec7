import hmac
import json
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.onion.errors import KemError
from peerstream.node.protocol.onion.kem import KemPrivateKey, KemPublicKey, agree
from tests.reference.slow_kem import (
    mlkem_decapsulate,
    mlkem_encapsulate,
    mlkem_keys,
    xwing_decapsulate,
    xwing_encapsulate,
    xwing_keys,
)

VECTORS = Path(__file__).parents[3] / "vectors"
KEY = KemPrivateKey.from_seed(bytes(range(32)))
LOW_ORDER = [0, 1, 2**255 - 19, 2**255 - 18, 2**255 - 20]


def cases(name):
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", cases("onion-xwing.json"), ids=lambda case: case["name"])
def test_xwing_matches_the_draft(case):
    key = KemPrivateKey.from_seed(bytes.fromhex(case["seed"]))
    assert key.public.raw.hex() == case["public"]
    assert key.decapsulate(bytes.fromhex(case["ciphertext"])).hex() == case["shared"]


@pytest.mark.parametrize("case", cases("onion-xwing.json"), ids=lambda case: case["name"])
def test_the_slow_xwing_matches_the_draft(case):
    public, private = xwing_keys(bytes.fromhex(case["seed"]))
    shared, ciphertext = xwing_encapsulate(public, bytes.fromhex(case["encapsulation_seed"]))
    assert (public.hex(), ciphertext.hex()) == (case["public"], case["ciphertext"])
    assert shared.hex() == xwing_decapsulate(private, ciphertext).hex() == case["shared"]


@pytest.mark.parametrize("case", cases("onion-mlkem.json"), ids=lambda case: case["name"])
def test_mlkem_matches_its_known_answers(case):
    key = MLKEM768PrivateKey.from_seed_bytes(bytes.fromhex(case["seed"]))
    assert key.public_key().public_bytes_raw().hex() == case["public"]
    assert key.decapsulate(bytes.fromhex(case["ciphertext"])).hex() == case["shared"]
    assert key.decapsulate(bytes.fromhex(case["wrong_ciphertext"])).hex() == case["wrong_shared"]


@pytest.mark.parametrize("case", cases("onion-mlkem.json"), ids=lambda case: case["name"])
def test_the_slow_mlkem_matches_its_known_answers(case):
    public, private = mlkem_keys(bytes.fromhex(case["seed"]))
    shared, ciphertext = mlkem_encapsulate(public, bytes.fromhex(case["message"]))
    assert (public.hex(), ciphertext.hex()) == (case["public"], case["ciphertext"])
    assert shared.hex() == case["shared"]
    wrong = bytes.fromhex(case["wrong_ciphertext"])
    assert mlkem_decapsulate(private, wrong).hex() == case["wrong_shared"]


def test_openssls_own_xwing_makes_ciphertexts_that_we_open():
    """HPKE's MLKEM768_X25519 (0x647a) is X-Wing; the rest is RFC 9180's base key schedule."""
    suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    public = hpke.MLKEM768X25519PublicKey(KEY._lattice.public_key(), KEY._x25519.public_key())
    sealed = suite.encrypt(b"text", public, b"info")
    key, nonce = _key_schedule(KEY.decapsulate(sealed[:1120]), b"info")
    assert AESGCM(key).decrypt(nonce, sealed[1120:], None) == b"text"


def _key_schedule(shared, info):
    suite = b"HPKE" + bytes.fromhex("647a00010002")

    def extract(salt, label, data):
        return hmac.digest(salt, b"HPKE-v1" + suite + label + data, "sha256")

    def expand(secret, label, data, length):
        labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + data
        return hmac.digest(secret, labelled + b"\1", "sha256")[:length]

    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    return expand(secret, b"key", context, 32), expand(secret, b"base_nonce", context, 12)


def test_both_sides_get_the_secret_and_the_ephemeral_is_the_ciphertexts():
    secret = KemPublicKey(KEY.public.raw).encapsulate()
    assert KEY.decapsulate(secret.ciphertext) == secret.shared
    assert secret.ephemeral.public_key().public_bytes_raw() == secret.ciphertext[-32:]
    assert secret.shared != KEY.public.encapsulate().shared
    point = KEY.public.x25519
    assert agree(secret.ephemeral, point) == KEY.agree(secret.ciphertext[-32:])


@given(st.integers(0, 8 * 1120 - 1))
def test_any_changed_bit_of_a_ciphertext_gives_another_secret(bit):
    secret = KEY.public.encapsulate()
    changed = bytearray(secret.ciphertext)
    changed[bit // 8] ^= 1 << bit % 8
    assert KEY.decapsulate(bytes(changed)) != secret.shared


@pytest.mark.parametrize("value", LOW_ORDER)
@pytest.mark.parametrize("top", [0, 1 << 255])
def test_low_order_points_are_refused_everywhere(value, top):
    if value + top >= 1 << 256:
        return
    point = (value + top).to_bytes(32, "little")
    with pytest.raises(KemError):
        agree(X25519PrivateKey.generate(), point)
    with pytest.raises(KemError):
        KEY.decapsulate(bytes(1088) + point)
    with pytest.raises(KemError):
        KemPublicKey(KEY.public.raw[:1184] + point).encapsulate()


@given(st.binary(max_size=1300))
def test_arbitrary_bytes_are_a_key_or_a_kem_error(data):
    for raw in (data, data.ljust(1216, b"\xff")[:1216]):
        try:
            KemPublicKey(raw).encapsulate()
        except KemError:
            continue
        assert len(raw) == 1216


@given(st.binary(max_size=1200))
def test_arbitrary_bytes_are_a_ciphertext_or_a_kem_error(data):
    for raw in (data, data.ljust(1120, b"\1")[:1120]):
        try:
            assert len(KEY.decapsulate(raw)) == 32
        except KemError:
            continue
        assert len(raw) == 1120


def test_an_unreduced_key_is_refused_when_it_is_checked():
    with pytest.raises(KemError):
        KemPublicKey(b"\xff" * 1216).check()
    KEY.public.check()


def test_key_ids_and_equality_come_from_the_public_bytes():
    again = KemPrivateKey.from_seed(KEY.seed)
    assert again.public == KEY.public
    assert hash(again.public) == hash(KEY.public)
    assert again.public.key_id == sha256(KEY.public.raw).digest()[:4]
    assert KemPublicKey(bytes(1216)) != KEY.public
    with pytest.raises(KemError):
        KemPrivateKey.from_seed(bytes(31))


def test_nothing_secret_is_readable_in_a_repr():
    secret = KEY.public.encapsulate()
    assert KEY.seed.hex() not in repr(KEY)
    assert repr(secret) == "<Encapsulation>"
