"""Vault files by hand, from SPEC 22.1: written and opened without a line of ours."""

import hashlib
import hmac

import cbor2
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

MAGIC = b"PSPkeys2"


def hkdf(salt, secret, info):
    """RFC 5869 with SHA-256: one block is 32 bytes."""
    extracted = hmac.digest(salt, secret, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)


def lock_secret(kind, salt, cost, given):
    if kind != 1:
        return given
    memory, passes, lanes = cost
    return Argon2id(
        salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory
    ).derive(given)


def wrapping(kind, salt, cost, given, vault_id):
    key = hkdf(
        salt, lock_secret(kind, salt, cost, given), b"psp/vault-lock/1" + kind.to_bytes(1, "big")
    )
    return AESGCM(key), MAGIC + cbor2.dumps([vault_id, kind, salt, cost])


def write(draw, locks, secrets):
    """locks: (kind, cost, given) in order. draw: gives random bytes."""
    vault_id, vault_key = draw(16), draw(32)
    rows = []
    for kind, cost, given in locks:
        salt, nonce = draw(16), draw(12)
        cipher, data = wrapping(kind, salt, cost, given, vault_id)
        rows.append([kind, salt, cost, nonce, cipher.encrypt(nonce, vault_key, data)])
    body = cbor2.dumps([vault_id, rows])
    head = MAGIC + len(body).to_bytes(2, "big") + body
    cipher, nonce = AESGCM(hkdf(vault_id, vault_key, b"psp/vault-secrets/1")), draw(12)
    plain = cbor2.dumps([[name, secrets[name]] for name in sorted(secrets)])
    return head + nonce + cipher.encrypt(nonce, plain, head)


def read(file, kind, given):
    """Return the secrets by name, and the key of the database `contacts`."""
    end = 10 + int.from_bytes(file[8:10], "big")
    vault_id, rows = cbor2.loads(file[10:end])
    [(salt, cost, nonce, wrapped)] = [row[1:] for row in rows if row[0] == kind]
    cipher, data = wrapping(kind, salt, cost, given, vault_id)
    vault_key = cipher.decrypt(nonce, wrapped, data)
    inner = AESGCM(hkdf(vault_id, vault_key, b"psp/vault-secrets/1"))
    plain = inner.decrypt(file[end : end + 12], file[end + 12 :], file[:end])
    database = hkdf(vault_id, vault_key, b"psp/vault-database/1" + b"contacts")
    return dict(cbor2.loads(plain)), database
