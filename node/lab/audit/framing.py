"""Cuts what went over a connection into messages, streams and frames again (SPEC 15.4).

The audit reads the wire itself, by the specification, and asks no code of the node what it meant.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from peerstream.node.network.yamux_frames import DATA, HEADER, HEADER_SIZE, VERSION
from peerstream.node.protocol.wire.frames import split_header
from peerstream.node.protocol.wire.sizes import LINK_HEADER_SIZE

MULTISTREAM: Final = b"\x13/multistream/1.0.0\n"
LINK: Final = b"/psp/link/1.0.0"
_NOISE_LENGTH: Final = 2
_END_OF_NAME: Final = ord("\n")
_SHORT: Final = 0x80  # a longer multistream message has a length of two bytes; no name of ours has


class UnreadableStreamError(Exception):
    """A connection holds what the audit cannot read, so it would see nothing: teach it how."""


@dataclass(slots=True)
class Piecewise:
    """Bytes put together from records, and which record each came from."""

    data: bytearray = field(default_factory=bytearray)
    starts: list[tuple[int, int]] = field(default_factory=list)

    def add(self, data: bytes, record: int) -> None:
        """Append what one record holds."""
        self.starts.append((len(self.data), record))
        self.data += data


def skip_negotiation(data: bytes | bytearray) -> tuple[int, list[bytes]]:
    """Return where multistream messages end at the front of a stream, and their names."""
    position, names = 0, []
    while position < len(data) and 1 < data[position] < _SHORT:
        end = position + 1 + data[position]
        if end > len(data) or data[end - 1] != _END_OF_NAME:
            break
        names.append(bytes(data[position + 1 : end - 1]))
        position = end
    return position, names


def noise_messages(data: bytes | bytearray, start: int) -> Iterator[int]:
    """Return where each whole Noise message of a connection begins, behind its length."""
    position = start
    while position + _NOISE_LENGTH <= len(data):
        size = int.from_bytes(data[position : position + _NOISE_LENGTH])
        position += _NOISE_LENGTH
        if position + size > len(data):
            return
        yield position
        position += size


def yamux_streams(whole: Piecewise) -> dict[int, Piecewise]:
    """Return the bytes of each stream of one direction. Raises UnreadableStreamError."""
    data, streams = bytes(whole.data), defaultdict[int, Piecewise](Piecewise)
    position, _ = skip_negotiation(data)
    finder = _Finder(whole.starts)
    while position + HEADER_SIZE <= len(data):
        version, kind, _, stream, length = HEADER.unpack_from(data, position)
        if version != VERSION:
            raise UnreadableStreamError(f"a Yamux header of version {version}")
        position += HEADER_SIZE
        if kind == DATA:
            body = data[position : position + length]
            streams[stream].add(body, finder.record(position))
            position += length
    return dict(streams)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a link: circuit id, type, body, and the record it begins in."""

    circuit: int
    kind: int
    body: bytes
    record: int


def link_frames(stream: Piecewise) -> list[Frame] | None:
    """Return the frames of a stream that is a link, None of any other."""
    data = bytes(stream.data)
    position, names = skip_negotiation(data)
    if LINK not in names:
        return None
    finder = _Finder(stream.starts)
    frames = []
    while position + LINK_HEADER_SIZE <= len(data):
        circuit, kind, _, length = split_header(memoryview(data)[position:])
        end = position + LINK_HEADER_SIZE + length
        body = data[position + LINK_HEADER_SIZE : end]
        frames.append(Frame(circuit, kind, body, finder.record(position)))
        position = end
    return frames


class _Finder:
    """Finds the record of a position; positions may only grow."""

    def __init__(self, starts: Sequence[tuple[int, int]]) -> None:
        self._starts = starts
        self._index = 0

    def record(self, position: int) -> int:
        starts = self._starts
        while self._index + 1 < len(starts) and starts[self._index + 1][0] <= position:
            self._index += 1
        return starts[self._index][1]
