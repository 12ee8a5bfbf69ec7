"""Session cells: AES-256-GCM over a whole cell, in the cell's own buffer (SPEC 5.5).

A cell buffer of n + 24 bytes holds 8 of link header room, L (16), R (n - 16) and 16 of scratch. The
plaintext stands where R will; L is the AEAD's tag. The nonce is path u32 and sequence number u64.
"""

from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peerstream.node.protocol.session.errors import ForgedCellError, JoinBlobError
from peerstream.node.protocol.session.schedule import (
    GENERATION_CELLS,
    Direction,
    next_generation,
    switched_key,
)
from peerstream.node.protocol.wire.sizes import (
    CELL_BUFFER_OVERHEAD,
    CELL_TAG_SIZE,
    JOIN_BLOB_SIZES,
    LINK_HEADER_SIZE,
)

TEXT_START = LINK_HEADER_SIZE + CELL_TAG_SIZE
JOIN_SHAPE_SIZE = 1_120  # what message 2 begins with: an X25519 key and an ML-KEM ciphertext
_GENERATION_MASK = GENERATION_CELLS - 1


def text_end(cell_size: int) -> int:
    """Where the plaintext of a cell of that size ends in its buffer."""
    return cell_size + LINK_HEADER_SIZE


class _CellKey:
    """The current key of one path and direction, and the number of the next cell."""

    __slots__ = ("_cipher", "_direction", "_key", "_path", "_prefix", "sequence")

    def __init__(self, key: bytes, path: int, direction: Direction) -> None:
        self._path = path
        self._direction = direction
        self._prefix = path.to_bytes(4, "big")
        self.sequence = 0
        self._set(key)

    def _set(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(key)

    def _nonce(self) -> bytes:
        return self._prefix + self.sequence.to_bytes(8, "big")

    def _advance(self) -> None:
        self.sequence += 1
        if not self.sequence & _GENERATION_MASK:
            self._set(next_generation(self._key))

    def switch(self, shared: bytes, rekey: int) -> None:
        """From the next cell on use the key that ``shared`` is mixed into."""
        self._set(switched_key(self._key, shared, rekey, self._path, self._direction))


class CellSealer(_CellKey):
    """Seals the cells of one path and direction, in order."""

    __slots__ = ()

    def seal(self, buffer: memoryview) -> None:
        """Seal the plaintext in a cell buffer where it stands."""
        end = len(buffer)
        tag = end - CELL_TAG_SIZE
        self._cipher.encrypt_into(
            self._nonce(), buffer[TEXT_START:tag], None, buffer[TEXT_START:end]
        )
        buffer[LINK_HEADER_SIZE:TEXT_START] = buffer[tag:end]
        self._advance()

    def seal_join(self, shape: bytes) -> bytes:
        """Return the blob of 2 048 bytes that joins this path; takes sequence number 0.

        ``shape`` is 1 120 bytes as message 2 begins with, so that nobody can tell the two apart.
        """
        text = bytes(JOIN_BLOB_SIZES[0] - JOIN_SHAPE_SIZE - CELL_TAG_SIZE)
        sealed = self._cipher.encrypt(self._nonce(), text, shape)
        self._advance()
        return shape + sealed


class CellOpener(_CellKey):
    """Opens the cells of one path and direction; they must come complete and in order."""

    __slots__ = ()

    def open(self, buffer: memoryview) -> bytes:
        """Return the plaintext of a received cell; raises ForgedCellError.

        The bytes are fresh, not the buffer's: stream data stays where it was decrypted until the
        application takes it, so opening in place would cost one more copy.
        """
        end = len(buffer)
        buffer[end - CELL_TAG_SIZE : end] = buffer[LINK_HEADER_SIZE:TEXT_START]
        try:
            text = self._cipher.decrypt(self._nonce(), buffer[TEXT_START:end], None)
        except InvalidTag:
            raise ForgedCellError(f"cell {self.sequence} of path {self._path}") from None
        self._advance()
        return text

    def open_join(self, blob: bytes) -> None:
        """Verify the blob that joins this path; raises JoinBlobError."""
        if len(blob) != JOIN_BLOB_SIZES[0]:
            raise JoinBlobError(f"{len(blob)} bytes")
        try:
            text = self._cipher.decrypt(
                self._nonce(), blob[JOIN_SHAPE_SIZE:], blob[:JOIN_SHAPE_SIZE]
            )
        except InvalidTag:
            raise JoinBlobError(f"not made for path {self._path}") from None
        if any(text):
            raise JoinBlobError("dirty padding")
        self._advance()


def check_buffer(buffer: Any, cell_size: int) -> None:
    """Raise ForgedCellError unless the buffer is one of a cell of that size."""
    if len(buffer) != cell_size + CELL_BUFFER_OVERHEAD:
        raise ForgedCellError(f"a buffer of {len(buffer)} bytes for a cell of {cell_size}")
