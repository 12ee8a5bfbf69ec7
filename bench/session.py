"""Bulk through two sessions back to back, without onion layers: MB/s and microseconds per cell.

    python bench/session.py [MB] [--class N]

Prints one JSON object. A side's figure is the time spent inside that side's session divided by the
number of data cells: the sender seals them and reads the ACKs, the receiver opens them and answers.
"""

import argparse
import gc
import json
import os
import time
from collections import deque
from hashlib import sha256

from peerstream.node.protocol.session.limits import SessionTerms
from peerstream.node.protocol.session.paths import Role
from peerstream.node.protocol.session.schedule import session_secrets
from peerstream.node.protocol.session.session import Session
from peerstream.node.protocol.wire.sizes import CELL_SIZES


class Port:
    """Hands cells over in memory; buffers are used again."""

    def __init__(self, cell_size, room):
        self.cell_size = cell_size
        self.queue = deque()
        self.pool = deque()
        self._room = room

    def room(self):
        return self._room - len(self.queue)

    def new_cell(self):
        return self.pool.pop() if self.pool else memoryview(bytearray(self.cell_size + 24))

    def send_cell(self, buffer):
        self.queue.append(buffer)


def deliver(port, session, now):
    count = 0
    while port.queue:
        buffer = port.queue.popleft()
        session.receive_cell(0, buffer, now)
        port.pool.append(buffer)
        count += 1
    return count


def run(megabytes, cell_class):
    size = CELL_SIZES[cell_class]
    clock = time.perf_counter
    secrets = session_secrets(sha256(b"bench").digest(), bytes(32), None)
    ends = [
        Session(role, secrets, SessionTerms(level=2), now=clock(), entropy=os.urandom)
        for role in (Role.CALLER, Role.CALLEE)
    ]
    ports = [Port(size, 64), Port(size, 64)]
    for end, port in zip(ends, ports, strict=True):
        end.add_path(0, port, 2, clock())
    caller, callee = ends
    stream = caller.open_stream("bulk")
    total = megabytes * 1_000_000
    piece = bytes(65_536)
    sent = received = cells = acks = 0
    spent = [0.0, 0.0]
    begin = clock()
    while received < total:
        t0 = clock()
        acks += deliver(ports[1], caller, t0)
        while sent < total and (taken := caller.send(stream, piece[: total - sent])):
            sent += taken
        caller.pump(clock())
        caller.events()
        t1 = clock()
        spent[0] += t1 - t0
        cells += deliver(ports[0], callee, t1)
        callee.events()
        for part in callee.receive_pieces(stream, 1 << 30):
            received += len(part)
        callee.pump(clock())
        callee.tick(clock())
        spent[1] += clock() - t1
    elapsed = clock() - begin
    return {
        "bench": "session",
        "cell_size": size,
        "megabytes": megabytes,
        "mb_per_s": round(total / elapsed / 1e6, 1),
        "cells": cells,
        "answer_cells": acks,
        "sender_us_per_cell": round(spent[0] / cells * 1e6, 2),
        "receiver_us_per_cell": round(spent[1] / cells * 1e6, 2),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("megabytes", type=int, nargs="?", default=500)
    parser.add_argument("--class", dest="cell_class", type=int, default=2)
    arguments = parser.parse_args()
    gc.freeze()
    print(json.dumps(run(arguments.megabytes, arguments.cell_class)))


if __name__ == "__main__":
    main()
