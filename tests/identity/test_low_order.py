"""Ed25519 keys of low order: their "signatures" fit any message, so nothing may be signed by one.

The arithmetic here is slow and its own: it finds the points and forges without any private key.
"""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from peerstream.identity.errors import KeyMaterialError
from peerstream.identity.keys import DeviceKeys, verify_ed25519
from tests.identity.samples import FixedEntropy

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
BASE_Y = 4 * pow(5, -1, P) % P


def x_of(y, sign):
    """The x of a point, or None where there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return P - x if x % 2 != sign else x


def add(one, two):
    (a, b), (c, d) = one, two
    k = D * a * b * c * d
    x = (a * d + b * c) * pow(1 + k, -1, P)
    return x % P, (b * d + a * c) * pow(1 - k, -1, P) % P


def times(number, point):
    result = (0, 1)
    while number:
        if number & 1:
            result = add(result, point)
        point = add(point, point)
        number >>= 1
    return result


def encodings():
    """Every 32 bytes that OpenSSL takes for a point of order 1, 2, 4 or 8."""
    found = set()
    for start in range(2, 60):
        if x_of(start, 0) is not None:
            point = times(L, (x_of(start, 0), start))
            found |= {times(n, point) for n in range(8)}
    ys = {y for _, y in found}
    ys |= {y + P for y in ys if y + P < 2**255}
    return [(y | sign << 255).to_bytes(32, "little") for y in sorted(ys) for sign in (0, 1)]


LOW_ORDER = encodings()


def forge(public, message):
    """A signature under this key without its secret: R = s*B, until the key's part vanishes."""
    for s in range(1, 200):
        x, y = times(s, (x_of(BASE_Y, 0), BASE_Y))
        signature = (y | (x & 1) << 255).to_bytes(32, "little") + s.to_bytes(32, "little")
        challenge = hashlib.sha512(signature[:32] + public + message).digest()
        if int.from_bytes(challenge, "little") % L % 8 == 0:
            return signature
    raise AssertionError("no luck in 200 tries")


def test_there_are_eight_points():
    ys = {int.from_bytes(raw, "little") % 2**255 % P for raw in LOW_ORDER}
    assert len(ys) == 5
    assert len(LOW_ORDER) == 14


@pytest.mark.parametrize("public", LOW_ORDER, ids=bytes.hex)
def test_nothing_is_signed_by_a_key_of_low_order(public):
    for message in (b"pay", b"do not pay"):
        with pytest.raises(KeyMaterialError):
            verify_ed25519(public, message, forge(public, message))


def test_the_library_alone_would_take_them():
    """When this fails, the library refuses such keys itself."""
    Ed25519PublicKey.from_public_bytes(LOW_ORDER[2]).verify(forge(LOW_ORDER[2], b"pay"), b"pay")


def test_honest_keys_pass():
    for number in range(50):
        device = DeviceKeys.generate(FixedEntropy(str(number)))
        verify_ed25519(device.signing_public, b"m", device.sign(b"m"))
