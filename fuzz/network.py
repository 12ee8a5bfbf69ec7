"""Targets for chapters 7 and 9: Yamux headers, multistream messages, Noise, the network file."""

import json
from collections.abc import Coroutine
from typing import Any

from fuzz.target import Target, codec, machine
from peerstream.node.config.errors import NetworkFileError
from peerstream.node.config.files import parse_network
from peerstream.node.network.errors import BadFrameError, NegotiationError
from peerstream.node.network.negotiate import encode_message, read_message
from peerstream.node.network.yamux_input import FrameReader
from tests.node.config.test_network_file import network


def _yamux(data: bytes) -> None:
    """A body is never longer than its header said, and nothing is kept but a part of a header."""
    left = [0]

    def frame(kind: int, _flags: int, _stream: int, length: int) -> None:
        assert left[0] == 0
        left[0] = length if kind == 0 else 0

    def body(piece: memoryview, last: bool) -> None:  # noqa: FBT001 - called so
        left[0] -= len(piece)
        assert left[0] >= 0
        assert last == (left[0] == 0)

    reader = FrameReader(frame, body)
    try:
        for at in range(0, len(data), 13):
            reader.receive(data[at : at + 13])
            assert len(reader._partial) < 12  # noqa: SLF001 - memory is the point
    except BadFrameError:
        return


class _Stream:
    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self, n: int | None = None) -> bytes:
        taken, self._data = self._data[:n], self._data[n or 0 :]
        return taken

    async def write(self, data: bytes) -> None:
        del data


def _finish(work: Coroutine[Any, Any, Any]) -> None:
    """Run what never waits."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for something")


def _multistream(data: bytes) -> None:
    try:
        _finish(read_message(_Stream(data)))
    except NegotiationError:
        return


TARGETS: list[Target] = [
    machine("yamux", _yamux, [bytes(12), b"\0\0\0\0\0\0\0\1\0\0\0\5hello" + bytes(12)]),
    machine("multistream", _multistream, [encode_message("/multistream/1.0.0"), b"\x01\n"]),
    codec("network-file", parse_network,
          [json.dumps(network(mode)).encode() for mode in ("chain", "static", "dht")],
          NetworkFileError),
]  # fmt: skip
