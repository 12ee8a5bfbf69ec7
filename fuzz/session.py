"""Targets for chapter 5: handshake messages, frames, a whole session behind its cells."""

from fuzz.target import Target, codec, machine
from peerstream.node.protocol.onion.kem import KemPrivateKey
from peerstream.node.protocol.onion.replay import ReplayFilter
from peerstream.node.protocol.session import frames as fr
from peerstream.node.protocol.session.callee import HandshakeKey, open_message1
from peerstream.node.protocol.session.caller import CallerHandshake
from peerstream.node.protocol.session.cell import CellOpener, CellSealer
from peerstream.node.protocol.session.errors import (
    HandshakeError,
    JoinBlobError,
    MalformedFrameError,
    SessionError,
)
from peerstream.node.protocol.session.limits import SessionTerms
from peerstream.node.protocol.session.messages import (
    CallAnswer,
    CallRequest,
    Payload1,
    decode_payload1,
    decode_payload2,
    encode_payload1,
    encode_payload2,
)
from peerstream.node.protocol.session.paths import Role
from peerstream.node.protocol.session.schedule import Direction, PathChain, session_secrets
from peerstream.node.protocol.session.session import Session
from peerstream.node.protocol.session.transcript import Callee
from peerstream.node.protocol.wire.status import Status
from peerstream.node.protocol.wire.tlv import UnknownCriticalError

KEY = KemPrivateKey.from_seed(b"s" * 32)
CALLEE = Callee(bytes(32), bytes(20), bytes(32), 7, bytes(32), KEY.public)
REQUEST = CallRequest(
    bytes(32), bytes(32), 1, bytes(32), 2, 2, 100, service="files", early=b"GET"
)  # fmt: skip
CALLER = CallerHandshake(CALLEE, REQUEST, entropy=lambda n: b"\2" * n, identity=None)
ANSWER = CallAnswer(128, 262_144, early_response=b"200", tickets=(bytes(48),))
SIZE = 1_024


def _open1(message: bytes) -> object:
    keys = {CALLEE.key_id: HandshakeKey(CALLEE, KEY)}
    return open_message1(
        message, auth_public=bytes(32), keys=keys, replay=ReplayFilter(), wall=60_000
    )


def _message2() -> bytes:
    call = open_message1(
        CALLER.message1(), auth_public=bytes(32), keys={CALLEE.key_id: HandshakeKey(CALLEE, KEY)},
        replay=ReplayFilter(), wall=60_000,
    )  # fmt: skip
    return call.accept(ANSWER, lambda n: b"\3" * n).message2


def _payload1(data: bytes) -> None:
    payload = decode_payload1(data.ljust(8_036, b"\0")[:8_036])
    if decode_payload1(encode_payload1(payload)) != payload:
        raise AssertionError("a payload changed on its way")


def _payload2(data: bytes) -> None:
    answer = decode_payload2(data)
    if decode_payload2(encode_payload2(answer)) != answer:
        raise AssertionError("an answer changed on its way")


FRAMES: list[fr.Frame] = [
    fr.Data(1, 0, memoryview(b"data"), True), fr.Open(1, "files"), fr.Opened(1),
    fr.Reset(1, 4, Status.CLOSED), fr.Credit(1, 9), fr.Ack(0, 1, 2, 3), fr.Ping(),
    fr.Datagram(1, 1, 0, 2, 50, memoryview(b"part")), fr.Auth(bytes(32)),
    fr.AddPath(2, bytes(32), bytes(32), 2, 2), fr.PathStatus(2, Status.CLOSED),
    fr.Tickets((bytes(48),)), fr.Contact(b"c"), fr.Rekey1(1, 20, 0, bytes(608)),
    fr.Rekey2(1, 1, bytes(560)), fr.Rekey3(1), fr.Switch(1), fr.Close(Status.FINISHED),
]  # fmt: skip


def _frames(text: bytes) -> None:
    decoded = fr.decode_cell(text)
    again = b"".join(map(fr.encode, decoded))
    if fr.decode_cell(again) != decoded:
        raise AssertionError("frames changed on their way")


class _Port:
    cell_size = SIZE

    def room(self) -> int:
        return 64

    def new_cell(self) -> memoryview:
        return memoryview(bytearray(SIZE + 24))

    def send_cell(self, cell_buffer: memoryview) -> None:
        assert len(cell_buffer) == SIZE + 24


def _session(data: bytes) -> None:
    """A peer with the right keys that fills its cells with anything: 1 008 bytes each."""
    secrets = session_secrets(bytes(32), bytes(32), None)
    session = Session(Role.CALLEE, secrets, SessionTerms(2), now=0.0, entropy=bytes)
    session.add_path(0, _Port(), 2, 0.0)
    to_callee = Direction.TO_CALLEE
    sealer = CellSealer(PathChain(secrets.chains[to_callee], to_callee).take(0), 0, to_callee)
    for number, at in enumerate(range(0, len(data), 1_008), 1):
        text = data[at : at + 1_008].ljust(1_008, b"\0")
        buffer = memoryview(bytearray(24) + bytearray(text) + bytearray(16))
        sealer.seal(buffer)
        session.receive_cell(0, buffer, number / 100)
        session.pump(number / 100)
        session.events()
    assert session.failure is None or isinstance(session.failure, SessionError)


def _session_seeds() -> list[bytes]:
    cells = [[FRAMES[1], FRAMES[0]], FRAMES[4:8], FRAMES[9:13], FRAMES[13:14], FRAMES[16:]]
    return [
        b"".join(b"".join(map(fr.encode, cell)).ljust(1_008, b"\0") for cell in cells[:n])
        for n in range(1, 6)
    ]


def _join(blob: bytes) -> None:
    CellOpener(bytes(32), 2, Direction.TO_CALLER).open_join(blob)


_BLOB = CellSealer(bytes(32), 2, Direction.TO_CALLER).seal_join(bytes(1_120))
_REFUSED = (HandshakeError, UnknownCriticalError)

TARGETS: list[Target] = [
    codec("message-1", _open1, [CALLER.message1()], *_REFUSED),
    codec("message-2", CALLER.finish, [_message2()], *_REFUSED),
    codec("payload-1", _payload1, [encode_payload1(Payload1(bytes(1_184), REQUEST, None, None))],
          *_REFUSED),
    codec("payload-2", _payload2, [encode_payload2(ANSWER), encode_payload2(Status.LEVEL)],
          *_REFUSED),
    codec("session-frames", _frames, [*map(fr.encode, FRAMES), *_session_seeds()],
          MalformedFrameError),
    codec("join-blob", _join, [_BLOB], JoinBlobError),
    machine("session", _session, _session_seeds()),
]  # fmt: skip
