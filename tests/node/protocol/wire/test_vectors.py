"""The bytes of frames, fields and messages against those that were written out by hand."""

import json
from pathlib import Path

import pytest

from peerstream.node.protocol.errors import MalformedError
from peerstream.node.protocol.session import frames as fr
from peerstream.node.protocol.session.errors import MalformedFrameError
from peerstream.node.protocol.wire import frames
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.control import Reassembler, pack
from peerstream.node.protocol.wire.status import Status
from peerstream.node.protocol.wire.tlv import decode_tlv, encode_tlv
from peerstream.node.protocol.wire.version import VersionRange
from tests.reference import slow_wire

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "wire.json").read_text("utf-8"))
PATTERN = bytes(range(256)) * 64
BODIES = {
    "hello": (frames.Hello(VersionRange(1, 2), 5, 77, 0, 64).encode(), frames.Hello.decode),
    "destroy": (frames.encode_destroy(Status.CLOSED), frames.decode_destroy),
    "padneg": (frames.PaddingRate(1_500, 9_500, 0, 1).encode(), frames.PaddingRate.decode),
    "credit": (frames.encode_credit(0x01020304), frames.decode_credit),
}
SESSION = [
    fr.Data(3, 2**40, memoryview(b"bytes"), fin=False),
    fr.Data(3, 2**40, memoryview(b"bytes"), fin=True),
    fr.Open(5, "files"), fr.Opened(5), fr.Reset(5, 9, Status.STREAM_LIMIT), fr.Credit(5, 262_144),
    fr.Ack(2, 300, 60_000, 250), fr.Ping(), fr.Datagram(4, 6, 1, 3, 500, memoryview(b"part")),
    fr.Auth(PATTERN[:32]), fr.AddPath(4, PATTERN[:32], b"\xcc" * 32, 2, 2),
    fr.PathStatus(4, Status.TIMEOUT), fr.Tickets((PATTERN[:48], b"\xdd" * 48)),
    fr.Close(Status.FINISHED), fr.Contact(b"a contact"), fr.Rekey1(1, 20, 1, PATTERN[:608]),
    fr.Rekey2(1, 0, PATTERN[:560]), fr.Rekey3(1), fr.Switch(1),
]  # fmt: skip


def named(table):
    return pytest.mark.parametrize("case", VECTORS[table], ids=lambda case: case["name"])


def test_the_file_is_what_the_slow_implementation_makes():
    assert slow_wire.build() == VECTORS


@pytest.mark.parametrize("case", slow_wire.LINK, ids=lambda case: case["name"])
def test_frames(case):
    slow_wire.build()
    body = bytes.fromhex(case["body"])
    kind = frames.FrameType(case["type"])
    encoded = frames.encode_frame(case["circuit"], kind, body)
    assert encoded.hex() == case["frame"]
    assert frames.check_header(*frames.split_header(encoded)) is kind
    if case["name"] in BODIES:
        ours, decode = BODIES[case["name"]]
        assert ours == body
        decode(body)


@named("refused_headers")
def test_headers_that_are_none(case):
    with pytest.raises(frames.FrameError):
        frames.check_header(*frames.split_header(bytes.fromhex(case["header"])))


@named("refused_bodies")
def test_bodies_that_are_none(case):
    with pytest.raises(MalformedError):
        BODIES[case["frame"]][1](bytes.fromhex(case["body"]))


@named("fields")
def test_fields(case):
    fields = {int(kind): bytes.fromhex(value) for kind, value in case["fields"].items()}
    encoded = bytes.fromhex(case["encoded"])
    assert encode_tlv(fields, case["size"]) == encoded
    assert decode_tlv(encoded, range(256)) == fields


@named("refused_fields")
def test_fields_that_are_none(case):
    with pytest.raises(MalformedError):
        decode_tlv(bytes.fromhex(case["encoded"]), range(256))


@named("control")
def test_control_messages(case):
    command, data = Command(case["command"]), bytes.fromhex(case["data"])
    cells = pack(command, data, 16, lambda count: b"\xee" * count)
    assert [cell.hex() for cell in cells] == case["cells"]
    reassembler = Reassembler()
    messages = [message for cell in cells for message in reassembler.feed(cell)]
    assert messages == [(command, data)]


@pytest.mark.parametrize(
    ("case", "frame"),
    list(zip(VECTORS["session"], SESSION, strict=True)),
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_session_frames(case, frame):
    encoded = bytes.fromhex(case["frame"])
    assert fr.encode(frame) == encoded
    assert fr.decode_cell(encoded + bytes(9)) == [frame]


@named("refused_session")
def test_session_frames_that_are_none(case):
    with pytest.raises(MalformedFrameError):
        fr.decode_cell(bytes.fromhex(case["frame"]))


@named("skipped_session")
def test_session_frames_of_the_future_are_skipped(case):
    assert fr.decode_cell(bytes.fromhex(case["frame"])) == []
