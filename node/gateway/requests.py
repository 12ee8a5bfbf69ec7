"""What a local program asks a front for, and how a dialogue with it is spoken (SPEC 16.3)."""

import hashlib
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

TOKEN_SIZE: Final = 32
REQUEST_MAX: Final = 8_192  # bytes of a request, however it is spoken


class Command(Enum):
    """What is asked for."""

    CONNECT = "connect"
    UDP_ASSOCIATE = "udp associate"


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request.

    host: as it was written, an address in numbers too; nobody looked yet what it names. port: of
    UDP ASSOCIATE the one that datagrams will come from, 0 if unknown. token: 32 bytes made of the
    program's user name and password, b"" without.
    """

    command: Command
    host: str
    port: int
    token: bytes = field(default=b"", repr=False)


class Dialogue(Protocol):
    """One language of programs, without I/O: bytes in; bytes and one request out."""

    @property
    def request(self) -> Request | None:
        """The request, once it is whole."""
        ...

    @property
    def rest(self) -> bytes:
        """What the program sent behind its request, before it was answered."""
        ...

    def receive(self, data: bytes) -> bytes:
        """Take what came and return what is to be sent.

        Raises RequestError; the program is then told `refused`, and nothing more is taken of it.
        """
        ...

    def granted(self, port: int) -> bytes:
        """Return the answer that it is connected; `port`: where datagrams are taken, or 0."""
        ...

    def refused(self, error: BaseException) -> bytes:
        """Return the answer that fits an error at this moment, b"" where there is none."""
        ...


def token_of(*parts: bytes) -> bytes:
    """Return an isolation token: 32 bytes that differ when any part does, and do not show it."""
    digest = hashlib.sha256(b"psp/gateway/isolation")
    for part in parts:
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()
