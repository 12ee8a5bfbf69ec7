"""Targets for chapters 0 and 4: frames, control messages, fields, bodies, a whole link."""

from fuzz.target import Target, codec, machine
from peerstream.node.protocol.circuit.bodies import (
    Introduction,
    IntroductionWait,
    Joining,
    Listening,
    Registration,
    Result,
    decode_payload,
    encode_payload,
)
from peerstream.node.protocol.circuit.errors import CommandError, RegistrationSignatureError
from peerstream.node.protocol.circuit.limits import LinkLimits
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.errors import MalformedError, RemoteProtocolError
from peerstream.node.protocol.wire import frames
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.control import Reassembler, pack
from peerstream.node.protocol.wire.sizes import REPLY_SIZE, SETUP_SIZE
from peerstream.node.protocol.wire.status import Status
from peerstream.node.protocol.wire.tlv import UnknownCriticalError, decode_tlv, encode_tlv
from peerstream.node.protocol.wire.version import VersionRange

HELLO = frames.Hello(VersionRange(1, 1), 0, 0, 0, 64).encode()
KEY, COOKIE = b"k" * 32, b"c" * 32


def _header(data: bytes) -> None:
    frames.check_header(*frames.split_header(data))


def _control(data: bytes) -> None:
    """Cells of 64 bytes to one reassembler."""
    reassembler = Reassembler()
    for at in range(0, len(data), 64):
        reassembler.feed(data[at : at + 64])


def _control_seeds() -> list[bytes]:
    return [
        b"".join(pack(command, data, 64, bytes))
        for command, data in ((Command.ECHO, b"x" * 200), (Command.OPEN, b""), (Command.CLOSE, b""))
    ]


def _tlv(data: bytes) -> None:
    if encode_tlv(decode_tlv(data, range(256)), len(data)) != data:
        raise AssertionError("two encodings of the same fields")


def _link(data: bytes) -> None:
    """A whole link of a relay, which opens nothing; every frame type, whole or cut in two."""
    link = Link(dialer=False, peer=None, limits=LinkLimits.for_client(), now=0.0)
    link.on_setup = lambda at, circuit, _frame: at.send_destroy(circuit, Status.CLOSED)
    try:
        half = len(data) // 2
        link.receive_data(data[:half], 0.1)
        link.receive_data(data[half:], 0.2)
    except RemoteProtocolError:
        assert link.closed
    assert sum(map(len, link.data_to_send(1 << 20))) <= 64 + 2 * len(data)


def _link_seeds() -> list[bytes]:
    hello = frames.encode_frame(0, frames.FrameType.HELLO, HELLO)
    opened = frames.DIALER_CIRCUITS + 1
    rest = [
        (0, frames.FrameType.PING, bytes(8)),
        (0, frames.FrameType.PADDING, bytes(70)),
        (0, frames.FrameType.PADNEG, frames.PaddingRate(1, 2, 0, 0).encode()),
        (opened, frames.FrameType.SETUP, bytes(SETUP_SIZE)),
        (opened, frames.FrameType.CREDIT, frames.encode_credit(7)),
        (opened, frames.FrameType.DESTROY, frames.encode_destroy(Status.CLOSED)),
        (opened, frames.FrameType.CELL, bytes(1_024)),
        (opened, frames.FrameType.REPLY, bytes(REPLY_SIZE)),
    ]
    return [hello + b"".join(frames.encode_frame(*frame) for frame in rest[:n]) for n in range(9)]


def _registration(data: bytes) -> object:
    return Registration.decode(data, b"b" * 32)


TARGETS: list[Target] = [
    codec("frame-header", _header, [bytes(8), b"\0\0\0\1\3\0\x04\0"], frames.FrameError),
    codec(
        "hello", frames.Hello.decode, [HELLO], MalformedError, encode=frames.Hello.encode
    ),
    codec(
        "padneg", frames.PaddingRate.decode, [frames.PaddingRate(1, 2, 3, 1).encode()],
        MalformedError, encode=frames.PaddingRate.encode,
    ),
    codec(
        "destroy", frames.decode_destroy, [b"\2\0\0\0"], MalformedError,
        encode=frames.encode_destroy,
    ),
    codec("credit", frames.decode_credit, [bytes(4)], MalformedError, encode=frames.encode_credit),
    codec("control", _control, _control_seeds(), MalformedError),
    codec(
        "tlv", _tlv, [encode_tlv({1: b"a", 5: b"bc", 200: b""}, 20)], MalformedError,
        UnknownCriticalError,
    ),
    codec(
        "payload", decode_payload, [encode_payload(Command.ECHO, b"x")], MalformedError,
        CommandError,
    ),
    codec("registration", _registration, [bytes(102)], MalformedError, RegistrationSignatureError),
    *(
        codec(f"body-{type(body).__name__.lower()}", type(body).decode, [body.encode()],
              MalformedError, encode=type(body).encode)
        for body in (
            Introduction(KEY, bytes(9_184)),
            IntroductionWait(KEY, COOKIE, bytes(9_184)),
            Joining(COOKIE, bytes(2_048)),
            Listening(COOKIE, 60),
            Result(Command.ECHO, Status.OK, b"m"),
        )
    ),
    machine("link", _link, _link_seeds()),
]  # fmt: skip
