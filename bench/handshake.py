"""The public-key work of a dial: a SETUP made and taken apart, a call made, opened and answered.

    python bench/handshake.py [--rounds 200]

Prints one JSON object, milliseconds each. A dial of six relays has four SETUPs of four hops.
"""

import argparse
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from peerstream.node.protocol.circuit.bodies import encode_payload
from peerstream.node.protocol.onion.kem import KemPrivateKey
from peerstream.node.protocol.onion.replay import ReplayFilter, bucket_of
from peerstream.node.protocol.onion.setup import Hop, build_setup, process_setup
from peerstream.node.protocol.session.handshake import (
    CallAnswer,
    Callee,
    CallerHandshake,
    CallRequest,
    HandshakeKey,
    open_message1,
)
from peerstream.node.protocol.wire.command import Command

HOPS = 4
AUTH = b"a" * 32


class Setup:
    """A path of relays, and the first of them."""

    def __init__(self, bucket: int) -> None:
        keys = [KemPrivateKey.from_seed(secrets.token_bytes(32)) for _ in range(HOPS)]
        self.path = [Hop(secrets.token_bytes(32), key.public) for key in keys]
        self.onion_keys = {keys[0].public.key_id: keys[0]}
        self.bucket = bucket

    def build(self) -> bytes:
        payload = encode_payload(Command.OPEN, b"")
        return build_setup(
            self.path,
            payload,
            cell_class=2,
            real_time=False,
            bucket=self.bucket,
            entropy=secrets.token_bytes,
        ).frame

    def process(self, frame: bytes) -> None:
        process_setup(
            frame,
            relay_id=self.path[0].relay_id,
            onion_keys=self.onion_keys,
            entropy=secrets.token_bytes,
        )


class Call:
    """An anonymous caller and its callee; proofs of certificates are not in it."""

    def __init__(self, wall: int) -> None:
        key = KemPrivateKey.from_seed(secrets.token_bytes(32))
        self.callee = Callee(
            network_id=bytes(32),
            account=bytes(20),
            blinded_key=bytes(32),
            period=0,
            auth_public=AUTH,
            handshake_key=key.public,
        )
        self.request = CallRequest(
            relay_id=bytes(32),
            cookie=bytes(32),
            epoch=1,
            root=bytes(32),
            level=2,
            cell_class=2,
            bucket=bucket_of(wall),
            service="files",
        )
        self.keys = {self.callee.key_id: HandshakeKey(self.callee, key)}
        self.replay = ReplayFilter()
        self.wall = wall

    def make(self) -> CallerHandshake:
        return CallerHandshake(
            self.callee, self.request, entropy=secrets.token_bytes, identity=None
        )

    def answer(self, message: bytes) -> bytes:
        opened = open_message1(
            message, auth_public=AUTH, keys=self.keys, replay=self.replay, wall=self.wall
        )
        return opened.accept(CallAnswer(128, 262_144), secrets.token_bytes).message2


def milliseconds(act: Callable[[Any], object], given: list[Any]) -> float:
    began = time.perf_counter()
    for each in given:
        act(each)
    return round((time.perf_counter() - began) / len(given) * 1e3, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    wall = int(time.time())
    setup, call = Setup(bucket_of(wall)), Call(wall)
    calls = [call.make() for _ in range(rounds)]
    found = {
        "setup_build_ms": milliseconds(lambda _: setup.build(), list(range(rounds))),
        "setup_process_ms": milliseconds(setup.process, [setup.build() for _ in range(rounds)]),
        "call_make_ms": milliseconds(lambda _: call.make(), list(range(rounds))),
    }
    answers: list[bytes] = []
    messages = [each.message1() for each in calls]
    found["call_answer_ms"] = milliseconds(
        lambda message: answers.append(call.answer(message)), messages
    )
    pairs = list(zip(calls, answers, strict=True))
    found["call_finish_ms"] = milliseconds(lambda pair: pair[0].finish(pair[1]), pairs)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
