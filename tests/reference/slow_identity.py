"""SPEC 1 and 2 a second time: slow, straightforward, sharing no code with the package.

Its curve, hashes, CBOR and EIP-712 are written out here; AES-GCM and Ed25519 come from another
library than the package's. ``python -m tests.reference.identity_vectors`` writes the vectors.
"""

import functools
import hashlib
import hmac
from pathlib import Path

from Crypto.Cipher import AES
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa

VECTORS = Path(__file__).parent.parent / "vectors"
P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)


# The curve: affine points, None is the point at infinity.


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    if a == b:
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


@functools.lru_cache(1_024)  # vectors ask for the same few points again and again
def multiply(scalar, point):
    total = None
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def lift(x_bytes):
    x = int.from_bytes(x_bytes)
    y_squared = (x**3 + 7) % P
    y = pow(y_squared, (P + 1) // 4, P)
    if x >= P or y * y % P != y_squared:
        raise ValueError("no point")
    return x, y if y % 2 == 0 else P - y


def word(number):
    return number.to_bytes(32)


def x_only(secret):
    return word(multiply(int.from_bytes(secret), G)[0])


def even_secret(secret):
    scalar = int.from_bytes(secret)
    return scalar if multiply(scalar, G)[1] % 2 == 0 else N - scalar


# Hashes.


def sha256(data):
    return hashlib.sha256(data).digest()


def tagged(tag, data):
    return sha256(sha256(tag) * 2 + data)


def hkdf(salt, secret, label, size=32):
    pseudo = hmac.digest(salt, secret, "sha256")
    out, block = b"", b""
    for counter in range(1, 2 + size // 32):
        block = hmac.digest(pseudo, block + label + bytes([counter]), "sha256")
        out += block
    return out[:size]


def keccak256(data):
    rate, lanes = 136, [0] * 25
    data += b"\x01" + bytes(-(len(data) + 1) % rate)
    data = data[:-1] + bytes([data[-1] | 0x80])
    for start in range(0, len(data), rate):
        for i in range(rate // 8):
            lanes[i] ^= int.from_bytes(data[start + 8 * i : start + 8 * i + 8], "little")
        lanes = keccak_f(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def rotate(value, count):
    count %= 64
    return (value << count | value >> (64 - count)) & (2**64 - 1)


def keccak_f(a):
    state = 1
    for _ in range(24):
        columns = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
        a = [a[i] ^ columns[(i + 4) % 5] ^ rotate(columns[(i + 1) % 5], 1) for i in range(25)]
        b, x, y = [0] * 25, 1, 0
        b[0] = a[0]
        for step in range(24):
            target = y + 5 * ((2 * x + 3 * y) % 5)
            b[target] = rotate(a[x + 5 * y], (step + 1) * (step + 2) // 2)
            x, y = y, (2 * x + 3 * y) % 5
        a = [b[i] ^ (~b[i // 5 * 5 + (i + 1) % 5] & b[i // 5 * 5 + (i + 2) % 5]) for i in range(25)]
        for bit in range(7):
            if state & 1:
                a[0] ^= 1 << (2**bit - 1)
            state = state << 1 ^ (0x171 if state & 0x80 else 0)
    return a


# Signatures.


def schnorr_sign(secret, message, auxiliary=bytes(32)):
    scalar = even_secret(secret)
    public = x_only(secret)
    masked = bytes(
        a ^ b for a, b in zip(word(scalar), tagged(b"BIP0340/aux", auxiliary), strict=True)
    )
    nonce = int.from_bytes(tagged(b"BIP0340/nonce", masked + public + message)) % N
    point = multiply(nonce, G)
    nonce = nonce if point[1] % 2 == 0 else N - nonce
    challenge = int.from_bytes(tagged(b"BIP0340/challenge", word(point[0]) + public + message)) % N
    return word(point[0]) + word((nonce + challenge * scalar) % N)


def schnorr_verify(public, message, signature):
    try:
        point = lift(public)
    except ValueError:
        return False
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    if r >= P or s >= N:
        return False
    challenge = int.from_bytes(tagged(b"BIP0340/challenge", signature[:32] + public + message)) % N
    found = add(multiply(s, G), multiply(N - challenge, point))
    return found is not None and found[1] % 2 == 0 and found[0] == r


def ecdsa_sign(secret, digest):
    """RFC 6979 with SHA-256, low s, v 27 or 28."""
    key, value = bytes(32), b"\x01" * 32
    seed = secret + word(int.from_bytes(digest) % N)
    for mark in (b"\x00", b"\x01"):
        key = hmac.digest(key, value + mark + seed, "sha256")
        value = hmac.digest(key, value, "sha256")
    value = hmac.digest(key, value, "sha256")
    nonce = int.from_bytes(value)
    point = multiply(nonce, G)
    s = pow(nonce, -1, N) * (int.from_bytes(digest) + point[0] * int.from_bytes(secret)) % N
    odd = point[1] % 2
    if s > N // 2:
        s, odd = N - s, 1 - odd
    return word(point[0]) + word(s) + bytes([27 + odd])


def ed25519_sign(seed, message):
    key = ECC.construct(curve="ed25519", seed=seed)
    return eddsa.new(key, "rfc8032").sign(message)


def ed25519_public(seed):
    return ECC.construct(curve="ed25519", seed=seed).public_key().export_key(format="raw")


def seal(key, plain, associated=b""):
    cipher = AES.new(key, AES.MODE_GCM, nonce=bytes(12))
    cipher.update(associated)
    return b"".join(cipher.encrypt_and_digest(plain))


# Encodings.


def cbor(value):
    if isinstance(value, dict):
        entries = sorted((cbor(key), cbor(item)) for key, item in value.items())
        return head(5, len(entries)) + b"".join(a + b for a, b in entries)
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(cbor(item) for item in value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    return head(0, value) if value >= 0 else head(1, -1 - value)


def head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    for information, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 256**size:
            return bytes([major << 5 | information]) + number.to_bytes(size)
    raise ValueError(number)


def checksum_address(raw):
    digits = raw.hex()
    marks = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        d.upper() if m >= "8" else d for d, m in zip(digits, marks[:40], strict=True)
    )


def account_of(secret):
    x, y = multiply(int.from_bytes(secret), G)
    return keccak256(word(x) + word(y))[12:]


# SPEC 1.


def network_id(mode, origin):
    return sha256(b"psp/net/1" + bytes([mode]) + origin)


CANNOT = " It cannot move funds or sign transactions."
STATEMENTS = {
    1: "Let this PeerStream key receive private connections as this account." + CANNOT,
    2: "Let this PeerStream key make private connections as this account." + CANNOT,
    3: "Let this PeerStream key receive and make private connections as this account." + CANNOT,
    7: "Let this PeerStream key receive and make private connections and publish channels"
    " as this account." + CANNOT,
}


def delegation_digest(network, fields):
    domain_type = b"EIP712Domain(string name,string version,bytes32 salt)"
    domain = keccak256(
        keccak256(domain_type) + keccak256(b"PeerStream") + keccak256(b"1") + network
    )
    struct_type = (
        b"Delegation(string statement,address account,bytes32 identityKey,uint64 issued,"
        b"uint64 notBefore,uint64 notAfter,uint32 scope,string label)"
    )
    struct = keccak256(
        keccak256(struct_type)
        + keccak256(STATEMENTS[fields[6]].encode())
        + bytes(12)
        + fields[1]
        + fields[2]
        + b"".join(word(fields[k]) for k in (3, 4, 5, 6))
        + keccak256(fields[7].encode())
    )
    return keccak256(b"\x19\x01" + domain + struct)


def signed_delegation(network, wallet, fields):
    return {1: network, 2: fields, 3: ecdsa_sign(wallet, delegation_digest(network, fields))}


def credential_chain(delegation, identity, certificate):
    body = cbor(certificate)
    message = tagged(b"psp/device/1", delegation[1] + delegation[2][1] + body)
    return cbor({**delegation, 4: body, 5: schnorr_sign(identity, message)})


def tweak(public, period, contact_secret):
    return int.from_bytes(tagged(b"psp/blind/1", public + period.to_bytes(8) + contact_secret))


def blind_public(public, period, contact_secret):
    return word(add(lift(public), multiply(tweak(public, period, contact_secret), G))[0])


def blind_secret(secret, period, contact_secret):
    return word((even_secret(secret) + tweak(x_only(secret), period, contact_secret)) % N)


def pair_secret(own, peer):
    shared = word(multiply(int.from_bytes(own), lift(peer))[0])
    return tagged(b"psp/pair/1", shared + b"".join(sorted([x_only(own), peer])))


# SPEC 2.


def authorise(client_keys, body_key, salt, filler):
    entries = []
    for client_key in client_keys:
        mark = hmac.digest(client_key, b"psp/client-auth-id/1" + salt, "sha256")[:8]
        entries.append(mark + seal(hkdf(salt, client_key, b"psp/client-auth/1"), body_key))
    return b"".join(sorted(entries + filler))


def record(  # noqa: PLR0917
    network,
    identity,
    account,
    descriptor_seed,
    period,
    revision,
    expiry,
    salt,
    secret,
    document,
    *,
    pad=None,
):
    """The record around a document; ``pad`` changes the padded plaintext, for hostile records."""
    blinded_secret = blind_secret(identity, period, secret)
    blinded, public = x_only(blinded_secret), ed25519_public(descriptor_seed)
    certificate = schnorr_sign(
        blinded_secret,
        tagged(b"psp/descriptor-cert/1", network + period.to_bytes(8) + public),
    )
    size = next(s for s in (4096, 8192, 12288) if 4 + len(document) + 16 <= s)
    plain = (len(document).to_bytes(4) + document).ljust(size - 16, b"\0")
    plain = pad(plain) if pad else plain
    times = period.to_bytes(8) + revision.to_bytes(8)
    head = b"PSD1" + blinded + public + certificate + times + expiry.to_bytes(4) + salt
    head += size.to_bytes(4)
    key = hkdf(salt + blinded + times, x_only(identity) + account + secret, b"psp/descriptor-key/1")
    signed = head + seal(key, plain, head)
    return signed + ed25519_sign(descriptor_seed, b"psp/descriptor-sig/1" + signed)
