"""One layer alone: microseconds to pass a cell at a relay and to undo it at the owner.

    python bench/layer.py [--cells 20000]

Prints one JSON object; `bare_us` are the two AEAD calls of a layer with nothing around them.
"""

import argparse
import json
import secrets
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peerstream.node.protocol.onion.keys import LAYER_KEYS_SIZE, LayerKeys
from peerstream.node.protocol.onion.layer import Layer
from peerstream.node.protocol.wire.sizes import CELL_SIZES


def microseconds(act: Callable[[], object], rounds: int) -> float:
    """The best of four runs."""
    best = float("inf")
    for _ in range(4):
        began = time.perf_counter()
        for _ in range(rounds // 4):
            act()
        best = min(best, (time.perf_counter() - began) / (rounds // 4))
    return round(best * 1e6, 2)


def measure(size: int, cells: int) -> dict[str, float]:
    keys = LayerKeys(secrets.token_bytes(LAYER_KEYS_SIZE))
    relay, owner = Layer(keys, size), Layer(keys, size)
    cell, out = memoryview(bytearray(size)), memoryview(bytearray(size + 16))
    hashing, stream = AESGCM(bytes(32)), AESGCM(bytes(32))

    def bare() -> None:
        hashing.encrypt(bytes(12), b"", cell[16:])
        stream.encrypt_into(bytes(12), cell[16:], None, out[16:])

    return {
        "encipher_us": microseconds(lambda: relay.encipher(cell, out), cells),
        "decipher_us": microseconds(lambda: owner.decipher(cell, out), cells),
        "bare_us": microseconds(bare, cells),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=20_000)
    cells = parser.parse_args().cells
    print(json.dumps({f"class_{n}": measure(size, cells) for n, size in enumerate(CELL_SIZES)}))


if __name__ == "__main__":
    main()
