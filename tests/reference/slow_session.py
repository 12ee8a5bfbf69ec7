"""The session handshake and key schedule, written a second time and plainly.

Shares no code with the node: HKDF from hmac, the KEM combined by hand, layouts by slicing. It knows
every private key of both sides, so that it can follow a transcript made by anybody.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def extract(salt, material):
    return hmac.new(salt, material, hashlib.sha256).digest()


def expand(key, info, length):
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.new(key, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
        counter += 1
    return out[:length]


def hkdf(salt, material, info, length=32):
    return expand(extract(salt, material), info, length)


def exchange(private, public):
    key = X25519PrivateKey.from_private_bytes(private)
    return key.exchange(X25519PublicKey.from_public_bytes(public))


class HandshakeKey:
    """An X-Wing key from its seed."""

    def __init__(self, seed):
        expanded = hashlib.shake_256(seed).digest(96)
        self.lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self.x = expanded[64:]
        self.x_public = X25519PrivateKey.from_private_bytes(self.x).public_key().public_bytes_raw()
        self.public = self.lattice.public_key().public_bytes_raw() + self.x_public

    def open(self, ciphertext):
        lattice = self.lattice.decapsulate(ciphertext[:1088])
        point = ciphertext[1088:]
        shared = exchange(self.x, point)
        return hashlib.sha3_256(lattice + shared + point + self.x_public + b"\\.//^\\").digest()


def start(key, network_id, account, blinded, period, auth_public):
    h = sha(
        b"psp/e2e/1", b"\x01", network_id, account, blinded, period.to_bytes(8, "big"), auth_public
    )
    return sha(h, key.public)


def key_id(key, blinded, period, auth_public):
    return sha(b"psp/hkid/1", key.public, blinded, period.to_bytes(8, "big"), auth_public)[:8]


def fields(data):
    found = {}
    while data and data[0]:
        length = int.from_bytes(data[1:3], "big")
        found[data[0]] = data[3 : 3 + length]
        data = data[3 + length :]
    assert not any(data)
    return found


def read_message1(key, h0, message):
    """All that the callee derives from message 1."""
    assert len(message) == 9184
    header, body = message[:1132], message[1132:]
    keys = hkdf(sha(b"psp/e2e/1"), key.open(message[12:1132]), b"psp/e2e-m1/1", 64)
    after_header = sha(h0, header)
    text = AESGCM(keys[32:]).decrypt(bytes(12), body, after_header)
    return {
        "ck1": keys[:32],
        "after_header": after_header,
        "h": sha(after_header, body),
        "text": text,
        "ek": text[:1184],
        "rp_id": text[1184:1216],
        "cookie": text[1216:1248],
        "epoch": int.from_bytes(text[1248:1256], "big"),
        "root": text[1256:1288],
        "level": text[1288],
        "class": text[1289],
        "flags": int.from_bytes(text[1290:1292], "big"),
        "bucket": int.from_bytes(text[1292:1296], "big"),
        "reserved": text[1296:1304],
        "fields": fields(text[1304:]),
    }


def read_message2(first, e_private, ek_seed, message):
    """All that the caller derives from message 2; ``first`` is what message 1 gave."""
    assert len(message) in (2048, 9184)
    y, ct, body = message[:32], message[32:1120], message[1120:]
    lattice = MLKEM768PrivateKey.from_seed_bytes(ek_seed).decapsulate(ct)
    keys = hkdf(first["ck1"], exchange(e_private, y) + lattice, b"psp/e2e-m2/1", 64)
    h = sha(first["h"], message[:1120])
    text = AESGCM(keys[32:]).decrypt(bytes(12), body, h)
    return {"ck2": keys[:32], "h": sha(h, body), "y": y, "fields": fields(text)}


def mac(salt, agreed, label, transcript, chain):
    key = hkdf(salt, agreed, label)
    return hmac.new(key, transcript + sha(chain), hashlib.sha256).digest()


def secrets(ck2, h):
    """Chain of each direction, session id, resume key."""
    chains = [expand(ck2, b"psp/chain/1" + bytes([d]) + h, 32) for d in (0, 1)]
    rest = expand(ck2, b"psp/resume/1" + h, 48)
    return chains, rest[:16], rest[16:]


def path_key(chain, path, first=0):
    for _ in range(first, path):
        chain = expand(chain, b"psp/next/1", 32)
    return expand(chain, b"psp/path/1" + path.to_bytes(4, "big"), 32)


def rekeyed_chain(chain, shared, first_path, direction):
    for _ in range(first_path):
        chain = expand(chain, b"psp/next/1", 32)
    return hkdf(shared, chain, b"psp/session-rekey/1" + bytes([direction]))


def generation(key):
    return expand(key, b"psp/ratchet/1", 32)


def switched(key, shared, rekey, path, direction):
    where = rekey.to_bytes(4, "big") + path.to_bytes(4, "big") + bytes([direction])
    return hkdf(shared, key, b"psp/session-rekey/1" + where)


def resumed(ck2, resume_key):
    return [hkdf(ck2, resume_key, b"psp/resume/1" + bytes([d])) for d in (0, 1)]


def resume_mac(resume_key, transcript, first_path):
    data = transcript + first_path.to_bytes(4, "big")
    return hmac.new(resume_key, data, hashlib.sha256).digest()


def seal_cell(key, path, sequence, text):
    """A cell as it lies in a circuit: tag first, then the ciphertext."""
    nonce = path.to_bytes(4, "big") + sequence.to_bytes(8, "big")
    sealed = AESGCM(key).encrypt(nonce, text, None)
    return sealed[-16:] + sealed[:-16]
