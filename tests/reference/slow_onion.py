"""The onion of SPEC 3 a second time, slow and plain, to make and check tests/vectors/onion-*.json.

`python tests/reference/slow_onion.py` writes the vectors again. It shares no code with the
package: labels, offsets and primitives are its own.
"""

import hashlib
import hmac
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.reference.slow_aes import (
    counter_stream,
    decrypt_block,
    encrypt_block,
    gcm_seal,
    xor,
)
from tests.reference.slow_kem import BASE, x25519, xwing_encapsulate, xwing_keys

VECTORS = Path(__file__).resolve().parents[1] / "vectors"


def xof(data, length):
    return hashlib.shake_256(data).digest(length)


def drawn(name, length):
    """Bytes that stand for randomness in a vector."""
    return xof(b"vector " + name.encode(), length)


# --- SETUP


def setup_keys(relay_id, shared):
    out = xof(b"psp/setup/1" + relay_id + shared, 96)
    return out[:32], out[32:64], out[64:]


def build(hops, payload, terms, seeds, filling):
    """(frame, chain keys, ciphertexts); hops = [(relay_id, public)], seeds = 64 bytes each."""
    cell_class, real_time, bucket = terms
    shares = [xwing_encapsulate(hop[1], seed) for hop, seed in zip(hops, seeds, strict=True)]
    keys = [setup_keys(hop[0], share[0]) for hop, share in zip(hops, shares, strict=True)]
    tail = b""
    for number, (body_key, fill_key, _) in enumerate(keys):
        stream = counter_stream(body_key, bytes(15) + b"\2", 15240)
        tail = xor(tail, stream[15240 - len(tail) :])
        if number < len(keys) - 1:
            tail += xof(fill_key, 1184)
    flags = 2 if real_time else 0
    common = bytes((cell_class, 0, 0)) + bucket.to_bytes(4, "big")
    block = bytes(36) + bytes((flags | 1,)) + common + bytes(4) + filling[:1136]
    rest = 15240 - 1184 - len(tail)
    plain = block + (payload + filling[1136:])[:rest] + tail
    tag = body = header = b""
    for number in range(len(hops) - 1, -1, -1):
        public = hops[number][1]
        if number < len(hops) - 1:
            following, following_public = hops[number + 1]
            okid = hashlib.sha256(following_public).digest()[:4]
            block = following + okid + bytes((flags,)) + common + b"\1\0\0\0"
            plain = block + tag + shares[number + 1][1] + body[:14056]
        header = hashlib.sha256(public).digest()[:4] + b"\1\0\0\0"
        body, tag = gcm_seal(keys[number][0], bytes(12), plain, header)
    return header + shares[0][1] + tag + body, [k[2] for k in keys], [s[1] for s in shares]


# --- REPLY


def circuit_keys(chain, exchanged, ciphertext, point, relay_id):
    transcript = hashlib.sha256(ciphertext + point + relay_id).digest()
    return xof(b"psp/circ/1" + chain + exchanged + transcript, 352)


def layer_keys(fin):
    """(forward, backward), 144 bytes each: Kh, Kb, Ks, N, CK."""
    return fin[64:176] + fin[288:320], fin[176:288] + fin[320:352]


def seal_reply(fin, point, status, message, fields, inner):
    """`fields`: 13 random bytes; `message` None when `inner` comes from downstream."""
    length = 0 if message is None else len(message)
    plain = bytes((status,)) + length.to_bytes(2, "big") + fields + inner[:960]
    sealed = xor(plain, counter_stream(fin[:32], bytes(16), 976))
    return point + hmac.new(fin[32:64], sealed[:720], "sha256").digest()[:16] + sealed


# --- layers


class SlowLayer:
    def __init__(self, raw):
        self.load(raw)

    def load(self, raw):
        self.kh, self.kb, self.ks = raw[:32], raw[32:64], raw[64:96]
        self.n, self.ck = int.from_bytes(raw[96:112], "big"), raw[112:]
        self.t, self.j, self.count = bytes(12), 0, 0

    def marker(self):
        return ((self.n + (self.j << 32)) % 2**128).to_bytes(16, "big")

    def _hash(self, right):
        return gcm_seal(self.kh, self.t, b"", right)[1]

    def _apply(self, left, right):
        return xor(right, counter_stream(self.ks, left[:12] + b"\0\0\0\2", len(right), 32))

    def _step(self, network):
        self.t = network[:12]
        self.count += 1

    def tick(self, network):
        """After a cell and its advance: the rekey of the 256th."""
        if self.count == 256:
            self.load(xof(b"psp/layer-rekey/1" + self.ck + network, 144))

    def encipher(self, cell):
        left, right = cell[:16], cell[16:]
        h = self._hash(right)
        left = xor(encrypt_block(self.kb, xor(left, h)), h)
        self._step(left)
        return left + self._apply(left, right)

    def decipher(self, cell):
        left = cell[:16]
        right = self._apply(left, cell[16:])
        h = self._hash(right)
        self._step(left)
        return xor(decrypt_block(self.kb, xor(left, h)), h) + right


# --- the vectors


def setup_vector(hop_count):
    name = f"{hop_count} hops"
    private_seeds = [drawn(f"{name} key {i}", 32) for i in range(hop_count)]
    relay_ids = [drawn(f"{name} id {i}", 32) for i in range(hop_count)]
    publics = [xwing_keys(seed)[0] for seed in private_seeds]
    seeds = [drawn(f"{name} encapsulation {i}", 64) for i in range(hop_count)]
    payload, bucket = drawn(f"{name} payload", 9320), 2_900_000 + hop_count
    hops = list(zip(relay_ids, publics, strict=True))
    filling = drawn(f"{name} filling", 16384)
    terms = (hop_count % 4, hop_count % 2, bucket)
    frame, chains, ciphertexts = build(hops, payload, terms, seeds, filling)
    ephemerals = [drawn(f"{name} hop ephemeral {i}", 32) for i in range(hop_count)]
    fins = []
    for i in range(hop_count):
        point = x25519(ephemerals[i], BASE)
        exchanged = x25519(ephemerals[i], ciphertexts[i][1088:])
        fins.append(circuit_keys(chains[i], exchanged, ciphertexts[i], point, relay_ids[i]))
    message = drawn(f"{name} message", 100 + hop_count)
    replies, inner = [], message + drawn(f"{name} padding", 960 - len(message))
    for i in range(hop_count - 1, -1, -1):
        own = message if i == hop_count - 1 else None
        fields = drawn(f"{name} fields {i}", 13)
        inner = seal_reply(fins[i], x25519(ephemerals[i], BASE), 0, own, fields, inner)
        replies.insert(0, inner)
    return {
        "name": name,
        "cell_class": hop_count % 4,
        "real_time": bool(hop_count % 2),
        "bucket": bucket,
        "frame": frame.hex(),
        "payload_sha256": hashlib.sha256(payload).hexdigest(),
        "message": message.hex(),
        "reply_padding": drawn(f"{name} padding", 960 - len(message)).hex(),
        "hops": [
            {
                "relay_id": relay_ids[i].hex(),
                "key_seed": private_seeds[i].hex(),
                "encapsulation_ephemeral": seeds[i][32:].hex(),
                "ciphertext": ciphertexts[i].hex(),
                "chain": chains[i].hex(),
                "hop_ephemeral": ephemerals[i].hex(),
                "reply_fields": drawn(f"{name} fields {i}", 13).hex(),
                "reply": replies[i].hex(),
                "forward": layer_keys(fins[i])[0].hex(),
                "backward": layer_keys(fins[i])[1].hex(),
                "binding": xof(b"psp/bind/1" + chains[i], 32).hex(),
            }
            for i in range(hop_count)
        ],
    }


def layer_vector(cell_size, cells, control):
    """One layer over `cells` cells; those in `control` carry the marker."""
    name = f"layer {cell_size}"
    keys = drawn(name, 144)
    layer, rows = SlowLayer(keys), []
    for number in range(cells):
        body = drawn(f"{name} cell {number}", cell_size)
        left = layer.marker() if number in control else body[:16]
        given = left + body[16:]
        out = layer.decipher(given)
        if number in control:
            layer.j += 1
        layer.tick(given[:16])
        if number in control or number % 256 in {255, 0}:
            rows.append({"cell": number, "left": left.hex(), "out": out.hex()})
    return {
        "name": name,
        "cell_size": cell_size,
        "keys": keys.hex(),
        "cells": cells,
        "control": sorted(control),
        "kept": rows,
    }


ABOUT_LAYER = (
    "The owner deciphers `cells` cells in order. Cell i has the body SHAKE-256('vector ' || name "
    "|| ' cell ' || i)[0:cell_size]; where i is in `control`, its first 16 bytes are the marker "
    "instead. `left` = the first 16 bytes given, `out` = the cell on the network. Enciphering "
    "every `out` at the hop gives the cell back. Cell 255 is a control cell and its keys' last."
)


def write(name, about, cases):
    text = json.dumps({"about": about, "cases": cases}, indent=1) + "\n"
    (VECTORS / name).write_text(text, encoding="utf-8")


def main():
    about = "SETUP and REPLY with all randomness fixed; made by tests/reference/slow_onion.py."
    write("onion-circuit.json", about, [setup_vector(count) for count in (1, 3, 5)])
    control = {0, 1, 255, 256, 300, 511, 512}
    layers = [layer_vector(64, 600, control), layer_vector(1024, 3, {1})]
    write("onion-layer.json", ABOUT_LAYER, layers)


if __name__ == "__main__":
    main()
