"""The relay set as a signed file, for networks without a chain (SPEC 6.10).

A file is in force for not_before <= wall < not_after. Its epoch is the serial and its root the
hash of its body; `serial` and `serial - 1` are accepted. The highest serial ever seen is pinned,
so that whoever serves the file cannot bring back relays that were removed.
"""

from dataclasses import dataclass
from typing import Final

from peerstream.identity.labels import STATIC_FILE
from peerstream.node.protocol.directory import document
from peerstream.node.protocol.directory.document import SignedBody, SigningKey
from peerstream.node.protocol.directory.errors import (
    ExpiredDocumentError,
    ForkedFileError,
    MalformedDocumentError,
    RolledBackError,
    ViewMismatchError,
)
from peerstream.node.protocol.directory.merkle import CAPACITY
from peerstream.node.protocol.directory.relay_set import RelayEntry, RelayView, proven
from peerstream.node.protocol.directory.subnets import ENDPOINT_TEXT_MAX, Endpoint

STATIC_FILE_MAX: Final = 2_097_152  # 4 096 relays of about 450 bytes
ENDPOINTS_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class StaticRelay:
    """An entry and where the relay can be reached first; newer addresses come from the relay."""

    entry: RelayEntry
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class StaticFile:
    """Serial from 1; not_before and not_after in unix seconds; relays in slots 0.. in order.

    parameters_hash (32 B): the constants that this network runs on.
    """

    serial: int
    not_before: int
    not_after: int
    parameters_hash: bytes
    relays: tuple[StaticRelay, ...]

    def body(self) -> bytes:
        """Return the deterministic bytes that are signed."""
        rows = [
            [relay.entry.to_fields(), [str(endpoint) for endpoint in relay.endpoints]]
            for relay in self.relays
        ]
        return document.encode(
            {
                1: self.serial,
                2: self.not_before,
                3: self.not_after,
                4: self.parameters_hash,
                5: rows,
            }
        )

    @classmethod
    def from_body(cls, body: bytes) -> "StaticFile":
        """Read a body. Raises MalformedDocumentError."""
        read = document.Fields(document.decode(body, limit=STATIC_FILE_MAX), required=5)
        relays = tuple(_relay(row) for row in read.items(5, CAPACITY))
        if [relay.entry.slot for relay in relays] != list(range(len(relays))):
            raise MalformedDocumentError("the relays are not in slots 0, 1, 2 …")
        return cls(
            serial=read.number(1, minimum=1),
            not_before=read.number(2),
            not_after=read.number(3),
            parameters_hash=read.octets(4, 32),
            relays=relays,
        )


def _relay(row: object) -> StaticRelay:
    if not isinstance(row, list) or len(row) != 2 or not isinstance(row[1], list):
        raise MalformedDocumentError("no relay with endpoints")
    entry, texts = row
    if not 1 <= len(texts) <= ENDPOINTS_MAX:
        raise MalformedDocumentError(f"{len(texts)} endpoints")
    if any(not isinstance(text, str) or len(text) > ENDPOINT_TEXT_MAX for text in texts):
        raise MalformedDocumentError("an endpoint is no text")
    return StaticRelay(RelayEntry.from_fields(entry), tuple(Endpoint.parse(text) for text in texts))


@dataclass(frozen=True, slots=True)
class StaticPin:
    """The highest serial seen and its root (32 B); serial 0 before the first file."""

    serial: int = 0
    root: bytes = bytes(32)


@dataclass(frozen=True, slots=True)
class SignedStaticFile:
    """A static file with its signature, read but unchecked: `verify` gives the file."""

    signed: SignedBody
    file: StaticFile

    @property
    def root(self) -> bytes:
        """SHA-256 of the body: the root of this file's view."""
        return document.document_hash(self.signed.body)

    @classmethod
    def sign(cls, file: StaticFile, key: SigningKey, *, network_id: bytes) -> "SignedStaticFile":
        """Sign as the network's operator."""
        signed = SignedBody.sign(file.body(), key, label=STATIC_FILE, network_id=network_id)
        return cls(signed, file)

    def encode(self) -> bytes:
        """Wire and file form."""
        return self.signed.encode()

    @classmethod
    def decode(cls, data: bytes) -> "SignedStaticFile":
        """Read the wire form. Raises MalformedDocumentError."""
        signed = SignedBody.decode(data, limit=STATIC_FILE_MAX)
        return cls(signed, StaticFile.from_body(signed.body))

    def verify(
        self, signer: bytes, network_id: bytes, *, parameters_hash: bytes, wall: int
    ) -> StaticFile:
        """Return the file, once the network's key signed it and it has not ended.

        A file that begins in the future passes: it can be fetched ahead. Raises
        BadDocumentSignatureError, ExpiredDocumentError, or ViewMismatchError for one that runs on
        other parameters.
        """
        self.signed.verify(signer, label=STATIC_FILE, network_id=network_id)
        if self.file.parameters_hash != parameters_hash:
            raise ViewMismatchError("the static file is for other network parameters")
        if wall >= self.file.not_after or self.file.not_before >= self.file.not_after:
            raise ExpiredDocumentError(f"static file {self.file.serial}; fetch the next one")
        return self.file

    def pinned(self, pin: StaticPin) -> StaticPin:
        """Return the pin after this verified file.

        Raises RolledBackError for a serial below the pinned one and its predecessor,
        ForkedFileError for two files with one serial.
        """
        serial = self.file.serial
        if serial + 1 < pin.serial:
            raise RolledBackError(f"serial {serial} where {pin.serial} was seen")
        if serial == pin.serial and self.root != pin.root:
            raise ForkedFileError(f"two files have serial {serial}")
        return StaticPin(serial, self.root) if serial > pin.serial else pin

    def view(self, network_id: bytes) -> RelayView:
        """Return the view that this verified file stands for."""
        relays, unproven = proven((relay.entry for relay in self.file.relays), network_id)
        in_force = tuple(entry for entry in relays if entry.in_force(self.file.serial))
        return RelayView(
            self.file.serial,
            self.root,
            in_force,
            self.file.not_before,
            self.file.not_after,
            unproven,
        )
