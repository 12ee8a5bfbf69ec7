"""Writes tests/vectors/session-*.json: run once, then frozen.

    python -m tests.reference.session_vectors

Secrets come from the slow implementation, never from the node's; messages are made by the node, as
the KEM's randomness cannot be chosen, and read by the slow one.
"""

import json
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.node.protocol.session import calls
from tests.reference import slow_session as slow

VECTORS = Path(__file__).parents[1] / "vectors"
SEED = 41
MALFORMED = "MalformedMessageError"


def handshake(name, request, early):
    caller = calls.call(None, seed=SEED, early=early, **request)
    message1 = caller.message1()
    message2 = calls.opened(message1).accept(calls.ANSWER, calls.entropy(2)).message2
    key = slow.HandshakeKey(b"\x77" * 32)
    h0 = slow.start(key, calls.NETWORK, b"\x44" * 20, b"\x55" * 32, 20_000, calls.AUTH)
    first = slow.read_message1(key, h0, message1)
    ephemeral = caller._ephemeral.private_bytes_raw()
    second = slow.read_message2(first, ephemeral, calls.entropy(SEED)(64), message2)
    chains, session_id, resume_key = slow.secrets(second["ck2"], second["h"])
    values = {
        "message1": message1, "message2": message2, "ephemeral": ephemeral, "early": early,
        "shared": key.open(message1[12:1132]), "chain0": chains[0], "chain1": chains[1],
        "session_id": session_id, "resume_key": resume_key, "transcript": second["h"],
    }  # fmt: skip
    hexed = {k: v.hex() for k, v in values.items()}
    return {"name": name, "seed": SEED, "request": request, "hex": hexed}


def resealed(message, change):
    """Message 1 with another payload, sealed as a hostile caller would."""
    key = slow.HandshakeKey(b"\x77" * 32)
    h0 = slow.start(key, calls.NETWORK, b"\x44" * 20, b"\x55" * 32, 20_000, calls.AUTH)
    first = slow.read_message1(key, h0, message)
    keys = slow.hkdf(slow.sha(b"psp/e2e/1"), key.open(message[12:1132]), b"psp/e2e-m1/1", 64)
    text = change(bytearray(first["text"]))
    return message[:1132] + AESGCM(keys[32:]).encrypt(bytes(12), bytes(text), first["after_header"])


def put(where, value):
    def change(text):
        text[where : where + len(value)] = value
        return text

    return change


def refused():
    good = calls.call(seed=SEED).message1()
    cases = [
        ("too short", good[:-1], MALFORMED),
        ("reserved bytes set", good[:2] + b"\x01" + good[3:], MALFORMED),
        ("version 2", b"\x02" + good[1:], "SuiteError"),
        ("suite 2", good[:1] + b"\x02" + good[2:], "SuiteError"),
        ("unknown key", good[:4] + bytes(8) + good[12:], "UnknownHandshakeKeyError"),
        ("changed tag", good[:-1] + bytes((good[-1] ^ 1,)), "BadMessageError"),
        ("level 0", resealed(good, put(1288, b"\x00")), MALFORMED),
        ("level 3", resealed(good, put(1288, b"\x03")), MALFORMED),
        ("class 4", resealed(good, put(1289, b"\x04")), MALFORMED),
        ("flags", resealed(good, put(1290, b"\x00\x01")), MALFORMED),
        ("reserved field", resealed(good, put(1296, b"\x01")), MALFORMED),
        ("old bucket", resealed(good, put(1292, bytes(4))), "WrongBucketError"),
        ("ML-KEM not reduced", resealed(good, put(0, b"\xff" * 1184)), MALFORMED),
        ("past the end", resealed(good, put(1304, b"\x04\xff\xff")), MALFORMED),
        ("an empty field", resealed(good, put(1304, b"\x04\x00\x00" + bytes(8))), MALFORMED),
        ("a dirty tail", resealed(good, put(8035, b"\x01")), MALFORMED),
        ("name not UTF-8", resealed(good, put(1307, b"\xff")), MALFORMED),
        ("unknown field 200", resealed(good, put(1304, b"\xc8")), "UnknownCriticalError"),
    ]  # fmt: skip
    listed = [{"name": n, "error": e, **difference(good, m)} for n, m, e in cases]
    return {"message1": good.hex(), "cases": listed}


def difference(good, message):
    """The length and the runs of bytes in which a message differs from the good one."""
    runs, last = [], -2
    for where, (one, other) in enumerate(zip(good, message, strict=False)):
        if one != other:
            if where == last + 1:
                runs[-1][1] += f"{other:02x}"
            else:
                runs.append([where, f"{other:02x}"])
            last = where
    return {"size": len(message), "put": runs}


def schedule():
    chain, shared = sha256(b"chain").digest(), sha256(b"shared").digest()
    key = slow.path_key(chain, 3)
    text = bytes(range(256)) * 3 + bytes(240)
    return {
        "chain": chain.hex(),
        "shared": shared.hex(),
        "path_keys": [slow.path_key(chain, path).hex() for path in range(6)],
        "generations": [key.hex(), slow.generation(key).hex()],
        "switched": slow.switched(key, shared, 1, 3, 1).hex(),
        "rekeyed_from_4": [
            slow.path_key(slow.rekeyed_chain(chain, shared, 4, 1), path, 4).hex()
            for path in (4, 5)
        ],
        "resumed": [chain.hex() for chain in slow.resumed(chain, shared)],
        "cell": {"sequence": 2, "path": 3, "text": text.hex(),
                 "sealed": slow.seal_cell(key, 3, 2, text).hex()},
    }  # fmt: skip


def main():
    cases = [
        handshake("with early data", {"service": "web"}, b"GET / HTTP/1.1\r\n\r\n"),
        handshake("without a service", {"service": "", "level": 1, "cell_class": 1}, b""),
    ]
    write("session-handshake.json", {"handshakes": cases, "refused": refused()})
    write("session-schedule.json", schedule())


def write(name, value):
    (VECTORS / name).write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()
