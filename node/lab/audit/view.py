"""What one process held, cut into units that each belong to one place (SPEC 15.4).

A node of the graph that `linking` makes is a tuple: ("connection", n), ("circuit", connection, id),
("stream", connection, id), ("key", n), ("log",), ("file", path), ("value", bytes).
"""

from ast import literal_eval
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from peerstream.node.lab.audit.framing import (
    MULTISTREAM,
    Frame,
    Piecewise,
    UnreadableStreamError,
    link_frames,
    noise_messages,
    skip_negotiation,
    yamux_streams,
)
from peerstream.node.lab.audit.recorder import Record, Tap, read_records
from peerstream.node.lab.audit.taps import CIPHERTEXT_KEPT

Node = tuple[str | int | bytes, ...]
_NOISE_OFFSETS: Final = (
    0,
    32,
    48,
    80,
)  # where ciphertexts begin in the messages of an XX handshake
_HANDSHAKE: Final = 2  # messages of it in one direction
_BEYOND: Final = 4  # so many messages and no key of ours: not a handshake that was broken off
_DIRECTION: Final = {Tap.RECEIVED: Tap.OPENED, Tap.SENT: Tap.SEALED}


@dataclass(frozen=True, slots=True)
class Unit:
    """Bytes in one place. layer: socket, link, stream, frame, cipher, event, log, file or rpc.

    record: the record that the bytes begin in, None of a log or a file, which is whole at the end.
    """

    layer: str
    node: Node
    data: bytes
    record: int | None
    starts: tuple[tuple[int, int], ...] = ()

    def record_at(self, position: int) -> int | None:
        """Return the record that a position came from."""
        found = self.record
        for start, record in self.starts:
            if start > position:
                break
            found = record
        return found


@dataclass(slots=True)
class ProcessView:
    """All that one process held. role: relay, caller, callee or rpc; ip: where it is.

    times: of each record, by its number. peers, sent: address and port of the other side, and what
    went there, by connection. frames: of links, with their connection. ciphers: what went through
    keys that are not of a connection.
    """

    name: str
    role: str
    ip: str
    times: dict[int, float] = field(default_factory=dict, repr=False)
    units: list[Unit] = field(default_factory=list, repr=False)
    peers: dict[int, tuple[str, int]] = field(default_factory=dict, repr=False)
    sent: dict[int, Piecewise] = field(default_factory=dict, repr=False)
    frames: list[tuple[int, Frame]] = field(default_factory=list, repr=False)
    ciphers: list[Record] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Where to read what a process held. log: what it printed; files: its state directory."""

    name: str
    role: str
    ip: str
    records: Path
    log: Path
    files: Path

    def open(self) -> ProcessView:
        """Read it all. Raises RecordsDamagedError, UnreadableStreamError."""
        view = ProcessView(self.name, self.role, self.ip)
        _Reader(view).run(read_records(self.records))
        view.units.append(Unit("log", ("log",), self.log.read_bytes(), None))
        for file in sorted(self.files.rglob("*")):
            if file.is_file():
                view.units.append(Unit("file", ("file", str(file)), file.read_bytes(), None))
        return view


def ask_rpc(view: ProcessView, rpc: tuple[str, int], asked: ProcessView) -> None:
    """Add to `asked`, the view of the chain's endpoint, what a process asked it.

    The endpoint is a program that is not ours, so it is seen from its clients. Its answers are the
    public chain: everybody gets the same.
    """
    for connection, whole in view.sent.items():
        if view.peers[connection] != rpc:
            continue
        node = ("connection", view.name, connection)
        starts = []
        for position, record in whole.starts:
            starts.append((position, len(asked.times)))
            asked.times[len(asked.times)] = view.times[record]
        first = starts[0][1]
        asked.units.append(Unit("rpc", node, view.ip.encode(), first))
        asked.units.append(Unit("rpc", node, bytes(whole.data), first, tuple(starts)))


class _Reader:
    """Puts one process's records together."""

    def __init__(self, view: ProcessView) -> None:
        self._view = view
        self._wires: defaultdict[tuple[int, Tap], Piecewise] = defaultdict(Piecewise)
        self._keys: defaultdict[int, list[Record]] = defaultdict(list)
        self._unread: set[tuple[int, Tap]] = set()

    def run(self, records: Iterable[Record]) -> None:
        for record in records:
            self._view.times[record.number] = record.at
            self._sort(record)
        for (connection, tap), whole in self._wires.items():
            self._add("socket", ("connection", connection), whole)
            if tap is Tap.SEALED:
                self._view.sent[connection] = whole
        self._read_keys(self._places_of_ciphertexts())
        if self._unread:
            connection, tap = min(self._unread)
            peer = self._view.peers[connection]
            raise UnreadableStreamError(f"no key for what {self._view.name} {tap.name} with {peer}")

    def _sort(self, record: Record) -> None:
        view = self._view
        if record.tap in {Tap.CONNECTED, Tap.ACCEPTED}:
            view.peers[record.context] = _endpoint(record.parts[0])
            self._unit("socket", ("connection", record.context), record.parts[0], record.number)
        elif record.tap in _DIRECTION:
            self._wires[record.context, _DIRECTION[record.tap]].add(record.parts[0], record.number)
        elif record.tap is Tap.EVENT:
            data = b" ".join(record.parts)
            self._unit("event", ("event", record.number), data, record.number)
        else:
            self._keys[record.context].append(record)

    def _places_of_ciphertexts(self) -> dict[tuple[Tap, bytes], int]:
        """Return the connection of each Noise ciphertext, by its direction and first bytes."""
        found = {}
        for (connection, tap), whole in self._wires.items():
            start, _ = skip_negotiation(whole.data)
            for number, position in enumerate(noise_messages(whole.data, start)):
                if number == _BEYOND and whole.data.startswith(MULTISTREAM):
                    self._unread.add((connection, tap))
                for offset in _NOISE_OFFSETS if number < _HANDSHAKE else (0,):
                    first = position + offset
                    known = bytes(whole.data[first : first + CIPHERTEXT_KEPT])
                    found[tap, known] = connection
        return found

    def _read_keys(self, places: Mapping[tuple[Tap, bytes], int]) -> None:
        for key, records in self._keys.items():
            first = records[0]
            taken = first.parts[1] if first.tap is Tap.SEALED else first.parts[0]
            connection = places.get((first.tap, taken[:CIPHERTEXT_KEPT]))
            if connection is not None:
                self._read_link(connection, records)
                continue
            for record in records:
                self._view.ciphers.append(record)
                for part in record.parts if record.tap is Tap.SEALED else record.parts[1:]:
                    self._unit("cipher", ("key", key), part, record.number)

    def _read_link(self, connection: int, records: list[Record]) -> None:
        whole = Piecewise()
        for record in records:
            plaintext = record.parts[0] if record.tap is Tap.SEALED else record.parts[1]
            whole.add(plaintext, record.number)
        if not whole.data.startswith(MULTISTREAM):
            self._add("link", ("connection", connection), whole)
            return
        self._unread.discard((connection, records[0].tap))
        for stream, content in yamux_streams(whole).items():
            frames = link_frames(content)
            if frames is None:
                self._add("stream", ("stream", connection, stream), content)
                continue
            for frame in frames:
                self._view.frames.append((connection, frame))
                node = ("circuit", connection, frame.circuit)
                self._unit("frame", node, frame.body, frame.record)

    def _unit(self, layer: str, node: Node, data: bytes, record: int) -> None:
        if data:
            self._view.units.append(Unit(layer, node, data, record))

    def _add(self, layer: str, node: Node, whole: Piecewise) -> None:
        if whole.data:
            first = whole.starts[0][1]
            found = Unit(layer, node, bytes(whole.data), first, tuple(whole.starts))
            self._view.units.append(found)


def _endpoint(peer: bytes) -> tuple[str, int]:
    """Read what Python writes of a socket's peer: ('127.1.0.1', 4001)."""
    host, port, *_ = literal_eval(peer.decode())
    return str(host), int(port)
