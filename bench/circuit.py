"""One relay core alone: what a cell costs between two links, without sockets.

Prints JSON: cells a second and microseconds a cell, for a hop in the middle and for the meeting
point of a splice. Time spent making and checking the cells outside the relay is not counted.

    python bench/circuit.py [--class 2] [--circuits 16] [--megabytes 400] [--profile]
"""

import argparse
import cProfile
import json
import pstats
import secrets
import time

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peerstream.node.protocol.circuit.bodies import Joining, Listening, encode_payload
from peerstream.node.protocol.circuit.limits import LinkLimits
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.circuit.pool import BufferPool
from peerstream.node.protocol.circuit.relay import RelayCore, RelayParts
from peerstream.node.protocol.onion.onion_keys import OnionKeyRing
from peerstream.node.protocol.onion.replay import ReplayFilter, bucket_of
from peerstream.node.protocol.onion.setup import Hop, build_setup
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.frames import FrameType, encode_credit, encode_frame
from peerstream.node.protocol.wire.sizes import CELL_SIZES, JOIN_BLOB_SIZES

EPOCH_SECONDS = 21_600
BATCH = 65_536
NEAR, FAR = b"n" * 32, b"f" * 32
LIMITS = LinkLimits(10_000, 1e9, 1e9, closes_on_bad_setups=False)


class Bench:
    """A relay between two links whose far ends are played by hand."""

    def __init__(self, cell_class: int) -> None:
        self.cell_class = cell_class
        self.size = CELL_SIZES[cell_class]
        self.wall = int(time.time())
        self.keys = OnionKeyRing(EPOCH_SECONDS)
        self.keys.rotate(self.wall, secrets.token_bytes)
        self.pool = BufferPool()
        self.core = RelayCore(
            RelayParts(
                relay_id=b"r" * 32,
                onion_keys=self.keys,
                replay_filter=ReplayFilter(),
                record=lambda _record: None,
                entropy=secrets.token_bytes,
                pool=self.pool,
            ),
            now=0.0,
            wall=self.wall,
        )
        self.near = self._link(NEAR)
        self.far = self._link(FAR)
        self.next_id = 0

    def _link(self, peer: bytes) -> Link:
        link = Link(dialer=False, peer=peer, limits=LIMITS, now=0.0, pool=self.pool)
        other = Link(dialer=True, peer=None, limits=LIMITS, now=0.0)
        self.core.link_ready(peer, link)
        link.receive_data(b"".join(other.data_to_send(BATCH)), 0.0)
        link.data_to_send(BATCH)
        return link

    def setup(self, link: Link, path: list[Hop], payload: bytes) -> int:
        """Open a circuit from the far end of `link`; returns its id there."""
        self.next_id += 1
        circuit_id = 0x8000_0000 + self.next_id
        built = build_setup(
            path,
            payload,
            cell_class=self.cell_class,
            real_time=False,
            bucket=bucket_of(self.wall),
            entropy=secrets.token_bytes,
        )
        link.receive_data(encode_frame(circuit_id, FrameType.SETUP, built.frame), 0.0)
        return circuit_id

    def here(self) -> Hop:
        return Hop(b"r" * 32, self.keys.key(self.wall // EPOCH_SECONDS).public)

    def pass_through(self, circuits: int) -> tuple[list[int], list[int]]:
        """Circuits that go on over `far`: ids on `near` and on `far`."""
        far_keys = OnionKeyRing(EPOCH_SECONDS)
        far_keys.rotate(self.wall, secrets.token_bytes)
        far_hop = Hop(FAR, far_keys.key(self.wall // EPOCH_SECONDS).public)
        opened = encode_payload(Command.OPEN, b"")
        ids = [self.setup(self.near, [self.here(), far_hop], opened) for _ in range(circuits)]
        return ids, list(range(1, circuits + 1))

    def splice(self, circuits: int) -> tuple[list[int], list[int]]:
        """Circuits that meet circuits of `far` here: ids on `near` and on `far`."""
        near, far = [], []
        for _ in range(circuits):
            cookie = secrets.token_bytes(32)
            listen = encode_payload(Command.RDV_LISTEN, Listening(cookie).encode())
            join = encode_payload(
                Command.RDV_JOIN, Joining(cookie, bytes(JOIN_BLOB_SIZES[0])).encode()
            )
            near.append(self.setup(self.near, [self.here()], listen))
            far.append(self.setup(self.far, [self.here()], join))
        return near, far

    def _grant_all(self, link: Link, ids: list[int]) -> None:
        for circuit_id in ids:
            credit = encode_credit(0xFFFF_FFFF)
            link.receive_data(encode_frame(circuit_id, FrameType.CREDIT, credit), 0.0)
        while link.data_to_send(BATCH):
            pass

    def run(self, near: list[int], far: list[int], megabytes: int) -> float:
        """Microseconds a cell from `near` to `far`."""
        self._grant_all(self.near, near)
        self._grant_all(self.far, far)
        frames = [
            encode_frame(circuit_id, FrameType.CELL, secrets.token_bytes(self.size))
            for circuit_id in near
        ]
        per_batch = max(1, BATCH // (self.size + 8))
        batches = [
            b"".join(frames[(start + number) % len(frames)] for number in range(per_batch))
            for start in range(0, len(frames) * per_batch, per_batch)
        ]
        cells = megabytes * 1_000_000 // self.size
        done = 0
        started = time.perf_counter()
        while done < cells:
            for batch in batches:
                self.near.receive_data(batch, 0.0)
                while self.far.data_to_send(BATCH):
                    pass
                self.near.data_to_send(BATCH)
            done += per_batch * len(batches)
        return (time.perf_counter() - started) / done * 1e6


def crypto_alone(size: int) -> float:
    """Microseconds that two AEAD calls of a layer cost without anything around them."""
    hashing, stream = AESGCM(bytes(32)), AESGCM(bytes(32))
    cell, out = memoryview(bytearray(size)), memoryview(bytearray(size + 16))
    rounds = 5_000
    started = time.perf_counter()
    for _ in range(rounds):
        hashing.encrypt(bytes(12), b"", cell[16:])
        stream.encrypt_into(bytes(12), cell[16:], None, out[16:])
    return (time.perf_counter() - started) / rounds * 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--class", dest="cell_class", type=int, default=2)
    parser.add_argument("--circuits", type=int, default=16)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    report = {"class": options.cell_class, "cell_bytes": CELL_SIZES[options.cell_class]}
    report["crypto_us"] = round(crypto_alone(report["cell_bytes"]), 2)
    for name in ("pass_through", "splice"):
        bench = Bench(options.cell_class)
        near, far = getattr(bench, name)(options.circuits)
        if options.profile:
            profile = cProfile.Profile()
            profile.runcall(bench.run, near, far, options.megabytes)
            pstats.Stats(profile).sort_stats("tottime").print_stats(18)
        else:
            best = min(bench.run(near, far, options.megabytes // 4) for _ in range(4))
            report[f"{name}_us"] = round(best, 2)
            report[f"{name}_cells_per_second"] = round(1e6 / best)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
