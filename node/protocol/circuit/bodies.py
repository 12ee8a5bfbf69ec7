"""What a command to a hop carries, and where: a SETUP payload or a control cell (SPEC 4.7).

payload = command u8 | version u8 = 1 | length u16 | body, filled up to 9 320 random bytes
"""

from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.identity.errors import BadSignatureError, KeyMaterialError
from peerstream.identity.keys import verify_ed25519
from peerstream.identity.labels import INTRO_REGISTER
from peerstream.node.protocol.circuit.errors import CommandError, RegistrationSignatureError
from peerstream.node.protocol.errors import LocalProtocolError, MalformedError
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.reader import Reader
from peerstream.node.protocol.wire.sizes import (
    COOKIE_SIZE,
    INTRODUCTION_BLOB_SIZE,
    JOIN_BLOB_SIZES,
    PAYLOAD_SIZE,
)
from peerstream.node.protocol.wire.status import Status

PAYLOAD_VERSION: Final = 1
PAYLOAD_HEADER_SIZE: Final = 4
BODY_MAX: Final = PAYLOAD_SIZE - PAYLOAD_HEADER_SIZE
AUTH_KEY_SIZE: Final = 32
PASS_NAME_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64
LISTEN_SECONDS_MAX: Final = 3_600


def encode_payload(command: Command, body: bytes) -> bytes:
    """Return what `build_setup` takes as payload; it adds the random filling."""
    if len(body) > BODY_MAX:
        raise LocalProtocolError(f"{command.name} with {len(body)} bytes does not fit a SETUP")
    return bytes((command, PAYLOAD_VERSION)) + len(body).to_bytes(2, "big") + body


def decode_payload(payload: bytes) -> tuple[Command, bytes]:
    """Return command and body of a SETUP payload; MalformedError or CommandError."""
    reader = Reader(payload)
    number, version = reader.u8(), reader.u8()
    if version != PAYLOAD_VERSION:
        raise CommandError(f"a payload of version {version}")
    try:
        command = Command(number)
    except ValueError as error:
        raise CommandError(f"command {number}") from error
    return command, reader.take(reader.u16())


class Registration(NamedTuple):
    """INTRO_REGISTER: deliver introductions for `auth_key` to this circuit.

    `rate` introductions a minute, at most `burst` at once; as many again for those who know
    `pass_name`, under which the callee's contacts are introduced (SPEC 12.7).
    """

    auth_key: bytes  # 32, Ed25519
    pass_name: bytes  # 32
    rate: int
    burst: int

    def encode(self, private: Ed25519PrivateKey, binding: bytes) -> bytes:
        """Sign for the circuit with this `binding`, so that no other circuit can use it."""
        fields = self._signed()
        return fields + private.sign(INTRO_REGISTER + binding + fields)

    @classmethod
    def decode(cls, body: bytes, binding: bytes) -> "Registration":
        """Raise MalformedError or, when `auth_key` did not sign, RegistrationSignatureError."""
        reader = Reader(body)
        names = reader.take(AUTH_KEY_SIZE), reader.take(PASS_NAME_SIZE)
        registration = cls(*names, reader.u16(), reader.u16())
        reader.zeros(2)
        signature = reader.take(SIGNATURE_SIZE)
        reader.end()
        message = INTRO_REGISTER + binding + registration._signed()
        try:
            verify_ed25519(registration.auth_key, message, signature)
        except (BadSignatureError, KeyMaterialError) as error:
            raise RegistrationSignatureError("not signed for this circuit") from error
        return registration

    def _signed(self) -> bytes:
        limits = self.rate.to_bytes(2, "big") + self.burst.to_bytes(2, "big")
        return self.auth_key + self.pass_name + limits + bytes(2)


class Introduction(NamedTuple):
    """INTRODUCE: a blob for whoever registered `auth_key`, or has its name from a pass."""

    auth_key: bytes  # 32
    blob: bytes  # 9 184

    def encode(self) -> bytes:
        """9 216 bytes."""
        return self.auth_key + _sized(self.blob, (INTRODUCTION_BLOB_SIZE,))

    @classmethod
    def decode(cls, body: bytes) -> "Introduction":
        """MalformedError for another size."""
        reader = Reader(body)
        introduction = cls(reader.take(AUTH_KEY_SIZE), reader.take(INTRODUCTION_BLOB_SIZE))
        reader.end()
        return introduction


class Listening(NamedTuple):
    """RDV_LISTEN: splice this circuit with the one that joins `cookie` within `seconds`."""

    cookie: bytes  # 32
    seconds: int = LISTEN_SECONDS_MAX

    def encode(self) -> bytes:
        """34 bytes."""
        return self.cookie + self.seconds.to_bytes(2, "big")

    @classmethod
    def decode(cls, body: bytes) -> "Listening":
        """MalformedError for another size or more than an hour."""
        reader = Reader(body)
        listening = cls(reader.take(COOKIE_SIZE), reader.u16())
        reader.end()
        if not 1 <= listening.seconds <= LISTEN_SECONDS_MAX:
            raise MalformedError(f"nobody listens for {listening.seconds} s")
        return listening


class Joining(NamedTuple):
    """RDV_JOIN: splice this circuit with the one that listens for `cookie`, which gets `blob`."""

    cookie: bytes  # 32
    blob: bytes  # 2 048 or 9 184

    def encode(self) -> bytes:
        """2 080 or 9 216 bytes."""
        return self.cookie + _sized(self.blob, JOIN_BLOB_SIZES)

    @classmethod
    def decode(cls, body: bytes) -> "Joining":
        """MalformedError for another size."""
        reader = Reader(body)
        joining = cls(reader.take(COOKIE_SIZE), reader.rest())
        if len(joining.blob) not in JOIN_BLOB_SIZES:
            raise MalformedError(f"a blob of {len(joining.blob)} bytes")
        return joining


class IntroductionWait(NamedTuple):
    """INTRODUCE_WAIT: introduce, and listen here for `cookie` at once (level 1)."""

    auth_key: bytes  # 32
    cookie: bytes  # 32
    blob: bytes  # 9 184

    def encode(self) -> bytes:
        """9 248 bytes."""
        return self.auth_key + self.cookie + _sized(self.blob, (INTRODUCTION_BLOB_SIZE,))

    @classmethod
    def decode(cls, body: bytes) -> "IntroductionWait":
        """MalformedError for another size."""
        reader = Reader(body)
        keys = reader.take(AUTH_KEY_SIZE), reader.take(COOKIE_SIZE)
        introduction = cls(*keys, reader.take(INTRODUCTION_BLOB_SIZE))
        reader.end()
        return introduction


class Result(NamedTuple):
    """RESULT: how a command in a control cell ended."""

    command: Command
    status: Status
    message: bytes = b""

    def encode(self) -> bytes:
        """Two bytes and the message."""
        return bytes((self.command, self.status)) + self.message

    @classmethod
    def decode(cls, data: bytes) -> "Result":
        """MalformedError when it names no command or status of ours."""
        reader = Reader(data)
        command, status = reader.u8(), reader.u8()
        try:
            return cls(Command(command), Status(status), reader.rest())
        except ValueError as error:
            raise MalformedError(f"result {status} of command {command}") from error


def _sized(blob: bytes, sizes: tuple[int, ...]) -> bytes:
    if len(blob) not in sizes:
        raise LocalProtocolError(f"a blob of {len(blob)} bytes")
    return blob
