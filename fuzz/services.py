"""Targets for chapter 11: the messages of the service `file`, and names of files."""

from fuzz.target import Target, codec
from peerstream.node.protocol.wire.version import VersionRange
from peerstream.node.services.files.errors import HostileNameError
from peerstream.node.services.files.names import require_safe
from peerstream.node.services.files.offer import Abort, Answer, Begin, Offer, Receipt
from peerstream.node.services.files.wire import (
    FileStatus,
    Kind,
    MessageError,
    decode_greeting,
    decode_head,
    encode_greeting,
    encode_head,
)

DOCUMENTS = [
    Offer("name.txt", 5, bytes(32)),
    Answer(FileStatus.OK, 3, bytes(32)),
    Answer(FileStatus.BUSY),
    Begin(7),
    Receipt(FileStatus.OK, bytes(32)),
    Receipt(FileStatus.MISMATCH),
    Abort(FileStatus.CHANGED),
]


def _name(data: bytes) -> None:
    name = require_safe(data.decode("utf-8", "surrogateescape"))
    assert "/" not in name
    assert name not in {"", ".", ".."}
    assert "\0" not in name


TARGETS: list[Target] = [
    *(
        codec(
            f"file-{kind.__name__.lower()}",
            kind.decode,
            [document.encode() for document in DOCUMENTS if type(document) is kind],
            MessageError,
        )
        for kind in (Offer, Answer, Begin, Receipt, Abort)
    ),
    codec("file-greeting", decode_greeting, [encode_greeting(VersionRange(1, 2))], MessageError,
          encode=encode_greeting),
    codec("file-head", decode_head, [encode_head(Kind.PIECE, 9)], MessageError,
          encode=lambda head: encode_head(*head)),
    codec("file-name", _name, ["näme.txt".encode(), b"a/b", b"..", b"\xe2\x80\xae"],
          HostileNameError),
]  # fmt: skip
