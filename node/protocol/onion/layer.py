"""PSP-UIV: one layer on the cells of one hop and direction (SPEC 3).

Theory. A cell is L (16 bytes) || R. With a hash of (T, R), a block cipher on L and a stream that
starts from the new L, relays always run the direction in which a change of any bit turns the whole
cell into noise (UIV+, Degabriele, Melloni, Muench, Stam, eprint 2025/583). T is the previous cell's
L, so the noise goes on to the end of the circuit. The composition is Tor's Counter Galois Onion
with OpenSSL's GMAC for POLYVAL; tests/reference runs Tor's vectors through this same code.

  encipher (relays, both ways)            decipher (the circuit's owner, both ways)
  h  = Hash(T, R)                         R' = R xor Stream(L)
  L' = Block(L xor h) xor h               h  = Hash(T, R')
  R' = R xor Stream(L')                   L' = Block^-1(L xor h) xor h
  T  = L'[0:12]                           T  = L[0:12]
"""

from collections.abc import Callable
from hashlib import shake_256
from hmac import compare_digest
from typing import ClassVar, Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

from peerstream.identity.labels import LAYER_REKEY
from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion.keys import LAYER_KEYS_SIZE, LayerKeys
from peerstream.node.protocol.wire.sizes import REKEY_CELLS

_NONCE_SIZE: Final = 12
_COUNTER_SHIFT: Final = 32  # the control counter runs inside L[0:12], see `originate`
_MARKER_MASK: Final = (1 << 128) - 1

_from_bytes = int.from_bytes


def _not_open(*_: object) -> bytes:
    raise LocalProtocolError("a layer was used without its contexts")


class Layer:
    """The state of one hop and direction; `cell_size` in bytes, fixed for the circuit.

    Both ends of a layer pass the same cells in the same order and so change keys together, after
    every 256th cell. Of an idle layer only 144 bytes of keys are kept: the OpenSSL contexts are
    made at the first cell and given back by `drop_contexts`.
    """

    __slots__ = (
        "_cells",
        "_decrypt_block",
        "_encrypt_block",
        "_hash",
        "_keys",
        "_marker",
        "_old_marker",
        "_size",
        "_stream",
        "_tweak",
    )

    _TWEAK: ClassVar = slice(0, _NONCE_SIZE)  # what of an L goes on into nonces

    _cells: int  # since the last rekey
    _marker: bytes  # 16: the L of the next control cell
    _tweak: bytes
    _hash: Callable[..., bytes]
    _stream: Callable[..., object]
    _encrypt_block: Callable[[bytes], bytes] | None
    _decrypt_block: Callable[[bytes], bytes] | None

    def __init__(self, keys: LayerKeys, cell_size: int) -> None:
        self._size = cell_size
        self._old_marker = b""
        self._load(keys.raw)

    def __repr__(self) -> str:
        return f"<Layer {self._cells} cells into its keys>"

    def encipher(self, cell: memoryview, out: memoryview) -> bytes:
        """Pass one cell at a relay; returns the new L.

        `cell` has exactly cell_size bytes, `out` 16 more (scratch). Both may begin at the same
        byte; they must not overlap otherwise.
        """
        block = self._encrypt_block
        if block is None or len(cell) != self._size:
            block = self._open_encryptor(cell)
        right = cell[16:]
        mask = _from_bytes(self._hash(self._tweak, b"", right), "little")
        masked = (_from_bytes(cell[:16], "little") ^ mask).to_bytes(16, "little")
        left = (_from_bytes(block(masked), "little") ^ mask).to_bytes(16, "little")
        self._tweak = tweak = left[self._TWEAK]
        self._stream(tweak, right, None, out[16:])
        out[:16] = left
        self._cells = passed = self._cells + 1
        if passed == REKEY_CELLS:
            self._rekey(left)
        return left

    def decipher(self, cell: memoryview, out: memoryview) -> bytes:
        """Undo one relay at the circuit's owner; returns the new L. Buffers as for `encipher`."""
        block = self._decrypt_block
        if block is None or len(cell) != self._size:
            block = self._open_decryptor(cell)
        taken = bytes(cell[:16])
        tweak = taken[self._TWEAK]
        self._stream(tweak, cell[16:], None, out[16:])
        mask = _from_bytes(self._hash(self._tweak, b"", out[16 : self._size]), "little")
        masked = (_from_bytes(taken, "little") ^ mask).to_bytes(16, "little")
        left = (_from_bytes(block(masked), "little") ^ mask).to_bytes(16, "little")
        self._tweak = tweak
        out[:16] = left
        self._cells = passed = self._cells + 1
        if passed == REKEY_CELLS:
            self._rekey(taken)
        return left

    def is_for_us(self, left: bytes | memoryview) -> bool:
        """Whether the cell that just passed is a control cell of this hop; in constant time.

        `left` is the L that encipher or decipher returned for it.
        """
        return compare_digest(left, self._marker if self._cells else self._old_marker)

    def consume(self) -> None:
        """Count a control cell that is_for_us recognised; the next one has another marker."""
        if self._cells:  # else the cell was its generation's last: the markers already changed
            self._advance()

    def originate(self) -> bytes:
        """Return the L of the next control cell, 16 bytes, which must be passed at once.

        MUST: the counter runs in bytes 0..11, so that each control cell has its own stream nonce.
        In the low bytes it would repeat the keystream, and the hop before could read messages by
        comparing two cells.
        """
        marker = self._marker
        self._advance()
        return marker

    def drop_contexts(self) -> None:
        """Give the OpenSSL contexts back (3.5 KB a direction); the next cell makes new ones."""
        self._encrypt_block = None
        self._decrypt_block = None
        self._hash = self._stream = _not_open

    def _advance(self) -> None:
        counted = _from_bytes(self._marker, "big") + (1 << _COUNTER_SHIFT)
        self._marker = (counted & _MARKER_MASK).to_bytes(16, "big")

    def _load(self, raw: bytes) -> None:
        self._keys = raw
        self._marker = raw[96:112]
        self._tweak = bytes(_NONCE_SIZE)
        self._cells = 0
        self.drop_contexts()

    def _rekey(self, last: bytes) -> None:
        """Replace every key; `last` is the L of the last cell on the network side of the relay.

        MUST mix `last`: without it a cell garbled in one generation would be clean in the next.
        """
        self._old_marker = self._marker
        chain = self._keys[112:]
        self._load(shake_256(LAYER_REKEY + chain + last).digest(LAYER_KEYS_SIZE))

    def _open_encryptor(self, cell: memoryview) -> Callable[[bytes], bytes]:
        self._open(cell)
        if self._encrypt_block is None:
            self._encrypt_block = self._block_cipher().encryptor().update
        return self._encrypt_block

    def _open_decryptor(self, cell: memoryview) -> Callable[[bytes], bytes]:
        self._open(cell)
        if self._decrypt_block is None:
            self._decrypt_block = self._block_cipher().decryptor().update
        return self._decrypt_block

    def _block_cipher(self) -> Cipher[ECB]:
        return Cipher(AES256(self._keys[32:64]), ECB())  # noqa: S305 - single blocks, masked

    def _open(self, cell: memoryview) -> None:
        if len(cell) != self._size:
            raise LocalProtocolError(f"a cell of {len(cell)} bytes where all have {self._size}")
        if self._hash is _not_open:
            self._hash = AESGCM(self._keys[:32]).encrypt
            self._stream = AESGCM(self._keys[64:96]).encrypt_into
